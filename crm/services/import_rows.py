"""A chunk of an import's rows: understood, matched with whom we know, and written in a constant number of statements.

What rows become is decided in the order of the file, so that a later row sees what an earlier one made, whether the two
stand in one chunk or not. A dry run decides the same way and writes nothing of it; it carries its `Known` from chunk to
chunk, where a real one finds in the database what it has written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from django.utils import timezone
from django.utils.text import slugify

from crm import columns, rows
from crm.choices import RowOutcome, Trust
from crm.columns import Address, BadRowError, RowReader, Said
from crm.errors import Conflict
from crm.models import CustomField
from crm.services import fields, search

Key = tuple[str, str]
ROW = "row"  # the kind of key of a row without an address: its own words
ID = "id"  # the kind of key of a customer's number here
PLAIN = ("name", "company", "language", "value", "vip", "note")
LABELS = {"vip": "VIP"}

_FIND = """
SELECT k.kind, k.value, i.customer_id FROM unnest(%s::text[], %s::text[]) AS k(kind, value)
    JOIN crm_identity i ON i.kind = k.kind AND i.value = k.value
UNION SELECT k.kind, '@' || k.handle, i.customer_id FROM unnest(%s::text[], %s::text[]) AS k(kind, handle)
    JOIN crm_identity i ON left(upper(i.handle), 200) = left(upper(k.handle), 200) AND i.kind = k.kind
UNION SELECT 'id', k.id::text, coalesce(c.merged_into_id, c.id) FROM unnest(%s::bigint[]) AS k(id)
    JOIN crm_customer c ON c.id = k.id
UNION SELECT 'row', d.digest, c.id FROM unnest(%s::text[]) AS d(digest)
    JOIN crm_importrow r ON r.digest = d.digest AND r.digest <> ''
    JOIN crm_customer o ON o.id = r.customer_id JOIN crm_customer c ON c.id = coalesce(o.merged_into_id, o.id)
ORDER BY 1, 2, 3
"""
# Whoever moves an address to another customer locks both: what is found under this lock stays true.
_LOCK = """
SELECT id, name, company_id, language, value, vip, note, fields FROM crm_customer WHERE id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE
"""
_READ = "SELECT id, name, company_id, language, value, vip, note, fields FROM crm_customer WHERE id = ANY(%s)"
_TAGGED = "SELECT customer_id, tag_id FROM crm_customer_tags WHERE customer_id = ANY(%s)"
_COMPANIES = """
SELECT n.key, min(c.id) FROM unnest(%s::text[], %s::text[]) AS n(key, name) JOIN crm_company c ON upper(c.name) = upper(n.name)
GROUP BY 1
"""
_TAGS = """
SELECT n.slug, min(t.id) FROM unnest(%s::text[], %s::text[]) AS n(slug, name)
JOIN crm_tag t ON t.slug = n.slug OR lower(t.name) = lower(n.name) GROUP BY 1
"""
_UPDATE = """
UPDATE crm_customer c SET name = n.name, company_id = n.company_id, language = n.language, value = n.value, vip = n.vip,
    note = n.note, fields = n.fields
FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::numeric[], %s::boolean[], %s::text[], %s::jsonb[])
    AS n(id, name, company_id, language, value, vip, note, fields) WHERE c.id = n.id
"""
_TAG = """
INSERT INTO crm_customer_tags (customer_id, tag_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ON CONFLICT DO NOTHING
"""


class MovedError(Exception):
    """Somebody else wrote at the same moment: the chunk is decided again."""


@dataclass(slots=True)
class Draft:
    """A customer as the rows so far make him: one that we have, or one to come (`line` is where he comes from)."""

    id: int
    line: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    tags: set[int] = field(default_factory=set)

    def who(self) -> str:
        return f"the customer of line {self.line}" if self.line else f"customer {self.id}"


@dataclass(slots=True)
class Known:
    """Whom and what a chunk's rows can refer to."""

    owners: dict[Key, list[int]] = field(default_factory=dict)
    drafts: dict[int, Draft] = field(default_factory=dict)
    companies: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    made_companies: dict[int, str] = field(default_factory=dict)
    made_tags: dict[int, tuple[str, str]] = field(default_factory=dict)
    next_id: int = 0
    only_known: bool = False  # further addresses: nobody is made

    def placeholder(self) -> int:
        """An id that no row has: what a dry run makes."""
        self.next_id -= 1
        return self.next_id


@dataclass(slots=True)
class Step:
    """One row: what it says, and what it becomes."""

    id: int
    line: int
    cells: Sequence[str]
    problem: str = ""
    said: Said = field(default_factory=Said)
    own: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    outcome: str = ""
    report: str = ""
    customer: int | None = None
    fresh: bool = False
    changes: dict[str, list] = field(default_factory=dict)
    addresses: list[tuple[int, Address]] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)

    def known_as(self) -> Iterator[Key]:
        """Under what its customer is known."""
        yield from keys_of(self.said)
        if self.digest:
            yield ROW, self.digest

    def did(self) -> dict[str, Any]:
        """What an undo must know."""
        done: dict[str, Any] = {"made": self.fresh, "changes": self.changes}
        trust = {"trust": self.said.more["trust"]} if "trust" in self.said.more else {}
        return done | {"identities": [one for one, _ in self.addresses], "tags": self.tags, **trust}


def keys_of(said: Said) -> Iterator[Key]:
    """Under what a row names its customer."""
    for one in said.known_by:
        yield one.kind, one.value
    if said.customer is not None:
        yield ID, str(said.customer)


def understand(steps: list[Step], reader: RowReader) -> None:
    """Read the cells of each row, with the fields of our own as their kind wants them. One statement."""
    kinds = {
        one.slug: one for one in CustomField.objects.filter(noun="customer", retired=False, restricted=False)
    }
    for step in steps:
        try:
            if step.problem:
                raise BadRowError(step.problem)
            step.said = reader.read(step.cells)
            step.own = fitted(kinds, step.said.own)
        except BadRowError as error:
            _fail(step, str(error))
        else:
            step.digest = "" if step.said.known_by or step.said.customer is not None else _digest(step)


def fitted(kinds: dict[str, CustomField], said: dict[str, str]) -> dict[str, Any]:
    """Fields of our own as their kind keeps them; BadRowError says which do not fit."""
    found, errors = {}, []
    for slug, text in said.items():
        try:
            found[slug] = fields.fitted(kinds[slug], text)
        except KeyError:
            errors.append(f"{slug}: is not one of the fields")
        except ValueError as error:
            errors.append(f"{kinds[slug].label}: {error}")
    if errors:
        raise BadRowError("; ".join(errors)[:1000])
    return found


def _digest(step: Step) -> str:
    said = step.said
    words = [said.name, said.company, said.language, str(said.value), str(said.vip), said.note, *said.tags]
    return blake2b(rows.as_json([words, step.own]).encode(), digest_size=16).hexdigest()


def _fail(step: Step, reason: str) -> None:
    step.outcome, step.report = RowOutcome.FAILED.value, reason


# --- Whom we know


def look_up(steps: list[Step], known: Known, *, lock: bool) -> None:
    """Fill `known` with everybody and everything that the rows refer to; what it holds already is newer. With `lock` the
    customers stay as they are until the transaction ends. Raises MovedError when they moved before that."""
    good = [step for step in steps if not step.outcome]
    keys = sorted({key for step in good for key in step.known_as()} - set(known.owners))
    found = find(keys)
    wanted = sorted({one for ids in found.values() for one in ids} - set(known.drafts))
    if wanted:
        for row in rows.run(_LOCK if lock else _READ, (wanted,)):
            known.drafts[row[0]] = Draft(
                id=row[0], values=dict(zip(PLAIN, row[1:7], strict=True)), own=rows.from_json(row[7])
            )
        for customer, tag in rows.run(_TAGGED, (wanted,)):
            known.drafts[customer].tags.add(tag)
        if lock and find(keys) != found:
            raise MovedError
    known.owners |= found
    _look_up_companies(good, known)
    look_up_tags(good, known)


def find(keys: list[Key]) -> dict[Key, list[int]]:
    """Customers by what they are known under."""
    plain = [key for key in keys if key[0] not in (ROW, ID)]
    handles = [key for key in plain if key[1].startswith("@")]
    digests = [value for kind, value in keys if kind == ROW]
    params = (
        [kind for kind, _ in plain], [value for _, value in plain],
        [kind for kind, _ in handles], [value[1:] for _, value in handles],
        [int(value) for kind, value in keys if kind == ID], digests,
    )  # fmt: skip
    found: dict[Key, list[int]] = {}
    for kind, value, customer in rows.run(_FIND, params):
        if kind != ROW or (kind, value) not in found:
            found.setdefault((kind, value), []).append(customer)
    return found


def _look_up_companies(steps: list[Step], known: Known) -> None:
    names = {step.said.company.lower(): step.said.company for step in steps if step.said.company}
    missing = sorted(set(names) - set(known.companies))
    if missing:
        known.companies |= dict(rows.run(_COMPANIES, (missing, [names[one] for one in missing])))


def look_up_tags(steps: list[Any], known: Any) -> None:
    """The tags that rows name."""
    names = {slug_of(tag): tag for step in steps for tag in step.said.tags}
    missing = sorted(set(names) - set(known.tags))
    if missing:
        known.tags |= dict(rows.run(_TAGS, (missing, [names[one] for one in missing])))


def slug_of(tag: str) -> str:
    """The slug of a tag by its name, also where that has no letters that a slug may have."""
    return slugify(tag)[:50] or f"tag-{blake2b(tag.lower().encode(), digest_size=6).hexdigest()}"


# --- What rows become


@dataclass(slots=True)
class Ids:
    """Where the ids of what is made come from: drawn before, in a dry run placeholders."""

    customers: Iterator[int]
    identities: Iterator[int]
    companies: Iterator[int]
    tags: Iterator[int]

    @classmethod
    def drawn(cls, steps: list[Step], known: Known) -> "Ids":
        """As many as the rows may need."""
        good = [step for step in steps if not step.outcome]
        missing = {step.said.company.lower() for step in good} - {"", *known.companies}
        new_tags = {slug_of(tag) for step in good for tag in step.said.tags} - set(known.tags)
        unknown = sum(not any(known.owners.get(key) for key in step.known_as()) for step in good)
        addresses = sum(
            (one.kind, one.value) not in known.owners for step in good for one in step.said.addresses
        )
        counts = {"customer": unknown, "identity": addresses, "company": len(missing), "tag": len(new_tags)}
        return cls(*(iter(rows.draw(f"crm_{name}_id_seq", count)) for name, count in counts.items()))

    @classmethod
    def placeholders(cls, known: Known) -> "Ids":
        """For a dry run."""
        return cls(*(iter(known.placeholder, 0) for _ in range(4)))


def decide(steps: list[Step], known: Known, *, dry: bool) -> None:
    """Set what each row becomes, in the order of the file."""
    ids = Ids.placeholders(known) if dry else Ids.drawn(steps, known)
    for step in steps:
        if step.outcome:
            continue
        try:
            draft = owner(step, known)
        except Conflict as error:
            _fail(step, error.detail)
            continue
        if draft is None and known.only_known:
            _fail(step, nobody(step.said))
            continue
        if draft is None:
            draft = Draft(next(ids.customers), step.line, blank())
            known.drafts[draft.id] = draft
            step.fresh = True
        step.customer = draft.id
        _apply(step, draft, known, ids)
        _say(step, draft)


def blank() -> dict[str, Any]:
    """What a customer says of whom nothing is said."""
    return {"name": "", "company": None, "language": "", "value": None, "vip": False, "note": ""}


def nobody(said: Said) -> str:
    """Why a row is nobody's."""
    meant = [one.value for one in said.known_by] + (
        [f"#{said.customer}"] if said.customer is not None else []
    )
    return f"nobody is known as {' or '.join(meant)}; import the customers first"


def owner(step: Any, known: Any) -> Draft | None:
    """Whose row it is; None: nobody's yet. Two customers raise Conflict."""
    holders: dict[int, str] = {}
    for kind, value in step.known_as():
        for one in known.owners.get((kind, value), ()):
            holders.setdefault(one, f"{kind} {value} is of {known.drafts[one].who()}")
    if len(holders) > 1:
        raise Conflict("the addresses belong to different customers: " + ", ".join(holders.values()))
    return known.drafts[next(iter(holders))] if holders else None


def _apply(step: Step, draft: Draft, known: Known, ids: Ids) -> None:
    """The row's words over what the customer was; an empty cell changes nothing."""
    said = {name: getattr(step.said, name) for name in PLAIN}
    said["company"] = _company(step.said.company, known, ids)
    for name, value in said.items():
        if value not in ("", None) and value != draft.values[name]:
            step.changes[name] = [_kept(draft.values[name]), _kept(value)]
            draft.values[name] = value
    for slug, value in step.own.items():
        if draft.own.get(slug) != value:
            step.changes[f"{columns.OWN}{slug}"] = [draft.own.get(slug), value]
            draft.own[slug] = value
    step.addresses = [
        (next(ids.identities), one)
        for one in step.said.addresses
        if (one.kind, one.value) not in known.owners
    ]
    step.tags = [
        tag for tag in (tag_of(name, known, ids.tags) for name in step.said.tags) if tag not in draft.tags
    ]
    draft.tags.update(step.tags)
    for key in step.known_as():
        known.owners[key] = [draft.id]


def _company(name: str, known: Known, ids: Ids) -> int | None:
    if name and name.lower() not in known.companies:
        known.companies[name.lower()] = new = next(ids.companies)
        known.made_companies[new] = name
    return known.companies[name.lower()] if name else None


def tag_of(name: str, known: Any, ids: Iterator[int]) -> int:
    """The tag of a name, a new one if there is none."""
    slug = slug_of(name)
    if slug not in known.tags:
        known.tags[slug] = new = next(ids)
        known.made_tags[new] = (slug, name)
    return known.tags[slug]


def _kept(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _say(step: Step, draft: Draft) -> None:
    """The row's outcome and its report."""
    parts = [LABELS.get(name, name.removeprefix(columns.OWN)) for name in step.changes]
    parts += [f"{address.kind} {address.value}" for _, address in step.addresses]
    if step.tags:
        parts.append(f"{len(step.tags)} tag{'s' if len(step.tags) > 1 else ''}")
    said = ", ".join(parts) or "nothing new"
    if step.fresh:
        step.outcome, step.report = RowOutcome.CREATED.value, said
    else:
        step.outcome = RowOutcome.UPDATED.value if parts else RowOutcome.UNCHANGED.value
        step.report = f"{draft.who()}: {said}"


# --- Writing


def write(steps: list[Step], known: Known) -> tuple[list[str], dict[str, dict[int, str]]]:
    """Write what was decided, in at most eight statements. Returns new words of names, and what else was made by noun.
    Raises MovedError when an address or tag came into being meanwhile."""
    made = _write_companies(known) | write_tags(known)
    good = [step for step in steps if step.customer is not None]
    fresh = [step.customer for step in good if step.fresh]
    _write_customers([known.drafts[one] for one in fresh])
    changed = {step.customer for step in good if step.changes and not known.drafts[step.customer].line}
    if changed:
        rows.run(_UPDATE, _columns_of([known.drafts[one] for one in sorted(changed)]))
    _write_identities(good)
    if tagged := sorted((step.customer, tag) for step in good for tag in step.tags):
        rows.run(_TAG, ([customer for customer, _ in tagged], [tag for _, tag in tagged]))
    named = sorted({step.changes["name"][1] for step in good if "name" in step.changes})
    return search.learn(named), made


def _columns_of(drafts: list[Draft]) -> tuple[list, ...]:
    plain = [[draft.values[name] for draft in drafts] for name in PLAIN]
    return [draft.id for draft in drafts], *plain, [rows.as_json(draft.own) for draft in drafts]


def _write_companies(known: Known) -> dict[str, dict[int, str]]:
    made = known.made_companies
    rows.insert(
        "crm_company",
        {
            "id": ("bigint", list(made)),
            "name": ("text", list(made.values())),
            "domain": ("text", [""] * len(made)),
            "note": ("text", [""] * len(made)),
        },
    )
    return {"company": made}


def write_tags(known: Any) -> dict[str, dict[int, str]]:
    """Those that are new; MovedError when one came into being meanwhile."""
    made = known.made_tags
    written = rows.insert(
        "crm_tag",
        {
            "id": ("bigint", list(made)),
            "slug": ("text", [slug for slug, _ in made.values()]),
            "name": ("text", [name for _, name in made.values()]),
        },
        tail="ON CONFLICT DO NOTHING RETURNING id",
    )
    if len(written) < len(made):
        raise MovedError
    return {"tag": {tag: name for tag, (_, name) in made.items()}}


def _write_customers(drafts: list[Draft]) -> None:
    ids, name, company, language, value, vip, note, own = _columns_of(drafts)
    nothing = [False] * len(drafts)
    rows.insert(
        "crm_customer",
        {
            "id": ("bigint", ids), "name": ("text", name), "company_id": ("bigint", company), "language": ("text", language),
            "value": ("numeric", value), "vip": ("boolean", vip), "note": ("text", note), "fields": ("jsonb", own),
            "public_figure": ("boolean", nothing), "verified_before_disclosure": ("boolean", nothing),
            "created_at": ("timestamptz", [timezone.now()] * len(drafts)),
        },
    )  # fmt: skip


def _write_identities(steps: list[Step]) -> None:
    made = sorted(
        (address.kind, address.value, one, step, address) for step in steps for one, address in step.addresses
    )
    count = len(made)
    written = rows.insert(
        "crm_identity",
        {
            "id": ("bigint", [one for _, _, one, _, _ in made]),
            "customer_id": ("bigint", [step.customer for _, _, _, step, _ in made]),
            "kind": ("text", [kind for kind, *_ in made]),
            "value": ("text", [value for _, value, *_ in made]),
            "handle": ("text", [address.beside for *_, address in made]),
            "name": ("text", [""] * count),
            "verified": ("boolean", [False] * count),
            "trust": ("text", [step.said.more.get("trust", Trust.CLAIMED.value) for *_, step, _ in made]),
            "claims": ("jsonb", ["{}"] * count),
            "created_at": ("timestamptz", [timezone.now()] * count),
        },
        tail="ON CONFLICT (kind, value) DO NOTHING RETURNING id",
    )
    if len(written) < count:
        raise MovedError
