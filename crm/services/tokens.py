"""Tokens of API clients: issued once, kept as digests, recognised while they stand."""

import re
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from crm import rows
from crm.access import Permission, may
from crm.errors import InvalidInput
from crm.models import ApiToken, Team, User
from crm.secrets import digest, new_token
from crm.services import activities

NOUNS = (
    "customers", "identities", "interactions", "messages", "tickets", "mentions", "channels", "deliveries", "queues",
    "skills", "agents", "work-items", "offers", "assignments", "macros", "codes", "teams", "users", "boards", "companies", "tags",
    "custom-fields", "views", "notices", "bulks", "imports", "exports", "simulations", "rights",
)  # fmt: skip
SCOPES = frozenset([f"{noun}:{act}" for noun in NOUNS for act in ("read", "write")]) | {"events:read", "desk"}
TOUCH_SECONDS = 60
# Asked at every request: written out, for the ORM takes longer to put it together than the database to answer.
_STANDING = rows.with_columns(
    """
    SELECT {k}, {u}, {t} FROM crm_apitoken k JOIN crm_user u ON u.id = k.user_id LEFT JOIN crm_team t ON t.id = u.team_id
    WHERE k.digest = %s::text AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.is_active
    """,
    k=ApiToken,
    u=User,
    t=Team,
)
_SHAPE = re.compile(r"ear_[A-Za-z0-9_-]{20,100}")


def issue(
    user: User, *, name: str = "", scopes: list[str] | None = None, lives: timedelta | None = None
) -> str:
    """Make a token and return it: it is never shown again."""
    wanted = sorted(set(scopes or []))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise InvalidInput(
            "Unknown scope.", errors={"scopes": f"{', '.join(unknown)}: is not one of the scopes"}
        )
    if "events:read" in wanted and not may(user, Permission.READ_EVENTS):
        raise InvalidInput(
            "The event feed is only for who may see everything.",
            errors={"scopes": "events:read is not for this user"},
        )
    token = new_token()
    with transaction.atomic():
        kept = ApiToken.objects.create(
            user=user,
            name=name[:100],
            digest=digest(token),
            scopes=wanted,
            expires_at=timezone.now() + lives if lives else None,
        )
        activities.record("token.issued", by=None, token=kept.pk, user=user.pk, scopes=wanted)
    return token


def recognise(token: str) -> ApiToken | None:
    """The token with its user, or None when it is unknown, over, revoked or its user is gone."""
    if not _SHAPE.fullmatch(token):
        return None
    found = rows.kept(_STANDING, (digest(token),))
    if not found:
        return None
    ends = len(ApiToken._meta.concrete_fields), -len(Team._meta.concrete_fields)
    known, user, team = found[0][: ends[0]], found[0][ends[0] : ends[1]], found[0][ends[1] :]
    standing = rows.made(ApiToken, known)
    standing.user = rows.made(User, user)
    standing.user.team = rows.made(Team, team) if team[0] is not None else None
    _touch(standing, timezone.now())
    return standing


def _touch(token: ApiToken, now) -> None:
    """Note the use, at most once a minute: reading must not become writing."""
    before = now - timedelta(seconds=TOUCH_SECONDS)
    if token.last_used_at is None or token.last_used_at < before:
        ApiToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=before), pk=token.pk).update(
            last_used_at=now
        )


def allows(token: ApiToken | None, scopes: tuple[str, ...]) -> bool:
    """Whether a token reaches one of these scopes. No token means a session, and no scopes mean all."""
    return token is None or not token.scopes or any(scope in token.scopes for scope in scopes)


def revoke(token: ApiToken, *, by: User | None) -> None:
    """End a token now."""
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            activities.record("token.revoked", by=by, token=token.pk, user=token.user_id)
