"""The one gate: who may do what, and which rows a person may see. Pages, API, sockets, files and exports all ask here."""

from collections.abc import Mapping
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
    SIMULATE = (
        "simulate"  # play days through changed rules, staff and volumes; planners have it beside their role
    )
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
    Permission.SIMULATE, Permission.PLAY_DEMO, Permission.IMPORT, Permission.EXPORT, Permission.SEE_PRIVACY, Permission.HOLD,
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

# Rights over rows that belong to a team or a brand. All others concern the whole house and are held everywhere or not at all.
SCOPED = frozenset({
    Permission.READ_WORK, Permission.REPLY, Permission.NOTE, Permission.CLOSE, Permission.SUPERVISE, Permission.WATCH_BOARDS,
    Permission.UNMASK, Permission.EXPORT,
})  # fmt: skip
# How a user's `reach` writes down where a right was given to him, beyond what his role says.
EVERYWHERE, OWN, TEAMS, BRANDS = "all", "own", "teams", "brands"
_NOWHERE: Mapping[str, Any] = {}


def granted(user: Any, permission: Permission) -> Mapping[str, Any]:
    """Where a right was given to a user beside his role: `all`, `own`, `teams` and `brands` (ids). No statement."""
    return user.reach.get(permission, _NOWHERE) if user.reach else _NOWHERE


def by_role(user: Any, permission: Permission) -> bool:
    """Whether the set of rights that a role is includes this one."""
    return permission in GRANTS.get(user.role, ())


def _stands(user: Any) -> bool:
    return bool(user and user.is_authenticated and user.is_active)


def may(user: Any, permission: Permission, on: Any = None) -> bool:
    """Whether a user has a right: by his role or given everywhere; `on` a contact, ticket, message or work item, over that.

    What is given within a scope counts only `on` something: a door that forgets to name it refuses.
    """
    if not _stands(user):
        return False
    given = granted(user, permission)
    if on is None:
        return by_role(user, permission) or EVERYWHERE in given
    thing = _Thing(on)
    return (by_role(user, permission) and _role_covers(user, thing)) or (
        bool(given) and _covers(given, user, thing)
    )


def may_somewhere(user: Any, permission: Permission) -> bool:
    """Whether a user has a right over anything at all: opens a door behind which rows are asked one by one."""
    return _stands(user) and (by_role(user, permission) or bool(granted(user, permission)))


def require(user: Any, permission: Permission, on: Any = None) -> None:
    """Refuse with NotAllowed unless the user has the right (over what is named)."""
    if not may(user, permission, on):
        raise NotAllowed(
            "Your rights do not include this here." if on is not None else "Your role does not include this."
        )


def require_somewhere(user: Any, permission: Permission) -> None:
    """Refuse with NotAllowed unless the user has the right over anything at all."""
    if not may_somewhere(user, permission):
        raise NotAllowed("Your role does not include this.")


def leads(user: Any, team_id: int) -> bool:
    """Whether a user keeps the rules of what belongs to this team: who configures the house, and who supervises that team.

    It is the team's lead by his role when it is his own, or because the right was given to him there; to supervise
    everywhere is not to lead every team.
    """
    if may(user, Permission.CONFIGURE):
        return True
    own = by_role(user, Permission.SUPERVISE) and user.team_id == team_id
    return _stands(user) and (own or team_id in teams_given(user, Permission.SUPERVISE))


def require_lead(user: Any, team_id: int) -> None:
    """Refuse with NotAllowed unless the user leads this team."""
    if not leads(user, team_id):
        raise NotAllowed("Rules are kept by administrators, and by the lead of the team.")


class _Thing:
    """What decides about a row: its team, its brand, who holds it, and whether all the world can read it."""

    __slots__ = ("team", "brand", "holder", "row")

    def __init__(self, row: Any) -> None:
        while not hasattr(row, "team_id"):
            # A message or a work item stands and falls with its contact; work on a ticket alone, with that.
            row = row.interaction if row.interaction_id else row.ticket
        self.row = row
        self.team = row.team
        self.brand = row.brand_id if hasattr(row, "brand_id") else row.channel.brand_id
        self.holder = row.owner_id if hasattr(row, "owner_id") else row.assigned_to_id

    @property
    def public(self) -> bool:
        """Whether the contact, or one of the ticket's, is public."""
        audience = getattr(self.row, "audience", None)
        if audience is not None:
            return audience == Audience.PUBLIC
        return self.row.interactions.filter(audience=Audience.PUBLIC).exists()


def _role_covers(user: Any, thing: _Thing) -> bool:
    """The reading of `_of_role` for one row in hand."""
    if _role_sees_all(user):
        return True
    team = thing.team
    seen = (
        team is None
        or team.visibility == TeamVisibility.OPEN
        or thing.holder == user.pk
        or team.pk == user.team_id
    )
    return seen and (user.role != Role.MARKETING or thing.public)


def _covers(given: Mapping[str, Any], user: Any, thing: _Thing) -> bool:
    """The reading of `_of_grants` for one row in hand."""
    team = thing.team
    return (
        EVERYWHERE in given
        or (OWN in given and thing.holder == user.pk)
        or (team is not None and team.pk in given.get(TEAMS, ()))
        or (
            thing.brand in given.get(BRANDS, ())
            and (team is None or team.visibility != TeamVisibility.CLOSED)
        )
    )


def _role_sees_all(user: Any) -> bool:
    return user.role in SEES_ALL or (user.role == Role.SUPERVISOR and user.team_id is None)


def sees_everything(user: Any) -> bool:
    """Whether no row of any team is hidden from the user."""
    return _role_sees_all(user) or EVERYWHERE in granted(user, Permission.READ_WORK)


def teams_given(user: Any, permission: Permission) -> list[int]:
    """Ids of the teams in which a right was given to a user beside his role."""
    return list(granted(user, permission).get(TEAMS, ()))


def held(
    user: Any, permission: Permission, *, team: str = "team", brand: str, holder: str, public: Q | None = None
) -> Q | None:
    """Over which rows a user has a right, as a condition on the paths to a row's team, brand and holder; None: over all.

    By role administrators and auditors all; others their own team's, what nobody's team has, what they hold, and what belongs
    to teams that are `open`; marketing of that what is `public`. What was given to him within a scope comes on top; a brand
    does not open closed teams.
    """
    if not may_somewhere(user, permission):
        return Q(pk__in=[])
    given, role = granted(user, permission), by_role(user, permission)
    if EVERYWHERE in given or (role and _role_sees_all(user)):
        return None
    ways = [_of_role(user, team, holder, public)] if role else []
    ways += _of_grants(given, user, team, brand, holder)
    found = ways[0]
    for one in ways[1:]:
        found |= one
    return found


def _of_role(user: Any, team: str, holder: str, public: Q | None) -> Q:
    seen = Q(**{team: None}) | Q(**{f"{team}__visibility": TeamVisibility.OPEN}) | Q(**{holder: user.pk})
    if user.team_id:
        seen |= Q(**{team: user.team_id})
    return seen & public if user.role == Role.MARKETING and public is not None else seen


def _of_grants(given: Mapping[str, Any], user: Any, team: str, brand: str, holder: str) -> list[Q]:
    ways = [Q(**{holder: user.pk})] if OWN in given else []
    if teams := given.get(TEAMS):
        ways.append(Q(**{f"{team}__in": teams}))
    if brands := given.get(BRANDS):
        known = Q(**{team: None}) | ~Q(**{f"{team}__visibility": TeamVisibility.CLOSED})
        ways.append(Q(**{f"{brand}__in": brands}) & known)
    return ways


def work_filter(user: Any, prefix: str = "", permission: Permission = Permission.READ_WORK) -> Q:
    """Over which interactions (or what hangs on one, by `prefix`) a user has a right; which he may read in full."""
    return (
        held(
            user, permission, team=f"{prefix}team", brand=f"{prefix}channel__brand", holder=f"{prefix}assigned_to",
            public=Q(**{f"{prefix}audience": Audience.PUBLIC}),
        )
        or Q()
    )  # fmt: skip


def reading(user: Any) -> dict[str, Any]:
    """How a user reads work, for statements that are written out: what `held` asks, as parameters by name.

    `user`, `team`: his ids; `all`: everything; `by_role`: what his role lets him read, of that only what is `public`; `past`:
    what belongs to nobody's team; `own`, `teams`, `brands`: what was given to him beside his role.
    """
    read, given = Permission.READ_WORK, granted(user, Permission.READ_WORK) if user.is_active else _NOWHERE
    everything = may_somewhere(user, read) and sees_everything(user)
    return {
        "user": user.pk, "team": user.team_id, "all": everything, "by_role": user.is_active and by_role(user, read),
        "public": user.role == Role.MARKETING and not everything, "past": may(user, read), "own": OWN in given,
        "teams": list(given.get(TEAMS, ())), "brands": list(given.get(BRANDS, ())),
    }  # fmt: skip


def for_workers(queryset: Any, user: Any) -> Any:
    """What everybody who may read work needs to know."""
    return queryset if may_somewhere(user, Permission.READ_WORK) else queryset.none()


def outside_closed(queryset: Any, user: Any, team: str, own: str = "") -> Any:
    """Without what belongs to closed teams of others; `team` is the path to the team, `own` to the user himself."""
    if not may_somewhere(user, Permission.READ_WORK):
        return queryset.none()
    if sees_everything(user):
        return queryset
    step = f"{team}__" if team else ""
    seen = ~Q(**{f"{step}visibility": TeamVisibility.CLOSED})
    if team:
        seen |= Q(**{team: None})
    if known := [*teams_given(user, Permission.READ_WORK), *([user.team_id] if user.team_id else [])]:
        seen |= Q(**{f"{step}pk__in": known})
    if own:
        seen |= Q(**{own: user.pk})
    return queryset.filter(seen)


def find(queryset: Any, **lookup: Any) -> Any:
    """One row of a scoped queryset, or NotFound: absent and forbidden look alike."""
    found = queryset.filter(**lookup).first()
    if found is None:
        raise NotFound("There is no such thing, or it is not yours to see.")
    return found
