"""Where a person stands: what points to him, and what names him without pointing. The keys of the register's conditions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from crm import personal, rows
from crm.models import Customer, Identity, Ticket
from crm.services import search
from crm.services.merges import family

SHORTEST = 3  # characters of a text that names a person wherever it stands
# Rows that may name a person without pointing to him, and where `Loose` keeps them.
_NAMING = (
    ("SELECT id, cells FROM crm_importrow WHERE cells <> '[]' AND id > %s", "import_rows"),
    ("SELECT id, data FROM crm_activity WHERE verb = 'list.exported' AND id > %s", "activities"),
    ("SELECT id, query FROM crm_export WHERE id > %s", "exports"),
    ('SELECT id, jsonb_build_array(name, "where") FROM crm_savedview WHERE id > %s', "views"),
    ("SELECT id, jsonb_build_array(change, asked) FROM crm_bulk WHERE id > %s", "bulks"),
)

Params = dict[str, Any]


def of_person(customer_id: int) -> Params:
    """Everything that points to a person, and to those who were merged into him."""
    customers = family(customer_id)
    identities = list(Identity.objects.filter(customer__in=customers).values_list("pk", flat=True))
    contacts = rows.run(
        "SELECT id, thread FROM crm_interaction WHERE customer_id = ANY(%s) OR identity_id = ANY(%s)",
        (customers, identities),
    )
    ids = [row[0] for row in contacts]
    said = rows.run(
        "SELECT id, channel_id, external_id FROM crm_message WHERE interaction_id = ANY(%s) OR identity_id = ANY(%s)",
        (ids, identities),
    )
    items = {(channel, external_id) for _, channel, external_id in said if external_id}
    threads = {row[1] for row in contacts}
    for statement in personal.item_statements():
        for channel, external_id, thread in rows.run(statement, {"identities": identities}):
            items.add((channel, external_id))
            threads.add(thread)
    ordered = sorted(items)
    return {
        "customers": customers,
        "identities": identities,
        "interactions": ids,
        "threads": sorted(threads),
        "tickets": list(Ticket.objects.filter(customer__in=customers).values_list("pk", flat=True)),
        "messages": [row[0] for row in said],
        "channels": [channel for channel, _ in ordered],
        "items": [external_id for _, external_id in ordered],
        "words": _words_of(customers),
        "deliveries": [],
        "import_rows": [],
        "activities": [],
        "exports": [],
        "views": [],
        "bulks": [],
        "answers": [],
        "admin_lines": [],
    }


def _words_of(customers: list[int]) -> list[str]:
    """The words by which a mistyped name is found."""
    names = rows.run(
        "SELECT name FROM crm_customer WHERE id = ANY(%s) UNION SELECT name FROM crm_identity WHERE customer_id = ANY(%s) "
        "UNION SELECT handle FROM crm_identity WHERE customer_id = ANY(%s)",
        (customers, customers, customers),
    )
    return search.words_of([name for (name,) in names])


# --- What nothing links to a person but what it says


@dataclass(slots=True)
class Loose:
    """Rows that name a person without pointing to him, and by which names he was looked for."""

    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)  # alone, and behind the kind of channel
    handles: set[str] = field(default_factory=set)
    deliveries: list[int] = field(default_factory=list)
    import_rows: list[int] = field(default_factory=list)
    activities: list[int] = field(default_factory=list)
    exports: list[int] = field(default_factory=list)
    views: list[int] = field(default_factory=list)
    bulks: list[int] = field(default_factory=list)
    answering: list[int] = field(
        default_factory=list
    )  # deliveries of others that point to the person's items

    def params(self) -> Params:
        """As the register's conditions ask for them."""
        return {
            "deliveries": self.deliveries,
            "import_rows": self.import_rows,
            "activities": self.activities,
            "views": self.views,
            "bulks": self.bulks,
        }


def loose_of(people: dict[int, int]) -> dict[int, Loose]:
    """One pass over raw deliveries, rows of imports and filters of lists that name any of these people: a key of the caller's
    to customer id."""
    found = {key: _named(customer) for key, customer in people.items()}
    items: dict[tuple[int, str], set[int]] = {}
    for key, customer in people.items():
        traces = of_person(customer)
        for item in zip(traces["channels"], traces["items"], strict=True):
            items.setdefault(item, set()).add(key)
    addressed = _index({erasure: one.addresses for erasure, one in found.items()})
    named = _index({erasure: one.names | one.addresses for erasure, one in found.items()})
    # Of what came only the author's address tells: there are many of one name.
    for delivery_id, channel_id, words, parents in _raw_authors():
        his = _whose(words, addressed)
        for erasure in his:
            found[erasure].deliveries.append(delivery_id)
        for erasure in set().union(*(items.get((channel_id, one), ()) for one in parents)) - his:
            found[erasure].answering.append(delivery_id)
    for statement, into in _NAMING:
        for row_id, said in _pages(statement):
            for erasure in _whose(_texts(rows.from_json(said)), named):
                getattr(found[erasure], into).append(row_id)
    return found


def _index(words: dict[int, set[str]]) -> dict[str, set[int]]:
    """Word to the erasures of whom it names."""
    turned: dict[str, set[int]] = {}
    for erasure, said in words.items():
        for word in said:
            turned.setdefault(word, set()).add(erasure)
    return turned


def _named(customer_id: int) -> Loose:
    found = Loose()
    customers = family(customer_id)
    found.names |= _usable(Customer.objects.filter(pk__in=customers).values_list("name", flat=True))
    for one in Identity.objects.filter(customer__in=customers):
        found.names |= _usable([one.name])
        known = _usable([one.value, one.handle])
        # An account's number says nothing without its network.
        found.addresses |= {f"{one.kind}:{word}" for word in known}
        found.addresses |= {word for word in known if not word.isdecimal()} | _usable(
            _texts(list(one.claims.values()))
        )
        found.addresses |= {f"@{word}" for word in _usable([one.handle])}
        found.handles |= _usable([one.handle])
    return found


def _usable(words: Iterable[str]) -> set[str]:
    """Texts by which a person can be found, as they are compared."""
    return {word.casefold() for word in words if len(word) >= SHORTEST and not is_stand_in(word)}


def _whose(words: Iterable[str], known: dict[str, set[int]]) -> set[int]:
    return set().union(*(known.get(one.casefold(), ()) for one in words))


def _pages(statement: str, by: str = "id", size: int = 5_000) -> Iterator[tuple]:
    after = 0
    while page := rows.run(f"{statement} ORDER BY {by} LIMIT {size}", (after,)):
        yield from page
        after = page[-1][0]


def _raw_authors() -> Iterator[tuple[int, int, list[str], list[str]]]:
    """Deliveries that opened and joined nothing (reposts, the quarantine): whose they are, what they point to."""
    statement = (
        "SELECT d.id, d.channel_id, d.raw, h.kind FROM crm_delivery d JOIN crm_channel h ON h.id = d.channel_id "
        "WHERE d.raw <> '' AND d.state IN ('done', 'quarantined') AND d.interaction_id IS NULL AND d.id > %s"
    )
    for delivery_id, channel_id, raw, kind in _pages(statement, by="d.id"):
        try:
            said = orjson.loads(bytes(raw))
        except orjson.JSONDecodeError:
            # Not JSON that we can keep: every quoted text in it is looked at.
            words = parents = bytes(raw).decode("utf-8", "replace").split('"')
        else:
            item = said if isinstance(said, dict) else {}
            words = list(_texts(item.get("author", said)))
            parents = list(_texts([item.get("in_reply_to"), item.get("conversation")]))
        yield delivery_id, channel_id, [*words, *(f"{kind}:{word}" for word in words)], parents


def _texts(value: object) -> Iterator[str]:
    """Every text in a piece of JSON."""
    level = [value]
    while level:
        one = level.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            level += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            level += one


def is_stand_in(value: str) -> bool:
    """Whether this stands where an id or an address was."""
    return value.startswith("erased-")
