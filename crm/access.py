"""The one gate: who may do what, and which rows a person may see. Pages, API, sockets, files and exports all ask here."""

from enum import StrEnum
from typing import Any

from django.db.models import Q

from crm.choices import Audience, Role, TeamVisibility
from crm.errors import NotAllowed, NotFound


class Permission(StrEnum):
    """A right of its own."""

    READ_CUSTOMERS = "read_customers"
    READ_WORK = "read_work"
    WORK = "work"  # take offers, own presence
    REPLY = "reply"
    NOTE = "note"
    CLOSE = "close"
    IMPORT = "import"  # customers from files, and its undoing
    EXPORT = "export"  # lists as files
    MERGE = "merge"  # customers found to be one person, and its undoing
    TRIAGE = "triage"  # verdicts and corrections
    SUPERVISE = "supervise"  # boards, other people's presence, reassign
    WATCH_BOARDS = "watch_boards"
    READ_DELIVERIES = "read_deliveries"
    REPLAY_DELIVERIES = "replay_deliveries"
    DELIVER = "deliver"
    READ_EVENTS = "read_events"  # the feed: only for who may see everything
    SEE_PRIVACY = "see_privacy"  # holds, erasures and their proofs, retention
    HOLD = "hold"  # keep a record from being erased
    ERASE = "erase"  # erase or anonymise a person, set what is kept how long
    EXPORT_PERSON = "export_person"  # all that is held on one person, closed teams' words too
    UNMASK = "unmask"  # words as they came, with a reason
    SEE_RESTRICTED = "see_restricted"  # restricted fields of verified people
    CONFIGURE = "configure"
    PLAY_DEMO = "play_demo"


_AGENT = {
    Permission.READ_CUSTOMERS, Permission.READ_WORK, Permission.WORK, Permission.REPLY, Permission.NOTE,
    Permission.CLOSE, Permission.TRIAGE, Permission.MERGE,
}  # fmt: skip
_SUPERVISOR = _AGENT | {
    Permission.SUPERVISE, Permission.WATCH_BOARDS, Permission.READ_DELIVERIES, Permission.REPLAY_DELIVERIES,
    Permission.PLAY_DEMO, Permission.IMPORT, Permission.EXPORT, Permission.SEE_PRIVACY, Permission.HOLD,
    Permission.UNMASK, Permission.SEE_RESTRICTED,
}  # fmt: skip

GRANTS: dict = {
    Role.ADMINISTRATOR: set(Permission),
    Role.SUPERVISOR: _SUPERVISOR,
    Role.AGENT: _AGENT,
    Role.MARKETING: {
        Permission.READ_CUSTOMERS, Permission.READ_WORK, Permission.REPLY, Permission.NOTE, Permission.TRIAGE,
        Permission.WATCH_BOARDS,
    },
    Role.AUDITOR: {
        Permission.READ_CUSTOMERS, Permission.READ_WORK, Permission.WATCH_BOARDS, Permission.READ_DELIVERIES,
        Permission.READ_EVENTS, Permission.EXPORT, Permission.SEE_PRIVACY,
    },
    Role.API_CLIENT: {
        Permission.READ_CUSTOMERS, Permission.READ_WORK, Permission.DELIVER, Permission.READ_DELIVERIES, Permission.READ_EVENTS,
        Permission.REPLY, Permission.NOTE, Permission.CLOSE,
    },
}  # fmt: skip

SEES_ALL = {Role.ADMINISTRATOR, Role.AUDITOR, Role.API_CLIENT}


def may(user: Any, permission: Permission) -> bool:
    """Whether a user has a right, anywhere."""
    return bool(user and user.is_authenticated and user.is_active and permission in GRANTS.get(user.role, ()))


def require(user: Any, permission: Permission) -> None:
    """Refuse with NotAllowed unless the user has the right."""
    if not may(user, permission):
        raise NotAllowed("Your role does not include this.")


def sees_everything(user: Any) -> bool:
    """Whether no row of any team is hidden from the user."""
    return user.role in SEES_ALL or (user.role == Role.SUPERVISOR and user.team_id is None)


def work_filter(user: Any, prefix: str = "") -> Q:
    """Which interactions (or what hangs on one, by `prefix`) a user may read in full.

    Administrators and auditors all; others their own team's, what nobody's team has, what they hold, and what belongs
    to teams that are `open`. Marketing reads what is public.
    """
    if not may(user, Permission.READ_WORK):
        return Q(pk__in=[])
    if sees_everything(user):
        return Q()
    seen = (
        Q(**{f"{prefix}team": None})
        | Q(**{f"{prefix}team__visibility": TeamVisibility.OPEN})
        | Q(**{f"{prefix}assigned_to": user.pk})
    )
    if user.team_id:
        seen |= Q(**{f"{prefix}team": user.team_id})
    if user.role == Role.MARKETING:
        seen &= Q(**{f"{prefix}audience": Audience.PUBLIC})
    return seen


def for_workers(queryset: Any, user: Any) -> Any:
    """What everybody who may read work needs to know."""
    return queryset if may(user, Permission.READ_WORK) else queryset.none()


def outside_closed(queryset: Any, user: Any, team: str, own: str = "") -> Any:
    """Without what belongs to closed teams of others; `team` is the path to the team, `own` to the user himself."""
    if not may(user, Permission.READ_WORK):
        return queryset.none()
    if sees_everything(user):
        return queryset
    step = f"{team}__" if team else ""
    seen = ~Q(**{f"{step}visibility": TeamVisibility.CLOSED})
    if team:
        seen |= Q(**{team: None})
    if user.team_id:
        seen |= Q(**{f"{step}pk": user.team_id})
    if own:
        seen |= Q(**{own: user.pk})
    return queryset.filter(seen)


def find(queryset: Any, **lookup: Any) -> Any:
    """One row of a scoped queryset, or NotFound: absent and forbidden look alike."""
    found = queryset.filter(**lookup).first()
    if found is None:
        raise NotFound("There is no such thing, or it is not yours to see.")
    return found
