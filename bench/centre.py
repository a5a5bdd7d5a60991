"""A small centre in the home that runs: a queue, a channel with its secret, agents with tokens, known customers."""

import argparse
import json
import sys

from bench import ready  # noqa: F401 - Django before its models
from bench.names import SECRET, SLUG, token_of
from crm.choices import ChannelKind, CodeKind, Role
from crm.models import ApiToken, Brand, Channel, ChannelAccount, Code, Team, User
from crm.rows import run
from crm.secrets import digest
from routing.models import Agent, AgentSkill, Queue, Skill

_PEOPLE = """
WITH people AS (
    INSERT INTO crm_customer (name, language, vip, public_figure, verified_before_disclosure, note, created_at)
    SELECT 'Known ' || g, 'en', g %% 20 = 0, false, false, '', now() - g * interval '1 minute' FROM generate_series(1, %s) g
    RETURNING id, name
)
INSERT INTO crm_identity (customer_id, kind, value, handle, name, verified, claims, created_at)
SELECT id, 'x', 'h' || substr(name, 7), 'h' || substr(name, 7), name, false, '{}', now() FROM people
"""


def make(agents: int, customers: int, capacity: int) -> dict:
    """Everything, once."""
    team = Team.objects.create(slug="care", name="Care")
    Queue.objects.create(slug="general", name="General", team=team, is_fallback=True)
    brand = Brand.objects.create(slug="brand", name="Brand")
    channel = Channel.objects.create(slug=SLUG, name="X", kind=ChannelKind.X, brand=brand, secret=SECRET)
    ChannelAccount.objects.create(channel=channel, external_id="brand", handle="brand")
    Code.objects.create(kind=CodeKind.REASON, code="billing", label="Billing")
    Code.objects.create(kind=CodeKind.OUTCOME, code="solved", label="Solved")
    people = [User(email="auditor@example.com", name="Auditor", role=Role.AUDITOR, password="!")]
    people += [
        User(email=f"agent{n}@example.com", name=f"Agent {n}", role=Role.AGENT, team=team, password="!")
        for n in range(1, agents + 1)
    ]
    User.objects.bulk_create(people)
    ApiToken.objects.bulk_create(
        ApiToken(user=user, digest=digest(token_of(n)), name="bench") for n, user in enumerate(people)
    )
    skills = Skill.objects.bulk_create(Skill(code=f"skill-{n}", name=f"Skill {n}") for n in range(6))
    made = Agent.objects.bulk_create(
        Agent(user=user, languages=["en"], capacity=capacity, chosen="offline") for user in people[1:]
    )
    # Chained, as in the limit: each holds two neighbouring skills.
    AgentSkill.objects.bulk_create(
        AgentSkill(agent=agent, skill=skills[(n + step) % 6])
        for n, agent in enumerate(made)
        for step in (0, 1)
    )
    run(
        "INSERT INTO routing_presenceinterval (agent_id, chosen, doing, reason) "
        "SELECT id, 'offline', 'idle', '' FROM routing_agent"
    )
    run(_PEOPLE, (customers,))
    for table in ("crm_customer", "crm_identity"):
        run(f"ANALYZE {table}")
    return {
        "channel": channel.pk,
        "agents": [agent.pk for agent in made],
        "users": [user.pk for user in people],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--customers", type=int, default=0)
    parser.add_argument("--capacity", type=int, default=15)
    options = parser.parse_args()
    json.dump(make(options.agents, options.customers, options.capacity), sys.stdout)


if __name__ == "__main__":
    main()
