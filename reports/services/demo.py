"""The demo centre: its people, its past, the play button and the simulated colleagues."""

import json
import random
import secrets
import urllib.parse
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from crm import fetch, rows
from crm.choices import (
    Audience,
    ChannelKind,
    CodeKind,
    Direction,
    Family,
    InteractionStatus,
    MessageState,
    Role,
)
from crm.errors import Conflict, DomainError
from crm.models import (
    Brand,
    BusinessCalendar,
    Channel,
    ChannelAccount,
    Code,
    Company,
    Customer,
    CustomField,
    Identity,
    Interaction,
    Macro,
    Message,
    PauseReason,
    SlaPolicy,
    StatusName,
    Team,
    Ticket,
    User,
)  # fmt: skip
from crm.services import deliveries, macros, messages
from reports import scenarios
from reports.models import Board
from routing.choices import PresenceState
from routing.models import Agent, AgentSkill, Assignment, Queue, Skill
from routing.services import assignments, presence

ROLES = {"administrator": Role.ADMINISTRATOR}
FAMILIES = {
    ChannelKind.EMAIL: Family.MAIL, ChannelKind.CHAT: Family.CHAT, ChannelKind.PHONE: Family.VOICE,
}  # fmt: skip
PLAYS = ("day", "threads", "languages", "storm", "safety")
PACE = 6.0  # the day of 14 minutes in a little over two
QUESTIONS = 40
COLLEAGUES = [f"agent{number}@example.com" for number in range(3, 9)]


# --- The centre


def seed() -> dict[str, int]:
    """Make the demo centre; a second time only what is missing. Returns what there is."""
    centre = scenarios.centre()
    with transaction.atomic():
        brands = {
            one["slug"]: Brand.objects.get_or_create(slug=one["slug"], defaults={"name": one["name"]})[0]
            for one in centre["brands"]
        }
        teams = {
            one["slug"]: Team.objects.get_or_create(
                slug=one["slug"], defaults={"name": one["name"], "visibility": one["visibility"]}
            )[0]
            for one in centre["teams"]
        }
        skills = {
            one["code"]: Skill.objects.get_or_create(code=one["code"], defaults={"name": one["name"]})[0]
            for one in centre["skills"]
        }
        users = {one["email"]: _person(one, teams, skills) for one in centre["people"]}
        for one in centre["queues"]:
            fields = {name: one[name] for name in ("name", "topics", "targets", "goal", "is_fallback")}
            Queue.objects.get_or_create(slug=one["slug"], defaults={**fields, "team": teams[one["team"]]})
        channels = {one["slug"]: _channel(one, brands) for one in centre["channels"]}
        _codes(centre, users["admin@example.com"])
        _promises()
        for slug, title, families in (
            ("floor", "Customer care, today", []),
            ("social", "Social, today", ["social", "message"]),
        ):
            Board.objects.get_or_create(slug=slug, defaults={"title": title, "families": families})
        if not Customer.objects.exists():
            firms = _companies(centre, users)
            for one in centre["customers"]:
                _customer(one, brands, channels, users, firms)
    register_callbacks()
    return {"users": len(users), "channels": len(channels), "customers": Customer.objects.count()}


def _promises() -> None:
    """Office hours, and what is promised: more to customers of value, around the clock to who cries for help in public."""
    office, _ = BusinessCalendar.objects.get_or_create(
        slug="office",
        defaults={
            "name": "Office hours",
            "zone": "Europe/Berlin",
            "week": {str(day): [["08:00", "20:00"]] for day in range(5)} | {"5": [["09:00", "16:00"]]},
        },
    )
    for slug, name, place, fields in (
        (
            "vip",
            "Customers of value",
            10,
            {"vip_only": True, "first_response": 30, "next_response": 30, "resolution": 480},
        ),
        (
            "public",
            "Public posts",
            20,
            {"channel_kind": ChannelKind.X, "first_response": 60, "next_response": 60},
        ),
        (
            "standard",
            "Everybody",
            90,
            {"calendar": office, "first_response": 240, "next_response": 480, "resolution": 1440},
        ),
    ):
        SlaPolicy.objects.get_or_create(slug=slug, defaults={"name": name, "place": place, **fields})
    for place, (status, name) in enumerate(
        (
            ("waiting_on_us", "With the workshop"),
            ("waiting_on_us", "With accounting"),
            ("waiting_on_customer", "Photo asked for"),
        )
    ):
        StatusName.objects.get_or_create(name=name, defaults={"status": status, "place": place})
    for place, name in enumerate(("A supplier is asked", "A spare part is ordered", "Waiting for a date")):
        PauseReason.objects.get_or_create(name=name, defaults={"place": place})


def _person(one: dict, teams: dict[str, Team], skills: dict[str, Skill]) -> User:
    user = User.objects.filter(email=one["email"]).first()
    if user is not None:
        return user
    admin = one["role"] == Role.ADMINISTRATOR
    user = User.objects.create_user(
        one["email"], settings.DEMO_PASSWORD or None, name=one["name"], role=one["role"], alias=one.get("alias", ""),
        team=teams.get(one.get("team") or "") if one["role"] == Role.AGENT else None, is_staff=admin, is_superuser=admin,
    )  # fmt: skip
    if one["role"] == Role.AGENT:
        agent = Agent.objects.create(user=user, languages=sorted(one["languages"]), capacity=one["capacity"])
        agent.intervals.create(chosen=PresenceState.OFFLINE)
        AgentSkill.objects.bulk_create(
            AgentSkill(agent=agent, skill=skills[code], level=level)
            for code, level in one["skills"].items()
            if code in skills
        )
    return user


def _channel(one: dict, brands: dict[str, Brand]) -> Channel:
    channel, _ = Channel.objects.get_or_create(
        slug=one["slug"],
        defaults={
            "name": one["name"], "kind": one["kind"], "brand": brands[one["brand"]], "connector": "simnet",
            "secret": secrets.token_urlsafe(32), "token": secrets.token_urlsafe(16),
        },
    )  # fmt: skip
    for own in one["own_accounts"]:
        ChannelAccount.objects.get_or_create(
            channel=channel, external_id=own["id"], defaults={"handle": own["handle"], "name": own["name"]}
        )
    return channel


def _codes(centre: dict, by: User) -> None:
    for kind in CodeKind.values:
        for one in centre["codes"][kind]:
            Code.objects.get_or_create(kind=kind, code=one["code"], defaults={"label": one["label"]})
    for one in centre["macros"]:
        _macro(one, by)


def _macro(one: dict, by: User) -> None:
    if Macro.objects.filter(slug=one["slug"]).exists():
        return
    words = {name: one[name] for name in ("slug", "name", "text", "texts", "actions") if name in one}
    situation = {"languages": [one["language"]], **one.get("situation", {})}
    macros.create({**words, "situation": situation}, by=by)


def _companies(centre: dict, users: dict[str, User]) -> dict[str, Company]:
    """Firms, the whole before its parts, with fields of our own; one of those is restricted."""
    for place, one in enumerate(centre["fields"]):
        told = {
            "label": one["label"],
            "kind": one["kind"],
            "restricted": one.get("restricted", False),
            "place": place,
        }
        CustomField.objects.get_or_create(noun=one["noun"], slug=one["slug"], defaults=told)
    firms: dict[str, Company] = {}
    for one in centre["companies"]:
        plain = {name: one[name] for name in ("name", "domain", "note", "fields")}
        owner, parent = users.get(one.get("owner", "")), firms.get(one.get("parent", ""))
        firms[one["key"]] = Company.objects.create(**plain, owner=owner, parent=parent)
    return firms


def _customer(
    one: dict, brands: dict, channels: dict, users: dict[str, User], firms: dict[str, Company]
) -> None:
    now = timezone.now()
    names = ("name", "language", "value", "vip", "public_figure", "verified_before_disclosure", "note")
    company = firms.get(one.get("company", ""))
    customer = Customer.objects.create(**{name: one[name] for name in names}, company=company)
    identities = {
        known["kind"]: Identity.objects.create(
            customer=customer, kind=known["kind"], value=known["value"], handle=known.get("handle", ""),
            name=known.get("name", ""), followers=known.get("followers"), verified=known.get("verified", False),
        )
        for known in one["identities"]
    }  # fmt: skip
    tickets = {entry["ref"]: _ticket(entry, customer, brands, users, now) for entry in one["tickets"]}
    codes = {
        entry["ref"]: (entry.get("reason") or "", entry.get("outcome") or "") for entry in one["tickets"]
    }
    for thread in one["threads"]:
        channel = channels[thread["channel"]]
        known = identities.get(channel.kind) or next(iter(identities.values()))
        _past(thread, channel, tickets[thread["ticket"]], codes[thread["ticket"]], known, users, now)


def _ticket(entry: dict, customer: Customer, brands: dict, users: dict, now: datetime) -> Ticket:
    solved = entry.get("solved_days_ago")
    promise = entry.get("promise") or {}
    return Ticket.objects.create(
        customer=customer, brand=brands[entry["brand"]], subject=entry["subject"][:200], status=entry["status"],
        topic=entry["topic"], owner=users.get(entry["owner"]), opened_at=now - timedelta(days=entry["opened_days_ago"]),
        solved_at=now - timedelta(days=solved) if solved is not None and entry["status"] in ("solved", "closed") else None,
        promise=promise.get("text", "") if promise.get("kept") is not True else "",
        promised_by=now - timedelta(days=promise["by_days_ago"]) if promise and promise.get("kept") is not True else None,
    )  # fmt: skip


def _past(
    thread: dict,
    channel: Channel,
    ticket: Ticket,
    codes: tuple[str, str],
    known: Identity,
    users: dict,
    now: datetime,
) -> None:
    """A contact of the past: closed, with what was said."""
    said = thread["messages"]
    times = [now - timedelta(days=entry["days_ago"]) for entry in said]
    answers = [
        at
        for at, entry in zip(times, said, strict=True)
        if entry["direction"] == Direction.OUTBOUND and at >= times[0]
    ]
    interaction = Interaction.objects.create(
        channel=channel, customer=known.customer, identity=known, ticket=ticket, thread=rows.draw("crm_thread_seq", 1)[0],
        family=FAMILIES.get(channel.kind, Family.SOCIAL if thread["audience"] == Audience.PUBLIC else Family.MESSAGE),
        audience=thread["audience"], status=InteractionStatus.CLOSED, closed_at=times[-1], opened_at=times[0],
        received_at=times[0], first_message_at=times[0], last_message_at=times[-1],
        first_response_at=answers[0] if answers else None, language=known.customer.language, topic=ticket.topic,
        reason=codes[0], outcome=codes[1], assigned_to=ticket.owner,
    )  # fmt: skip
    Message.objects.bulk_create(
        Message(
            channel=channel, interaction=interaction, thread=interaction.thread, direction=entry["direction"],
            audience=Audience.INTERNAL if entry["direction"] == Direction.NOTE else thread["audience"],
            state=MessageState.RECEIVED if entry["direction"] == Direction.INBOUND else MessageState.SENT,
            author=users.get(entry["by"] or ""), identity=known if entry["direction"] == Direction.INBOUND else None,
            author_name=str(users[entry["by"]]) if entry["by"] in users else known.handle or known.name,
            title=thread.get("title", "") if place == 0 else "", text=entry["text"], at=at,
            sent_at=at if entry["direction"] == Direction.OUTBOUND else None,
        )
        for place, (at, entry) in enumerate(zip(times, said, strict=True))
    )  # fmt: skip


# --- The networks


def _simnet(method: str, path: str, data: dict | None = None) -> dict | list | None:
    """Ask the simulated networks; None when they are not there."""
    if not settings.SIMNET_URL:
        return None
    base = settings.SIMNET_URL.rstrip("/")
    try:
        answer = fetch.request(method, base + path, base_url=base, data=data, seconds=3)
    except (DomainError, fetch.FetchError, OSError):
        return None
    return json.loads(answer.body or b"null") if answer.status < 400 else None


def register_callbacks() -> int:
    """Tell the networks where to deliver, and the channels where their network is; returns how many answered."""
    if not settings.SIMNET_URL:
        return 0
    answered = 0
    for channel in Channel.objects.filter(connector="simnet"):
        base = f"{settings.SIMNET_URL.rstrip('/')}/{urllib.parse.quote(channel.slug)}"
        if channel.base_url != base:
            Channel.objects.filter(pk=channel.pk).update(base_url=base)
        given = {
            "network": channel.slug,
            "url": f"http://127.0.0.1:{settings.PORT}/",
            "secret": channel.secret,
            "slug": channel.slug,
        }
        answered += _simnet("POST", "/callbacks", given) is not None
    return answered


def play(names: tuple[str, ...] = PLAYS) -> int:
    """Play scenarios and real questions through the networks' own doors; returns the items."""
    register_callbacks()
    run = secrets.token_hex(3)
    start = timezone.now()
    played = [
        one
        for name in names
        if name in scenarios.names()
        for one in scenarios.scenario(name, run, start, PACE)
    ]
    played += scenarios.asked(QUESTIONS, random.randrange(10**6), run, start, 4.0)
    played.sort(key=lambda one: one[0])
    by_channel: dict[str, list[dict]] = {}
    for _, slug, item in played:
        by_channel.setdefault(slug, []).append(item)
    seconds = max((played[-1][0] - start).total_seconds(), 1.0)
    for slug, items in by_channel.items():
        if _simnet("POST", f"/{slug}/play", {"items": items, "rate": max(0.2, len(items) / seconds)}) is None:
            deliveries.accept(Channel.objects.get(slug=slug), [json.dumps(item).encode() for item in items])
    return len(played)


def stop() -> None:
    """Stop what is being played."""
    for slug in Channel.objects.filter(connector="simnet").values_list("slug", flat=True):
        _simnet("DELETE", f"/{slug}/play")


def playing() -> bool:
    """Whether a scenario is being played now."""
    found = [_simnet("GET", f"/{slug}/play") for slug in ("sim-x", "sim-mail")]
    return any(isinstance(one, dict) and one.get("running") for one in found)


# --- The colleagues


def _switch() -> Path:
    return settings.HOME / "colleagues"


def colleagues(*, on: bool) -> None:
    """Switch the simulated colleagues on or off; off, they finish what they hold."""
    if on:
        _switch().write_text("on\n")
        return
    _switch().unlink(missing_ok=True)
    for agent in (
        Agent.objects.filter(user__email__in=COLLEAGUES)
        .exclude(chosen=PresenceState.OFFLINE)
        .select_related("user")
    ):
        presence.choose(agent, PresenceState.OFFLINE, by=agent.user)


def colleagues_on() -> bool:
    """Whether the colleagues work."""
    return _switch().exists()


def colleagues_turn() -> int:
    """One turn of the colleagues: be there, accept, answer, complete, by the same services as people. Returns the acts."""
    if not colleagues_on():
        return 0
    acts = 0
    for agent in Agent.objects.filter(user__email__in=COLLEAGUES).select_related("user").order_by("pk"):
        if agent.chosen != PresenceState.AVAILABLE or agent.blocked_families:
            presence.choose(agent, PresenceState.AVAILABLE, by=agent.user)
        held = list(
            Assignment.objects.filter(agent=agent, status__in=["offered", "accepted"])
            .select_related("work_item__interaction__channel", "work_item__interaction__identity")
            .order_by("pk")
        )
        for one in held:
            try:
                acts += _act(one, agent.user)
            except (Conflict, DomainError):
                continue  # the item moved on meanwhile; the next turn sees how it is
    presence.beat(
        [user for user in User.objects.filter(email__in=COLLEAGUES).values_list("pk", flat=True)],
        socket=False,
    )
    return acts


def _act(one: Assignment, user: User) -> int:
    now = timezone.now()
    if one.status == "offered":
        if (now - one.offered_at).total_seconds() < 2 + one.pk % 5:
            return 0
        assignments.accept(one.pk, by=user)
        return 1
    held = (now - one.accepted_at).total_seconds()
    interaction = one.work_item.interaction
    answered = interaction.messages.filter(author=user, created_at__gte=one.accepted_at).exists()
    if not answered and held > 6 + one.pk % 9 and interaction.channel.kind != ChannelKind.PHONE:
        form = {ChannelKind.EMAIL: "mail", ChannelKind.CHAT: "chat"}.get(interaction.channel.kind, "public")
        text = scenarios.reply(
            interaction.topic or "general",
            interaction.language or "en",
            interaction.identity.handle or "there",
            form,
            seed=one.pk,
        )
        messages.reply(interaction, by=user, text=text, audience=interaction.audience)
        return 1
    if held > 20 + one.pk % 25:
        reason, outcome = (
            Code.objects.filter(kind=kind, retired=False).order_by("pk") for kind in CodeKind.values
        )
        near = reason.filter(code__startswith=interaction.topic).first() if interaction.topic else None
        assignments.complete(
            one.work_item_id, by=user, reason=(near or reason[0]).code, outcome=outcome[0].code
        )
        return 1
    return 0
