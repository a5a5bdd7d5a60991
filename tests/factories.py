"""The cast and its things, as plain functions: each makes one row with sensible defaults, fields may be overridden."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from crm.choices import (
    Audience,
    ChannelKind,
    CodeKind,
    Direction,
    Family,
    InteractionStatus,
    MessageState,
    Role,
    Verdict,
)
from crm.models import (
    Brand,
    Channel,
    Code,
    Customer,
    Delivery,
    Identity,
    Interaction,
    Macro,
    MacroVersion,
    Message,
    Survey,
    Team,
    Ticket,
    User,
)
from routing.models import Agent, AgentSkill, Assignment, Queue, Simulation, Skill, WorkItem
from routing.services import simulations
from socialcare.models import Mention

PASSWORD = "correct horse battery staple"
_numbers = count(1)


def number() -> int:
    """A number nobody else in this run has."""
    return next(_numbers)


def make_team(**fields: Any) -> Team:
    """A team whose words others may read."""
    n = number()
    return Team.objects.create(**{"slug": f"team-{n}", "name": f"Team {n}", **fields})


def make_user(role: str = Role.AGENT, team: Team | None = None, **fields: Any) -> User:
    """A person who may log in with PASSWORD."""
    n = number()
    fields = {"email": f"person{n}@example.com", "name": f"Person {n}", **fields}
    email = fields.pop("email")
    password = fields.pop("password", PASSWORD)
    return User.objects.create_user(email, password, role=role, team=team, **fields)


def make_agent(
    user: User | None = None, team: Team | None = None, skills: dict[str, int] | None = None, **fields: Any
) -> Agent:
    """Somebody available and just heard of; `skills` maps code to level."""
    user = user or make_user(team=team)
    now = timezone.now()
    agent = Agent.objects.create(
        user=user,
        **{
            "languages": ["en"],
            "chosen": "available",
            "seen_at": now,
            "seen_on_socket": True,
            "idle_since": now,
            **fields,
        },
    )
    agent.intervals.create(chosen=agent.chosen)
    for code, level in (skills or {}).items():
        skill, _ = Skill.objects.get_or_create(code=code, defaults={"name": code.title()})
        AgentSkill.objects.create(agent=agent, skill=skill, level=level)
    return agent


def make_brand(**fields: Any) -> Brand:
    """A name under which we speak."""
    n = number()
    return Brand.objects.create(**{"slug": f"brand-{n}", "name": f"Brand {n}", **fields})


def make_channel(kind: str = ChannelKind.X, **fields: Any) -> Channel:
    """An endpoint of ours, with a brand of its own unless one is given."""
    n = number()
    brand = fields.pop("brand", None) or make_brand()
    return Channel.objects.create(
        **{
            "slug": f"{kind}-{n}",
            "name": f"Channel {n}",
            "kind": kind,
            "brand": brand,
            "secret": "s3cret",
            **fields,
        }
    )


def make_customer(**fields: Any) -> Customer:
    """A person we serve."""
    return Customer.objects.create(**{"name": f"Customer {number()}", "language": "en", **fields})


def make_identity(customer: Customer | None = None, **fields: Any) -> Identity:
    """An address of a customer."""
    n = number()
    customer = customer or make_customer()
    return Identity.objects.create(
        **{"customer": customer, "kind": ChannelKind.X, "value": str(n), "handle": f"handle{n}", **fields}
    )


def make_ticket(customer: Customer | None = None, **fields: Any) -> Ticket:
    """A problem of a customer."""
    customer = customer or make_customer()
    brand = fields.pop("brand", None) or make_brand()
    return Ticket.objects.create(
        **{"customer": customer, "brand": brand, "subject": f"Problem {number()}", **fields}
    )


def make_interaction(
    channel: Channel | None = None,
    customer: Customer | None = None,
    text: str = "Where is my order?",
    **fields: Any,
) -> Interaction:
    """An open contact with its identity, ticket and first message (`text` empty: without)."""
    n = number()
    channel = channel or make_channel()
    customer = customer or make_customer()
    identity = fields.pop("identity", None) or make_identity(customer, kind=channel.kind)
    ticket = fields.pop("ticket", None) or make_ticket(
        customer, brand=channel.brand, team=fields.get("team"), owner=fields.get("assigned_to")
    )
    now = timezone.now()
    public = channel.family == Family.SOCIAL
    interaction = Interaction.objects.create(
        **{
            "channel": channel,
            "customer": customer,
            "identity": identity,
            "ticket": ticket,
            "thread": 1_000_000 + n,
            "family": channel.family,
            "audience": Audience.PUBLIC if public else Audience.PRIVATE,
            "status": InteractionStatus.OPEN,
            "received_at": now,
            "first_message_at": now,
            "last_message_at": now,
            "waiting_since": now,
            **fields,
        }
    )
    if text:
        make_message(interaction, text=text)
    return interaction


def make_message(interaction: Interaction, **fields: Any) -> Message:
    """What the customer wrote, unless the fields say otherwise."""
    n = number()
    return Message.objects.create(
        **{
            "channel": interaction.channel,
            "interaction": interaction,
            "thread": interaction.thread,
            "external_id": f"message-{n}",
            "direction": Direction.INBOUND,
            "audience": interaction.audience,
            "state": MessageState.RECEIVED,
            "identity": interaction.identity,
            "author_name": interaction.identity.handle,
            "text": "Hello",
            "at": timezone.now(),
            **fields,
        }
    )


def make_delivery(channel: Channel | None = None, **fields: Any) -> Delivery:
    """An item as it came."""
    n = number()
    channel = channel or make_channel()
    return Delivery.objects.create(
        **{"channel": channel, "external_id": f"item-{n}", "raw": b'{"id": "%d"}' % n, **fields}
    )


def make_queue(team: Team | None = None, **fields: Any) -> Queue:
    """A line of the universal queue."""
    n = number()
    return Queue.objects.create(
        **{"slug": f"queue-{n}", "name": f"Queue {n}", "team": team or make_team(), **fields}
    )


def make_work_item(
    interaction: Interaction | None = None, queue: Queue | None = None, **fields: Any
) -> WorkItem:
    """A waiting work item; its interaction belongs to the queue's team, as the distributor would have it."""
    interaction = interaction or make_interaction()
    queue = queue or make_queue()
    if interaction.team_id is None:
        Interaction.objects.filter(pk=interaction.pk).update(team=queue.team)
        interaction.team = queue.team
    now = timezone.now()
    return WorkItem.objects.create(
        **{
            "interaction": interaction,
            "queue": queue,
            "family": interaction.family,
            "units": 3,
            "customer_id": interaction.customer_id,
            "queued_at": now,
            "deadline": now + timedelta(hours=1),
            **fields,
        }
    )


def make_offer(agent: Agent | None = None, work_item: WorkItem | None = None, **fields: Any) -> Assignment:
    """An open offer; load and work item say so too."""
    agent = agent or make_agent()
    work_item = work_item or make_work_item()
    WorkItem.objects.filter(pk=work_item.pk).update(status="offered")
    Agent.objects.filter(pk=agent.pk).update(load=agent.load + work_item.units)
    work_item.refresh_from_db()
    agent.refresh_from_db()
    return Assignment.objects.create(
        **{
            "work_item": work_item,
            "agent": agent,
            "units": work_item.units,
            "score": 71.5,
            "explanation": {"parts": {"age": 0.4}, "reason": "longest idle"},
            "expires_at": timezone.now() + timedelta(seconds=60),
            **fields,
        }
    )


def make_assignment(
    agent: Agent | None = None, work_item: WorkItem | None = None, **fields: Any
) -> Assignment:
    """An accepted assignment; the interaction is the agent's."""
    made = make_offer(
        agent, work_item, status="accepted", accepted_at=timezone.now() + timedelta(seconds=1), **fields
    )
    WorkItem.objects.filter(pk=made.work_item_id).update(status="assigned", accepted_at=timezone.now())
    if made.work_item.interaction_id:
        Interaction.objects.filter(pk=made.work_item.interaction_id).update(assigned_to=made.agent.user)
        Ticket.objects.filter(interactions=made.work_item.interaction_id).update(owner=made.agent.user)
    made.refresh_from_db()
    return made


def make_mention(channel: Channel | None = None, **fields: Any) -> Mention:
    """A public post about us that triage would answer."""
    n = number()
    channel = channel or make_channel()
    identity = fields.pop("identity", None) or make_identity(kind=channel.kind)
    return Mention.objects.create(
        **{
            "network": channel.kind,
            "external_id": f"post-{n}",
            "channel": channel,
            "identity": identity,
            "customer": identity.customer,
            "thread": 2_000_000 + n,
            "text": "Nobody answers my calls!",
            "language": "en",
            "actionable": True,
            "verdict": Verdict.RESPOND,
            "posted_at": timezone.now(),
            **fields,
        }
    )


def make_survey(customer: Customer | None = None, **fields: Any) -> Survey:
    """An answer to a survey."""
    return Survey.objects.create(
        **{
            "customer": customer or make_customer(), "question": "csat", "score": 4, "at": timezone.now(),
            "digest": f"answer-{number()}", **fields,
        }
    )  # fmt: skip


def make_macro(**fields: Any) -> Macro:
    """A macro for everybody with one version; `text`, `texts` and `actions` are the version's."""
    n = number()
    words = {"text": "Hello!", "texts": {}, "actions": {}}
    words |= {name: fields.pop(name) for name in tuple(words) if name in fields}
    macro = Macro.objects.create(**{"slug": f"macro-{n}", "name": f"Macro {n}", "version": 1, **fields})
    MacroVersion.objects.create(macro=macro, number=1, **words)
    return macro


def make_simulation(**fields: Any) -> Simulation:
    """A small made-up day that was played with one agent fewer."""
    asked = simulations.checked({"day": {"kind": "synthetic", "size": 0.05}, "change": {"agents": -1}}, None)
    given = {"title": "One agent fewer", "asked": asked, "by": make_user(Role.SUPERVISOR)} | fields
    made = Simulation.objects.create(**given)
    if "state" not in fields:
        result = simulations.compare(asked).told()
        Simulation.objects.filter(pk=made.pk).update(
            state="done", progress=100, result=result, done_at=timezone.now()
        )
        made.refresh_from_db()
    return made


def make_codes() -> tuple[Code, Code]:
    """A reason and an outcome for wrap-up: `billing` and `solved`."""
    reason, _ = Code.objects.get_or_create(
        kind=CodeKind.REASON, code="billing", defaults={"label": "Billing"}
    )
    outcome, _ = Code.objects.get_or_create(
        kind=CodeKind.OUTCOME, code="solved", defaults={"label": "Solved"}
    )
    return reason, outcome
