"""What is masked on arrival, where the original lies, and who looked at it and why."""

import re
from typing import Any

from django.conf import settings
from django.db import transaction

from crm import masks, rows, secrets
from crm.access import Permission, require
from crm.connectors import base
from crm.connectors.base import Inbound
from crm.connectors.items import Item
from crm.errors import InvalidInput, NotFound
from crm.models import Masked, Message, User
from crm.services import activities

SHORTEST_REASON = 5
_BEYOND = 200  # bytes read beyond what is shown, so that no number is cut before it is known as one
_ESCAPED_DIGIT = re.compile(r"\\u003([0-9])")

_KEEP = """
INSERT INTO crm_masked (channel_id, external_id, title, text, at)
SELECT g.*, now() FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS g
ON CONFLICT (channel_id, external_id) DO UPDATE SET title = excluded.title, text = excluded.text, at = excluded.at
"""


def on_arrival(item: Item, raw: bytes, form: str = "") -> tuple[str, str, bytes] | None:
    """Mask an item's words in place; returns title and text as they were, and the raw bytes without what was masked.

    None: nothing was. Arithmetic only. Runs before anything is judged, searched or shown.
    """
    kinds = settings.MASK_ON_ARRIVAL
    if not kinds or not (item.text or item.title):
        return None
    text, title = masks.mask(item.text, kinds), masks.mask(item.title, kinds)
    pieces = text.pieces + title.pieces
    if not pieces:
        return None
    was = (item.title, item.text)
    item.text, item.title = text.text, title.text
    return (*was, base.rewriter(form)(raw, pieces))


def keep(inbounds: list[Inbound]) -> None:
    """Keep the originals encrypted, and nothing of them in what arrived; in the caller's transaction."""
    newest: dict[tuple[int, str], tuple[str, str, bytes]] = {}
    raws = []
    for one in inbounds:
        if one.unmasked is not None:
            newest[one.channel.id, one.item.id] = one.unmasked
            raws.append((one.delivery_id, one.unmasked[2]))
    if not newest:
        return
    keys = sorted(newest)
    rows.run(
        _KEEP,
        (
            [channel for channel, _ in keys],
            [external_id for _, external_id in keys],
            [secrets.encrypt(newest[key][0]) for key in keys],
            [secrets.encrypt(newest[key][1]) for key in keys],
        ),
    )
    rows.run(
        "UPDATE crm_delivery d SET raw = n.raw FROM unnest(%s::bigint[], %s::bytea[]) AS n(id, raw) WHERE d.id = n.id",
        ([one for one, _ in raws], [raw for _, raw in raws]),
    )


def masked(text: str) -> str:
    """Words of the past or of another system, without what is masked on arrival; of these no original is kept beside."""
    kinds = settings.MASK_ON_ARRIVAL
    return masks.mask(text, kinds).text if kinds and text else text


def shown(raw: bytes | memoryview, most: int | None = None) -> str:
    """An item as it came, to be read by people: masked also where it was never handled; `most` characters of it.

    What is replayed is the item itself. A digit that is written as an escape is one.
    """
    beginning = bytes(raw if most is None else raw[: most + _BEYOND])
    text = beginning.decode("utf-8", "backslashreplace")
    text = _ESCAPED_DIGIT.sub(lambda found: found[1], text)
    kinds = settings.MASK_ON_ARRIVAL
    return (masks.mask(text, kinds).text if kinds else text)[:most]


def reveal(message: Message, *, reason: str, by: User) -> dict[str, Any]:
    """The words as they came, for who has the right and says why; that he looked stands in the history."""
    require(by, Permission.UNMASK, message)
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= 200:
        raise InvalidInput("Why?", errors={"reason": f"is a text of {SHORTEST_REASON} to 200 characters"})
    kept = Masked.objects.filter(channel_id=message.channel_id, external_id=message.external_id or "").first()
    if kept is None or message.deleted_at is not None:
        raise NotFound("Nothing of this message is masked.")
    with transaction.atomic():
        activities.record(
            "message.unmasked",
            by=by,
            interaction_id=message.interaction_id,
            message=message.pk,
            reason=reason,
        )
    return {"title": kept.title, "text": kept.text}
