"""Whether the house is well, from the rows: what waits and since when, who leads, how many connections are held."""

from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, transaction
from prometheus_client.core import GaugeMetricFamily, Metric

from crm import rows
from routing.choices import PresenceState

# Name -> (what it says, its labels, the statement: labels first, the value last). Each is answered by a small index or a
# small table: to be watched must cost nothing.
_FIGURES: dict[str, tuple[str, list[str], str]] = {
    "earshot_deliveries": (
        "Deliveries that are not done, by state.",
        ["state"],
        """SELECT state, count(*) FROM crm_delivery WHERE state IN ('queued', 'in_progress') GROUP BY state
        UNION ALL SELECT 'quarantined', count(*) FROM crm_delivery WHERE state = 'quarantined'""",
    ),
    "earshot_oldest_delivery_seconds": (
        "Age of the oldest delivery that is not handled yet; 0 when all are.",
        [],
        """SELECT extract(epoch FROM now() - coalesce(min(received_at), now())) FROM crm_delivery
        WHERE state IN ('queued', 'in_progress')""",
    ),
    "earshot_work_items": (
        "Open work items, by queue and state.",
        ["queue", "state"],
        """SELECT q.slug, w.status, count(*) FROM routing_workitem w JOIN routing_queue q ON q.id = w.queue_id
        WHERE w.status IN ('waiting', 'offered', 'assigned') GROUP BY 1, 2""",
    ),
    "earshot_oldest_queued_seconds": (
        "Age of the oldest item that waits in a queue; 0 when none waits.",
        ["queue"],
        """SELECT q.slug, extract(epoch FROM now() - coalesce(min(w.queued_at), now())) FROM routing_queue q
        LEFT JOIN routing_workitem w ON w.queue_id = q.id AND w.status = 'waiting' GROUP BY 1""",
    ),
    "earshot_replies": (
        "Replies on their way out, by state; unknown ones wait for a look or a person.",
        ["state"],
        """SELECT state, count(*) FROM crm_message
        WHERE state IN ('queued', 'sending', 'unknown') AND direction = 'outbound' GROUP BY state""",
    ),
    "earshot_agents": (
        "Agents by what they chose, or not_responding.",
        ["state"],
        """SELECT CASE WHEN chosen <> 'offline' AND (silent OR blocked_families <> '[]') THEN 'not_responding'
        ELSE chosen END, count(*) FROM routing_agent GROUP BY 1""",
    ),
    "earshot_leader_silence_seconds": (
        "Since the leading conveyor was last alive, by its part.",
        ["part"],
        "SELECT name, extract(epoch FROM now() - beat_at) FROM routing_leader WHERE name IN ('belt', 'router')",
    ),
    "earshot_database_connections": (
        "Connections to the database, by process and state.",
        ["process", "state"],
        """SELECT coalesce(nullif(application_name, ''), 'other'), coalesce(state, 'other'), count(*)
        FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1, 2""",
    ),
    "earshot_database_connections_limit": (
        "Connections that PostgreSQL takes.",
        [],
        "SELECT current_setting('max_connections')::int",
    ),
}
# A state that nothing is in is said as 0, so that an alarm can tell it from a figure that is missing.
_ALWAYS: dict[str, list[str]] = {
    "earshot_deliveries": ["queued", "in_progress", "quarantined"],
    "earshot_replies": ["queued", "sending", "unknown"],
    "earshot_agents": [str(state) for state in PresenceState] + ["not_responding"],
}


def families() -> Iterator[Metric]:
    """The figures as Prometheus families; when PostgreSQL does not answer, only that it does not."""
    up = GaugeMetricFamily("earshot_database_up", "1 when PostgreSQL answers.")
    try:
        with transaction.atomic():
            found = {name: rows.run(statement) for name, (_, _, statement) in _FIGURES.items()}
    except DatabaseError:
        found = {}
    up.add_metric([], 1 if found else 0)
    yield up
    for name, lines in found.items():
        about, labels, _ = _FIGURES[name]
        family = GaugeMetricFamily(name, about, labels=labels)
        values: dict[tuple, Any] = {(state,): 0 for state in _ALWAYS.get(name, [])}
        values |= {tuple(line[:-1]): line[-1] for line in lines}
        for key, value in values.items():
            family.add_metric([str(word) for word in key], float(value))
        yield family
