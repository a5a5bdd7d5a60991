"""Raised hands (`practice.md` 2.5): who asks waits on the board with his age, the nearest lead is told, and helps there."""

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from crm import rows
from crm.access import Permission, may_somewhere, outside_closed, work_filter
from crm.errors import Conflict, InvalidInput, NotFound
from crm.models import User
from crm.services import activities, interactions, messages
from routing.choices import AssignmentStatus, HandReason
from routing.models import Agent, Assignment, Hand, WorkItem
from routing.services import assignments

TRAINING_DAYS = 30

# The leads of his own team; where it has none, those who lead all.
_LEADS = """
WITH leads AS (
    SELECT u.id, u.team_id IS NOT DISTINCT FROM %(team)s AND u.team_id IS NOT NULL AS near FROM crm_user u
    WHERE u.is_active AND u.role = 'supervisor' AND u.id <> %(user)s AND (u.team_id IS NULL OR u.team_id = %(team)s)
)
SELECT id FROM leads WHERE near OR NOT EXISTS (SELECT 1 FROM leads WHERE near) ORDER BY id
"""


def raise_hand(user: User, *, reason: str, work_item_id: int | None = None) -> Hand:
    """Ask for help, with the thread in hand where there is one; the nearest leads hear of it at once."""
    if reason not in HandReason.values:
        raise InvalidInput("Why?", errors={"reason": "is no reason of the list"})
    agent = Agent.objects.select_related("user").filter(user=user).first()
    if agent is None:
        raise NotFound("You take no work here.")
    item = _mine(agent, work_item_id) if work_item_id else None
    contact = item.interaction if item else None
    try:
        with transaction.atomic():
            hand = Hand.objects.create(
                agent=agent, work_item=item, reason=reason, topic=contact.topic if contact else ""
            )
            activities.record(
                "hand.raised", by=user, interaction_id=contact.pk if contact else None, reason=reason
            )
            said = {"text": f"{user} raised a hand: {HandReason(reason).label}", "hand": hand.pk}
            leads = [row[0] for row in rows.run(_LEADS, {"team": user.team_id, "user": user.pk})]
            interactions.tell([(f"desk:{lead}", "alert", said) for lead in leads])
    except IntegrityError as error:
        raise Conflict("Your hand is up.", code="hand_up") from error
    return hand


def _mine(agent: Agent, work_item_id: int) -> WorkItem:
    held = Assignment.objects.filter(agent=agent, work_item=work_item_id, status=AssignmentStatus.ACCEPTED)
    found = held.select_related("work_item__interaction").first()
    if found is None:
        raise Conflict("You do not hold it.", code="not_held")
    return found.work_item


def up() -> QuerySet[Hand]:
    """Hands that are up."""
    return Hand.objects.filter(ended_at=None).select_related(
        "agent__user", "work_item__interaction", "taken_by"
    )


def visible_to(user: User, hands: QuerySet[Hand]) -> QuerySet[Hand]:
    """One's own, and for who leads somebody those of agents he may know."""
    own = Q(agent__user=user)
    if not may_somewhere(user, Permission.SUPERVISE):
        return hands.filter(own)
    known = outside_closed(Agent.objects.all(), user, "user__team", own="user")
    return hands.filter(own | Q(agent__in=known))


def waiting(user: User) -> list[Hand]:
    """Hands that are up, those of one's own team first, the longest waiting first."""
    found = visible_to(user, up()).order_by("raised_at", "pk")
    return sorted(found[:200], key=lambda one: one.agent.user.team_id != user.team_id)


def take(hand: Hand, *, by: User) -> Hand:
    """Come to help; the agent hears who comes."""
    if hand.agent.user_id == by.pk:
        raise Conflict("Nobody helps himself.", code="own_hand")
    with transaction.atomic():
        taken = Hand.objects.filter(pk=hand.pk, ended_at=None, taken_by=None)
        if not taken.update(taken_by=by, taken_at=rows.run("SELECT now()")[0][0]):
            raise Conflict("Somebody comes already, or it is down.", code="hand_taken")
        activities.record("hand.taken", by=by, hand=hand.pk)
        interactions.tell(
            [(f"desk:{hand.agent.user_id}", "alert", {"text": f"{by} comes to help.", "hand": hand.pk})]
        )
    hand.refresh_from_db()
    return hand


def lower(hand: Hand, *, by: User) -> Hand:
    """It is answered, or not needed any more; the agent or who came says so."""
    with transaction.atomic():
        if not Hand.objects.filter(pk=hand.pk, ended_at=None).update(ended_at=rows.run("SELECT now()")[0][0]):
            raise Conflict("It is down.", code="hand_down")
        activities.record("hand.lowered", by=by, hand=hand.pk)
        interactions.tell([(f"desk:{hand.agent.user_id}", "presence.changed", {})])
    hand.refresh_from_db()
    return hand


def topics(user: User) -> list[dict]:
    """What help was asked for by topic and reason in the last month: the need for training."""
    since = rows.run("SELECT now() - make_interval(days => %s)", (TRAINING_DAYS,))[0][0]
    counted = visible_to(user, Hand.objects.filter(raised_at__gte=since)).values("topic", "reason")
    return list(counted.annotate(hands=Count("pk")).order_by("-hands", "topic", "reason")[:100])


def whisper(item: WorkItem, *, by: User, text: str) -> None:
    """A word to the agent who holds it: an internal note in the thread, and on his desk at once. The customer sees nothing."""
    held = of_another(item, by)
    messages.note(item.interaction, by=by, text=text)
    with transaction.atomic():
        said = {"text": f"{by}: {text.strip()[:280]}", "interaction": item.interaction_id}
        interactions.tell([(f"desk:{held.agent.user_id}", "whisper", said)])


def take_over(item: WorkItem, *, by: User) -> Assignment:
    """Go on with an agent's work oneself: he is relieved, the age stays; beyond one's own capacity if need be by one item."""
    of_another(item, by)
    if not Agent.objects.filter(user=by).exists():
        raise Conflict("You take no work here.", code="no_agent")
    return assignments.take_over(item.pk, by=by)


def of_another(item: WorkItem, by: User) -> Assignment:
    """The hold of somebody whom one leads; NotFound for all others, Conflict when nobody holds it or one does oneself."""
    if not WorkItem.objects.filter(
        work_filter(by, "interaction__", Permission.SUPERVISE), pk=item.pk
    ).exists():
        raise NotFound("It is nobody's whom you lead.")
    held = (
        Assignment.objects.filter(work_item=item, status=AssignmentStatus.ACCEPTED)
        .select_related("agent")
        .first()
    )
    if held is None or item.interaction_id is None:
        raise Conflict("Nobody holds this item now.", code="not_held")
    if held.agent.user_id == by.pk:
        raise Conflict("You hold it yourself.", code="already_yours")
    return held
