"""Which items belong together (`interface.md`, Threads), whatever the order in which they come.

Every thread is a number. Ids of items (`i:`), of their parents and of conversations (`c:`) point to it through ThreadRef.
An item that ties two threads together makes them one: the lower number stays.

In a thread each author, by his identity, has a contact of his own. Two identities of one customer keep two: so an answer
leaves to whom it answers, and customers that were merged can be parted again (`merges`).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from crm import rows
from crm.choices import DeliveryOutcome, InteractionStatus
from crm.connectors.base import Inbound

_REFS = """
SELECT r.channel_id, r.external_id, r.thread FROM unnest(%s::bigint[], %s::text[]) AS k(channel_id, external_id)
JOIN crm_threadref r ON r.channel_id = k.channel_id AND r.external_id = k.external_id
"""

# Held from here on: closed meanwhile by somebody, a contact that is joined would be open again without anybody's work.
_CONTACTS = """
SELECT id, thread, identity_id, customer_id, audience, channel_id, status, loose, first_message_at, last_message_at, ticket_id,
       assigned_to_id, closed_at, waiting_since, opened_at
FROM crm_interaction
WHERE folded_into_id IS NULL AND (thread = ANY(%s) OR (identity_id = ANY(%s) AND status = 'open'))
ORDER BY id FOR NO KEY UPDATE
"""


_MOVE = [
    "UPDATE crm_threadref t SET thread = m.new "
    "FROM unnest(%s::bigint[], %s::bigint[]) AS m(old, new) WHERE t.thread = m.old",
    "UPDATE crm_interaction t SET thread = m.new "
    "FROM unnest(%s::bigint[], %s::bigint[]) AS m(old, new) WHERE t.thread = m.old",
    "UPDATE crm_message t SET thread = m.new "
    "FROM unnest(%s::bigint[], %s::bigint[]) AS m(old, new) WHERE t.thread = m.old",
]


@dataclass(slots=True)
class Contact:
    """An interaction as a batch sees it; `is_new` until it is written."""

    id: int
    thread: int
    identity_id: int
    customer_id: int
    audience: str
    channel_id: int
    status: str
    loose: bool
    first_at: datetime
    last_at: datetime
    ticket_id: int
    assigned_to_id: int | None = None
    closed_at: datetime | None = None
    waiting_since: datetime | None = None
    opened_at: datetime | None = None
    is_new: bool = False
    reopened: bool = False
    folded_into: "Contact | None" = None
    opener: Inbound | None = None
    joined: list[Inbound] = field(default_factory=list)


class Threads:
    """The threads and contacts that a batch touches, read in two statements and kept in step while items are placed."""

    def __init__(self, inbounds: list[Inbound]):
        self._parent: dict[int, int] = {}
        self._refs: dict[tuple[int, str], int] = {}
        self._fresh: list[int] = []
        self.merged: set[int] = set()
        # By thread, identity and audience.
        self.contacts: dict[tuple[int, int, str], list[Contact]] = defaultdict(list)
        self._by_author: dict[tuple[int, int, str], list[Contact]] = defaultdict(list)
        self._window = timedelta(seconds=settings.JOIN_WINDOW)
        self._stored_refs: dict[tuple[int, str], int] = {}
        self._read(inbounds)

    def _read(self, inbounds: list[Inbound]) -> None:
        wanted = sorted({key for inbound in inbounds for key in keys_of(inbound)})
        if wanted:
            for channel, external_id, thread in rows.run(
                _REFS, ([c for c, _ in wanted], [e for _, e in wanted])
            ):
                self._refs[channel, external_id] = thread
        self._stored_refs = dict(self._refs)
        authors = sorted({inbound.identity_id for inbound in inbounds if inbound.identity_id})
        for row in rows.run(_CONTACTS, (sorted(set(self._refs.values())), authors)):
            contact = Contact(*row)
            contact.status = InteractionStatus(contact.status)
            self.remember(contact)
        self._fresh = rows.draw("crm_thread_seq", len(inbounds))

    def find(self, thread: int) -> int:
        """The number that stands for this thread now."""
        root = thread
        while (above := self._parent.get(root, root)) != root:
            root = above
        return root

    def remember(self, contact: Contact) -> None:
        """Make a contact findable by thread and by author."""
        self.contacts[self.find(contact.thread), contact.identity_id, contact.audience].append(contact)
        self._by_author[contact.identity_id, contact.channel_id, contact.audience].append(contact)

    def place(self, inbound: Inbound) -> int:
        """Find or make the thread of an item, tying together what it links."""
        keys = keys_of(inbound)
        known = {self.find(self._refs[key]) for key in keys if key in self._refs}
        if is_loose(inbound) and inbound.identity_id:
            known |= {self.find(contact.thread) for contact in self._near(inbound)}
        root = min(known) if known else self._fresh.pop()
        for thread in known:
            self._tie(thread, root)
        for key in keys:
            self._refs.setdefault(key, root)
        inbound.thread = root
        return root

    def _near(self, inbound: Inbound) -> list[Contact]:
        """The author's open contacts that an item without thread joins.

        The newest one in the window; and, so that the order of arrival does not matter, every other contact that was
        itself joined by time and whose span this item touches.
        """
        at = inbound.item.created_at
        key = (inbound.identity_id, inbound.channel.id, inbound.item.audience)
        near = [
            contact
            for contact in self._by_author.get(key, ())
            if contact.status == InteractionStatus.OPEN
            and contact.folded_into is None
            and contact.first_at - self._window <= at <= contact.last_at + self._window
        ]
        if not near:
            return []
        newest = max(near, key=lambda contact: (contact.last_at, contact.id))
        return [
            newest,
            *(contact for contact in near if contact.loose and newest.loose and contact is not newest),
        ]

    def _tie(self, thread: int, root: int) -> None:
        if thread == root:
            return
        self._parent[thread] = root
        self.merged.add(thread)
        moved = [key for key in self.contacts if key[0] == thread]
        for key in moved:
            group = self.contacts[root, key[1], key[2]]
            group.extend(self.contacts.pop(key))
            self._fold(group)

    @staticmethod
    def _fold(group: list[Contact]) -> None:
        """Of one author's contacts in one thread the oldest stays; the younger are folded into it."""
        group.sort(key=lambda contact: (contact.first_at, contact.id))
        oldest, *younger = group
        for contact in younger:
            contact.folded_into = oldest
            oldest.first_at = min(oldest.first_at, contact.first_at)
            oldest.last_at = max(oldest.last_at, contact.last_at)
            oldest.joined.extend(contact.joined)
            if contact.opener is not None:
                contact.opener.outcome = DeliveryOutcome.JOINED
                oldest.joined.append(contact.opener)
            if contact.status == InteractionStatus.OPEN and oldest.status == InteractionStatus.CLOSED:
                oldest.status, oldest.reopened = InteractionStatus.OPEN, True
        del group[1:]

    def contact_for(self, inbound: Inbound) -> Contact | None:
        """The author's contact in the item's thread."""
        group = self.contacts.get((self.find(inbound.thread), inbound.identity_id, inbound.item.audience))
        return group[0] if group else None

    def contacts_in(self, thread: int) -> list[Contact]:
        """Everybody's contacts in a thread."""
        root = self.find(thread)
        return [group[0] for key, group in self.contacts.items() if key[0] == root and group]

    def all_contacts(self) -> list[Contact]:
        """Every contact read or made, folded ones included."""
        return [contact for group in self._by_author.values() for contact in group]

    def write(self) -> None:
        """Store new references and move what hung on threads that are now part of another."""
        fresh = sorted(key for key in self._refs if key not in self._stored_refs)
        rows.insert(
            "crm_threadref",
            {
                "channel_id": ("bigint", [channel for channel, _ in fresh]),
                "external_id": ("text", [external_id for _, external_id in fresh]),
                "thread": ("bigint", [self.find(self._refs[key]) for key in fresh]),
            },
            tail="ON CONFLICT (channel_id, external_id) DO NOTHING",
        )
        if self.merged:
            old = sorted(self.merged)
            new = [self.find(thread) for thread in old]
            for statement in _MOVE:
                rows.run(statement, (old, new))


def keys_of(inbound: Inbound) -> list[tuple[int, str]]:
    """The references of an item: itself, its parent, its conversation."""
    channel, item = inbound.channel.id, inbound.item
    keys = [(channel, f"i:{item.id}")]
    if item.in_reply_to:
        keys.append((channel, f"i:{item.in_reply_to}"))
    if item.conversation:
        keys.append((channel, f"c:{item.conversation}"))
    return keys


def is_loose(inbound: Inbound) -> bool:
    """Whether the channel names no thread for the item."""
    return not inbound.item.in_reply_to and not inbound.item.conversation
