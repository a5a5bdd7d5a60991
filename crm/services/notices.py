"""Calling colleagues in notes by `@name` and `@team`, and telling them.

A name counts when it is written out after an @ as it stands among the people that the writer may know (`@Ana Garcia`,
`@Billing`, or somebody's mail address where two share a name). Anything else after an @ is just words, such as a
customer's handle. Who may not see the contact is not told of it: the note is refused and says who it is.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils import timezone

from crm import rows
from crm.access import outside_closed
from crm.choices import NoticeKind, Role
from crm.errors import InvalidInput
from crm.models import Interaction, Message, NoteMention, Notice, Team, User
from crm.services import interactions

MOST_CALLED = 20  # people and teams in one note
MOST_TOLD = 200  # people by one note
SUGGESTED = 8
_CALLED_PEOPLE = """
SELECT id FROM crm_user WHERE is_active AND role <> 'api_client' AND (
    (name <> '' AND position('@' || lower(name) IN lower(%s)) > 0) OR position('@' || lower(email) IN lower(%s)) > 0)
"""
_CALLED_TEAMS = """
SELECT id FROM crm_team WHERE position('@' || lower(name) IN lower(%s)) > 0 OR position('@' || slug IN lower(%s)) > 0
"""


@dataclass(slots=True)
class Called:
    """Whom a note calls, and who is told for it: user id to the team by which he was called, None when by name."""

    people: list[User] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)
    told: dict[int, int | None] = field(default_factory=dict)


def called_in(text: str, interaction: Interaction, *, by: User) -> Called:
    """Whom these words call; InvalidInput names who may not see the contact, or what is not clear."""
    if "@" not in text:
        return Called()
    people, teams = _named(text, by)
    if len(people) + len(teams) > MOST_CALLED:
        raise _refused(f"a note calls at most {MOST_CALLED} people and teams")
    members = list(User.objects.filter(team__in=teams, is_active=True).exclude(role=Role.API_CLIENT))
    seeing = who_sees(interaction, [*people, *members])
    if blind := [str(one) for one in people if one.pk not in seeing]:
        raise _refused(f"{', '.join(blind)} may not see this contact")
    if blind := [
        team.name for team in teams if not any(one.team_id == team.pk and one.pk in seeing for one in members)
    ]:
        raise _refused(f"nobody of {', '.join(blind)} may see this contact")
    told = {one.pk: one.team_id for one in members if one.pk in seeing} | {one.pk: None for one in people}
    told.pop(by.pk, None)
    if len(told) > MOST_TOLD:
        raise _refused(f"that would tell {len(told)} people; at most {MOST_TOLD} are told by one note")
    return Called(people, teams, told)


def _refused(problem: str) -> InvalidInput:
    return InvalidInput(
        f"The note was not saved: {problem}.", code="cannot_be_told", errors={"text": problem}
    )


def _named(text: str, by: User) -> tuple[list[User], list[Team]]:
    """Longest names first, each place of the text counted once: `@Ana Garcia` does not call `Ana`."""
    ids = [row[0] for row in rows.run(_CALLED_PEOPLE, (text, text))]
    people = list(outside_closed(User.objects.filter(pk__in=ids), by, "team", own="pk"))
    ids = [row[0] for row in rows.run(_CALLED_TEAMS, (text, text))]
    teams = list(outside_closed(Team.objects.filter(pk__in=ids), by, ""))
    meant: dict[str, list] = defaultdict(list)
    for one in people:
        for word in {one.name.casefold(), one.email.casefold()} - {""}:
            meant[word].append(one)
    for team in teams:
        for word in {team.name.casefold(), team.slug}:
            meant[word].append(team)
    if not meant:
        return [], []
    words = sorted(meant, key=len, reverse=True)
    pattern = re.compile(r"(?<![\w@])@(" + "|".join(map(re.escape, words)) + r")(?!\w)")
    found: dict[tuple[type, int], User | Team] = {}
    for word in pattern.findall(text.casefold()):
        if len(meant[word]) > 1:
            ways = ", ".join(
                f"@{one.email}" if isinstance(one, User) else f"@{one.slug}" for one in meant[word]
            )
            raise _refused(f"@{word} could be several; write {ways}")
        one = meant[word][0]
        found[type(one), one.pk] = one
    chosen = list(found.values())
    return [one for one in chosen if isinstance(one, User)], [one for one in chosen if isinstance(one, Team)]


def who_sees(interaction: Interaction, people: list[User]) -> set[int]:
    """Ids of those who may read a contact; asked once for each role, team and reach, whoever holds it apart."""
    groups: dict[tuple, list[User]] = defaultdict(list)
    for one in people:
        alike = (one.role, one.team_id, repr(sorted(one.reach.items())))
        key = alike if one.pk != interaction.assigned_to_id else ("", one.pk)
        groups[key].append(one)
    seeing: set[int] = set()
    for group in groups.values():
        if Interaction.objects.visible_to(group[0]).filter(pk=interaction.pk).exists():
            seeing |= {one.pk for one in group}
    return seeing


def suggested(words: str, interaction: Interaction, *, by: User) -> list[dict[str, object]]:
    """Whom a writer may call here, by the beginning of a word of the name: people, then teams."""
    begins = Q(name__istartswith=words) | Q(name__icontains=f" {words}")
    if "@" in words:
        begins |= Q(email__istartswith=words)
    people = User.objects.filter(begins, is_active=True).exclude(role=Role.API_CLIENT)
    people = list(
        outside_closed(people.exclude(pk=by.pk), by, "team", own="pk").order_by("name", "pk")[: SUGGESTED * 5]
    )
    seeing = who_sees(interaction, people)
    names = [one.name.casefold() for one in people]
    shown: list[dict[str, object]] = [
        {"kind": "user", "id": one.pk, "name": str(one), "hint": one.team.name if one.team else "",
         "insert": f"@{one.name if one.name and names.count(one.name.casefold()) == 1 else one.email}"}
        for one in people
        if one.pk in seeing
    ]  # fmt: skip
    named = Q(name__istartswith=words) | Q(name__icontains=f" {words}") | Q(slug__istartswith=words)
    teams = outside_closed(Team.objects.filter(named), by, "").order_by("name")
    shown += [
        {"kind": "team", "id": one.pk, "name": one.name, "hint": "team", "insert": f"@{one.name}"}
        for one in teams[:SUGGESTED]
    ]
    return shown[:SUGGESTED]


def tell(message: Message, called: Called, *, by: User) -> None:
    """Keep who was called and tell them; the last statements of the note's transaction."""
    NoteMention.objects.bulk_create(
        [NoteMention(message=message, user=one) for one in called.people]
        + [NoteMention(message=message, team=one) for one in called.teams]
    )
    if not called.told:
        return
    made = Notice.objects.bulk_create(
        [
            Notice(user_id=user, team_id=team, interaction_id=message.interaction_id, message=message, by=by)
            for user, team in sorted(called.told.items())
        ]
    )
    interactions.tell(
        [
            (
                stream_of(one.user_id),
                "notice.made",
                {"notice": one.pk, "interaction": one.interaction_id, "by": str(by)},
            )
            for one in made
        ]
    )


def ask_to_release(message: Message, coach: int, *, by: User) -> list[tuple[str, str, dict]]:
    """A coach is told that an answer waits for him; returns what is to be told, for the caller's last statement."""
    made = Notice.objects.create(
        user_id=coach, kind=NoticeKind.RELEASE, interaction_id=message.interaction_id, message=message, by=by
    )
    said = {"notice": made.pk, "interaction": message.interaction_id, "by": str(by)}
    return [(stream_of(coach), "notice.made", said)]


def stream_of(user_id: int) -> str:
    """Where somebody hears of his notices."""
    return f"notices:{user_id}"


def unread(user: User) -> int:
    """How many wait."""
    return Notice.objects.visible_to(user).filter(read_at=None).count()


def read(user: User, notice_ids: list[int] | None = None) -> int:
    """Mark some, or all, as read; his other tabs hear of it. Returns how many were unread."""
    waiting = Notice.objects.filter(user=user, read_at=None)
    if notice_ids is not None:
        waiting = waiting.filter(pk__in=notice_ids)
    marked = waiting.update(read_at=timezone.now())
    if marked:
        interactions.tell([(stream_of(user.pk), "notice.read", {"count": marked})])
    return marked
