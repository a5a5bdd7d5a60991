"""Supervisors' boards: whole small snapshots, at most one a second, one for all who may see the same."""

from crm.access import Permission, may_somewhere
from crm.consumers import StreamConsumer
from crm.hub import Person, Socket, hub
from reports.models import Board
from reports.services import boards


class BoardConsumer(StreamConsumer):
    """`/ws/boards/<slug>/`."""

    scope_word = "boards:read"

    def admit(self, person: Person) -> Socket | None:
        slug = self.scope["url_route"]["kwargs"]["slug"]
        if (
            not may_somewhere(person.user, Permission.WATCH_BOARDS)
            or not Board.objects.filter(slug=slug).exists()
        ):
            return None
        team = boards.scope_key(person.user)
        topic = ("board", slug, team)
        hub.set_painter(topic, lambda: boards.snapshot_for(slug, team))
        return self.make(person, topic=topic)
