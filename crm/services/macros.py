"""Macros: kept in versions, offered by situation, previewed, and used: answer and acts in one transaction.

An act runs through the same service as its button, so it asks the same rights, obeys the same rules and leaves the same
lines in the history. What the agent saw in the preview is what is used: a macro that was changed meanwhile is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from crm import placeholders
from crm.access import Permission, may, outside_closed, require, sees_everything, teams_given
from crm.choices import LENGTHS, TICKET_MOVES, ChannelKind, MacroReach, TicketPriority, TicketStatus
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.models import (
    Activity,
    Brand,
    Customer,
    Interaction,
    Macro,
    MacroUse,
    MacroVersion,
    Message,
    Tag,
    Team,
    Ticket,
    User,
)
from crm.services import activities, messages, tickets
from crm.services.messages import LONGEST_TEXT

CONDITIONS = ("brands", "channels", "topics", "languages")
SETTABLE = (
    TicketStatus.OPEN, TicketStatus.WAITING_ON_CUSTOMER, TicketStatus.WAITING_ON_US, TicketStatus.SOLVED, TicketStatus.CLOSED,
)  # fmt: skip
LONGEST_SNOOZE = 24 * 90  # hours
MOST_LINES, LONGEST_LINE = 20, 200
MOST_TAGS = 10
ME = "me"
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
# Who tries a text in the editor sees it with these.
EXAMPLE = {
    "customer.name": "Anna Example", "customer.first_name": "Anna", "customer.handle": "@anna", "agent.first_name": "Kim",
    "agent.alias": "^KC", "ticket.number": "1042", "ticket.subject": "Charged twice", "ticket.promised_by": "2026-11-27 12:00",
    "brand.name": "Brand", "channel.name": "Brand on X",
}  # fmt: skip


@dataclass(slots=True)
class Preview:
    """What a macro would say and do in one contact."""

    macro: Macro
    version: MacroVersion
    filled: placeholders.Filled
    limit: int | None
    acts: list[dict[str, str]] = field(default_factory=list)

    @property
    def length(self) -> int:
        """In characters, as the network counts."""
        return len(self.filled.text)

    @property
    def fits(self) -> bool:
        """Whether the channel takes a text so long."""
        return self.limit is None or self.length <= self.limit


# --- Keeping


def create(given: dict[str, Any], *, by: User) -> Macro:
    """A new macro with its first version. `given`: name, slug, situation, reach, team, text, texts, actions, note."""
    head, body = _head(given, by), _body(given)
    slug = given.get("slug") or _free_slug(head["name"])
    if not _SLUG.fullmatch(slug):
        raise _wrong("slug", "has small letters, digits and dashes only, at most 50")
    try:
        with transaction.atomic():
            macro = Macro.objects.create(slug=slug, **head)
            _append(macro, body, by)
            _record("macro.created", macro, by)
    except IntegrityError as error:
        raise Conflict("There is a macro with this key already.", code="slug_taken") from error
    return macro


def edit(macro: Macro, given: dict[str, Any], *, by: User) -> Macro:
    """Change what is named; other words or acts become a new version, and the former ones stay as they were."""
    _may_keep(macro.reach, macro.team, macro.owner, by)
    with transaction.atomic():
        held = Macro.objects.select_for_update().get(pk=macro.pk)
        newest = held.versions.get(number=held.version)
        whole = {
            "name": held.name, "situation": held.situation, "reach": held.reach, "team": held.team,
            "text": newest.text, "texts": newest.texts, "actions": newest.actions, **given,
        }  # fmt: skip
        head, body = _head(whole, by), _body(whole)
        for name, value in head.items():
            setattr(held, name, value)
        held.retired = given.get("retired", held.retired)
        held.save()
        if any(body[name] != getattr(newest, name) for name in ("text", "texts", "actions")):
            _append(held, body, by)
        _record("macro.edited", held, by, fields=sorted(given))
    return held


def go_back(macro: Macro, number: int, *, by: User) -> Macro:
    """Say and do again what a former version did, as a new version."""
    former = macro.versions.filter(number=number).first()
    if former is None:
        raise InvalidInput("There is no such version.", errors={"version": "there is none"})
    words = {"text": former.text, "texts": former.texts, "actions": former.actions}
    return edit(macro, {**words, "note": f"back to version {number}"}, by=by)


def _head(given: dict[str, Any], by: User) -> dict[str, Any]:
    name = str(given.get("name", "")).strip()
    if not 0 < len(name) <= 100 or "\x00" in name:
        raise _wrong("name", "has 1 to 100 characters")
    reach = given.get("reach") or MacroReach.EVERYBODY
    if reach not in MacroReach.values:
        raise _wrong("reach", f"is one of {', '.join(MacroReach.values)}")
    team = given.get("team") if reach == MacroReach.TEAM else None
    owner = by if reach == MacroReach.OWN else None
    if reach == MacroReach.TEAM and team is None:
        raise _wrong("team", "is needed")
    _may_keep(reach, team, owner, by)
    return {
        "name": name,
        "situation": _situation(given.get("situation") or {}),
        "reach": reach,
        "team": team,
        "owner": owner,
    }


def _may_keep(reach: str, team: Team | None, owner: User | None, by: User) -> None:
    """Own ones are everybody's to keep; a team's and everybody's are kept by supervisors and administrators."""
    if reach == MacroReach.OWN:
        require(by, Permission.REPLY)
        if owner is not None and owner.pk != by.pk:
            raise NotAllowed("This macro is somebody's own.")
        return
    leads = teams_given(by, Permission.SUPERVISE)
    if not may(by, Permission.SUPERVISE) and (team is None or team.pk not in leads):
        raise NotAllowed("Macros for others are kept by supervisors; yours may be your own.")
    if team is not None and team.pk not in (by.team_id, *leads) and not sees_everything(by):
        raise NotAllowed("This macro is another team's.")


def may_keep(macro: Macro, by: User) -> bool:
    """Whether somebody may change this macro."""
    try:
        _may_keep(macro.reach, macro.team, macro.owner, by)
    except NotAllowed:
        return False
    return True


def _situation(given: dict[str, Any]) -> dict[str, list[str]]:
    if unknown := set(given) - set(CONDITIONS):
        raise _wrong(
            "situation", f"asks for {', '.join(CONDITIONS)}, not for {', '.join(sorted(map(str, unknown)))}"
        )
    asked = {}
    for name in CONDITIONS:
        words = given.get(name) or []
        if not isinstance(words, list) or len(words) > 50 or not all(isinstance(one, str) for one in words):
            raise _wrong("situation", f"{name}: a list of at most 50 words")
        asked[name] = sorted({one.strip() for one in words if one.strip()})
        if any(len(one) > 50 or "\x00" in one for one in asked[name]):
            raise _wrong("situation", f"{name}: words of at most 50 characters")
    if odd := set(asked["channels"]) - set(ChannelKind.values):
        raise _wrong("situation", f"there is no channel {', '.join(sorted(odd))}")
    there = set(Brand.objects.filter(slug__in=asked["brands"]).values_list("slug", flat=True))
    if odd := set(asked["brands"]) - there:
        raise _wrong("situation", f"there is no brand {', '.join(sorted(odd))}")
    return asked


def _body(given: dict[str, Any]) -> dict[str, Any]:
    text = _text("text", given.get("text") or "")
    texts = given.get("texts") or {}
    if not isinstance(texts, dict):
        raise _wrong("texts", "is an object of texts by kind of channel")
    if odd := set(texts) - set(ChannelKind.values):
        raise _wrong("texts", f"there is no channel {', '.join(sorted(map(str, odd)))}")
    kept = {kind: _text(f"texts.{kind}", words) for kind, words in sorted(texts.items())}
    actions = _actions(given.get("actions") or {})
    if not text and not any(kept.values()) and not actions:
        raise _wrong("text", "says nothing, and nothing is done")
    return {
        "text": text, "texts": {kind: words for kind, words in kept.items() if words}, "actions": actions,
        "note": str(given.get("note", "")).replace("\x00", "").strip()[:200],
    }  # fmt: skip


def _text(name: str, text: Any) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_TEXT or "\x00" in text:
        raise _wrong(name, f"is a text of at most {LONGEST_TEXT} characters")
    if problem := placeholders.problem_of(text):
        raise _wrong(name, problem)
    return text.strip()


def _actions(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _wrong("actions", "is an object")
    checked = {}
    for name, value in given.items():
        if name not in _CHECKS:
            raise _wrong("actions", f"there is no act {str(name)[:40]}; there are {', '.join(_CHECKS)}")
        if value not in (None, "", []):
            checked[name] = _CHECKS[name](value)
    if "priority" in checked and not checked.get("priority_reason"):
        raise _wrong("actions", "another priority needs a priority_reason")
    if "priority" not in checked:
        checked.pop("priority_reason", None)
    return {name: checked[name] for name in _CHECKS if name in checked}


def _one_of(name: str, values: Any) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in list(values):
            raise _wrong("actions", f"{name} is one of {', '.join(map(str, values))}")
        return str(value)

    return check


def _words(name: str, longest: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value.strip()) > longest or "\x00" in value:
            raise _wrong("actions", f"{name} has at most {longest} characters")
        return value.strip()

    return check


def _lines(name: str, most: int, longest: int) -> Callable[[Any], list[str]]:
    def check(value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > most:
            raise _wrong("actions", f"{name} has at most {most} lines")
        return [line for line in (_words(name, longest)(one) for one in value) if line]

    return check


def _team_slug(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value or not Team.objects.filter(slug=value).exists():
        raise _wrong("actions", "there is no such team")
    return value


def _owner(value: Any) -> str | int:
    if value == ME:
        return ME
    if (
        type(value) is not int
        or not 0 < value < 2**63
        or not User.objects.filter(pk=value, is_active=True).exists()
    ):
        raise _wrong("actions", 'owner is "me" or the id of somebody who works here')
    return value


def _tags(value: Any) -> list[str]:
    slugs = _lines("tags", MOST_TAGS, 50)(value)
    there = set(Tag.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    if odd := set(slugs) - there:
        raise _wrong("actions", f"there is no tag {', '.join(sorted(odd))}")
    return sorted(there)


def _hours(value: Any) -> int:
    if type(value) is not int or not 0 < value <= LONGEST_SNOOZE:
        raise _wrong("actions", f"snooze_hours is a whole number from 1 to {LONGEST_SNOOZE}")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "status": _one_of("status", SETTABLE),
    "priority": _one_of("priority", TicketPriority.values),
    "priority_reason": _words("priority_reason", 200),
    "topic": _words("topic", 30),
    "team": _team_slug,
    "owner": _owner,
    "tags": _tags,
    "snooze_hours": _hours,
    "checklist": _lines("checklist", MOST_LINES, LONGEST_LINE),
    "note": lambda value: _text("actions.note", value),
}
ACTS = tuple(_CHECKS)


def _wrong(name: str, problem: str) -> InvalidInput:
    return InvalidInput("The macro cannot be kept so.", errors={name: problem})


def _free_slug(name: str) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40] or "macro"
    taken = set(Macro.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(one for one in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)


def _append(macro: Macro, body: dict[str, Any], by: User) -> MacroVersion:
    macro.version += 1
    macro.save(update_fields=["version"])
    return MacroVersion.objects.create(macro=macro, number=macro.version, by=by, **body)


def _record(verb: str, macro: Macro, by: User, **data: object) -> None:
    Activity.objects.create(actor=by, verb=verb, data={"macro": macro.slug, "version": macro.version, **data})


# --- Offering


def situation_of(interaction: Interaction) -> dict[str, str]:
    """What conditions ask of a contact; empty: not known."""
    return {
        "brands": interaction.channel.brand.slug,
        "channels": interaction.channel.kind,
        "topics": interaction.ticket.topic or interaction.topic,
        "languages": interaction.language or interaction.customer.language,
    }


def latest_contact(ticket: Ticket, by: User) -> Interaction | None:
    """The contact through which a ticket would be answered."""
    seen = Interaction.objects.visible_to(by).filter(ticket=ticket, folded_into=None)
    return (
        seen.select_related("channel__brand", "customer", "identity", "ticket")
        .order_by("-last_message_at")
        .first()
    )


def text_for(version: MacroVersion, kind: str) -> str:
    """The words for a kind of channel, before their variables are filled."""
    return version.texts.get(kind) or version.text


def values_of(interaction: Interaction, by: User) -> dict[str, str]:
    """What the variables stand for in a contact, when this person answers."""
    customer, ticket, identity = interaction.customer, interaction.ticket, interaction.identity
    first = by.name.partition(" ")[0]
    handle = (
        f"@{identity.handle.lstrip('@')}"
        if identity.handle and interaction.family == "social"
        else identity.value
    )
    promised = ticket.promised_by
    return {
        "customer.name": customer.name,
        "customer.first_name": customer.name.partition(" ")[0],
        "customer.handle": handle,
        "agent.first_name": first,
        "agent.alias": by.alias or first,
        "ticket.number": str(ticket.number),
        "ticket.subject": ticket.subject,
        "ticket.promised_by": f"{promised:%Y-%m-%d %H:%M} UTC" if promised else "",
        "brand.name": interaction.channel.brand.name,
        "channel.name": interaction.channel.name,
    }


def preview(macro: Macro, interaction: Interaction, *, by: User) -> Preview:
    """What it would say here, what is missing, and what each act would do or why it cannot."""
    version = macro.versions.get(number=macro.version)
    kind = interaction.channel.kind
    filled = placeholders.fill(text_for(version, kind), values_of(interaction, by))
    acts = _foreseen(version.actions, interaction, by)
    return Preview(macro, version, filled, LENGTHS.get(kind), acts)


def attempt(text: str, texts: dict[str, str]) -> list[dict[str, Any]]:
    """How a text that is being written would look on each kind of channel, with values of an invented customer."""
    shown = []
    for kind in ("", *sorted(texts)):
        words = texts.get(kind) or text if kind else text
        problem = placeholders.problem_of(words)
        filled = words if problem else placeholders.fill(words, EXAMPLE).text
        limit = LENGTHS.get(kind)
        shown.append(
            {
                "channel": kind, "text": filled, "problem": problem, "length": len(filled), "limit": limit,
                "fits": limit is None or len(filled) <= limit,
            }
        )  # fmt: skip
    return shown


def _foreseen(actions: dict[str, Any], interaction: Interaction, by: User) -> list[dict[str, str]]:
    """Each act in words, and what stands in its way."""
    ticket, shown = interaction.ticket, []
    needs = {"note": Permission.NOTE}
    for name, value in actions.items():
        if name == "priority_reason":
            continue
        problem = ""
        if not may(by, needs.get(name, Permission.CLOSE), interaction):
            problem = "your role does not include this"
        elif name == "status" and value != ticket.status and value not in TICKET_MOVES[ticket.status]:
            problem = (
                f"a ticket that is {ticket.status.replace('_', ' ')} cannot become {value.replace('_', ' ')}"
            )
        elif name == "snooze_hours" and actions.get("status", ticket.status) in (
            TicketStatus.SOLVED,
            TicketStatus.CLOSED,
        ):
            problem = "what is over needs no sleep"
        shown.append({"do": name, "says": _said(name, value, ticket, interaction, by), "problem": problem})
    return shown


def _said(name: str, value: Any, ticket: Ticket, interaction: Interaction, by: User) -> str:
    if name == "status":
        return f"status {ticket.status.replace('_', ' ')} → {value.replace('_', ' ')}"
    if name == "priority":
        return f"priority {ticket.priority} → {value}"
    if name == "owner":
        owner = by if value == ME else User.objects.filter(pk=value).first()
        return f"owner → {owner}"
    if name == "team":
        return f"team → {Team.objects.filter(slug=value).first() or value}"
    if name == "tags":
        return f"tags + {', '.join(value)}"
    if name == "snooze_hours":
        return f"sleeps {value} h"
    if name == "checklist":
        return f"checklist + {len(value)}"
    if name == "note":
        return f"note: {placeholders.fill(value, values_of(interaction, by)).text[:80]}"
    return f"{name} → {value}"


# --- Using


def use(
    macro: Macro,
    interaction: Interaction,
    *,
    by: User,
    version: int,
    text: str | None = None,
    audience: str | None = None,
    without: tuple[str, ...] = (),
    idempotency_key: str | None = None,
) -> MacroUse:
    """Answer with `text`, as the agent left it, and run the acts: all of it or nothing.

    Without a text only the acts run. `without` names acts that the agent took out. A version that is not the newest any more
    is a Conflict, for what he saw is not what would be done; the same key again is the same use.
    """
    with transaction.atomic():
        interaction, ticket = _held(interaction)
        if message := _said_before(by, text, idempotency_key):
            return message.macro_use
        told = macro.versions.get(number=macro.version)
        if macro.retired or told.number != version:
            raise Conflict(
                "This macro was changed meanwhile; look at it again.",
                code="version_moved",
                version=told.number,
            )
        message = None
        if text is not None:
            require(by, Permission.REPLY, interaction)
            message = messages.reply(
                interaction, by=by, text=text, audience=audience, idempotency_key=idempotency_key
            )
        actions = {name: value for name, value in told.actions.items() if name not in without}
        _run(actions, interaction, ticket, by)
        used = MacroUse.objects.create(
            version=told, interaction=interaction, ticket=ticket, message=message, by=by
        )
        activities.record(
            "macro.used", by=by, interaction_id=interaction.pk, macro=macro.slug, version=told.number,
            acts=sorted(actions), **({"message": message.pk} if message else {}),
        )  # fmt: skip
        Macro.objects.filter(pk=macro.pk).update(uses=F("uses") + 1, used_at=timezone.now())
    return used


def _held(interaction: Interaction) -> tuple[Interaction, Ticket]:
    """Customer, contact and ticket, locked in the order in which the threads and the answers lock them."""
    Customer.objects.select_for_update(no_key=True).get(pk=interaction.customer_id)
    held = Interaction.objects.select_for_update(no_key=True, of=("self",)).get(pk=interaction.pk)
    while held.folded_into_id is not None:
        held = Interaction.objects.select_for_update(no_key=True, of=("self",)).get(pk=held.folded_into_id)
    ticket = Ticket.objects.select_for_update(no_key=True, of=("self",)).get(pk=held.ticket_id)
    return Interaction.objects.select_related("channel__brand", "customer", "identity", "ticket").get(
        pk=held.pk
    ), ticket


def _said_before(by: User, text: str | None, idempotency_key: str | None) -> Message | None:
    if text is None or not idempotency_key:
        return None
    return Message.objects.filter(
        idempotency_key=messages.key_of(by, idempotency_key), macro_use__isnull=False
    ).first()


def _run(actions: dict[str, Any], interaction: Interaction, ticket: Ticket, by: User) -> None:
    """The note stands last: it tells the streams of the contact."""
    if set(actions) - {"note"}:
        require(by, Permission.CLOSE, interaction)
    for line in actions.get("checklist", ()):
        tickets.add_to_checklist(ticket, text=line, by=by)
    if changes := _changes(actions, by):
        tickets.edit(ticket, changes, by=by)
    if slugs := actions.get("tags"):
        tickets.tag(ticket, list(Tag.objects.filter(slug__in=slugs)), by=by)
    if hours := actions.get("snooze_hours"):
        tickets.snooze(ticket, until=_in(hours), by=by)
    if words := actions.get("note"):
        require(by, Permission.NOTE, interaction)
        filled = placeholders.fill(words, values_of(interaction, by))
        if filled.missing:
            raise InvalidInput(
                "The note has gaps.",
                code="unfilled",
                errors={"note": f"no value for {', '.join(filled.missing)}"},
            )
        messages.note(interaction, by=by, text=filled.text)


def _changes(actions: dict[str, Any], by: User) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in ("status", "priority", "priority_reason", "topic"):
        if name in actions:
            changes[name] = actions[name]
    if "owner" in actions:
        owner = (
            by if actions["owner"] == ME else User.objects.filter(pk=actions["owner"], is_active=True).first()
        )
        if owner is None:
            raise Conflict("The owner that the macro names does not work here any more.", code="owner_gone")
        changes["owner"] = owner
    if "team" in actions:
        changes["team"] = Team.objects.get(slug=actions["team"])
    return changes


def _in(hours: int) -> datetime:
    return timezone.now() + timedelta(hours=hours)


def known_teams(by: User) -> Any:
    """The teams that somebody may name."""
    return outside_closed(Team.objects.order_by("name"), by, "")
