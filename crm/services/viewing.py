"""Looking at the product as others see it: an administrator, in his session, for a while, and read only.

Who looks is told apart from whom he looks as: the door gives the page the stand-in, and refuses every write. Tokens never look.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm.access import BRANDS, EVERYWHERE, SCOPED, TEAMS
from crm.choices import Role
from crm.errors import InvalidInput, NotAllowed
from crm.models import RightSet, Team, User, Viewing
from crm.services import activities

KEY = "viewing"  # in the session
MINUTES = 30
REFUSAL = "You are looking as somebody else: nothing can be changed. Leave the view first."


def start(
    session_key: str,
    *,
    by: User,
    person: User | None = None,
    role: str = "",
    right_set: RightSet | None = None,
    team: Team | None = None,
) -> Viewing:
    """Begin to look as a person, a role or a set (with a team: in that team). Only administrators by role."""
    if by.role != Role.ADMINISTRATOR or not by.is_active:
        raise NotAllowed("Only administrators look as others.")
    if not session_key or sum((person is not None, bool(role), right_set is not None)) != 1:
        raise InvalidInput("As whom?", errors={"person": "name a person, a role or a set"})
    if role and role not in Role.values:
        raise InvalidInput("As whom?", errors={"role": "is no role"})
    if person is not None and (not person.is_active or person.pk == by.pk):
        raise InvalidInput("As whom?", errors={"person": "somebody else who may log in"})
    with transaction.atomic():
        for old in Viewing.objects.select_for_update(of=("self",)).filter(
            session_key=session_key, ended_at=None
        ):
            _end(old, by)
        begun = Viewing.objects.create(
            by=by, session_key=session_key, person=person, role=role, right_set=right_set,
            team=None if person else team, until=timezone.now() + timedelta(minutes=MINUTES),
        )  # fmt: skip
        activities.record("viewing.started", by=by, **_told(begun), until=begun.until.isoformat())
    return begun


def end(viewing: Viewing, *, by: User | None) -> None:
    """End it now; ending twice changes nothing."""
    with transaction.atomic():
        kept = Viewing.objects.select_for_update(of=("self",)).filter(pk=viewing.pk, ended_at=None).first()
        if kept is not None:
            _end(kept, by)


def _end(viewing: Viewing, by: User | None) -> None:
    viewing.ended_at = timezone.now()
    viewing.save(update_fields=["ended_at"])
    activities.record("viewing.ended", by=by, **_told(viewing))


def end_over() -> None:
    """End those whose time is over; the house says so in the history."""
    for one in Viewing.objects.filter(ended_at=None, until__lte=timezone.now()):
        end(one, by=None)


def _told(viewing: Viewing) -> dict[str, Any]:
    return {
        "viewing": viewing.pk, "as": str(viewing.person_id or viewing.role or viewing.right_set_id),
        "kind": "person" if viewing.person_id else "role" if viewing.role else "set", "team": viewing.team_id,
    }  # fmt: skip


def standing(marker: object, session_key: str, user_id: int) -> Viewing | None:
    """The view of a session, while it lasts and who looks is still an administrator. No statement without a marker."""
    if not isinstance(marker, int):
        return None
    found = Viewing.objects.select_related("by", "person__team", "right_set", "team").filter(
        pk=marker, session_key=session_key, by=user_id, ended_at=None, until__gt=timezone.now(),
        by__role=Role.ADMINISTRATOR, by__is_active=True,
    )  # fmt: skip
    return found.first()


def by_session(keys: Iterable[str]) -> dict[str, int]:
    """Which of these sessions look now, as what."""
    found = Viewing.objects.filter(session_key__in=keys, ended_at=None, until__gt=timezone.now())
    return dict(found.values_list("session_key", "pk"))


def stand_in(viewing: Viewing) -> User:
    """Whom the gate is asked about: the person himself, or nobody in particular with a role or a set. Never saved."""
    if viewing.person is not None:
        return viewing.person
    by = viewing.by
    user = User(pk=by.pk, email=by.email, name=by.name, role=viewing.role, team=viewing.team, is_active=True)
    if viewing.right_set is not None:
        user.reach = _reach(viewing.right_set, viewing.team)
    return user


def _reach(right_set: RightSet, team: Team | None) -> dict[str, dict]:
    if right_set.retired:
        return {}
    if team is None:
        return {word: {EVERYWHERE: True} for word in right_set.rights}
    return {word: {TEAMS: [team.pk], BRANDS: []} for word in right_set.rights if word in SCOPED}
