"""Why an item went to whom: what the engine said with each offer."""

from routing.models import Assignment, WorkItem


def of(work_item_id: int) -> dict:
    """The item's state and every offer made of it with its explanation, newest first."""
    item = WorkItem.objects.get(pk=work_item_id)
    made = (
        Assignment.objects.filter(work_item_id=work_item_id)
        .select_related("agent__user")
        .order_by("-pk")[:50]
    )
    return {
        "work_item": work_item_id,
        "status": item.status,
        "priority_parts": item.priority_parts,
        "offers": [
            {
                "id": one.pk,
                "agent": {"id": one.agent_id, "name": str(one.agent.user)},
                "status": one.status,
                "reason_ended": one.reason,
                "offered_at": one.offered_at,
                **one.explanation,
            }
            for one in made
        ],
    }
