"""Who wrote: authors become identities, identities belong to customers, created once also under concurrent batches."""

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
    """Set `identity_id`, `customer_id` and `customer_value` on each, in at most six statements."""
    newest: dict[Key, Inbound] = {}
    for inbound in inbounds:
        newest[key_of(inbound)] = inbound
    keys = sorted(newest)
    found = _find(keys)
    missing = [key for key in keys if key not in found]
    if missing:
        _create(missing, newest)
        # A second statement: one statement does not see rows that others committed after its snapshot.
        found.update(_find(missing))
    _refresh([(found[key], newest[key]) for key in keys if key not in missing])
    for inbound in inbounds:
        row = found[key_of(inbound)]
        inbound.identity_id, inbound.customer_id, inbound.customer_value = row[0], row[3], row[4]


def _find(keys: list[Key]) -> dict[Key, tuple]:
    if not keys:
        return {}
    return {(row[1], row[2]): row for row in rows.run(_FIND, ([k for k, _ in keys], [v for _, v in keys]))}


def _create(keys: list[Key], newest: dict[Key, Inbound]) -> None:
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
        tail="ON CONFLICT (kind, value) DO NOTHING RETURNING customer_id, name, handle, created_at",
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
