"""Training on live work (`practice.md` 2.6): each answer waits for a coach, and what he has in hand is outside all figures."""

from django.db import transaction

from crm.access import Permission, may_somewhere
from crm.errors import InvalidInput
from crm.models import User
from crm.services import activities


def begin(user: User, coach: User, *, by: User) -> None:
    """From now on his answers wait until the coach, or who leads there, has released them."""
    problem = ""
    if coach.pk == user.pk:
        problem = "is somebody else"
    elif not coach.is_active or not may_somewhere(coach, Permission.REPLY):
        problem = "answers customers"
    elif coach.coach_id is not None:
        problem = "is in training too"
    if problem:
        raise InvalidInput("Who coaches?", errors={"coach": problem})
    _set(user, coach, "training.begun", by)


def end(user: User, *, by: User) -> None:
    """What he writes from now on leaves by itself; what waits still waits for somebody's decision."""
    _set(user, None, "training.ended", by)


def _set(user: User, coach: User | None, verb: str, by: User) -> None:
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(coach=coach)
        activities.record(verb, by=by, user=user.pk, coach=coach.pk if coach else None)
    user.coach = coach
