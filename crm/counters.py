"""What processes count while they work, for `/metrics`: each in a file of its own, in a folder that all of a host share.

The launcher names the folder (PROMETHEUS_MULTIPROC_DIR) and empties it at its start. Without it a process counts for itself.
"""

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported

_own = CollectorRegistry()

DELIVERED = Counter(
    "earshot_intake_items", "Items at the door: accepted, duplicate, rejected.", ["result"], registry=_own
)
REFUSED = Counter(
    "earshot_intake_refused", "Requests of which the door stored nothing, by the code of the answer.", ["code"], registry=_own
)  # fmt: skip
HANDLED = Counter(
    "earshot_deliveries_handled", "Deliveries taken to their end, by outcome.", ["outcome"], registry=_own
)
INGEST_LAG = Histogram(
    "earshot_ingest_lag_seconds", "From the arrival of a delivery to its outcome, of the oldest of each batch.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300), registry=_own,
)  # fmt: skip
OFFERS = Counter(
    "earshot_offers", "Offers made, accepted, declined, missed, withdrawn.", ["state"], registry=_own
)
SENDS = Counter(
    "earshot_sends", "Replies that reached the state sent, failed, unknown.", ["state"], registry=_own
)
SOCKETS = Gauge("earshot_sockets", "Open sockets.", multiprocess_mode="livesum", registry=_own)
RESYNCS = Counter(
    "earshot_socket_resyncs",
    "Snapshots given instead of the frames that a slow reader was dropped.",
    registry=_own,
)
POOL = Gauge(
    "earshot_pool_connections", "The web processes' pools: connections in_use and free, requests waiting for one.",
    ["state"], multiprocess_mode="livesum", registry=_own,
)  # fmt: skip

# Said from the first moment: what appears only with its first event has no beginning to be compared with.
for _counter, _states in (
    (DELIVERED, ("accepted", "duplicate", "rejected")),
    (OFFERS, ("made", "accepted", "declined", "missed", "withdrawn")),
    (SENDS, ("sent", "failed", "unknown")),
):
    for _state in _states:
        _counter.labels(_state)


def families() -> Iterable[Metric]:
    """What all processes of this host counted, added up."""
    if folder := os.environ.get(FOLDER):
        return MultiProcessCollector(None, folder).collect()
    return _own.collect()
