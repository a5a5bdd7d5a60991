"""The order in which statements hold several deliveries: by key, as the doors store them.

A door that stores items again waits for rows which another statement holds while it holds some itself. Whoever holds more
than one at a time therefore takes them in the same order, or the two wait for each other (PostgreSQL then ends one with
"deadlock detected").
"""

# COLLATE "C" is the order by code point in which `deliveries.store_params` sorts.
ORDER = 'channel_id, external_id COLLATE "C", event COLLATE "C", digest COLLATE "C"'


def held(which: str) -> str:
    """The part of a WITH named `held`: the ids of the deliveries for which the condition holds, locked in their turn."""
    return f"held AS MATERIALIZED (SELECT id FROM crm_delivery WHERE {which} ORDER BY {ORDER} FOR UPDATE)"  # noqa: S608 - our own names and words, no one else's


HELD = held("id = ANY(%s::bigint[])")
