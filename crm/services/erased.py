"""Who was erased stays out: what they had posted until then is turned away when it is delivered again.

Nothing of the person is kept for that, only an HMAC of each author's address and of each item's id under a key that is not
in the database. An author's post from after the erasure is a new one: he came back by himself.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from crm import rows
from crm.choices import DeliveryOutcome
from crm.connectors.base import Inbound
from crm.services import delivery_turns, keys
from crm.services.identities import key_of

SHORT = 16  # bytes of a digest

_EMPTY = f"""
WITH {delivery_turns.HELD}
UPDATE crm_delivery d SET raw = '', digest = '', error = '',
    external_id = 'erased-' || translate(d.id::text, '0123456789', 'abcdefghij') FROM held WHERE d.id = held.id
"""  # noqa: S608 - our own words


def author_key(kind: str, value: str) -> bytes:
    """By which an author is known again."""
    return _digest(f"author:{kind}:{value}")


def item_key(channel_id: int, external_id: str) -> bytes:
    """By which an item is known again."""
    return _digest(f"item:{channel_id}:{external_id}")


def _digest(text: str) -> bytes:
    return hmac.new(keys.lasting("erased"), text.encode("utf-8", "surrogatepass"), sha256).digest()[:SHORT]


def remember(erasure_id: int, known: Iterable[bytes]) -> None:
    """From now on these stay out; known ones until now instead of until then."""
    rows.run(
        "INSERT INTO crm_erasedkey (digest, erasure_id, at) SELECT d, %s, clock_timestamp() FROM unnest(%s::bytea[]) AS d "
        "ON CONFLICT (digest) DO UPDATE SET at = excluded.at",
        (erasure_id, sorted(set(known))),
    )


def turn_away(inbounds: list[Inbound]) -> tuple[list[Inbound], list[Inbound]]:
    """What may go on, and what is of somebody who was erased. One small statement while nobody ever was."""
    if not rows.run("SELECT EXISTS (SELECT 1 FROM crm_erasedkey)")[0][0]:
        return inbounds, []
    pairs = {id(one): (item_key(one.channel.id, one.item.id), _author_of(one)) for one in inbounds}
    asked = sorted({key for pair in pairs.values() for key in pair})
    known = {
        bytes(digest): at
        for digest, at in rows.run("SELECT digest, at FROM crm_erasedkey WHERE digest = ANY(%s)", (asked,))
    }
    rest, away = [], []
    for one in inbounds:
        item, author = pairs[id(one)]
        until = known.get(author)
        posted = one.item.created_at
        if item in known or (until is not None and posted is not None and posted <= until):
            one.outcome = DeliveryOutcome.ERASED
            away.append(one)
        else:
            rest.append(one)
    return rest, away


def _author_of(one: Inbound) -> bytes:
    return author_key(*key_of(one))


def empty(away: list[Inbound]) -> None:
    """Nothing stays of what was turned away but that it came."""
    if away:
        rows.run(_EMPTY, ([one.delivery_id for one in away],))
