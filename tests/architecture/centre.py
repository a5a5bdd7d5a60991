"""A small centre with two closed teams: the people of the access table, and of each kind of thing an own and a foreign one."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from crm.choices import DeliveryState, InteractionStatus, Role, TeamVisibility
from crm.models import (
    ApiToken,
    Company,
    CustomField,
    Erasure,
    Export,
    Grant,
    Interaction,
    LegalHold,
    Notice,
    PauseReason,
    Poll,
    RetentionPolicy,
    RightSet,
    Tag,
    Ticket,
    User,
)
from crm.secrets import digest, new_token
from crm.services import bulks, exports, imports, merges, tickets, views
from reports.models import Board
from routing.models import Hand, Joining, PresenceReason, ScheduledTime, Skill
from tests import factories as make
from tests.architecture.access_table import ROLES

CANARY = "nobody-of-ours-may-read-this"


@dataclass
class Centre:
    """Users by the table's letter, and ids by the names that stand in the table's paths."""

    users: dict[str, User]
    own: dict[str, object] = field(default_factory=dict)
    foreign: dict[str, object] = field(default_factory=dict)


def build() -> Centre:
    """Make everything."""
    ours = make.make_team(visibility=TeamVisibility.CLOSED)
    theirs = make.make_team(visibility=TeamVisibility.CLOSED)
    users = {letter: _person(role, ours) for letter, role in ROLES.items()}
    agents = {letter: make.make_agent(users[letter]) for letter in "ASG"}
    make.make_codes()
    shared = {**_shared(), **_files(users["A"]), "colleague": agents["A"].pk}
    stranger = make.make_agent(make.make_user(team=theirs, name=CANARY))
    return Centre(
        users,
        own={**shared, **_things(ours, agents["G"], users["S"]), "notice": _notice(users["A"])},
        foreign={
            **shared,
            **_things(theirs, stranger, make.make_user(team=theirs), secret=CANARY),
            "notice": 0,
        },
    )


def _person(role: str, team) -> User:
    in_team = role in (Role.SUPERVISOR, Role.AGENT, Role.MARKETING)
    flags = {"is_staff": True, "is_superuser": True} if role == Role.ADMINISTRATOR else {}
    return make.make_user(role, team if in_team else None, **flags)


def _shared() -> dict[str, object]:
    """What belongs to no team."""
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    Board.objects.get_or_create(slug="social", defaults={"title": "Social"})
    channel = make.make_channel()
    Poll.objects.create(channel=channel)
    right_set = RightSet.objects.create(name="Importers", rights=["import"])
    return {
        "me": "me",
        "right_set": right_set.pk,
        "grant": Grant.objects.create(user=make.make_user(), role=Role.AUDITOR, scope="everywhere").pk,
        "board": "floor",
        "code": make.make_codes()[0].pk,
        "presence_reason": PresenceReason.objects.create(
            slug=f"r-{make.number()}", name="Fire drill", state="meeting", limit_minutes=30
        ).pk,
        "list": "tickets",
        "nothing": "nothing",
        "simulation": make.make_simulation().pk,
        "channel": channel.pk,
        "place": 0,
        "delivery": make.make_delivery(channel, state=DeliveryState.QUARANTINED, error="no author").pk,
        "skill": Skill.objects.create(code=f"s-{make.number()}", name="Billing").pk,
        "mention": make.make_mention(channel).pk,
        "company": Company.objects.create(name="Acme").pk,
        "tag": Tag.objects.create(slug=f"t-{make.number()}", name="Loyal").pk,
        "field": CustomField.objects.create(noun="customer", slug="size", label="Size", kind="number").pk,
        "double": make.make_customer().pk,
        "pause_reason": PauseReason.objects.create(name="A spare part", retired=True).pk,
        "policy": RetentionPolicy.objects.create(kind="messages", days=90).pk,
        "hold": LegalHold.objects.create(
            customer=make.make_customer(), reason="a law suit", by=make.make_user()
        ).pk,
        "erasure": Erasure.objects.create(
            customer=make.make_customer(), way="erase", why="request", state="done"
        ).pk,
        "merge": merges.merge(make.make_customer(), make.make_customer(), by=None).pk,
    }


def _notice(user: User) -> int:
    """Somebody called the administrator in a note."""
    return Notice.objects.create(user=user, interaction=make.make_interaction(), by=make.make_user()).pk


def _files(asker: User) -> dict[str, object]:
    """One that came in, and one that left."""
    kept = Export.objects.create(
        noun="customers", form="csv", state="done", by=asker, role=asker.role, done_at=timezone.now()
    )
    exports.path_of(kept).parent.mkdir(exist_ok=True)
    exports.path_of(kept).write_text("id\n")
    return {"import": imports.upload(b"Name\nAnna\n", "people.csv", by=asker).pk, "export": kept.pk}


def _things(team, agent, second, secret: str = "where is it") -> dict[str, object]:
    """One of each kind: held by the agent, offered to him, waiting, closed."""
    queue = make.make_queue(team, name=f"Queue of {team.slug}")
    agent.capacity = 40
    agent.save()

    def contact(**fields) -> Interaction:
        return make.make_interaction(text=secret, team=team, **fields)

    held = make.make_assignment(agent, make.make_work_item(contact(), queue))
    agent.refresh_from_db()
    offered = make.make_offer(agent, make.make_work_item(contact(), queue))
    waiting = make.make_work_item(contact(), queue)
    closed = contact(status=InteractionStatus.CLOSED, closed_at=held.accepted_at, waiting_since=None)
    make.make_work_item(closed, queue, status="done", done_at=held.accepted_at)
    interaction = held.work_item.interaction
    Ticket.objects.filter(team=team).update(subject=secret)
    return {
        "team": team.pk,
        "team_slug": team.slug,
        "view": views.create(by=agent.user, noun="tickets", name="Ours", sharing="team").pk,
        "bulk": bulks.preview("tickets", {"kind": "task"}, by=agent.user, ids=[interaction.ticket_id]).pk,
        "edit": bulks.start(
            bulks.preview("tickets", {"kind": "question"}, by=agent.user, ids=[interaction.ticket_id]),
            by=agent.user,
        ).pk,
        "queue": queue.slug,
        "user": agent.user_id,
        "agent": agent.pk,
        "hand": Hand.objects.create(agent=agent, reason="how_to").pk,
        "joining": Joining.objects.create(
            assignment=held,
            user=second,
            by=agent.user,
            kind="warm",
            expires_at=timezone.now() + timedelta(minutes=1),
        ).pk,
        "scheduled": ScheduledTime.objects.create(
            agent=agent,
            kind="meal",
            starts_at=held.accepted_at,
            ends_at=held.accepted_at + timedelta(hours=1),
        ).pk,
        "customer": interaction.customer_id,
        "identity": interaction.identity_id,
        "interaction": interaction.pk,
        "message": interaction.messages.get().pk,
        **_around(interaction.ticket, interaction),
        "ticket": interaction.ticket_id,
        "closed": closed.pk,
        "held": held.work_item_id,
        "assignment": held.pk,
        "waiting": waiting.pk,
        "offer": offered.pk,
        "macro": make.make_macro(reach="team", team=team, text=secret).pk,
    }


def _around(ticket: Ticket, interaction: Interaction) -> dict[str, object]:
    """What hangs on a ticket and can be acted upon, and tickets of the same customer beside it."""

    def beside() -> Ticket:
        return make.make_ticket(ticket.customer, brand=ticket.brand, team=ticket.team)

    sibling, linked, merged = beside(), beside(), beside()
    by = make.make_user()
    tickets.link(linked, sibling, kind="related", by=by)
    tickets.merge(sibling, merged, by=by)
    message = interaction.messages.get()
    return {
        "brand": ticket.brand.slug,
        "sibling": sibling.pk,
        "linked": linked.pk,
        "merged": merged.pk,
        "survey": make.make_survey(ticket.customer, ticket=ticket).pk,
        "item": tickets.add_to_checklist(ticket, text="Look it up", by=by).pk,
        "later": make.make_message(interaction, text=message.text).pk,
    }


def make_token(user: User, *scopes: str) -> str:
    """A valid token with exactly these scopes; no scope reaches all that the user may do."""
    token = new_token()
    ApiToken.objects.create(user=user, digest=digest(token), scopes=list(scopes))
    return token
