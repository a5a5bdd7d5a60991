"""The end of a shift and the beginning of the next (`practice.md` 2.4): one list, and a page to hand over."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Min, Q

from crm import rows
from crm.access import outside_closed
from crm.choices import TicketKind, TicketStatus
from crm.models import Macro, Ticket, User
from routing.models import Agent

NO_LIVE = 600  # s before the end of a shift from which no call and no chat is offered
SHOWN = 50
FRESH = timedelta(hours=24)
_OVER = (TicketStatus.SOLVED, TicketStatus.CLOSED, TicketStatus.FOLDED)

# The shift he is in, the one that follows it at once, or one that ended a short while ago.
_SHIFT = """
SELECT ends_at, ends_at <= now() + make_interval(secs => %(before)s) AS ending FROM routing_scheduledtime
WHERE agent_id = %(agent)s AND kind = 'shift' AND ends_at > now() - interval '4 hours'
    AND starts_at <= now() + make_interval(secs => %(before)s)
ORDER BY ends_at DESC LIMIT 1
"""


def shift_of(agent_id: int) -> dict | None:
    """When his shift ends, and whether that is so near that nothing live begins any more; None without a plan."""
    found = rows.dicts(_SHIFT, {"agent": agent_id, "before": NO_LIVE})
    return found[0] if found else None


def handover(user: User) -> dict[str, list[dict[str, Any]]]:
    """What the next shift must know, of what the reader may see: promises, incidents, absent owners, new texts."""
    return {
        "promises": _promises(user),
        "incidents": _incidents(user),
        "absent": _absent(user),
        "texts": _texts(user),
    }


def _promises(user: User) -> list[dict]:
    owed = Ticket.objects.visible_to(user).filter(promised_by__isnull=False).exclude(status__in=_OVER)
    return [
        {
            "ticket": one.pk,
            "number": one.number,
            "subject": one.subject,
            "promise": one.promise,
            "promised_by": one.promised_by,
            "owner": str(one.owner) if one.owner else "",
        }
        for one in owed.select_related("owner").order_by("promised_by", "pk")[:SHOWN]
    ]


def _incidents(user: User) -> list[dict]:
    """Incidents that are not over, with how many tickets each caused."""
    running = Ticket.objects.visible_to(user).filter(kind=TicketKind.INCIDENT).exclude(status__in=_OVER)
    counted = running.annotate(
        caused=Count("linked_from", filter=Q(linked_from__kind="incident"), distinct=True)
    )
    return [
        {
            "ticket": one.pk,
            "number": one.number,
            "subject": one.subject,
            "since": one.opened_at,
            "caused": one.caused,
        }
        for one in counted.order_by("-pk")[:SHOWN]
    ]


def _absent(user: User) -> list[dict]:
    """Who is away and owns work all the same, with the next time at which some of it is due."""
    known = outside_closed(Agent.objects.all(), user, "user__team", own="user").filter(
        Q(chosen="offline") | Q(silent=True), assignments__status="accepted"
    )
    owning = known.annotate(
        held=Count("assignments"),
        parked=Count("assignments", filter=Q(assignments__parked_at__isnull=False)),
        due=Min("assignments__work_item__deadline"),
    )
    return [
        {"agent": one.pk, "name": str(one), "held": one.held, "parked": one.parked, "next_due_at": one.due}
        for one in owning.select_related("user").order_by("due", "pk")[:SHOWN]
    ]


def _texts(user: User) -> list[dict]:
    """Macros that say something new since yesterday."""
    since = rows.run("SELECT now()")[0][0] - FRESH
    fresh = Macro.objects.visible_to(user).filter(retired=False, versions__at__gte=since)
    counted = fresh.annotate(newest=Min("versions__at")).order_by("-newest", "pk")
    return [
        {"macro": one.pk, "name": one.name, "version": one.version, "at": one.newest}
        for one in counted[:SHOWN]
    ]
