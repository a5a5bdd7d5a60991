"""The two lists of wrap-up (`practice.md` 1.6): what a contact may be given, the most likely first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from crm import rows
from crm.choices import CodeKind
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Code, User

LIKELY = 5

# What may be given, and whose it is: a heading is no answer, a retired code neither.
_GIVEN = """
SELECT c.kind, c.brand_id FROM crm_code c WHERE NOT c.retired
AND (c.kind = 'reason' AND c.code = %s::text OR c.kind = 'outcome' AND c.code = %s::text)
AND NOT EXISTS (SELECT 1 FROM crm_code b WHERE b.parent_id = c.id AND NOT b.retired)
"""
_BRAND = "SELECT h.brand_id FROM crm_interaction i JOIN crm_channel h ON h.id = i.channel_id WHERE i.id = %s::bigint"


@dataclass(frozen=True, slots=True)
class Choice:
    """One code that a contact may be given, with the words of its headings before its own."""

    code: str
    label: str
    likely: bool


def check(reason: str, outcome: str) -> set[int]:
    """Refuse what is no code of its list; empty is no code given. Returns the brands whose codes these are, if not all's."""
    given = {"reason": reason, "outcome": outcome}
    known = dict(rows.kept(_GIVEN, (reason, outcome)))
    if wrong := {name: "is not a known code" for name, code in given.items() if code and name not in known}:
        raise InvalidInput("Reason and outcome are codes.", errors=wrong)
    return {brand for brand in known.values() if brand is not None}


def check_brand(brands: set[int], interaction_id: int | None) -> None:
    """Refuse codes of another brand than the contact's; asks only where a code belongs to one."""
    if brands and interaction_id:
        own = rows.kept(_BRAND, (interaction_id,))[0][0]
        if brands != {own}:
            raise InvalidInput("These codes are another brand's.", errors={"reason": "is another brand's"})


def choices(brand_id: int | None, likely: Mapping[str, Sequence[str]]) -> dict[str, list[Choice]]:
    """Both lists for contacts of a brand: first, of those that `likely` names by kind, five; then all others by name."""
    every = {one.pk: one for one in Code.objects.all()}
    headings = {one.parent_id for one in every.values() if one.parent_id and not one.retired}
    found: dict[str, list[Choice]] = {kind: [] for kind in CodeKind.values}
    for one in every.values():
        if not one.retired and one.pk not in headings and one.brand_id in (None, brand_id):
            found[one.kind].append(Choice(one.code, _path(one, every), False))
    return {kind: _likely_first(found[kind], likely.get(kind, ())) for kind in found}


def _path(code: Code, every: dict[int, Code]) -> str:
    labels = [code.label]
    while code.parent_id:
        code = every[code.parent_id]
        labels.append(code.label)
    return " › ".join(reversed(labels))


def _likely_first(choices: list[Choice], wanted: Sequence[str]) -> list[Choice]:
    place = {code: number for number, code in reversed(list(enumerate(wanted)))}
    likely = sorted((one for one in choices if one.code in place), key=lambda one: place[one.code])[:LIKELY]
    shown = {one.code for one in likely}
    others = sorted((one for one in choices if one.code not in shown), key=lambda one: one.label.lower())
    return [*[Choice(one.code, one.label, True) for one in likely], *others]


def create(*, by: User, **given: object) -> Code:
    """A new code."""
    return _written(Code(**given), "code.created", by, sorted(given))


def edit(code: Code, changes: dict, *, by: User) -> Code:
    """Rename a code, retire it, or take it back; what was coded with it stays so."""
    for name, value in changes.items():
        setattr(code, name, value)
    return _written(code, "code.edited", by, sorted(changes))


def _written(code: Code, verb: str, by: User, fields: list[str]) -> Code:
    try:
        code.clean()
        with transaction.atomic():
            code.save()
            Activity.objects.create(
                actor=by, verb=verb, data={"code": code.code, "kind": code.kind, "fields": fields}
            )
    except ValidationError as error:
        raise InvalidInput("This heading does not do.", errors=error.message_dict) from error
    except IntegrityError as error:
        raise Conflict("There is such a code already.", code="code_exists") from error
    return code
