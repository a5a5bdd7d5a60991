"""Search from anywhere: customers, tickets and what was said; exact, beginning, contained, and only then mistyped.

A stage is asked only when the one before has found too little, because each costs more than the last
(`performance.md` B5). Mistyped names are compared with the words that stand in names (`NameWord`), a few thousand for a
million customers, and never with the names themselves.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import QuerySet
from django.db.models.functions import Left

from crm import rows
from crm.access import Permission, may
from crm.choices import ChannelKind
from crm.models import Message, Ticket, User

KINDS = ("customers", "tickets", "messages")
MOST = 10  # hits of a kind
SHORTEST_END = 5  # digits of a telephone number
SHORTEST_PART = 3  # letters; fewer are looked for at the beginning only
COMMON = 1_000  # a word found more often than this is looked for from the newest message on
FIRST_TICKET = 1000
EXCERPT = 120  # characters shown around a hit
_TELEPHONE = re.compile(r"[+(]?[0-9][0-9 ()/.-]{4,24}")
_NUMBER = re.compile(r"#?([0-9]{4,18})")
_ADDRESS = re.compile(r"[0-9@_.]")  # stands in addresses and hardly in names

_CLOSE = """
WITH hit AS (
    (SELECT id AS customer_id, 0 AS rank, name AS matched FROM crm_customer
     WHERE left(upper(name), 200) = left(upper(%(words)s), 200) LIMIT %(most)s)
    UNION ALL
    (SELECT customer_id, 0, handle FROM crm_identity
     WHERE left(upper(handle), 200) = left(upper(%(handle)s), 200) AND handle <> '' LIMIT %(most)s)
    UNION ALL
    (SELECT customer_id, 0, value FROM crm_identity WHERE kind = ANY(%(kinds)s) AND value = ANY(%(values)s) LIMIT %(most)s)
    UNION ALL
    (SELECT id, 1, name FROM crm_customer WHERE left(upper(name), 200) LIKE upper(%(begins)s) LIMIT %(most)s)
    UNION ALL
    (SELECT customer_id, 1, handle FROM crm_identity
     WHERE left(upper(handle), 200) LIKE upper(%(handle_begins)s) LIMIT %(most)s)
)
SELECT h.customer_id AS id, c.name, h.matched, h.rank FROM (
    SELECT DISTINCT ON (customer_id) * FROM hit ORDER BY customer_id, rank
) h JOIN crm_customer c ON c.id = h.customer_id ORDER BY h.rank, c.name, c.id LIMIT %(most)s
"""

# A number as it is spoken: its last digits, whatever country and area stand before them.
_ENDS = """
SELECT i.customer_id AS id, c.name, i.value AS matched, 2 AS rank FROM (
    SELECT DISTINCT ON (customer_id) customer_id, value FROM (
        SELECT customer_id, value FROM crm_identity WHERE kind = 'phone' AND reverse(value) LIKE %(ends)s LIMIT %(most)s
    ) x ORDER BY customer_id
) i JOIN crm_customer c ON c.id = i.customer_id ORDER BY c.name, c.id
"""

_PARTS = """
WITH hit AS (
    (SELECT id AS customer_id, name AS matched FROM crm_customer WHERE {named} LIMIT %(most)s)
    UNION ALL
    (SELECT customer_id, handle FROM crm_identity WHERE upper(handle) LIKE upper(%(handle_part)s) LIMIT %(most)s)
    UNION ALL
    (SELECT customer_id, value FROM crm_identity
     WHERE kind IN ('email', 'phone') AND upper(value) LIKE upper(%(address_part)s) LIMIT %(most)s)
)
SELECT h.customer_id AS id, c.name, h.matched, 2 AS rank FROM (
    SELECT DISTINCT ON (customer_id) * FROM hit ORDER BY customer_id
) h JOIN crm_customer c ON c.id = h.customer_id ORDER BY c.name, c.id LIMIT %(most)s
"""

# The limit of likeness is set for this one statement: short words with one wrong letter share few trigrams.
_SPELT = """
SELECT q.place, w.word
FROM (SELECT set_config('pg_trgm.similarity_threshold', '0.2', true) AS set OFFSET 0) s
CROSS JOIN unnest(%(words)s::text[], %(far)s::int[]) WITH ORDINALITY AS q(word, far, place)
CROSS JOIN LATERAL (
    SELECT word, levenshtein_less_equal(word, q.word, q.far) AS away FROM crm_nameword
    WHERE word %% left(q.word, length(s.set) + 60) AND levenshtein_less_equal(word, q.word, q.far) <= q.far
    ORDER BY away, word LIMIT 8
) w
"""

_NAMED = """
SELECT id, name, name AS matched, 3 AS rank FROM (
    SELECT id, name FROM crm_customer
    WHERE to_tsvector('simple'::regconfig, coalesce(left(name, 200), '')) @@ %(query)s::tsquery LIMIT 500
) x ORDER BY similarity(name, %(words)s) DESC, id LIMIT %(most)s
"""

_HANDLED = """
SELECT i.customer_id AS id, c.name, i.handle AS matched, 3 AS rank
FROM (SELECT set_config('pg_trgm.similarity_threshold', '0.5', true) AS set OFFSET 0) s
CROSS JOIN LATERAL (
    SELECT customer_id, handle FROM crm_identity
    WHERE upper(handle) %% left(upper(%(handle)s), length(s.set) + 200)
    ORDER BY similarity(upper(handle), upper(%(handle)s)) DESC, id LIMIT %(most)s
) i JOIN crm_customer c ON c.id = i.customer_id
"""

_WORDS = """
SELECT DISTINCT w FROM unnest(%s::text[]) AS n(name), unnest(tsvector_to_array(to_tsvector('simple', left(n.name, 200)))) AS w
WHERE length(w) BETWEEN 3 AND 60 AND w !~ '[0-9]' ORDER BY w
"""
_LEARN = f"INSERT INTO crm_nameword (word) {_WORDS} ON CONFLICT DO NOTHING RETURNING word"  # noqa: S608 - our own words

_FORGET = """
DELETE FROM crm_nameword n WHERE n.word = ANY(%s) AND NOT EXISTS (
    SELECT 1 FROM crm_customer c WHERE to_tsvector('simple'::regconfig, coalesce(left(c.name, 200), ''))
        @@ ('''' || replace(replace(n.word, '\\', '\\\\'), '''', '''''') || '''')::tsquery)
"""

HOW = ("exact", "begins", "contains", "typo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One thing found: its id, what it is called, the text that matched, and how (`HOW`)."""

    id: int
    title: str
    matched: str
    how: str
    detail: str = ""

    def marked(self, words: str) -> list[tuple[str, bool]]:
        """What matched, in pieces; True marks the words that were looked for."""
        return marked(self.matched, words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, by kind; each at most `MOST`, best first."""

    customers: list[Hit]
    tickets: list[Hit]
    messages: list[Hit]

    def __bool__(self) -> bool:
        return bool(self.customers or self.tickets or self.messages)


def search(words: str, *, by: User, kinds: Collection[str] = KINDS) -> Found:
    """What a person may see of what the words name; `words` as typed, at most a line; `kinds` of KINDS."""
    words = " ".join(words.split())
    if not words:
        return Found(customers=[], tickets=[], messages=[])
    knows = "customers" in kinds and may(by, Permission.READ_CUSTOMERS)
    return Found(
        customers=_customers(words) if knows else [],
        tickets=_tickets(words, Ticket.objects.visible_to(by)) if "tickets" in kinds else [],
        messages=_messages(words, Message.objects.visible_to(by)) if "messages" in kinds else [],
    )


def remember(names: list[str]) -> None:
    """Let the words of new names be found with a typo."""
    if names:
        rows.write(_LEARN, (names,))


def learn(names: list[str]) -> list[str]:
    """Remember the words of new names, so that a mistyped one finds them. Returns those that nobody had before."""
    return [word for (word,) in rows.run(_LEARN, (names,))] if names else []


def words_of(names: list[str]) -> list[str]:
    """The words that `learn` takes from these names."""
    return [word for (word,) in rows.run(_WORDS, (names,))] if names else []


def forget(words: list[str]) -> None:
    """Words of names that are gone again; those that still stand in somebody's name stay."""
    if words:
        rows.run(_FORGET, (words,))


def marked(text: str, words: str) -> list[tuple[str, bool]]:
    """A text cut to the surroundings of the first hit, in pieces of which True ones are the words looked for."""
    wanted = sorted({word for word in words.removeprefix("@").split() if word}, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(word) for word in wanted), re.IGNORECASE) if wanted else None
    first = pattern.search(text) if pattern else None
    start = max(0, first.start() - EXCERPT // 3) if first else 0
    shown = (
        ("…" if start else "") + text[start : start + EXCERPT] + ("…" if len(text) > start + EXCERPT else "")
    )
    if pattern is None:
        return [(shown, False)]
    pieces, at = [], 0
    for found in pattern.finditer(shown):
        pieces += [(shown[at : found.start()], False), (found[0], True)]
        at = found.end()
    return [piece for piece in [*pieces, (shown[at:], False)] if piece[0]]


# --- Customers


def _customers(words: str) -> list[Hit]:
    found: dict[int, Hit] = {}
    for stage in (_close, _ends, _parts, _mistyped):
        brought = stage(words)
        for row in brought:
            hit = Hit(id=row["id"], title=row["name"], matched=row["matched"], how=HOW[row["rank"]])
            found.setdefault(hit.id, hit)
        # The next stage costs more, and would add nothing that was meant.
        enough = {
            _close: bool(_ADDRESS.search(words)) and any(hit.how == "exact" for hit in found.values()),
            _ends: bool(brought),
            _parts: bool(found),
        }
        if len(found) >= MOST or enough.get(stage):
            break
    return list(found.values())[:MOST]


def _close(words: str) -> list[dict]:
    handle = words.removeprefix("@")
    digits = _digits(words)
    return rows.dicts(
        _CLOSE,
        {
            "words": words,
            "handle": handle,
            "begins": _escaped(words[:200]) + "%",
            "handle_begins": _escaped(handle[:200]) + "%",
            "kinds": ChannelKind.values,
            "values": [words, words.lower(), *([f"+{digits}", digits] if digits else [])],
            "most": MOST,
        },
    )


def _ends(words: str) -> list[dict]:
    digits = _digits(words).lstrip("0")
    if len(digits) < SHORTEST_END:
        return []
    return rows.dicts(_ENDS, {"ends": digits[::-1] + "%", "most": MOST})


def _parts(words: str) -> list[dict]:
    digits = _digits(words)
    if len(words) < SHORTEST_PART:
        return []
    parts = words.split()[:6]
    named = " AND ".join(f"upper(name) LIKE upper(%(part{place})s)" for place in range(len(parts)))
    return rows.dicts(
        _PARTS.format(named=named),
        {f"part{place}": f"%{_escaped(part)}%" for place, part in enumerate(parts)}
        | {
            "handle_part": f"%{_escaped(words.removeprefix('@'))}%",
            # A number as spoken within the country stands in the international one without its zero.
            "address_part": f"%{digits.lstrip('0') if digits else _escaped(words)}%",
            "most": MOST,
        },
    )


def _mistyped(words: str) -> list[dict]:
    typed = [word for word in re.split(r"[\W_]+", words.lower()) if word and not word.isdigit()][:6]
    if not typed:
        return []
    far = [1 if len(word) < 5 else 2 for word in typed]
    spelt: dict[int, list[str]] = {}
    for row in rows.dicts(_SPELT, {"words": [word[:60] for word in typed], "far": far}):
        spelt.setdefault(row["place"], []).append(row["word"])
    if len(spelt) == len(typed):
        query = " & ".join(
            "(" + " | ".join(_lexeme(word) for word in spelt[place]) + ")" for place in sorted(spelt)
        )
        if found := rows.dicts(_NAMED, {"query": query, "words": words, "most": MOST}):
            return found
    if " " in words or len(words) < SHORTEST_PART:
        return []
    return rows.dicts(_HANDLED, {"handle": words.removeprefix("@"), "most": MOST})


def _digits(words: str) -> str:
    return re.sub(r"[^0-9]", "", words) if _TELEPHONE.fullmatch(words) else ""


def _escaped(words: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", words)


def _lexeme(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


# --- Tickets and words


def _tickets(words: str, tickets: QuerySet) -> list[Hit]:
    tickets = tickets.select_related("customer")
    found = []
    number = _NUMBER.fullmatch(words)
    if number:
        found += [_ticket_hit(one, "exact") for one in tickets.filter(pk=int(number[1]) - FIRST_TICKET)]
    if len(words) >= SHORTEST_PART:
        like = tickets.filter(subject__icontains=words).order_by("-opened_at", "-pk")[:MOST]
        found += [_ticket_hit(one, "contains") for one in like]
    return found[:MOST]


def _ticket_hit(ticket: Ticket, how: str) -> Hit:
    return Hit(
        id=ticket.pk,
        title=f"#{ticket.number}",
        matched=ticket.subject,
        how=how,
        detail=f"{ticket.customer}, {ticket.get_status_display().lower()}",
    )


def _messages(words: str, messages: QuerySet) -> list[Hit]:
    if len(words) < SHORTEST_PART:
        return []
    vector = SearchVector(Left("text", 50_000), config="simple")
    query = SearchQuery(words, config="simple", search_type="websearch")
    matching = Message.objects.annotate(words=vector).filter(words=query)
    ids = list(matching.values_list("pk", flat=True)[:COMMON])
    # A rare word: all its places, then the newest. A common one stands in nearly every newest message anyway.
    found = (
        messages.filter(pk__in=ids)
        if len(ids) < COMMON
        else messages.annotate(words=vector).filter(words=query)
    )
    newest = found.select_related("interaction__customer", "channel").order_by("-pk")[:MOST]
    return [
        Hit(
            id=one.interaction_id,
            title=str(one.interaction.customer),
            matched=one.text,
            how="contains",
            detail=f"{one.channel.name}, {one.at:%d %b %Y %H:%M}",
        )
        for one in newest
    ]
