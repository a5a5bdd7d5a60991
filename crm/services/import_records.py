"""Companies, tickets, past messages and answers from files: understood, matched, decided in their order, written, undone.

It speaks as `import_rows` does for customers, so that one pass serves all: a dry run decides the same and writes nothing. What
a row made or changed stands beside it, column by column; the undo takes away what is still exactly so and used by nobody, puts
back what still says what the import said, and leaves the rest with the reason.

A ticket is known again by its number in the former system, else by customer, subject and time of opening; a past message by its
id there, else by its words. Nobody is made: whose it is must be known. A ticket comes with its clocks stopped where they are (a
promise of another system is not ours to break), and a past message belongs to no contact at all, so nothing is queued, timed or
counted for either.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from django.db.models import Model
from django.utils import timezone

from crm import columns, rows
from crm.choices import Audience, ImportNoun, RowOutcome, TicketStatus
from crm.columns import BadRowError, RowReader, Said
from crm.errors import Conflict
from crm.models import Company, CustomField, PastMessage, Survey, Ticket
from crm.services import import_rows, masking, surveys
from crm.services.import_rows import MovedError
from crm.services.import_undo import ERASED, uses

OVER = (TicketStatus.SOLVED.value, TicketStatus.CLOSED.value)
OF_TICKETS = (ImportNoun.HISTORY, ImportNoun.SURVEYS)  # whose rows may name a ticket


@dataclass(frozen=True, slots=True)
class Spec:
    """The table of a noun: its columns that an import writes, with their types and what they say when nothing is said."""

    model: type[Model]
    types: dict[str, str]
    blank: dict[str, Any]

    @property
    def table(self) -> str:
        """As the database calls it."""
        return self.model._meta.db_table


SPECS = {
    ImportNoun.COMPANIES: Spec(
        Company,
        {"name": "text", "domain": "text", "parent_id": "bigint", "owner_id": "bigint", "note": "text", "fields": "jsonb"},
        {"name": "", "domain": "", "parent_id": None, "owner_id": None, "note": "", "fields": {}},
    ),
    ImportNoun.TICKETS: Spec(
        Ticket,
        {
            "customer_id": "bigint", "brand_id": "bigint", "subject": "text", "status": "text", "kind": "text", "topic": "text",
            "priority": "text", "priority_reason": "text", "team_id": "bigint", "owner_id": "bigint", "fields": "jsonb",
            "opened_at": "timestamptz", "solved_at": "timestamptz", "reference": "text", "promise": "text",
        },
        {
            "customer_id": None, "brand_id": None, "subject": "", "status": "open", "kind": "", "topic": "", "priority": "normal",
            "priority_reason": "", "team_id": None, "owner_id": None, "fields": {}, "opened_at": None, "solved_at": None,
            "reference": "", "promise": "",
        },
    ),
    ImportNoun.HISTORY: Spec(
        PastMessage,
        {
            "customer_id": "bigint", "ticket_id": "bigint", "kind": "text", "audience": "text", "direction": "text",
            "at": "timestamptz", "title": "text", "text": "text", "author_name": "text", "reference": "text", "digest": "text",
        },
        {
            "customer_id": None, "ticket_id": None, "kind": "", "audience": "private", "direction": "inbound", "at": None,
            "title": "", "text": "", "author_name": "", "reference": "", "digest": "",
        },
    ),
    ImportNoun.SURVEYS: Spec(
        Survey,
        {
            "customer_id": "bigint", "ticket_id": "bigint", "question": "text", "score": "int", "comment": "text",
            "channel": "text", "at": "timestamptz", "reference": "text", "digest": "text",
        },
        {
            "customer_id": None, "ticket_id": None, "question": "", "score": None, "comment": "", "channel": "", "at": None,
            "reference": "", "digest": "",
        },
    ),
}  # fmt: skip


@dataclass(slots=True)
class Step:
    """One row: what it says, and what it becomes."""

    id: int
    line: int
    cells: list[str]
    problem: str = ""
    said: Said = field(default_factory=Said)
    own: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    report: str = ""
    customer: int | None = None
    digest: str = ""  # of rows without an address, which there are none here
    thing: int = 0
    fresh: bool = False
    changes: dict[str, list] = field(default_factory=dict)
    tags: list[int] = field(default_factory=list)

    def known_as(self) -> Iterable[tuple[str, str]]:
        """Under what its customer is known."""
        return import_rows.keys_of(self.said)

    def did(self) -> dict[str, Any]:
        """What an undo must know."""
        return {"thing": self.thing, "made": self.fresh, "changes": self.changes, "tags": self.tags}


@dataclass(slots=True)
class Who:
    """A customer, only to be named."""

    id: int

    def who(self) -> str:
        return f"customer {self.id}"


@dataclass(slots=True)
class Known:
    """What a chunk's rows can refer to; a dry run carries it from chunk to chunk, with what it would have made."""

    noun: str
    owners: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    drafts: dict[int, Who] = field(default_factory=dict)  # customers
    things: dict[int, dict[str, Any]] = field(default_factory=dict)
    lines: dict[int, int] = field(
        default_factory=dict
    )  # of things that came in this file, where they come from
    named: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # (kind of name, name) to ids
    parents: dict[int, int | None] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    made_tags: dict[int, tuple[str, str]] = field(default_factory=dict)
    tagged: set[tuple[int, int]] = field(default_factory=set)
    next_id: int = 0

    def placeholder(self) -> int:
        """An id that no row has."""
        self.next_id -= 1
        return self.next_id

    def one(self, kind: str, name: str, what: str) -> int:
        """The one thing of a name; BadRowError when there is none, or more."""
        found = self.named.get((kind, name.lower()), [])
        if len(found) != 1:
            raise BadRowError(f"{what} {name[:60]!r}: there {'are several' if found else 'is none'}")
        return found[0]


# --- Understanding


def understand(noun: str, steps: list[Step], reader: RowReader) -> None:
    """Read the cells of each row. One statement."""
    kinds = {
        one.slug: one
        for one in CustomField.objects.filter(
            noun=columns.OWN_OF.get(noun, "-"), retired=False, restricted=False
        )
    }
    for step in steps:
        try:
            if step.problem:
                raise BadRowError(step.problem)
            step.said = reader.read(step.cells)
            step.own = import_rows.fitted(kinds, step.said.own)
        except BadRowError as error:
            _fail(step, str(error))


def _fail(step: Step, reason: str) -> None:
    step.outcome, step.report = RowOutcome.FAILED.value, reason[:1000]


# --- Whom and what we know

_NAMES = {
    "company": "SELECT lower(c.name), c.id FROM unnest(%s::text[]) n JOIN crm_company c ON upper(c.name) = upper(n)",
    "domain": "SELECT lower(c.domain), c.id FROM unnest(%s::text[]) n JOIN crm_company c ON lower(c.domain) = n",
    "user": "SELECT lower(u.email), u.id FROM unnest(%s::text[]) n JOIN crm_user u ON lower(u.email) = n AND u.is_active",
    "team": "SELECT n, t.id FROM unnest(%s::text[]) n JOIN crm_team t ON t.slug = n OR lower(t.name) = n",
    "brand": "SELECT n, b.id FROM unnest(%s::text[]) n JOIN crm_brand b ON b.slug = n OR lower(b.name) = n",
    "ticket": "SELECT lower(t.reference), t.id FROM unnest(%s::text[]) n JOIN crm_ticket t ON t.reference <> '' "
    "AND lower(t.reference) = n",
    "digest": "SELECT m.digest, m.id FROM unnest(%s::text[]) n JOIN crm_pastmessage m ON m.digest = n",
    "answer": "SELECT s.digest, s.id FROM unnest(%s::text[]) n JOIN crm_survey s ON s.digest = n",
}
_SAME_TICKET = """
SELECT t.customer_id, t.subject, t.opened_at, t.id FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[])
    AS n(customer_id, subject, at)
JOIN crm_ticket t ON t.customer_id = n.customer_id AND t.subject = n.subject AND t.opened_at = n.at
"""
_TICKETS = "SELECT id FROM crm_ticket WHERE id = ANY(%s)"
_PARENTS = """
WITH RECURSIVE up AS (
    SELECT id, parent_id FROM crm_company WHERE id = ANY(%s)
    UNION SELECT c.id, c.parent_id FROM up JOIN crm_company c ON c.id = up.parent_id
) SELECT id, parent_id FROM up
"""
_TAGGED = "SELECT ticket_id, tag_id FROM crm_ticket_tags WHERE ticket_id = ANY(%s)"


def look_up(steps: list[Step], known: Known, *, lock: bool) -> None:
    """Fill `known` with everything that the rows refer to; what it holds already is newer. With `lock` it stays so until the
    transaction ends; MovedError when an address moved before that."""
    good = [step for step in steps if not step.outcome]
    _look_up_owners(good, known, lock)
    wanted: dict[str, set[str]] = {}
    for kind, name in _names_in(good, known.noun):
        wanted.setdefault(kind, set()).add(name.lower())
    for kind, names in wanted.items():
        missing = sorted(name for name in names if (kind, name) not in known.named)
        known.named |= {(kind, name): [] for name in missing}
        for name, one in rows.run(f"{_NAMES[kind]} ORDER BY 1, 2", (missing,)):
            known.named[kind, name].append(one)
    if known.noun == ImportNoun.TICKETS:
        _look_up_tickets(good, known)
        import_rows.look_up_tags(good, known)
    if known.noun in OF_TICKETS:
        ours = sorted(
            {number - 1000 for step in good if (number := _our_number(step.said.more.get("ticket", "")))}
        )
        known.named |= {("ours", str(row[0] + 1000)): [row[0]] for row in rows.run(_TICKETS, (ours,))}
    _load(known, lock)


def _look_up_owners(good: list[Step], known: Known, lock: bool) -> None:
    keys = sorted({key for step in good for key in step.known_as()} - set(known.owners))
    found = import_rows.find(keys)
    ids = sorted({one for owners in found.values() for one in owners})
    if lock and ids:
        rows.run("SELECT id FROM crm_customer WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", (ids,))
        if import_rows.find(keys) != found:
            raise MovedError
    known.owners |= found
    known.drafts |= {one: Who(one) for one in ids}


def _names_in(good: list[Step], noun: str) -> Iterable[tuple[str, str]]:
    """Every name that rows use for something else, and those by which they are known again."""
    asked = {
        ImportNoun.COMPANIES: (("domain", "domain"), ("company", "parent"), ("user", "owner")),
        ImportNoun.TICKETS: (
            ("user", "owner"),
            ("team", "team"),
            ("brand", "brand"),
            ("ticket", "reference"),
        ),
        ImportNoun.HISTORY: (("ticket", "ticket"),),
        ImportNoun.SURVEYS: (("ticket", "ticket"),),
    }[ImportNoun(noun)]
    for step in good:
        for kind, target in asked:
            if name := step.said.more.get(target):
                yield kind, name
        if noun == ImportNoun.COMPANIES:
            yield "company", step.said.name
        if noun == ImportNoun.HISTORY:
            yield "digest", _digest(step.said)
        if noun == ImportNoun.SURVEYS:
            yield "answer", _answer_digest(step.said)


def _our_number(text: str) -> int:
    digits = text.removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdecimal() and 4 <= len(digits) < 19 else 0


def _look_up_tickets(good: list[Step], known: Known) -> None:
    """Tickets of the same customer, subject and time, for rows without a number; and the one brand, if there is one."""
    if ("brand", "") not in known.named:
        known.named["brand", ""] = [row[0] for row in rows.run("SELECT id FROM crm_brand LIMIT 2")]
    asked = []
    for step in good:
        if not step.said.more.get("reference"):
            asked += [
                (customer, step.said.more["subject"], step.said.more["opened_at"])
                for key in step.known_as() for customer in known.owners.get(key, ())
            ]  # fmt: skip
    new = sorted({one for one in asked if ("same", _same(*one)) not in known.named})
    known.named |= {("same", _same(*one)): [] for one in new}
    if new:
        for customer, subject, at, one in rows.run(_SAME_TICKET, tuple(map(list, zip(*new, strict=True)))):
            known.named["same", _same(customer, subject, at)].append(one)


def _same(customer: int, subject: str, at: datetime) -> str:
    return f"{customer}|{at.isoformat()}|{subject}".lower()


def _load(known: Known, lock: bool) -> None:
    """The things themselves, as they stand."""
    kinds = {ImportNoun.COMPANIES: ("company", "domain"), ImportNoun.TICKETS: ("ticket", "same")}.get(
        known.noun, ()
    )
    there = {one for (kind, _), found in known.named.items() if kind in kinds for one in found if one > 0}
    ids = sorted(there - set(known.things))
    if not ids:
        return
    known.things |= current(SPECS[known.noun], ids, "FOR NO KEY UPDATE" if lock else "")
    if known.noun == ImportNoun.COMPANIES:
        known.parents |= {
            one: parent for one, parent in rows.run(_PARENTS, (ids,)) if one not in known.parents
        }
    else:
        known.tagged |= set(rows.run(_TAGGED, (ids,)))


def current(spec: Spec, ids: list[int], lock: str = "") -> dict[int, dict[str, Any]]:
    """Rows as they stand, by id; times as text, so that they compare with what an import kept."""
    names = list(spec.types)
    chosen = ", ".join(f'"{name}"' for name in names)
    sql = f'SELECT id, {chosen} FROM "{spec.table}" WHERE id = ANY(%s) ORDER BY id {lock}'  # noqa: S608 - our own names
    return {
        row[0]: {name: _plain(value, spec.types[name]) for name, value in zip(names, row[1:], strict=True)}
        for row in rows.run(sql, (ids,))
    }


def _plain(value: Any, kind: str) -> Any:
    if kind == "jsonb":
        return rows.from_json(value)
    return value.isoformat() if isinstance(value, datetime) else value


# --- What rows become


def decide(steps: list[Step], known: Known, *, dry: bool) -> None:
    """Set what each row becomes, in the order of the file."""
    good = [step for step in steps if not step.outcome]
    ids = (
        iter(known.placeholder, 0) if dry else iter(rows.draw(f"{SPECS[known.noun].table}_id_seq", len(good)))
    )
    new_tags = {import_rows.slug_of(tag) for step in good for tag in step.said.tags} - set(known.tags)
    tags = iter(known.placeholder, 0) if dry else iter(rows.draw("crm_tag_id_seq", len(new_tags)))
    for step in good:
        try:
            thing, values = _DECIDE[known.noun](step, known)
        except (BadRowError, Conflict) as error:
            _fail(step, str(error))
            continue
        step.fresh = thing is None
        step.thing = next(ids) if thing is None else thing
        _apply(step, values, known)
        for tag in (import_rows.tag_of(name, known, tags) for name in step.said.tags):
            if (step.thing, tag) not in known.tagged:
                known.tagged.add((step.thing, tag))
                step.tags.append(tag)
        _say(step, known)


def _apply(step: Step, values: dict[str, Any], known: Known) -> None:
    """What is said over what was; what is None or empty is not said."""
    spec = SPECS[known.noun]
    thing = known.things.setdefault(step.thing, dict(spec.blank)) if step.fresh else known.things[step.thing]
    if step.fresh:
        known.lines[step.thing] = step.line
    for name, value in values.items():
        said = {**thing["fields"], **value} if name == "fields" else _plain(value, spec.types[name])
        if said not in (None, "") and said != thing[name]:
            step.changes[name] = [thing[name], said]
            thing[name] = said
    if known.noun == ImportNoun.COMPANIES:
        known.parents[step.thing] = thing["parent_id"]
        for kind, name in (("company", thing["name"]), ("domain", thing["domain"])):
            there = known.named.setdefault((kind, name.lower()), [])
            if name and step.thing not in there:
                there.append(step.thing)


def _company(step: Step, known: Known) -> tuple[int | None, dict[str, Any]]:
    said = step.said
    domain = said.more.get("domain", "")
    found = known.named.get(("domain", domain), []) if domain else []
    if not found:
        # Of the same name, unless both say another domain.
        found = [
            one for one in known.named.get(("company", said.name.lower()), [])
            if not domain or known.things[one]["domain"] in ("", domain)
        ]  # fmt: skip
    if len(found) > 1:
        raise BadRowError(f"there are {len(found)} companies called {said.name[:60]!r}; say the domain")
    parent = known.one("company", said.more["parent"], "part of") if "parent" in said.more else None
    if parent is not None and found and parent == found[0]:
        raise BadRowError("a company is not part of itself")
    if parent is not None and found and found[0] in _above(parent, known):
        raise BadRowError(f"{said.more['parent'][:60]!r} is itself part of it")
    owner = known.one("user", said.more["owner"], "owner") if "owner" in said.more else None
    values = {
        "name": said.name, "domain": domain, "parent_id": parent, "owner_id": owner, "note": said.note, "fields": step.own,
    }  # fmt: skip
    return (found[0] if found else None), values


def _above(company: int, known: Known) -> set[int]:
    """A company and all that it is part of."""
    seen: set[int] = set()
    one: int | None = company
    while one is not None and one not in seen:
        seen.add(one)
        one = known.parents.get(one)
    return seen


def _whose(step: Step, known: Known) -> int:
    owner = import_rows.owner(step, known)
    if owner is None:
        raise BadRowError(import_rows.nobody(step.said))
    step.customer = owner.id
    return owner.id


def _ticket(step: Step, known: Known) -> tuple[int | None, dict[str, Any]]:
    more = step.said.more
    customer = _whose(step, known)
    if reference := more.get("reference"):
        found = known.named.setdefault(("ticket", reference.lower()), [])
    else:
        found = known.named.setdefault(("same", _same(customer, more["subject"], more["opened_at"])), [])
    values: dict[str, Any] = {
        "subject": more["subject"], "topic": more.get("topic"), "kind": more.get("kind"), "priority": more.get("priority"),
        "team_id": known.one("team", more["team"], "team") if "team" in more else None,
        "owner_id": known.one("user", more["owner"], "owner") if "owner" in more else None,
        "fields": step.own,
    }  # fmt: skip
    if found:
        if known.things[found[0]]["customer_id"] != customer:
            raise BadRowError(f"this ticket is of customer {known.things[found[0]]['customer_id']}")
        # Its state is worked on here: what another system says of it comes too late.
        return found[0], values
    values |= _beginning(more, customer, known)
    return None, values


def _beginning(more: dict[str, Any], customer: int, known: Known) -> dict[str, Any]:
    """What only a new ticket takes from the file."""
    now = timezone.now()
    opened, solved, status = more.get("opened_at") or now, more.get("solved_at"), more.get("status")
    status = status or ("solved" if solved else "open")
    if status in OVER:
        solved = solved or opened
    elif solved:
        raise BadRowError(f"it is {status.replace('_', ' ')} and has a time at which it was solved")
    if opened > now or (solved and solved > now):
        raise BadRowError("it lies in the future")
    if solved and solved < opened:
        raise BadRowError("it was solved before it was opened")
    brand = known.one("brand", more["brand"], "brand") if "brand" in more else None
    if brand is None:
        brands = known.named["brand", ""]
        if len(brands) != 1:
            raise BadRowError("brand: is needed where there are several")
        brand = brands[0]
    reason = "imported" if more.get("priority", "normal") != "normal" else ""
    return {
        "customer_id": customer, "brand_id": brand, "status": status, "opened_at": opened, "solved_at": solved,
        "reference": more.get("reference", ""), "priority_reason": reason,
    }  # fmt: skip


def _past_message(step: Step, known: Known) -> tuple[int | None, dict[str, Any]]:
    more, customer = step.said.more, _whose(step, known)
    if more["at"] > timezone.now():
        raise BadRowError("it lies in the future")
    digest = _digest(step.said)
    found = known.named.setdefault(("digest", digest), [])
    if found:
        if found[0] > 0 and found[0] not in known.things:
            known.things |= current(SPECS[ImportNoun.HISTORY], [one for one in found if one > 0])
        return found[0], {}
    ticket = _named_ticket(more["ticket"], known) if "ticket" in more else None
    direction = more.get("direction") or ("outbound" if more.get("author") else "inbound")
    public = more["channel"] in columns.NETWORKS
    audience = Audience.INTERNAL if direction == "note" else Audience.PUBLIC if public else Audience.PRIVATE
    return None, {
        "customer_id": customer, "ticket_id": ticket, "kind": more["channel"], "audience": audience.value,
        "direction": direction, "at": more["at"], "title": masking.masked(more.get("title", "")),
        "text": masking.masked(more["text"]),
        "author_name": more.get("author"), "reference": more.get("reference"), "digest": digest,
    }  # fmt: skip


def _survey(step: Step, known: Known) -> tuple[int | None, dict[str, Any]]:
    more, customer = step.said.more, _whose(step, known)
    if problem := surveys.problem_of(more["question"], more["score"], more["at"]):
        raise BadRowError(problem)
    digest = _answer_digest(step.said)
    found = known.named.setdefault(("answer", digest), [])
    if found:
        if found[0] > 0 and found[0] not in known.things:
            known.things |= current(SPECS[ImportNoun.SURVEYS], [one for one in found if one > 0])
        return found[0], {}
    ticket = _named_ticket(more["ticket"], known) if "ticket" in more else None
    return None, {
        "customer_id": customer, "ticket_id": ticket, "question": more["question"], "score": more["score"],
        "comment": masking.masked(more.get("comment", "")), "channel": more.get("channel"), "at": more["at"],
        "reference": more.get("reference"), "digest": digest,
    }  # fmt: skip


def _answer_digest(said: Said) -> str:
    whose = sorted(f"{one.kind}:{one.value}" for one in said.known_by) + [str(said.customer or "")]
    return surveys.digest_of(said.more, whose)


def _named_ticket(name: str, known: Known) -> int:
    """By its number there, else by ours."""
    found = (
        known.named.get(("ticket", name.lower())) or known.named.get(("ours", str(_our_number(name)))) or []
    )
    if len(found) != 1:
        raise BadRowError(f"ticket {name[:60]!r}: there is none")
    return found[0]


def _digest(said: Said) -> str:
    more = said.more
    if more.get("reference"):
        words = [more["channel"], more["reference"]]
    else:
        whose = sorted(f"{one.kind}:{one.value}" for one in said.known_by) + [str(said.customer or "")]
        words = [*whose, more["channel"], more["at"].isoformat(), more.get("direction", ""), more["text"]]
    return blake2b(rows.as_json(words).encode(), digest_size=16).hexdigest()


_DECIDE: dict[str, Callable[[Step, Known], tuple[int | None, dict[str, Any]]]] = {
    ImportNoun.COMPANIES.value: _company,
    ImportNoun.TICKETS.value: _ticket,
    ImportNoun.HISTORY.value: _past_message,
    ImportNoun.SURVEYS.value: _survey,
}


def _say(step: Step, known: Known) -> None:
    """The row's outcome and its report; a thing that is made is known from here on."""
    thing = known.things[step.thing]
    if step.fresh and known.noun == ImportNoun.TICKETS:
        opened = datetime.fromisoformat(thing["opened_at"])
        known.named.setdefault(("same", _same(step.customer or 0, thing["subject"], opened)), []).append(
            step.thing
        )
        if thing["reference"]:
            known.named["ticket", thing["reference"].lower()] = [step.thing]
    if step.fresh and known.noun in OF_TICKETS:
        known.named["digest" if known.noun == ImportNoun.HISTORY else "answer", thing["digest"]] = [
            step.thing
        ]
    said = [
        name.removesuffix("_id").replace("_", " ")
        for name in step.changes
        if name not in ("customer_id", "digest")
    ]
    if step.tags:
        said.append(f"{len(step.tags)} tag{'s' if len(step.tags) > 1 else ''}")
    if step.fresh:
        step.outcome, step.report = RowOutcome.CREATED.value, ", ".join(said)
        return
    step.outcome = (RowOutcome.UPDATED if said else RowOutcome.UNCHANGED).value
    where = f"as line {known.lines[step.thing]}" if step.thing in known.lines else "known"
    step.report = f"{where}: {', '.join(said) or 'nothing new'}"


# --- Writing

_TAG = "INSERT INTO crm_ticket_tags (ticket_id, tag_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ON CONFLICT DO NOTHING"


def write(steps: list[Step], known: Known) -> tuple[list[str], dict[str, dict[int, str]]]:
    """Write what was decided, in at most four statements. Returns no words of names, and what else was made by noun."""
    spec = SPECS[known.noun]
    made = import_rows.write_tags(known) if known.made_tags else {"tag": {}}
    fresh = [step.thing for step in steps if step.fresh]
    _insert(spec, fresh, known)
    changed = sorted({step.thing for step in steps if step.changes and not step.fresh} - set(fresh))
    put(spec, {one: known.things[one] for one in changed})
    if tagged := sorted((step.thing, tag) for step in steps for tag in step.tags):
        rows.run(_TAG, ([one for one, _ in tagged], [tag for _, tag in tagged]))
    return [], made


def _insert(spec: Spec, ids: list[int], known: Known) -> None:
    if not ids:
        return
    values = {"id": ("bigint", ids)}
    values |= {name: (kind, _column(spec, name, ids, known.things)) for name, kind in spec.types.items()}
    if spec.model is Ticket:
        # It was last moved when it was opened or solved, and its clocks have nothing to replay.
        moved = [known.things[one]["solved_at"] or known.things[one]["opened_at"] for one in ids]
        values |= {"updated_at": ("timestamptz", moved), "clocked_at": ("timestamptz", moved)}
    if spec.model in (PastMessage, Survey):
        written = rows.insert(spec.table, values, tail="ON CONFLICT (digest) DO NOTHING RETURNING id")
        if len(written) < len(ids):
            raise MovedError
        return
    rows.insert(spec.table, values)


def _column(spec: Spec, name: str, ids: list[int], things: dict[int, dict[str, Any]]) -> list[Any]:
    found = [things[one][name] for one in ids]
    if spec.types[name] == "jsonb":
        return [rows.as_json(one) for one in found]
    if spec.types[name] == "timestamptz":
        return [datetime.fromisoformat(one) if one else None for one in found]
    return found


def put(spec: Spec, things: dict[int, dict[str, Any]]) -> None:
    """Let rows say this from now on. One statement."""
    if not things:
        return
    ids = sorted(things)
    sets = ", ".join(f'"{name}" = n."{name}"' for name in spec.types)
    moved = ", updated_at = statement_timestamp()" if spec.model is Ticket else ""
    arrays = ", ".join(f"%s::{kind}[]" for kind in spec.types.values())
    names = ", ".join(f'"{name}"' for name in spec.types)
    sql = (
        f'UPDATE "{spec.table}" t SET {sets}{moved} FROM unnest(%s::bigint[], {arrays}) '  # noqa: S608 - our own names
        f"AS n(id, {names}) WHERE t.id = n.id"
    )
    rows.run(sql, (ids, *(_column(spec, name, ids, things) for name in spec.types)))


# --- Undoing

_WAITING = (
    "SELECT id, did, report FROM crm_importrow WHERE of_id = %s AND waiting ORDER BY line DESC LIMIT %s"
)
_SETTLE = """
UPDATE crm_importrow r SET waiting = false, outcome = n.outcome, report = n.report
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n(id, outcome, report) WHERE r.id = n.id
"""
_PARTS = "SELECT id, parent_id FROM crm_company WHERE parent_id = ANY(%s)"
_UNTAG = """
DELETE FROM crm_ticket_tags t USING unnest(%s::bigint[], %s::bigint[]) AS n(ticket_id, tag_id)
WHERE t.ticket_id = n.ticket_id AND t.tag_id = n.tag_id
"""


@dataclass(slots=True)
class Undoing:
    """What a chunk's rows made and changed, as it is now, and what becomes of it."""

    spec: Spec
    things: dict[int, dict[str, Any]]
    used: dict[int, str]
    parts: dict[int, set[int]]
    tags: dict[int, set[int]]
    gone: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    untagged: list[tuple[int, int]] = field(default_factory=list)


def undo_rows(noun: str, import_id: int, limit: int) -> Counter:
    """Undo the newest rows that wait; returns how many came to which outcome. Call inside a transaction."""
    waiting = [
        (one, rows.from_json(did), report) for one, did, report in rows.run(_WAITING, (import_id, limit))
    ]
    if not waiting:
        return Counter()
    now = _now(SPECS[ImportNoun(noun)], [row for row in waiting if row[1]])
    settled = [(one, RowOutcome.KEPT.value, ERASED) for one, did, _ in waiting if not did]
    for one, did, report in (row for row in waiting if row[1]):
        kept = _undo(did, now)
        outcome = RowOutcome.KEPT if kept else RowOutcome.UNDONE
        settled.append(
            (one, outcome.value, (f"{report}; kept: {', '.join(kept)}" if kept else report)[:2000])
        )
    _write_undone(now)
    rows.run(_SETTLE, tuple(map(list, zip(*settled, strict=True))))
    return Counter(outcome for _, outcome, _ in settled)


def _now(spec: Spec, waiting: list[tuple]) -> Undoing:
    ids = sorted({did["thing"] for _, did, _ in waiting})
    made = sorted({did["thing"] for _, did, _ in waiting if did["made"]})
    things = current(spec, ids, "FOR UPDATE")
    parts: dict[int, set[int]] = {}
    tags: dict[int, set[int]] = {}
    if spec.model is Company:
        for one, parent in rows.run(_PARTS, (made,)):
            parts.setdefault(parent, set()).add(one)
    if spec.model is Ticket:
        for one, tag in rows.run(_TAGGED, (ids,)):
            tags.setdefault(one, set()).add(tag)
    # What is part of a company may go in this very chunk; that is asked row by row.
    return Undoing(spec, things, uses(spec.model, made, without=("crm_company",)), parts, tags)


def _undo(did: dict[str, Any], now: Undoing) -> list[str]:
    """Undo one row; returns why what of it stays."""
    one = did["thing"]
    thing = now.things.get(one)
    if thing is None or one in now.gone:
        return ["it is gone"]
    if did["made"]:
        return _unmake(one, did, thing, now)
    kept = []
    for name, (before, after) in did["changes"].items():
        if thing[name] != after:
            kept.append(f"{name.removesuffix('_id').replace('_', ' ')} was changed since")
        else:
            thing[name] = before
            now.changed.add(one)
            if name == "parent_id":
                now.parts.get(after, set()).discard(one)
                now.parts.setdefault(before, set()).add(one)
    now.untagged += [(one, tag) for tag in did["tags"]]
    now.tags.get(one, set()).difference_update(did["tags"])
    return kept


def _unmake(one: int, did: dict[str, Any], thing: dict[str, Any], now: Undoing) -> list[str]:
    """Delete what is exactly as the import made it and used by nothing."""
    if one in now.used:
        return [now.used[one]]
    if now.parts.get(one):
        return ["other companies are part of it"]
    expected = now.spec.blank | {name: after for name, (_, after) in did["changes"].items()}
    if any(thing[name] != value for name, value in expected.items()):
        return ["it was changed since"]
    if now.tags.get(one, set()) - set(did["tags"]):
        return ["it got tags since"]
    now.gone.add(one)
    now.untagged += [(one, tag) for tag in did["tags"]]
    now.parts.get(thing.get("parent_id"), set()).discard(one)
    return []


def _write_undone(now: Undoing) -> None:
    gone = sorted(now.gone)
    put(now.spec, {one: now.things[one] for one in sorted(now.changed - now.gone)})
    if now.untagged:
        rows.run(_UNTAG, ([one for one, _ in now.untagged], [tag for _, tag in now.untagged]))
    if now.spec.model is Ticket:
        rows.run("DELETE FROM crm_ticketclock WHERE ticket_id = ANY(%s)", (gone,))
    if now.spec.model is Company:
        rows.run("UPDATE crm_company SET parent_id = NULL WHERE id = ANY(%s)", (gone,))
    rows.run(f'DELETE FROM "{now.spec.table}" WHERE id = ANY(%s)', (gone,))  # noqa: S608 - our own names
