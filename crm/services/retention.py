"""What is kept for a time only: policies say of which kind, how long; what is older goes, but never what is on hold.

Each kind is a statement that finds what is old (with nothing left of it, it is not found again) and one that takes its words.
Rows stay, so figures stay. Customers go through `erasures`, with a proof each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm import rows
from crm.access import Permission, require
from crm.choices import ErasureWhy, RetentionKind
from crm.errors import InvalidInput
from crm.models import Activity, RetentionPolicy, User
from crm.services import delivery_turns, erasures

BATCH = 1_000

_HELD = """
WITH RECURSIVE held(id) AS (
    SELECT customer_id FROM crm_legalhold WHERE lifted_at IS NULL AND (until IS NULL OR until > now())
    UNION SELECT c.merged_into_id FROM held JOIN crm_customer c ON c.id = held.id WHERE c.merged_into_id IS NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """`old` finds ids above %(after)s in their order, older than %(before)s, of %(brand)s, not of customers in `held`."""

    old: str
    words_go: str  # over an array of ids


_kinds: dict[str, Kind] = {}


def register(kind: str, how: Kind) -> None:
    """Plug in a kind of an app above."""
    _kinds[kind] = how


_BRAND = "(%(brand)s::bigint IS NULL OR h.brand_id = %(brand)s)"

_CUSTOMERS = """
SELECT c.id FROM crm_customer c WHERE c.merged_into_id IS NULL AND c.erased_at IS NULL AND c.created_at < %(before)s
AND c.id NOT IN (SELECT id FROM held)
AND NOT EXISTS (SELECT 1 FROM crm_erasure e WHERE e.customer_id = c.id AND e.state = 'waiting')
AND NOT EXISTS (SELECT 1 FROM crm_interaction i WHERE i.customer_id = c.id
    AND (i.last_message_at >= %(before)s OR i.received_at >= %(before)s OR i.status = 'open'))
AND NOT EXISTS (SELECT 1 FROM crm_ticket t WHERE t.customer_id = c.id
    AND (t.updated_at >= %(before)s OR t.status NOT IN ('solved', 'closed', 'folded')))
AND NOT EXISTS (SELECT 1 FROM crm_order o WHERE o.customer_id = c.id AND o.at >= %(before)s)
AND (%(brand)s::bigint IS NULL OR (EXISTS (SELECT 1 FROM crm_ticket t WHERE t.customer_id = c.id AND t.brand_id = %(brand)s)
    AND NOT EXISTS (SELECT 1 FROM crm_ticket t WHERE t.customer_id = c.id AND t.brand_id <> %(brand)s)))
AND c.id > %(after)s ORDER BY c.id LIMIT %(limit)s
"""
register(RetentionKind.CUSTOMERS.value, Kind(_CUSTOMERS, ""))
register(
    RetentionKind.MESSAGES.value,
    Kind(
        f"""
        SELECT m.id FROM crm_message m JOIN crm_interaction i ON i.id = m.interaction_id JOIN crm_channel h ON h.id = m.channel_id
        WHERE i.status = 'closed' AND i.closed_at < %(before)s AND m.at < %(before)s AND {_BRAND}
        AND (m.text <> '' OR m.title <> '' OR m.media <> '[]' OR m.versions <> '[]')
        AND i.customer_id NOT IN (SELECT id FROM held) AND m.id > %(after)s ORDER BY m.id LIMIT %(limit)s
        """,  # noqa: S608 - our own words
        "UPDATE crm_message SET text = '', title = '', media = '[]', versions = '[]', sentiment_words = '[]' WHERE id = ANY(%s)",
    ),
)
register(
    RetentionKind.PAST.value,
    Kind(
        """
        SELECT p.id FROM crm_pastmessage p LEFT JOIN crm_ticket t ON t.id = p.ticket_id
        WHERE p.at < %(before)s AND (p.text <> '' OR p.title <> '')
        AND (t.id IS NULL OR t.status IN ('solved', 'closed', 'folded'))
        AND (%(brand)s::bigint IS NULL OR t.brand_id = %(brand)s)
        AND p.customer_id NOT IN (SELECT id FROM held) AND p.id > %(after)s ORDER BY p.id LIMIT %(limit)s
        """,
        "UPDATE crm_pastmessage SET text = '', title = '', author_name = '' WHERE id = ANY(%s)",
    ),
)
_RAW = f"""
SELECT d.id FROM crm_delivery d JOIN crm_channel h ON h.id = d.channel_id LEFT JOIN crm_interaction i ON i.id = d.interaction_id
WHERE d.state = 'STATE' AND d.received_at < %(before)s AND d.raw <> '' AND {_BRAND}
AND (i.customer_id IS NULL OR i.customer_id NOT IN (SELECT id FROM held)) AND d.id > %(after)s ORDER BY d.id LIMIT %(limit)s
"""  # noqa: S608 - our own words
_RAW_GOES = f"WITH {delivery_turns.HELD} UPDATE crm_delivery d SET raw = '' FROM held WHERE d.id = held.id"  # noqa: S608 - our own names and words, no one else's
register(RetentionKind.DELIVERIES.value, Kind(_RAW.replace("STATE", "done"), _RAW_GOES))
register(
    RetentionKind.QUARANTINE.value,
    Kind(
        _RAW.replace("STATE", "quarantined"),
        _RAW_GOES.replace("raw = ''", "raw = '', error = 'It was kept long enough.'"),
    ),
)
register(
    RetentionKind.IMPORTS.value,
    Kind(
        """
        SELECT r.id FROM crm_importrow r JOIN crm_import f ON f.id = r.of_id
        WHERE f.at < %(before)s AND f.state NOT IN ('checking', 'running', 'undoing') AND r.cells <> '[]'
        AND %(brand)s::bigint IS NULL AND (r.customer_id IS NULL OR r.customer_id NOT IN (SELECT id FROM held))
        AND r.id > %(after)s ORDER BY r.id LIMIT %(limit)s
        """,
        "UPDATE crm_importrow SET cells = '[]', report = '', problem = '' WHERE id = ANY(%s)",
    ),
)


# --- Looking


def dry_run(policy: RetentionPolicy) -> dict[str, Any]:
    """How much would go now, changing nothing: {"rows", "before"}."""
    how, given = _kinds[policy.kind], _given(policy)
    found = rows.run(f"{_HELD} SELECT count(*) FROM ({how.old}) x", {**given, "after": 0, "limit": None})  # noqa: S608 - our own names and words, no one else's
    return {"rows": found[0][0], "before": given["before"]}


def _given(policy: RetentionPolicy) -> dict[str, Any]:
    before: datetime = timezone.now() - timedelta(days=policy.days)
    return {"before": before, "brand": policy.brand_id}


# --- Doing


def run(policy: RetentionPolicy, *, by: User | None, told: Callable[[int], bool] = lambda _: False) -> int:
    """Let go what is older; `told` hears of each batch and says whether to stop. Returns how many rows went.

    A batch is one transaction: stopped or killed, what is left goes with the next run.
    """
    went = 0
    for ids in _batches(policy):
        with transaction.atomic():
            if policy.kind == RetentionKind.CUSTOMERS:
                erasures.promise(ids, way=policy.way, why=ErasureWhy.RETENTION.value, by=by)
            else:
                rows.run(_kinds[policy.kind].words_go, (ids,))
        went += len(ids)
        if told(len(ids)):
            break
    with transaction.atomic():
        rows.run(
            "UPDATE crm_retentionpolicy SET ran_at = now(), went = went + %s WHERE id = %s", (went, policy.pk)
        )
        if went:
            data = {"policy": policy.pk, "kind": policy.kind, "days": policy.days, "rows": went}
            Activity.objects.create(actor=by, verb="retention.ran", data=data)
    return went


def _batches(policy: RetentionPolicy) -> Iterator[list[int]]:
    given, after = _given(policy), 0
    while found := rows.run(f"{_HELD} {_kinds[policy.kind].old}", {**given, "after": after, "limit": BATCH}):
        ids = [row[0] for row in found]
        yield ids
        after = ids[-1]


def run_active() -> int:
    """Run all policies that are switched on."""
    return sum(run(one, by=None) for one in RetentionPolicy.objects.filter(is_active=True).order_by("pk"))


# --- Setting


def keep(policy: RetentionPolicy, changes: dict[str, Any], *, by: User) -> RetentionPolicy:
    """Make or change a policy; who, and to what, stands in the history."""
    require(by, Permission.ERASE)
    for name, value in changes.items():
        setattr(policy, name, value)
    if policy.way != "erase" and policy.kind != RetentionKind.CUSTOMERS:
        raise InvalidInput("Only customers are made anonymous.", errors={"way": "is erase for this kind"})
    if not policy.days or policy.days < 1:
        raise InvalidInput("How long?", errors={"days": "is at least 1"})
    with transaction.atomic():
        policy.save()
        data = {
            "policy": policy.pk,
            "kind": policy.kind,
            "days": policy.days,
            "way": policy.way,
            "active": policy.is_active,
        }
        Activity.objects.create(actor=by, verb="retention.set", data=data)
    return policy
