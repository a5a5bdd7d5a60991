"""Companies: their tree, and who belongs to them."""

from django.db import transaction

from crm import rows
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Company, CustomField, User
from crm.services import edits, fields

EDITABLE = frozenset({"name", "domain", "parent", "owner", "note", "fields"})
DEEPEST = 12  # levels of a tree

_ABOVE = """
WITH RECURSIVE above AS (
    SELECT id, parent_id, 1 AS level FROM crm_company WHERE id = %s
    UNION ALL SELECT c.id, c.parent_id, a.level + 1 FROM crm_company c JOIN above a ON c.id = a.parent_id WHERE a.level < 50
) SELECT id FROM above
"""


_BELOW = """
WITH RECURSIVE below AS (
    SELECT id, 1 AS level FROM crm_company WHERE id = %s
    UNION ALL SELECT c.id, b.level + 1 FROM crm_company c JOIN below b ON c.parent_id = b.id WHERE b.level < 50
) SELECT id FROM below ORDER BY id LIMIT 5000
"""


def create(*, by: User, name: str, **given: object) -> Company:
    """A new company."""
    company = Company()
    return edit(company, {"name": name, **given}, by=by)


def edit(company: Company, changes: dict, *, by: User) -> Company:
    """Correct a company; its tree stays a tree."""
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    if "name" in changes and not changes["name"].strip():
        raise InvalidInput("A company has a name.", errors={"name": "is empty"})
    with transaction.atomic(), rows.serialised("earshot.companies"):
        if parent := changes.get("parent"):
            _check_tree(company, parent)
        for name, value in changes.items():
            setattr(
                company, name, fields.merged("company", company.fields, value) if name == "fields" else value
            )
        verb = "company.edited" if company.pk else "company.created"
        company.save()
        Activity.objects.create(actor=by, verb=verb, data={"company": company.pk, "fields": sorted(changes)})
    return company


def planned(company: Company, changes: dict, own: dict[str, CustomField] | None = None) -> dict:
    """What of the changes is new to the company, without its place in the tree; `own` are the fields of our own."""
    if unknown := set(changes) - {"owner", "fields"}:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    changes = dict(changes)
    if "fields" in changes:
        changes["fields"] = fields.merged("company", company.fields, changes["fields"], own)
    return edits.changed(company, changes)


def write(planned: list[edits.Edit], *, by: User, **data: object) -> None:
    """Write edits of companies, each with its line of history; `data` stands in all lines."""
    with transaction.atomic():
        edits.write(planned)
        Activity.objects.bulk_create(
            Activity(
                actor=by, verb="company.edited", data={"company": one.pk, "fields": sorted(changed), **data}
            )
            for one, changed in planned
        )


def above(company: Company) -> list[Company]:
    """What a company is part of, the whole first."""
    ids = [row[0] for row in rows.run(_ABOVE, (company.pk,))][1:]
    found = Company.objects.in_bulk(ids)
    return [found[one] for one in reversed(ids)]


def below(company: Company) -> list[int]:
    """A company and all its parts, by id."""
    return [row[0] for row in rows.run(_BELOW, (company.pk,))]


def _check_tree(company: Company, parent: Company) -> None:
    above = [row[0] for row in rows.run(_ABOVE, (parent.pk,))]
    if company.pk in above:
        raise Conflict("A company is no part of its own part.", code="circle")
    if len(above) >= DEEPEST:
        raise Conflict(f"A tree has at most {DEEPEST} levels.", code="too_deep")
