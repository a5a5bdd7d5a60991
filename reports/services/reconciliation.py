"""The invariants, each as one statement that finds what breaks it."""

from crm import rows
from crm.services import deliveries, rights

# Name -> statement that returns a line for each violation (at most 20 are shown).
CHECKS: dict[str, str] = {
    "a done delivery has an outcome": "SELECT id FROM crm_delivery WHERE state = 'done' AND outcome = ''",
    "a quarantined delivery has a reason": "SELECT id FROM crm_delivery WHERE state = 'quarantined' AND error = ''",
    "one mention for one post": """
        SELECT network, external_id FROM socialcare_mention GROUP BY 1, 2 HAVING count(*) > 1""",
    "one customer behind an identity": """
        SELECT i.id FROM crm_identity i LEFT JOIN crm_customer c ON c.id = i.customer_id WHERE c.id IS NULL""",
    "one open contact of an identity in a thread": """
        SELECT thread, identity_id, audience FROM crm_interaction WHERE folded_into_id IS NULL
        GROUP BY 1, 2, 3 HAVING count(*) > 1""",
    "a contact belongs to its identity's customer": """
        SELECT i.id FROM crm_interaction i JOIN crm_identity y ON y.id = i.identity_id WHERE y.customer_id <> i.customer_id""",
    "a contact's ticket is its customer's": """
        SELECT i.id, t.id FROM crm_interaction i JOIN crm_ticket t ON t.id = i.ticket_id WHERE t.customer_id <> i.customer_id""",
    "a mention belongs to its author's customer": """
        SELECT m.id FROM socialcare_mention m JOIN crm_identity y ON y.id = m.identity_id
        WHERE y.customer_id <> m.customer_id""",
    "a merged customer is an empty shell of one live merge": """
        SELECT c.id FROM crm_customer c LEFT JOIN crm_merge g ON g.merged_id = c.id AND g.undone_at IS NULL
        WHERE (c.merged_into_id IS DISTINCT FROM g.survivor_id) OR (c.merged_into_id IS NOT NULL AND (
            EXISTS (SELECT 1 FROM crm_identity y WHERE y.customer_id = c.id)
            OR EXISTS (SELECT 1 FROM crm_interaction i WHERE i.customer_id = c.id)
            OR EXISTS (SELECT 1 FROM crm_ticket t WHERE t.customer_id = c.id)))""",
    "merges lead to a customer and never in a circle": """
        WITH RECURSIVE up(id, at) AS (
            SELECT id, merged_into_id FROM crm_customer WHERE merged_into_id IS NOT NULL
            UNION SELECT up.id, c.merged_into_id FROM up JOIN crm_customer c ON c.id = up.at WHERE c.merged_into_id IS NOT NULL
        ) SELECT id FROM up WHERE id = at""",
    "a reply stands in the contact whose post it answers": """
        SELECT m.id FROM crm_message m JOIN crm_interaction i ON i.id = m.interaction_id JOIN crm_message q
            ON q.channel_id = m.channel_id AND q.external_id = m.in_reply_to AND q.direction = 'inbound'
        WHERE m.direction = 'outbound' AND m.author_id IS NOT NULL AND m.in_reply_to <> '' AND q.identity_id <> i.identity_id""",
    "a folded ticket holds no open contact": """
        SELECT t.id FROM crm_ticket t JOIN crm_interaction i ON i.ticket_id = t.id
        WHERE t.status = 'folded' AND i.status = 'open' AND i.folded_into_id IS NULL""",
    "an open contact has exactly one open work item": """
        SELECT i.id, count(w.id) FROM crm_interaction i LEFT JOIN routing_workitem w
            ON w.interaction_id = i.id AND w.status IN ('waiting', 'offered', 'assigned')
        WHERE i.status = 'open' AND i.folded_into_id IS NULL AND EXISTS (SELECT 1 FROM routing_queue)
        GROUP BY i.id HAVING count(w.id) <> 1""",
    "a closed contact has no open work item": """
        SELECT i.id FROM crm_interaction i JOIN routing_workitem w ON w.interaction_id = i.id
        WHERE i.status = 'closed' AND w.status IN ('waiting', 'offered', 'assigned')""",
    "an open contact is owned by a team": """
        SELECT id FROM crm_interaction WHERE status = 'open' AND folded_into_id IS NULL AND team_id IS NULL
        AND EXISTS (SELECT 1 FROM routing_queue)""",
    "work waits in a queue that there is, and never goes back to one it overflowed from": """
        SELECT w.id FROM routing_workitem w LEFT JOIN routing_queue q ON q.id = w.queue_id
        WHERE w.status IN ('waiting', 'offered', 'assigned') AND (q.id IS NULL OR w.been_in @> to_jsonb(w.queue_id))""",
    "a work item's state fits its live assignment": """
        SELECT w.id, w.status, a.status FROM routing_workitem w LEFT JOIN routing_assignment a
            ON a.work_item_id = w.id AND a.status IN ('offered', 'accepted')
        WHERE (w.status = 'offered') <> (coalesce(a.status, '') = 'offered')
           OR (w.status = 'assigned') <> (coalesce(a.status, '') = 'accepted')""",
    "an agent's load is what he holds": """
        SELECT g.id, g.load, coalesce(sum(a.units), 0) FROM routing_agent g LEFT JOIN routing_assignment a
            ON a.agent_id = g.id AND a.status IN ('offered', 'accepted') GROUP BY g.id
        HAVING g.load <> coalesce(sum(a.units), 0)""",
    "nobody is over capacity by more than two items": """
        SELECT g.id, g.load, g.capacity FROM routing_agent g
        WHERE g.load > g.capacity + 2 * coalesce((SELECT max(a.units) FROM routing_assignment a
            WHERE a.agent_id = g.id AND a.status IN ('offered', 'accepted')), 0)""",
    "what was counted of choices holds together": """
        SELECT hour, won FROM routing_choicecount GROUP BY hour, won
        HAVING coalesce(sum(number) FILTER (WHERE what = 'looked'), 0) > coalesce(sum(number) FILTER (WHERE what = 'decision'), 0)
            OR coalesce(sum(number) FILTER (WHERE what NOT IN ('looked', 'decision', 'choice')), 0)
                > coalesce(sum(number) FILTER (WHERE what = 'looked'), 0)""",
    "streams are dense": """
        SELECT stream, count(*), min(seq), max(seq) FROM crm_liveevent WHERE seq IS NOT NULL GROUP BY stream
        HAVING count(*) <> max(seq) - min(seq) + 1""",
    "a stream's number is its newest event's": """
        SELECT s.name, s.seq, max(e.seq) FROM crm_stream s JOIN crm_liveevent e ON e.stream = s.name
        GROUP BY s.name, s.seq HAVING max(e.seq) <> s.seq""",
    "a sent reply has the network's id": """
        SELECT id FROM crm_message WHERE direction = 'outbound' AND state = 'sent' AND idempotency_key IS NOT NULL
        AND external_id IS NULL""",
    "nothing posted stands twice": """
        SELECT channel_id, external_id FROM crm_message WHERE external_id IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1""",
    "what a person was given is what his grants add up to": rights.UNSETTLED,
    "our own accounts are no mentions": """
        SELECT m.id FROM socialcare_mention m JOIN crm_identity i ON i.id = m.identity_id
        JOIN crm_channelaccount a ON a.channel_id = m.channel_id AND a.external_id = i.value""",
}


def find(name: str) -> list[tuple]:
    """What breaks one of the invariants, at most 20 lines."""
    return rows.run(f"{CHECKS[name]} LIMIT 20")


def violations() -> list[dict]:
    """What is broken: [{"check", "found"}], empty when all holds."""
    broken = []
    for name in CHECKS:
        if found := find(name):
            broken.append({"check": name, "found": [[str(value) for value in row] for row in found]})
    ledger = deliveries.ledger()
    if ledger["received"] != sum(count for name, count in ledger.items() if name != "received"):
        broken.append({"check": "the ledger's sum holds", "found": [[str(ledger)]]})
    return broken
