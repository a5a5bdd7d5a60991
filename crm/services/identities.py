"""Who wrote: authors become identities, identities belong to customers, created once also under concurrent batches.

**A person who was imported by his handle** has an identity whose value is `@handle`, for a file does not know the network's
own id of the account. The first account that posts under this handle takes that identity over: its value becomes the
network's id, and from then on the handle plays no part any more. So a handle is believed once, and only where nothing better
was ever known. It is not believed when an account whose id we know bears it too, or when two new accounts of one batch do
(it was handed on: who of them was meant is not known), and an account that we know already takes nothing over by taking a new
handle. `(kind, value)` stays unique throughout, and how sure the address is stays what the import or a person said.
"""

from crm import rows
from crm.choices import ChannelKind
from crm.connectors.base import Inbound
from crm.services import search

_FIND = """
SELECT i.id, i.kind, i.value, i.customer_id, c.value, i.handle, i.name, i.followers
FROM unnest(%s::text[], %s::text[]) AS k(kind, value)
JOIN crm_identity i ON i.kind = k.kind AND i.value = k.value JOIN crm_customer c ON c.id = i.customer_id
"""

_REFRESH = """
UPDATE crm_identity i SET handle = n.handle, name = n.name, followers = coalesce(n.followers, i.followers)
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[]) AS n(id, handle, name, followers) WHERE i.id = n.id
"""

# What is known by its handle alone becomes known by the network's id, unless another account bears the handle.
_TAKE_OVER = """
UPDATE crm_identity i SET value = n.value FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n(id, handle, value)
WHERE i.id = n.id AND i.value = '@' || lower(n.handle) AND NOT EXISTS (
    SELECT 1 FROM crm_identity o WHERE o.kind = i.kind AND o.id <> i.id
        AND left(upper(o.handle), 200) = left(upper(n.handle), 200) AND upper(o.handle) = upper(n.handle))
"""

Key = tuple[str, str]


def key_of(inbound: Inbound) -> Key:
    """Under which kind and value an author is known: mail by address, telephone by number, networks by account id."""
    kind, item = inbound.channel.kind, inbound.item
    if kind == ChannelKind.EMAIL and item.email:
        return kind, item.email.lower()[:255]
    if kind in (ChannelKind.PHONE, ChannelKind.SMS) and item.phone:
        # One person, one number: calls and messages of it are the same identity.
        return ChannelKind.PHONE, item.phone
    return kind, item.author_id


def resolve(inbounds: list[Inbound]) -> None:
    """Set `identity_id`, `customer_id` and `customer_value` on each, in at most seven statements."""
    newest: dict[Key, Inbound] = {}
    for inbound in inbounds:
        newest[key_of(inbound)] = inbound
    keys = sorted(newest)
    by_handle = _by_handle(newest)
    found = _find([*keys, *by_handle])
    missing = [key for key in keys if key not in found]
    if taken := [
        (found[place], by_handle[place])
        for place in by_handle
        if place in found and by_handle[place] in missing
    ]:
        _take_over(taken, newest)
        found.update(_find(missing))
        missing = [key for key in missing if key not in found]
    known = found.keys() - missing
    if missing:
        found.update(_create(missing, newest))
        # A second statement: one statement does not see rows that others committed after its snapshot.
        found.update(_find([key for key in missing if key not in found]))
    _refresh([(found[key], newest[key]) for key in keys if key in known])
    for inbound in inbounds:
        row = found[key_of(inbound)]
        inbound.identity_id, inbound.customer_id, inbound.customer_value = row[0], row[3], row[4]


def _by_handle(newest: dict[Key, Inbound]) -> dict[Key, Key]:
    """Where a file would have put these authors, by their handles; a handle of two authors of one batch is nobody's."""
    places: dict[Key, list[Key]] = {}
    for key, inbound in newest.items():
        if inbound.item.handle and key[1] == inbound.item.author_id:
            places.setdefault((key[0], f"@{inbound.item.handle.removeprefix('@').lower()}"[:255]), []).append(
                key
            )
    return {place: keys[0] for place, keys in places.items() if len(keys) == 1 and place not in newest}


def _take_over(taken: list[tuple[tuple, Key]], newest: dict[Key, Inbound]) -> None:
    taken = sorted(taken, key=lambda one: one[0][0])
    handles = [newest[key].item.handle.removeprefix("@") for _, key in taken]
    rows.run(_TAKE_OVER, ([row[0] for row, _ in taken], handles, [key[1] for _, key in taken]))


def _find(keys: list[Key]) -> dict[Key, tuple]:
    if not keys:
        return {}
    return {(row[1], row[2]): row for row in rows.run(_FIND, ([k for k, _ in keys], [v for _, v in keys]))}


def _create(keys: list[Key], newest: dict[Key, Inbound]) -> dict[Key, tuple]:
    """New identities with a customer each, as `_find` would find them; not those that somebody else made meanwhile."""
    customers = rows.draw("crm_customer_id_seq", len(keys))
    items = [newest[key].item for key in keys]
    # The foreign key is deferred: identities first, customers only for the identities that came back.
    created = rows.insert(
        "crm_identity",
        {
            "customer_id": ("bigint", customers),
            "kind": ("text", [kind for kind, _ in keys]),
            "value": ("text", [value for _, value in keys]),
            "handle": ("text", [item.handle for item in items]),
            "name": ("text", [item.name for item in items]),
            "followers": ("bigint", [item.followers for item in items]),
            "verified": ("boolean", [item.verified for item in items]),
            "claims": ("jsonb", [_claims(newest[key]) for key in keys]),
            "created_at": ("timestamptz", [newest[key].received_at for key in keys]),
        },
        tail="ON CONFLICT (kind, value) DO NOTHING RETURNING customer_id, name, handle, created_at, "
        "id, kind, value, followers",
    )
    names = [row[1] or row[2] for row in created]
    rows.insert(
        "crm_customer",
        {
            "id": ("bigint", [row[0] for row in created]),
            "name": ("text", names),
            "language": ("text", [""] * len(created)),
            "vip": ("boolean", [False] * len(created)),
            "public_figure": ("boolean", [False] * len(created)),
            "verified_before_disclosure": ("boolean", [False] * len(created)),
            "note": ("text", [""] * len(created)),
            "created_at": ("timestamptz", [row[3] for row in created]),
        },
    )
    search.remember(names)
    return {
        (row[5], row[6]): (row[4], row[5], row[6], row[0], None, row[2], row[1], row[7]) for row in created
    }


def _claims(inbound: Inbound) -> str:
    item = inbound.item
    claims = {name: value for name, value in (("email", item.email), ("phone", item.phone)) if value}
    return rows.as_json(claims)


def _refresh(pairs: list[tuple[tuple, Inbound]]) -> None:
    changed = [
        (row[0], inbound.item.handle or row[5], inbound.item.name or row[6], inbound.item.followers)
        for row, inbound in pairs
        if (inbound.item.handle and inbound.item.handle != row[5])
        or (inbound.item.name and inbound.item.name != row[6])
        or (inbound.item.followers is not None and inbound.item.followers != row[7])
    ]
    if changed:
        changed.sort()
        rows.run(_REFRESH, tuple([list(column) for column in zip(*changed, strict=True)]))
