"""Where the house keeps what is known of people: one register, column by column, of every table of every app.

Erasure, a person's export, retention and the preview of each walk this register, so none can forget a table. Each column of
text, JSON or bytes stands in it, in one of three ways: `words` go in either way, `facts` go when a person is erased and
stay when he is made anonymous, `plain` hold nobody. A column that stands nowhere fails the build
(`tests/architecture/test_personal.py`).

`of` is the condition under which a row `t` is a person's, over what `Traces` holds: %(customers)s, %(identities)s,
%(interactions)s, %(tickets)s, %(messages)s, %(threads)s (ids) and %(channels)s with %(items)s (ids of items, pairwise).
What takes the place of a value is SQL over the row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ITEM = "(t.channel_id, t.external_id) IN (SELECT * FROM unnest(%(channels)s::bigint[], %(items)s::text[]))"
# A stand-in for an id that must stay unique: letters only, so that it never looks like a telephone number or an id of a network.
STAND_IN = "'erased-' || translate(t.id::text, '0123456789', 'abcdefghij')"
NO_TEXT, NO_LIST, NO_OBJECT, NOTHING = "''", "'[]'", "'{}'", "NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one table keeps of a person. `goes`: the rows go altogether, in either way. `by`: who takes them in hand instead."""

    noun: str  # as the preview and the export call it
    of: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    plain: tuple[str, ...] = ()
    goes: bool = False
    by: str = ""
    told: bool = True  # stands in a person's export; what is only a means of ours does not

    def columns(self) -> set[str]:
        """All the columns that are declared."""
        return {*self.words, *self.facts, *self.plain}


_kept: dict[str, Kept] = {}
_nobody: dict[str, tuple[str, ...]] = {}
_items: list[str] = []
_echoes: list[tuple[str, str, str]] = []
_beside: list[str] = []


def keeps(label: str, kept: Kept) -> None:
    """Declare a model by its label: it holds what is known of customers."""
    _kept[label] = kept


def nobody(label: str, *columns: str) -> None:
    """Declare a model by its label: none of its texts is a customer's."""
    _nobody[label] = columns


def items_of(statement: str) -> None:
    """Plug in where an app above keeps items: a statement over %(identities)s that gives (channel id, external id, thread)."""
    _items.append(statement)


def echoes(table: str, column: str, of: str) -> None:
    """Declare where other people's words may address a person by handle: rows `t` beside the person's own, in his threads."""
    _echoes.append((table, column, of))


def beside(statement: str) -> None:
    """Plug in where other people's items in a person's threads are: a statement that gives (channel id, external id)."""
    _beside.append(statement)


def beside_statements() -> tuple[str, ...]:
    """Where other people's items in the same threads are found."""
    return tuple(_beside)


def all_echoes() -> tuple[tuple[str, str, str], ...]:
    """Table, column and condition of words in which a person may be addressed."""
    return tuple(_echoes)


def register() -> dict[str, Kept]:
    """Label to what is kept there."""
    return dict(_kept)


def without_people() -> dict[str, tuple[str, ...]]:
    """Label to columns of tables that hold nobody."""
    return dict(_nobody)


def item_statements() -> tuple[str, ...]:
    """Where items are found."""
    return tuple(_items)


# --- The floor's own tables

_OF_CUSTOMER = "t.customer_id = ANY(%(customers)s)"
_OF_TICKET = "t.ticket_id = ANY(%(tickets)s)"

keeps("crm.Customer", Kept(
    noun="customers", of="t.id = ANY(%(customers)s)",
    words={"name": NO_TEXT, "note": NO_TEXT, "fields": NO_OBJECT, "erased_at": "now()"},
    facts={"language": NO_TEXT, "value": NOTHING, "company_id": NOTHING, "preferred_channel": NO_TEXT, "public_figure": "false"},
))  # fmt: skip
keeps("crm.Identity", Kept(
    noun="identities", of="t.id = ANY(%(identities)s)",
    words={"value": STAND_IN, "handle": NO_TEXT, "name": NO_TEXT, "claims": NO_OBJECT},
    facts={"followers": NOTHING}, plain=("kind", "trust"),
))  # fmt: skip
keeps("crm.Order", Kept(
    noun="orders", of=_OF_CUSTOMER, words={"number": STAND_IN}, plain=("currency", "state"),
))  # fmt: skip
keeps("crm.Survey", Kept(
    noun="answers to surveys", of=_OF_CUSTOMER, words={"comment": NO_TEXT, "reference": NO_TEXT, "digest": STAND_IN},
    plain=("question", "channel"),
))  # fmt: skip
keeps("crm.Consent", Kept(noun="consents", of=_OF_CUSTOMER, words={"how": NO_TEXT}, plain=("purpose",)))
keeps("crm.Customer_tags", Kept(noun="tags of the customer", of=_OF_CUSTOMER, by="tags"))
keeps("crm.Merge", Kept(
    noun="merges", of="t.survivor_id = ANY(%(customers)s) OR t.merged_id = ANY(%(customers)s)", words={"fields": NO_OBJECT},
))  # fmt: skip
keeps("crm.Apart", Kept(
    noun="people it is not", of="t.one_id = ANY(%(customers)s) OR t.other_id = ANY(%(customers)s)", words={},
))  # fmt: skip
keeps("crm.SlaPolicy", Kept(
    noun="targets of the customer", of=_OF_CUSTOMER, words={"name": STAND_IN, "slug": STAND_IN},
    plain=("channel_kind", "priority"),
))  # fmt: skip
keeps("crm.Ticket", Kept(
    noun="tickets", of="t.id = ANY(%(tickets)s)",
    words={"subject": "'Erased'", "promise": NO_TEXT, "priority_reason": NO_TEXT, "fields": NO_OBJECT,
           "reference": NO_TEXT},
    plain=("status", "kind", "topic", "priority"),
))  # fmt: skip
keeps("crm.ChecklistItem", Kept(noun="checklists", of=_OF_TICKET, words={"text": "'Erased'"}))
keeps("crm.TicketClock", Kept(
    noun="clocks", of=_OF_TICKET, plain=("kind", "state"),
    # [at, act, cause]: the cause of a pause is somebody's words.
    words={"lines": "(SELECT coalesce(jsonb_agg(jsonb_set(l, '{2}', '\"\"') ORDER BY n), '[]') "
                    "FROM jsonb_array_elements(t.lines) WITH ORDINALITY AS x(l, n))"},
))  # fmt: skip
keeps("crm.Interaction", Kept(
    noun="interactions", of="t.id = ANY(%(interactions)s)", words={"judgement": NO_OBJECT},
    facts={"customer_value": NOTHING},
    plain=("family", "audience", "status", "language", "topic", "queue_hint", "required_skills", "priority_parts", "reason",
           "outcome"),
))  # fmt: skip
keeps("crm.Message", Kept(
    noun="messages", of="t.id = ANY(%(messages)s)",
    words={"external_id": f"CASE WHEN t.external_id IS NOT NULL THEN {STAND_IN} END", "author_name": NO_TEXT, "title": NO_TEXT,
           "text": NO_TEXT, "media": NO_LIST, "versions": NO_LIST, "sentiment_words": NO_LIST, "in_reply_to": NO_TEXT,
           "error": NO_TEXT},
    plain=("direction", "audience", "state", "idempotency_key"),
))  # fmt: skip
keeps("crm.PastMessage", Kept(
    noun="past messages", of=_OF_CUSTOMER,
    words={"title": NO_TEXT, "text": NO_TEXT, "author_name": NO_TEXT, "reference": NO_TEXT, "digest": STAND_IN},
    plain=("kind", "audience", "direction"),
))  # fmt: skip
keeps("crm.ThreadRef", Kept(
    noun="references", told=False, goes=True, words={"external_id": NO_TEXT},
    of="""(t.channel_id, substr(t.external_id, 3)) IN (SELECT * FROM unnest(%(channels)s::bigint[], %(items)s::text[]))
        OR t.thread = ANY(%(threads)s) AND NOT EXISTS (
            SELECT 1 FROM crm_interaction o WHERE o.thread = t.thread AND o.id <> ALL(%(interactions)s))""",
))  # fmt: skip
keeps("crm.AwaitedChange", Kept(
    noun="changes that wait", told=False, of=ITEM, goes=True, words={"external_id": NO_TEXT, "text": NO_TEXT}, plain=("event",),
))  # fmt: skip
# Before the deliveries: the ids of loose ones are read from them.
_OF_LOOSE = """(t.channel_id, t.external_id) IN (
    SELECT d.channel_id, d.external_id FROM crm_delivery d WHERE d.id = ANY(%(deliveries)s))"""
keeps("crm.Masked", Kept(
    noun="words as they came", goes=True, words={"external_id": NO_TEXT, "title": NO_TEXT, "text": NO_TEXT},
    of=f"{ITEM} OR {_OF_LOOSE}",
))  # fmt: skip
keeps("crm.Delivery", Kept(
    # What waits is not touched: it is turned away when its turn comes (`erasures.turn_away`).
    noun="deliveries", of=f"({ITEM} OR t.id = ANY(%(deliveries)s)) AND t.state NOT IN ('queued', 'in_progress')",
    words={"external_id": STAND_IN, "digest": NO_TEXT, "raw": "''::bytea",
           "error": "CASE WHEN t.state = 'quarantined' THEN 'Erased.' ELSE '' END"},
    plain=("event", "state", "outcome", "form"),
))  # fmt: skip
keeps("crm.ImportRow", Kept(
    noun="rows of imports", of="t.customer_id = ANY(%(customers)s) OR t.id = ANY(%(import_rows)s)",
    words={"cells": NO_LIST, "problem": NO_TEXT, "report": NO_TEXT, "did": NO_OBJECT, "digest": NO_TEXT}, plain=("outcome",),
))  # fmt: skip
keeps("crm.Activity", Kept(
    noun="lines of the history", by="audit", words={"data": NO_OBJECT}, plain=("verb", "source", "seal"),
    of=f"{_OF_CUSTOMER} OR {_OF_TICKET} OR t.id = ANY(%(activities)s)",
))  # fmt: skip
keeps(
    "crm.NameWord",
    Kept(
        noun="words of names", told=False, by="words", of="t.word = ANY(%(words)s)", words={"word": NO_TEXT}
    ),
)
keeps("crm.ImportMade", Kept(
    noun="words of names in imports", told=False, by="words", of="t.noun = 'word' AND t.name = ANY(%(words)s)",
    words={"name": NO_TEXT},
    plain=("noun",),
))  # fmt: skip
keeps("crm.Export", Kept(
    noun="files of lists", told=False, by="files", of="t.id = ANY(%(exports)s)", words={"query": NO_OBJECT, "error": NO_TEXT},
    plain=("noun", "form", "state", "role", "reach"),
))  # fmt: skip
keeps("crm.SavedView", Kept(
    noun="views of lists", told=False, of="t.id = ANY(%(views)s)", goes=True, words={"name": NO_TEXT, "where": NO_OBJECT},
    plain=("noun", "sharing", "columns", "ordering"),
))  # fmt: skip
_OF_BULK = """r.row_id = ANY(%(customers)s) AND (SELECT b.noun FROM crm_bulk b WHERE b.id = r.of_id) = 'customers'
    OR r.row_id = ANY(%(tickets)s) AND (SELECT b.noun FROM crm_bulk b WHERE b.id = r.of_id) = 'tickets'"""
keeps("crm.Bulk", Kept(
    # What rows were given may be words about him whom it was given to.
    noun="edits of many rows", words={"change": NO_OBJECT, "asked": NO_OBJECT}, plain=("noun", "state", "counts", "source"),
    of=f"t.id = ANY(%(bulks)s) OR t.id IN (SELECT r.of_id FROM crm_bulkrow r WHERE {_OF_BULK})",  # noqa: S608 - our own names
))  # fmt: skip
keeps("crm.BulkRow", Kept(
    # Without what it was the row cannot be put back, which is as it should be.
    noun="rows of such edits", words={"reason": NO_TEXT, "before": NO_OBJECT, "after": NO_OBJECT}, plain=("outcome",),
    of=_OF_BULK.replace("r.", "t."),
))  # fmt: skip
keeps("crm.IdempotencyKey", Kept(
    noun="saved answers", told=False, of="t.id = ANY(%(answers)s)", words={"body": "'{\"erased\": true}'"},
    plain=("key", "digest"),
))  # fmt: skip
keeps("admin.LogEntry", Kept(
    noun="lines of the admin", told=False, of="t.id = ANY(%(admin_lines)s)",
    words={"object_repr": "'Erased'", "change_message": NO_TEXT},
    plain=("object_id",),
))  # fmt: skip
keeps("crm.Verification", Kept(noun="verifications", of=_OF_CUSTOMER, plain=("how",)))
keeps(
    "crm.RestrictedValue",
    Kept(noun="restricted fields", of=f"{_OF_CUSTOMER} OR {_OF_TICKET}", goes=True, words={"value": NO_TEXT}),
)
keeps("crm.LegalHold", Kept(
    noun="legal holds", of=_OF_CUSTOMER, words={"reason": NO_TEXT},
))  # fmt: skip

BESIDE = (
    "SELECT o.id FROM crm_interaction o WHERE o.thread = ANY(%(threads)s) AND o.id <> ALL(%(interactions)s)"
)
_OTHERS = f"t.interaction_id IN ({BESIDE}) AND t.id <> ALL(%(messages)s)"
beside(f"SELECT t.channel_id, t.external_id FROM crm_message t WHERE {_OTHERS} AND t.external_id IS NOT NULL")  # noqa: S608 - our own names and words, no one else's
echoes("crm_message", "text", "t.interaction_id IS NULL AND t.thread = ANY(%(threads)s)")
echoes("crm_message", "text", _OTHERS)
echoes("crm_message", "title", _OTHERS)
echoes(
    "crm_ticket", "subject",
    f"t.id IN (SELECT ticket_id FROM crm_interaction WHERE id IN ({BESIDE})) AND t.id <> ALL(%(tickets)s)",  # noqa: S608 - our own names and words, no one else's
)  # fmt: skip

# --- Settings, staff and the machinery: no customer stands in them

nobody("auth.Permission", "name", "codename")
nobody("auth.Group", "name")
nobody("account.EmailAddress", "email")
nobody("account.EmailConfirmation", "key")
nobody("contenttypes.ContentType", "app_label", "model")
nobody("sessions.Session", "session_key", "session_data")
nobody("crm.Brand", "slug", "name")
nobody(
    "crm.Channel",
    "slug",
    "name",
    "kind",
    "connector",
    "base_url",
    "token",
    "secret",
    "previous_secret",
    "options",
)
nobody("crm.Poll", "cursor", "error")
nobody("crm.ChannelAccount", "external_id", "handle", "name")
nobody("crm.Code", "kind", "code", "label")
nobody("crm.Macro", "slug", "name", "situation", "reach")
nobody("crm.MacroVersion", "text", "texts", "actions", "note")
nobody("crm.Notice", "kind")
nobody("crm.Team", "slug", "name", "visibility")
nobody("crm.User", "password", "email", "name", "role", "alias", "reach")
nobody("crm.RightSet", "name", "note", "rights")
nobody("crm.Grant", "role", "scope")
nobody("crm.Viewing", "session_key", "role")
nobody("crm.ApiToken", "name", "digest", "scopes")
nobody("crm.Tag", "slug", "name")
# An organisation is no person. Where a company is one, its record is emptied by hand.
nobody("crm.Company", "name", "domain", "note", "fields")
nobody("crm.CustomField", "noun", "slug", "label", "kind", "choices")
nobody("crm.Import", "name", "noun", "state", "headers", "mapping", "region", "counts", "kept")
nobody("crm.StatusName", "status", "name")
nobody("crm.PauseReason", "name")
nobody("crm.TicketLink", "kind")
nobody("crm.TicketMerge", "interaction_ids", "status")
nobody("crm.AuditHead", "seal")
nobody("crm.MovedRow", "table")
nobody("crm.BusinessCalendar", "slug", "name", "zone", "week")
nobody("crm.Holiday", "name", "spans")
nobody("crm.Stream", "name")
nobody("crm.LiveEvent", "stream", "type", "data")  # ids and small values, never people's words
nobody("crm.Erasure", "way", "why", "state", "counts", "problem")
nobody("crm.ErasedKey", "digest")
nobody("crm.LastingKey", "purpose", "secret")
nobody("crm.RetentionPolicy", "kind", "way")
