"""Skills, and who has them at what level until when."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from crm.access import Permission, require
from crm.errors import Conflict, InvalidInput
from crm.models import User
from crm.services import activities
from routing.models import Agent, AgentSkill, Skill
from routing.services import work_items

MOST = 100  # skills of one agent


def create(code: str, name: str, *, by: User) -> Skill:
    """A new skill; its code is what work names it by and never changes."""
    require(by, Permission.CONFIGURE)
    try:
        with transaction.atomic():
            made = Skill.objects.create(code=code, name=name)
            activities.record("skill.created", by=by, skill=code)
    except IntegrityError as error:
        raise Conflict("There is a skill with this code already.", code="code_taken") from error
    return made


def rename(skill: Skill, name: str, *, by: User) -> Skill:
    """Call it otherwise."""
    require(by, Permission.CONFIGURE)
    with transaction.atomic():
        activities.record("skill.renamed", by=by, skill=skill.code, before=skill.name, after=name)
        skill.name = name
        skill.save(update_fields=["name"])
    return skill


def set_of(agent: Agent, given: list[dict[str, Any]], *, by: User) -> Agent:
    """What an agent can from now on: [{"skill" (code), "level", "expires_at"}], instead of what he could before."""
    require(by, Permission.CONFIGURE)
    codes = [one["skill"] for one in given]
    known = {skill.code: skill for skill in Skill.objects.filter(code__in=codes)}
    if odd := sorted({code for code in codes if code not in known}):
        raise InvalidInput("Unknown skill.", errors={"skills": f"there is no skill {', '.join(odd)}"})
    if len(set(codes)) < len(codes):
        raise InvalidInput("Twice the same skill.", errors={"skills": "each skill stands once"})
    with transaction.atomic():
        held = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        before = told(held)
        held.agent_skills.all().delete()
        AgentSkill.objects.bulk_create(
            AgentSkill(
                agent=held, skill=known[one["skill"]], level=one["level"], expires_at=one.get("expires_at")
            )
            for one in given
        )
        activities.record("agent.skills", by=by, agent=held.pk, before=before, after=told(held))
        work_items.changed(agents=[held.pk])
    return held


def told(agent: Agent) -> list[dict[str, Any]]:
    """An agent's skills, those that have run out too."""
    return [
        {"skill": one.skill.code, "level": one.level, "expires_at": _iso(one.expires_at)}
        for one in agent.agent_skills.select_related("skill").order_by("skill__code")
    ]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
