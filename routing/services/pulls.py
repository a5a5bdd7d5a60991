"""Work that agents fetch themselves: the next one in the engine's own order, or one of their choice among the first.

Who chooses freely passes others over: how many he could have taken stood before it is kept with each choice, and further
down than the queue allows nobody reaches.
"""

from typing import Any

from crm import rows
from crm.access import Permission, may, work_filter
from crm.errors import Conflict, NotFound
from crm.models import User
from routing import engine
from routing.choices import PULLED, QueueMode
from routing.models import Assignment, Queue, WorkItem
from routing.services import assignments, dispatch, scoring

LOOKED_AT = 500  # the next due
TRIES = 5  # when somebody else was faster
NAMED = 10  # passed over, that are named


def next_for(user: User, queue: Queue | None = None) -> Assignment:
    """The best waiting item of this queue, or of all that are pulled, which he can take; 409 `nothing_there` without one."""
    for _ in range(TRIES):
        ordered = _in_order(user, queue)
        if not ordered:
            break
        try:
            return assignments.claim(ordered[0].id, by=user, why={"reason": "asked for the next one"})
        except Conflict as refusal:
            if refusal.code != "taken":
                raise
    raise Conflict("Nothing waits there that you could take.", code="nothing_there")


def claim(work_item_id: int, *, by: User) -> Assignment:
    """Take a waiting item by choice, as its queue allows: 409 `next_only`, or `too_far_down` with `first` to choose among."""
    item = WorkItem.objects.select_related("queue").filter(pk=work_item_id).first()
    if item is None:
        raise NotFound("There is no such item.")
    if item.status != "waiting" or item.queue.mode not in PULLED or may(by, Permission.SUPERVISE, item):
        return assignments.claim(work_item_id, by=by)
    if item.queue.mode == QueueMode.NEXT:
        raise Conflict("Here the next one is asked for, not chosen.", code="next_only", queue=item.queue.slug)
    before: list[int] = []
    for one in _in_order(by, item.queue):
        if one.id == work_item_id:
            break
        before.append(one.id)
    if len(before) >= item.queue.pull_within:
        raise Conflict(
            f"Choose among the first {item.queue.pull_within} that you could take.",
            code="too_far_down",
            first=before[: item.queue.pull_within],
        )
    why = {"reason": "chosen by the agent", "passed_over": before[:NAMED]}
    return assignments.claim(work_item_id, by=by, why=why, passed_over=len(before))


def _in_order(user: User, queue: Queue | None) -> list[engine.Item]:
    """What he could take now of what is pulled, in the order in which it would be offered."""
    seat = dispatch.seat_of(user.pk)
    if seat is None:
        raise NotFound("You take no work here.")
    if not seat.live:
        raise Conflict("Say that you are available first.", code="not_available")
    open_to_him: Any = WorkItem.objects.filter(work_filter(user, "interaction__", Permission.REPLY))
    waiting = open_to_him.filter(status="waiting", not_before=None, queue__mode__in=PULLED)
    if queue is not None:
        waiting = waiting.filter(queue=queue)
    ids = list(waiting.order_by("deadline", "pk").values_list("pk", flat=True)[:LOOKED_AT])
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    scale = scoring.scale()
    items = [scale.weigh(item) for item in dispatch.items_of(ids)]
    means = engine.means(items)
    able = [item for item in items if engine.why_not(item, seat, now) is None]
    return sorted(able, key=lambda item: engine.order_key(item, now, means, scale.weights))
