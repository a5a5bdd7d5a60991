"""Sets of rights beside the six that roles are, and who was given which within what scope.

A person's rights are his role's set and his grants. The gate (`crm/access.py`) never reads grants: they are added up here into
the person's own row (`User.reach`), in the transaction that changes them, so that asking costs no statement.
"""

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from crm import rows
from crm.access import EVERYWHERE, GRANTS, SCOPED, Permission, by_role, granted, require, sees_everything
from crm.choices import Role, Scope
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.models import Brand, Grant, RightSet, Team, User
from crm.services import activities

# What a grant of a built-in set gives, as the database reads it: our own words only.
_BUILT_IN = rows.as_json({role.value: sorted(GRANTS[role]) for role in Role})
_SCOPED_WORDS = "{" + ",".join(sorted(SCOPED)) + "}"

# Where which right was given to whom: {right: {all, own, teams, brands}}. Rights of the whole house count everywhere only.
REACH = f"""
SELECT user_id, jsonb_object_agg(right_word, jsonb_strip_nulls(jsonb_build_object(
    'all', everywhere, 'own', own, 'teams', teams, 'brands', brands))) AS reach
FROM (
    SELECT g.user_id, r.word AS right_word,
        CASE WHEN bool_or(g.scope = 'everywhere') THEN true END AS everywhere,
        CASE WHEN bool_or(g.scope = 'own') THEN true END AS own,
        jsonb_agg(DISTINCT g.team_id) FILTER (WHERE g.team_id IS NOT NULL) AS teams,
        jsonb_agg(DISTINCT g.brand_id) FILTER (WHERE g.brand_id IS NOT NULL) AS brands
    FROM crm_grant g LEFT JOIN crm_rightset s ON s.id = g.right_set_id
    CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE WHEN s.id IS NULL THEN '{_BUILT_IN}'::jsonb -> g.role WHEN s.retired THEN '[]'::jsonb ELSE s.rights END
    ) AS r(word)
    WHERE g.ended_at IS NULL AND (g.scope = 'everywhere' OR r.word = ANY('{_SCOPED_WORDS}'::text[]))
    GROUP BY g.user_id, r.word
) given GROUP BY user_id
"""  # noqa: S608 - our own words
UNSETTLED = f"""
SELECT u.id FROM crm_user u LEFT JOIN ({REACH}) n ON n.user_id = u.id
WHERE u.reach IS DISTINCT FROM coalesce(n.reach, '{{}}'::jsonb)
"""  # noqa: S608 - our own words
_SETTLE = f"""
UPDATE crm_user u SET reach = coalesce(n.reach, '{{}}'::jsonb)
FROM crm_user o LEFT JOIN ({REACH}) n ON n.user_id = o.id
WHERE u.id = o.id AND u.reach IS DISTINCT FROM coalesce(n.reach, '{{}}'::jsonb)
"""  # noqa: S608 - our own words
ADMINISTERS = "There must be somebody who may administer: this is the last one."


def settle() -> None:
    """Add everybody's grants up again; also when what built-in sets hold came with a new version."""
    with transaction.atomic():
        _alone()
        rows.run(_SETTLE)


def _alone() -> None:
    """Rights are changed one at a time, so that what two add up, or take from the last two administrators, cannot cross."""
    rows.run("SELECT pg_advisory_xact_lock(hashtext('crm.rights'))")


# --- Sets


def _read(rights: Iterable[str]) -> list[str]:
    wanted = sorted(set(rights))
    unknown = [one for one in wanted if one not in set(Permission)]
    if unknown or not wanted:
        said = f"{', '.join(unknown)}: is no right" if unknown else "a set holds at least one right"
        raise InvalidInput("These are no rights.", errors={"rights": said})
    return wanted


def _named(name: str, but: int | None = None) -> str:
    name = " ".join(name.split())
    taken = {role.label.lower() for role in Role}
    if not 0 < len(name) <= 60:
        raise InvalidInput("A set has a name.", errors={"name": "is a text of 1 to 60 characters"})
    if name.lower() in taken or RightSet.objects.filter(name__iexact=name).exclude(pk=but).exists():
        raise InvalidInput("There is such a set.", errors={"name": "is taken"})
    return name


def make_set(*, name: str, rights: Iterable[str], by: User, note: str = "") -> RightSet:
    """A set of the organisation's own. Nobody puts into it what he has not himself."""
    require(by, Permission.CONFIGURE)
    wanted = _read(rights)
    _no_more_than_own(by, wanted, Scope.EVERYWHERE)
    with transaction.atomic():
        _alone()
        made = RightSet.objects.create(name=_named(name), rights=wanted, note=note.strip()[:200])
        activities.record("rights.set_made", by=by, set=made.pk, name=made.name, rights=wanted)
    return made


def edit_set(right_set: RightSet, changes: dict[str, Any], *, by: User) -> RightSet:
    """Change name, note, rights or `retired`; whoever has it feels it within seconds."""
    require(by, Permission.CONFIGURE)
    with transaction.atomic():
        _alone()
        kept = RightSet.objects.select_for_update().get(pk=right_set.pk)
        before = {"name": kept.name, "note": kept.note, "rights": kept.rights, "retired": kept.retired}
        if "name" in changes:
            kept.name = _named(changes["name"], but=kept.pk)
        if "note" in changes:
            kept.note = changes["note"].strip()[:200]
        if "rights" in changes:
            kept.rights = _read(changes["rights"])
        kept.retired = bool(changes.get("retired", kept.retired))
        gained = (
            set(kept.rights)
            if before["retired"] and not kept.retired
            else set(kept.rights) - set(before["rights"])
        )
        _no_more_than_own(by, gained, Scope.EVERYWHERE)
        after = {"name": kept.name, "note": kept.note, "rights": kept.rights, "retired": kept.retired}
        changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        if changed:
            kept.save()
            settle()
            _somebody_administers()
            activities.record("rights.set_changed", by=by, set=kept.pk, name=kept.name, changed=changed)
    return kept


# --- Grants


def give(
    user: User,
    *,
    by: User,
    scope: str,
    right_set: RightSet | None = None,
    role: str = "",
    team: Team | None = None,
    brand: Brand | None = None,
) -> Grant:
    """Give a set within a scope. NotAllowed: more than the giver has himself there. 409 `given_already`."""
    require(by, Permission.CONFIGURE)
    _check_scope(scope, team, brand)
    wanted = counted(_rights_of(right_set, role), scope)
    if not wanted:
        raise InvalidInput(
            "Nothing of this set can be held within a scope.", errors={"scope": "give this set everywhere"}
        )
    _no_more_than_own(by, wanted, scope, team, brand)
    try:
        with transaction.atomic():
            _alone()
            made = Grant.objects.create(
                user=user, right_set=right_set, role=role, scope=scope, team=team, brand=brand, by=by
            )
            settle()
            activities.record("rights.given", by=by, **_told(made))
    except IntegrityError:
        raise Conflict("This person has this set there already.", code="given_already") from None
    return made


def take(grant: Grant, *, by: User) -> Grant:
    """Take a set away again; 409 `taken_already`, `last_administrator`."""
    require(by, Permission.CONFIGURE)
    with transaction.atomic():
        _alone()
        kept = Grant.objects.select_for_update(of=("self",)).get(pk=grant.pk)
        if kept.ended_at is not None:
            raise Conflict("This was taken away before.", code="taken_already")
        kept.ended_at, kept.ended_by = timezone.now(), by
        kept.save(update_fields=["ended_at", "ended_by"])
        settle()
        _somebody_administers()
        activities.record("rights.taken", by=by, **_told(kept))
    return kept


def counted(rights: Iterable[str], scope: str) -> list[str]:
    """What of a set counts within a scope: rights of the whole house are held everywhere or not at all."""
    return sorted(one for one in rights if scope == Scope.EVERYWHERE or one in SCOPED)


def _rights_of(right_set: RightSet | None, role: str) -> list[str]:
    if (right_set is None) == (not role):
        raise InvalidInput("Which set?", errors={"set": "name a set, or a role, and not both"})
    if right_set is None:
        if role not in Role.values:
            raise InvalidInput("Which set?", errors={"role": "is no role"})
        return sorted(GRANTS[Role(role)])
    if right_set.retired:
        raise InvalidInput("This set is retired.", errors={"set": "is retired"})
    return list(right_set.rights)


def _check_scope(scope: str, team: Team | None, brand: Brand | None) -> None:
    errors = {}
    if scope not in Scope.values:
        errors["scope"] = f"is one of {', '.join(Scope.values)}"
    if (scope == Scope.TEAM) != (team is not None):
        errors["team"] = "goes with the scope team"
    if (scope == Scope.BRAND) != (brand is not None):
        errors["brand"] = "goes with the scope brand"
    if errors:
        raise InvalidInput("Over what?", errors=errors)


def _told(grant: Grant) -> dict[str, Any]:
    return {
        "grant": grant.pk, "user": grant.user_id, "set": grant.right_set_id, "role": grant.role, "scope": grant.scope,
        "team": grant.team_id, "brand": grant.brand_id,
    }  # fmt: skip


# --- People


def change_person(user: User, changes: dict[str, Any], *, by: User) -> User:
    """Change role, team or `is_active`. NotAllowed: of or into more than one has oneself; 409 `last_administrator`."""
    require(by, Permission.CONFIGURE)
    with transaction.atomic():
        _alone()
        kept = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
        before = {"role": kept.role, "team": kept.team_id, "is_active": kept.is_active}
        require_over(by, kept)
        kept.role = changes.get("role", kept.role)
        if kept.role not in Role.values:
            raise InvalidInput("Which role?", errors={"role": "is no role"})
        if "team" in changes:
            kept.team = changes["team"]
        kept.is_active = changes.get("is_active", kept.is_active)
        # Django's own flags follow the role, so that there is one truth.
        kept.is_staff = kept.is_superuser = kept.role == Role.ADMINISTRATOR
        require_over(by, kept)
        after = {"role": kept.role, "team": kept.team_id, "is_active": kept.is_active}
        changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        if changed:
            kept.save(update_fields=["role", "team", "is_active", "is_staff", "is_superuser"])
            _somebody_administers()
            activities.record("person.changed", by=by, user=kept.pk, changed=changed)
    return kept


def tell_new(user: User, *, by: User) -> None:
    """The line of history of somebody who was let in."""
    activities.record("person.added", by=by, user=user.pk, role=user.role, team=user.team_id)


def require_over(by: User, user: User) -> None:
    """Refuse to touch the rights of who has more than one has oneself: his password and tokens are his rights too."""
    if by.role == Role.ADMINISTRATOR or by.pk == user.pk and by.role == user.role:
        return
    _no_more_than_own(by, GRANTS[Role(user.role)], Scope.EVERYWHERE)
    for word, given in user.reach.items():
        if given.get(EVERYWHERE):
            _no_more_than_own(by, [word], Scope.EVERYWHERE)


def _no_more_than_own(
    by: User, rights: Iterable[str], scope: str, team: Team | None = None, brand: Brand | None = None
) -> None:
    missing = [one for one in sorted(rights) if not _has(by, Permission(one), scope, team, brand)]
    if missing:
        words = ", ".join(one.replace("_", " ") for one in missing)
        raise NotAllowed(f"Nobody gives what he has not himself: {words}.", code="more_than_own")


def _has(by: User, permission: Permission, scope: str, team: Team | None, brand: Brand | None) -> bool:
    """Whether a person has a right over all that a scope spans."""
    given = granted(by, permission)
    if EVERYWHERE in given:
        return True
    if by_role(by, permission):
        if permission not in SCOPED or sees_everything(by) or scope == Scope.OWN:
            return True
        if team is not None and team.pk == by.team_id:
            return True
    return (team is not None and team.pk in given.get("teams", ())) or (
        brand is not None and brand.pk in given.get("brands", ())
    )


def _somebody_administers() -> None:
    """Refuse what would leave nobody who may administer."""
    held = User.objects.filter(is_active=True)
    by_grant = {f"reach__{Permission.CONFIGURE}__has_key": EVERYWHERE}
    if not (held.filter(role=Role.ADMINISTRATOR).exists() or held.filter(**by_grant).exists()):
        raise Conflict(ADMINISTERS, code="last_administrator")
