"""The append-only lines of who did what."""

from crm import rows, sources
from crm.models import User


def record(
    verb: str,
    *,
    by: User | None,
    interaction_id: int | None = None,
    ticket_id: int | None = None,
    **data: object,
) -> None:
    """Write one line; customer and ticket are taken from the interaction when one is given."""
    rows.write(
        """
        INSERT INTO crm_activity (actor_id, verb, customer_id, ticket_id, interaction_id, data, source)
        SELECT g.actor, g.verb, coalesce(i.customer_id, t.customer_id), coalesce(i.ticket_id, t.id), g.interaction, g.data,
            g.source
        FROM (SELECT %s::bigint AS actor, %s::text AS verb, %s::bigint AS interaction, %s::bigint AS ticket,
            %s::jsonb AS data, %s::text AS source) g
        LEFT JOIN crm_interaction i ON i.id = g.interaction LEFT JOIN crm_ticket t ON t.id = g.ticket
        """,
        (by.pk if by else None, verb, interaction_id, ticket_id, rows.as_json(data), sources.current()),
    )


def record_many(verb: str, lines: list[tuple[int, dict]]) -> None:
    """Write what the house itself did to tickets, in one statement: (ticket id, data)."""
    if lines:
        rows.run(
            """
            INSERT INTO crm_activity (verb, customer_id, ticket_id, data)
            SELECT %s, t.customer_id, t.id, n.data FROM unnest(%s::bigint[], %s::jsonb[]) AS n(id, data)
            JOIN crm_ticket t ON t.id = n.id
            """,
            (verb, [ticket for ticket, _ in lines], [rows.as_json(data) for _, data in lines]),
        )


def record_contacts(verb: str, lines: list[tuple[int, dict]]) -> None:
    """Write what the house itself did to contacts, in one statement: (interaction id, data)."""
    if lines:
        rows.run(
            """
            INSERT INTO crm_activity (verb, customer_id, ticket_id, interaction_id, data)
            SELECT %s, i.customer_id, i.ticket_id, i.id, n.data FROM unnest(%s::bigint[], %s::jsonb[]) AS n(id, data)
            JOIN crm_interaction i ON i.id = n.id
            """,
            (verb, [contact for contact, _ in lines], [rows.as_json(data) for _, data in lines]),
        )
