"""The agent's desk: offers with their whole context, pushed."""

from crm.access import Permission, may
from crm.consumers import StreamConsumer
from crm.hub import Person, Socket, register_beater, register_renderer
from routing.models import Agent
from routing.services import desk, presence


class DeskConsumer(StreamConsumer):
    """`/ws/desk/`: several tabs of one agent are one agent; each heartbeat is his sign of life."""

    scope_word = "desk"
    beats = True

    def admit(self, person: Person) -> Socket | None:
        if not may(person.user, Permission.WORK) or not Agent.objects.filter(user=person.user).exists():
            return None
        if person.viewer is None:
            presence.beat([person.user.pk], socket=True)
        return self.make(person, stream=f"desk:{person.user.pk}", snapshot=lambda: desk.snapshot(person.user))


def render_offers(told: list[dict]) -> list[dict]:
    """The data of `offer.made`: read again when the frame leaves; an offer that is over comes without its context."""
    found = desk.offers([event["data"]["offer"] for event in told])
    return [
        found.get(event["data"]["offer"]) or {"offer": {"id": event["data"]["offer"]}, "context": None}
        for event in told
    ]


register_renderer("offer.made", render_offers)
register_beater(lambda users: presence.beat(users, socket=True))
