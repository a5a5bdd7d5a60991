"""Verdicts over many mentions at once, as an edit of many rows makes and undoes them."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from crm import rows
from crm.bus import publish
from crm.choices import OPENING_VERDICTS
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Interaction, User
from crm.services import bulks, edits, interactions, streams
from socialcare import events
from socialcare.choices import MentionStatus
from socialcare.models import Mention

EDITABLE = frozenset({"verdict", "actionable"})


def register(filters: Any) -> None:
    """Plug mentions into edits of many rows; they are locked in the turn of batches, which write mentions too."""
    bulks.register(
        "mentions",
        bulks.Noun(
            planned,
            write,
            tagged=False,
            follows={"status": "verdict"},
            turn=lambda: rows.serialised("earshot.ingest"),
        ),
        filters,
    )


def planned(mention: Mention, changes: dict, own: Any = None) -> dict:
    """What of the changes is new to the mention; a verdict, also the same one, is from then on a person's.

    Conflict: the post is gone, or the verdict would open a contact, which no undo takes back.
    """
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    if mention.deleted_at is not None:
        raise Conflict("The post was deleted on the network.", code="deleted")
    wanted = dict(changes)
    if "verdict" in wanted:
        if wanted["verdict"] in OPENING_VERDICTS and mention.interaction_id is None:
            raise Conflict("This verdict opens a contact: give it on the post itself.", code="opens")
        wanted["status"] = MentionStatus.DECIDED.value
    changed = edits.changed(mention, wanted)
    # The undo asks whether the verdict is still so before it takes the rest back.
    return changed | {"verdict": wanted["verdict"]} if "status" in changed else changed


def write(planned: list[edits.Edit], *, by: User, undo: bool = False, **data: object) -> None:
    """Write edits of mentions that are locked, each with its line of history; `data` stands in all lines."""
    now = timezone.now()
    for mention, changed in planned:
        mention.corrections = _corrections(mention, changed, undo)
        if changed.get("status") == MentionStatus.TRIAGED:
            mention.decided_by, mention.decided_at = None, None
        elif _decides(changed):
            mention.decided_by, mention.decided_at = by, now
    with transaction.atomic():
        edits.write(planned, "corrections", "decided_by", "decided_at")
        contacts = Interaction.objects.in_bulk(
            [one.interaction_id for one, _ in planned if one.interaction_id]
        )
        Activity.objects.bulk_create(
            _line(one, changed, contacts.get(one.interaction_id), by, data | ({"undo": True} if undo else {}))
            for one, changed in planned
        )
        decided = [one for one, changed in planned if _decides(changed)]
        publish(*[events.MentionDecided(mention_id=one.pk, verdict=one.verdict) for one in decided])
        interactions.tell(
            [
                (streams.EVENTS, "mention.decided", {"mention": one.pk, "verdict": one.verdict})
                for one in decided
            ]
        )


def _decides(changed: dict) -> bool:
    return not changed.keys().isdisjoint(("verdict", "status"))


def _corrections(mention: Mention, changed: dict, undo: bool) -> dict:
    """What triage had said of what a person said otherwise; where the undo says so again, nothing was corrected."""
    kept = dict(mention.corrections)
    for name in EDITABLE & changed.keys():
        if getattr(mention, name) == changed[name]:
            continue
        if undo and kept.get(name) == changed[name]:
            del kept[name]
        else:
            kept.setdefault(name, getattr(mention, name))
    return kept


def _line(mention: Mention, changed: dict, contact: Interaction | None, by: User, data: dict) -> Activity:
    verb = "mention.decided" if _decides(changed) else "mention.corrected"
    said = {name: changed[name] for name in sorted(EDITABLE & changed.keys())}
    line = Activity(actor=by, verb=verb, data={"mention": mention.pk, **said, **data})
    if contact is not None:
        line.interaction_id, line.ticket_id, line.customer_id = (
            contact.pk,
            contact.ticket_id,
            contact.customer_id,
        )
    return line
