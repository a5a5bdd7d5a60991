"""Public posts: stored once, judged, decided by people; what deserves an answer becomes an interaction."""

from contextlib import nullcontext

from django.db import transaction

from crm import live, rows
from crm.bus import publish
from crm.choices import OPENING_VERDICTS, Audience, DeliveryOutcome, Event, ItemKind, Verdict
from crm.connectors.base import Inbound
from crm.connectors.items import Item
from crm.errors import Conflict, InvalidInput
from crm.judging import Judgement
from crm.models import User
from crm.services import activities, arrivals, identities, interactions, streams
from crm.services.threads import Threads
from socialcare import events
from socialcare.choices import MentionStatus
from socialcare.models import Mention

FEED = "mentions"

_REPOST = """
UPDATE socialcare_mention m SET reposts = m.reposts + n.count
FROM unnest(%s::text[], %s::text[], %s::int[]) AS n(network, external_id, count)
WHERE m.network = n.network AND m.external_id = n.external_id RETURNING m.external_id
"""


def ingest(inbounds: list[Inbound]) -> None:
    """Take what networks delivered, set-based: reposts raise reach, posts become mentions, the rest interactions.

    Runs inside the conveyor's transaction, after our own posts were taken out.
    """
    reposts = [one for one in inbounds if one.item.kind == ItemKind.REPOST and one.item.in_reply_to]
    taken = [one for one in inbounds if not (one.item.kind == ItemKind.REPOST and one.item.in_reply_to)]
    if taken:
        _ingest_posts(taken)
    if reposts:
        _count_reposts(reposts)


def _ingest_posts(taken: list[Inbound]) -> None:
    identities.resolve(taken)
    public = [one for one in taken if one.item.audience == Audience.PUBLIC]
    found = _known(public)
    known = {key: row for key, row in found.items() if row[0] is not None}
    first: dict[tuple[str, str], Inbound] = {}
    for one in sorted(public, key=lambda one: one.delivery_id):
        if _key(one) not in known:
            first.setdefault(_key(one), one)
    fresh = list(first.values())
    posted = {id(one) for one in fresh}
    opening = [one for one in taken if one.item.audience != Audience.PUBLIC or id(one) in posted]
    threads = Threads(opening)
    interactions.take(opening, threads)
    ids = _insert(fresh, threads, {key: row[2] for key, row in found.items()})
    # The same post through a second channel is the same mention with two sources: it opens nothing again.
    for one in public:
        if id(one) not in posted:
            one.outcome = DeliveryOutcome.JOINED
            one.interaction_id = known.get(_key(one), (0, None))[1]
    stored = {key: (row[0], row[3]) for key, row in known.items()}
    stored |= {key: (mention, first[key].channel.id) for key, mention in ids.items()}
    _add_sources(public, stored)
    _apply_awaited(fresh)
    publish(*[events.MentionReceived(mention_id=mention) for mention in ids.values()])
    interactions.tell(
        [(streams.EVENTS, "mention.received", {"mention": mention}) for mention in ids.values()]
    )


Key = tuple[str, str]


def _key(one: Inbound) -> Key:
    return one.channel.kind, one.item.id


def _known(public: list[Inbound]) -> dict[Key, tuple[int | None, int | None, int, int | None]]:
    """(network, id) -> (mention id, interaction id, -, channel) of what is stored already, and an id for what is not.

    One batch writes at a time, so that what is not stored now can be written without asking again.
    """
    keys = sorted({_key(one) for one in public})
    found = rows.run(
        "SELECT k.network, k.id, m.id, m.interaction_id, "
        "CASE WHEN m.id IS NULL THEN nextval('socialcare_mention_id_seq') END, m.channel_id "
        "FROM unnest(%s::text[], %s::text[]) AS k(network, id) "
        "LEFT JOIN socialcare_mention m ON m.network = k.network AND m.external_id = k.id",
        ([network for network, _ in keys], [external_id for _, external_id in keys]),
    )
    return {(row[0], row[1]): row[2:] for row in found}


def _add_sources(public: list[Inbound], stored: dict[Key, tuple[int | None, int | None]]) -> None:
    """The channels that saw a mention beside the one with which it is stored."""
    given = {(*stored[_key(one)], one.channel.id) for one in public}
    others = sorted((mention, channel) for mention, first, channel in given if channel != first)
    rows.insert(
        "socialcare_mentionsource",
        {
            "mention_id": ("bigint", [mention for mention, _ in others]),
            "channel_id": ("bigint", [channel for _, channel in others]),
        },
        tail="ON CONFLICT (mention_id, channel_id) DO NOTHING",
    )


def _insert(posts: list[Inbound], threads: Threads, drawn: dict[Key, int]) -> dict[Key, int]:
    items: list[Item] = [one.item for one in posts]
    judged: list[Judgement] = [one.judgement for one in posts]
    n = len(posts)
    ids = [drawn[_key(one)] for one in posts]
    rows.insert(
        "socialcare_mention",
        {
            "id": ("bigint", ids),
            "network": ("text", [one.channel.kind for one in posts]),
            "external_id": ("text", [item.id for item in items]),
            "channel_id": ("bigint", [one.channel.id for one in posts]),
            "identity_id": ("bigint", [one.identity_id for one in posts]),
            "customer_id": ("bigint", [one.customer_id for one in posts]),
            "interaction_id": ("bigint", [one.interaction_id for one in posts]),
            "thread": ("bigint", [threads.find(one.thread) for one in posts]),
            "text": ("text", [item.text for item in items]),
            "permalink": ("text", [item.permalink for item in items]),
            "language": ("text", [j.language for j in judged]),
            "sentiment": ("float8", [j.sentiment for j in judged]),
            "sentiment_words": ("jsonb", [rows.as_json(j.sentiment_words) for j in judged]),
            "topic": ("text", [j.topic for j in judged]),
            "actionable": ("boolean", [j.actionable for j in judged]),
            "verdict": ("text", [str(j.verdict) for j in judged]),
            "status": ("text", [MentionStatus.TRIAGED.value] * n),
            "judgement": ("jsonb", [rows.as_json(j.details) for j in judged]),
            "corrections": ("jsonb", ["{}"] * n),
            "likes": ("bigint", [item.likes for item in items]),
            "reposts": ("bigint", [item.reposts for item in items]),
            "followers": ("bigint", [item.followers for item in items]),
            "posted_at": ("timestamptz", [item.created_at for item in items]),
        },
    )
    return {_key(one): mention for one, mention in zip(posts, ids, strict=True)}


def _count_reposts(reposts: list[Inbound]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for one in reposts:
        key = (one.channel.kind, one.item.in_reply_to)
        counts[key] = counts.get(key, 0) + 1
        one.outcome = DeliveryOutcome.REPOST
    keys = sorted(counts)
    found = {
        row[0]
        for row in rows.run(
            _REPOST,
            ([network for network, _ in keys], [post for _, post in keys], [counts[key] for key in keys]),
        )
    }
    early = [one for one in reposts if one.item.in_reply_to not in found]
    rows.insert(
        "crm_awaitedchange",
        {
            "channel_id": ("bigint", [one.channel.id for one in early]),
            "external_id": ("text", [one.item.in_reply_to for one in early]),
            "event": ("text", ["repost"] * len(early)),
            "text": ("text", [""] * len(early)),
            "count": ("int", [1] * len(early)),
        },
    )


def _apply_awaited(created: list[Inbound]) -> None:
    kinds = {one.channel.id: one.channel.kind for one in created}
    for channel, external_id, event, text, at, count in sorted(
        arrivals.awaited_among(created), key=lambda row: (row[4] is None, str(row[4]))
    ):
        network = kinds[channel]
        if event == Event.EDITED:
            _edit(network, external_id, text, at)
        elif event == Event.DELETED:
            _delete(network, external_id)
        else:
            rows.run(_REPOST, ([network], [external_id], [count]))


def follow_changes(changes: list[Inbound]) -> None:
    """Edits and deletions on the network change the mention too."""
    for one in sorted(
        changes, key=lambda change: (change.item.edited_at is None, str(change.item.edited_at))
    ):
        if one.item.event == Event.EDITED:
            _edit(one.channel.kind, one.item.id, one.item.text, one.item.edited_at)
        else:
            _delete(one.channel.kind, one.item.id)


def _edit(network: str, external_id: str, text: str, at) -> None:
    rows.run(
        "UPDATE socialcare_mention SET text = CASE WHEN deleted_at IS NULL THEN %s ELSE '' END, edited_at = %s "
        "WHERE network = %s AND external_id = %s AND (edited_at IS NULL OR edited_at < %s)",
        (text, at, network, external_id, at),
    )


def _delete(network: str, external_id: str) -> None:
    rows.run(
        "UPDATE socialcare_mention SET deleted_at = coalesce(deleted_at, now()), text = '', sentiment_words = '[]' "
        "WHERE network = %s AND external_id = %s",
        (network, external_id),
    )


def tie(pairs: list[tuple[int, int]]) -> None:
    """Threads became one: mentions follow (old number, new number)."""
    rows.run(
        "UPDATE socialcare_mention m SET thread = n.new FROM unnest(%s::bigint[], %s::bigint[]) AS n(old, new) "
        "WHERE m.thread = n.old",
        ([old for old, _ in pairs], [new for _, new in pairs]),
    )


def follow_words(interaction_ids: list[int]) -> None:
    """Words moved to these contacts: the mentions of those words go with them."""
    rows.run(
        "UPDATE socialcare_mention m SET interaction_id = w.interaction_id FROM crm_message w "
        "WHERE w.interaction_id = ANY(%s) AND m.channel_id = w.channel_id AND m.external_id = w.external_id "
        "AND m.interaction_id <> w.interaction_id",
        (interaction_ids,),
    )


def decide(mention_id: int, verdict: str, *, by: User) -> Mention:
    """A person's verdict. Respond and escalate open the interaction, as if triage had said so."""
    if verdict not in Verdict.values:
        raise InvalidInput("Unknown verdict.", errors={"verdict": "is not one of the five"})
    # What opens takes its turn first and the row then, in the order of batches and merges.
    turn = rows.serialised("earshot.ingest") if verdict in OPENING_VERDICTS else nullcontext()
    with transaction.atomic(), turn:
        mention = Mention.objects.select_for_update().select_related("channel").get(pk=mention_id)
        if mention.deleted_at is not None:
            raise Conflict("The post was deleted on the network.", code="deleted")
        before, mention.verdict = mention.verdict, verdict
        mention.status, mention.decided_by = MentionStatus.DECIDED, by
        mention.decided_at = rows.run("SELECT now()")[0][0]
        mention.corrections = {**mention.corrections, **({"verdict": before} if before != verdict else {})}
        if verdict in OPENING_VERDICTS and mention.interaction_id is None:
            mention.interaction_id = _open_from(mention)
        mention.save()
        activities.record(
            "mention.decided",
            by=by,
            interaction_id=mention.interaction_id,
            mention=mention.pk,
            verdict=verdict,
        )
        publish(events.MentionDecided(mention_id=mention.pk, verdict=verdict))
        interactions.tell([(streams.EVENTS, "mention.decided", {"mention": mention.pk, "verdict": verdict})])
    return mention


def _open_from(mention: Mention) -> int | None:
    """Send a stored mention down the same path that a delivery takes."""
    item = Item(
        id=mention.external_id, kind=ItemKind.MENTION, text=mention.text, created_at=mention.posted_at,
        author_id=mention.identity.value, handle=mention.identity.handle, name=mention.identity.name,
        followers=mention.followers, permalink=mention.permalink,
    )  # fmt: skip
    details = dict(mention.judgement)
    judgement = Judgement(
        language=mention.language,
        sentiment=mention.sentiment,
        sentiment_words=mention.sentiment_words,
        topic=mention.topic,
        queue_hint=details.get("queue_hint", ""),
        verdict=Verdict.RESPOND,
        required_skills=details.get("required_skills", []),
        parts=details.get("parts", {}),
        details=details,
    )
    inbound = Inbound(
        delivery_id=0, channel=mention.channel, item=item, received_at=mention.received_at, judgement=judgement,
        identity_id=mention.identity_id, customer_id=mention.customer_id, customer_value=mention.customer.value,
    )  # fmt: skip
    with rows.serialised("earshot.ingest"):
        interactions.take([inbound], Threads([inbound]))
    return inbound.interaction_id


def correct(mention_id: int, changes: dict, *, by: User) -> Mention:
    """Correct triage's language, sentiment, topic or actionability; what it had said is kept beside."""
    allowed = {"language", "sentiment", "topic", "actionable"}
    unknown = set(changes) - allowed
    if unknown or not changes:
        raise InvalidInput(
            "Nothing to correct.", errors={name: "cannot be corrected" for name in sorted(unknown)}
        )
    with transaction.atomic():
        mention = Mention.objects.select_for_update().get(pk=mention_id)
        before = {name: getattr(mention, name) for name in changes}
        for name, value in changes.items():
            setattr(mention, name, value)
        mention.corrections = {**before, **mention.corrections}
        mention.save()
        activities.record(
            "mention.corrected", by=by, interaction_id=mention.interaction_id, mention=mention.pk, **changes
        )
        live.ring_streams([FEED])
    return mention


def follow_identities(customers: list[int]) -> None:
    """Mentions of these customers' identities become theirs, in one statement."""
    rows.run(
        "UPDATE socialcare_mention m SET customer_id = y.customer_id FROM crm_identity y "
        "WHERE y.customer_id = ANY(%s) AND m.identity_id = y.id AND m.customer_id <> y.customer_id",
        (customers,),
    )
