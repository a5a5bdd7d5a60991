"""The fixed lists of the floor, with the transitions that are legal between them."""

from django.db.models import TextChoices


class Role(TextChoices):
    """What a person is here for."""

    ADMINISTRATOR = "administrator"
    SUPERVISOR = "supervisor"
    AGENT = "agent"
    MARKETING = "marketing"
    AUDITOR = "auditor"
    API_CLIENT = "api_client", "API client"


class Scope(TextChoices):
    """Over what a set of rights is given."""

    EVERYWHERE = "everywhere"
    BRAND = "brand"
    TEAM = "team"
    OWN = "own", "What he holds"


class ChannelKind(TextChoices):
    """What an endpoint of ours speaks."""

    X = "x", "X"
    FACEBOOK = "facebook"
    INSTAGRAM = "instagram"
    YOUTUBE = "youtube", "YouTube"
    MASTODON = "mastodon"
    BLUESKY = "bluesky"
    REDDIT = "reddit"
    EMAIL = "email", "E-mail"
    CHAT = "chat", "Web chat"
    PHONE = "phone"
    SMS = "sms", "SMS"
    FAX = "fax"
    WEBHOOK = "webhook"


# Characters that a network takes; what is longer is refused there.
LENGTHS: dict[str, int] = {
    ChannelKind.X.value: 280,
    ChannelKind.BLUESKY.value: 300,
    ChannelKind.MASTODON.value: 500,
    ChannelKind.INSTAGRAM.value: 2200,
    ChannelKind.SMS.value: 1600,
}


class MailSecurity(TextChoices):
    """How the line to a mail server is secured."""

    TLS = "tls", "TLS"
    STARTTLS = "starttls", "STARTTLS"
    NONE = "none", "none (own network only)"


class Family(TextChoices):
    """Channels that are worked alike: the same offer time, units and presence."""

    VOICE = "voice"
    CHAT = "chat"
    MESSAGE = "message", "Private message"
    SOCIAL = "social"
    MAIL = "mail"


class ItemKind(TextChoices):
    """What was delivered (`interface.md`, Receiving)."""

    MENTION = "mention"
    REPLY = "reply"
    COMMENT = "comment"
    REVIEW = "review"
    DIRECT_MESSAGE = "direct_message"
    REPOST = "repost"
    POST = "post"
    EMAIL = "email", "E-mail"
    CHAT = "chat"
    SMS = "sms", "SMS"
    CALL = "call"
    FAX = "fax"


PUBLIC_KINDS = {
    ItemKind.MENTION,
    ItemKind.REPLY,
    ItemKind.COMMENT,
    ItemKind.REVIEW,
    ItemKind.REPOST,
    ItemKind.POST,
}


class Audience(TextChoices):
    """Who can read a message."""

    PUBLIC = "public"
    PRIVATE = "private"
    INTERNAL = "internal"


# Whom an answer can be for.
ANSWERED = [(Audience.PUBLIC.value, "Public"), (Audience.PRIVATE.value, "Private")]


class Direction(TextChoices):
    """Which way a message went."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    NOTE = "note"


class Event(TextChoices):
    """What happened to the item on the network."""

    CREATED = "created"
    EDITED = "edited"
    DELETED = "deleted"


class DeliveryState(TextChoices):
    """Where a delivery is on the conveyor."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    QUARANTINED = "quarantined"


class DeliveryOutcome(TextChoices):
    """What a done delivery became; the sum of these is what was accepted."""

    OPENED = "opened"
    JOINED = "joined"
    IGNORED = "ignored"
    OWN = "own"
    REPOST = "repost"
    UPDATE = "update"
    ERASED = "erased"  # of somebody who was erased: turned away


class InteractionStatus(TextChoices):
    """One contact, from opening to close."""

    OPEN = "open"
    CLOSED = "closed"


class TicketStatus(TextChoices):
    """The durable problem."""

    NEW = "new"
    OPEN = "open"
    WAITING_ON_CUSTOMER = "waiting_on_customer"
    WAITING_ON_US = "waiting_on_us"
    SOLVED = "solved"
    CLOSED = "closed"
    FOLDED = "folded"


_WORKED: set = {TicketStatus.OPEN, TicketStatus.WAITING_ON_CUSTOMER, TicketStatus.WAITING_ON_US}

# Which steps a person may take. Folding, and re-opening by the customer's answer, are the threads' own business.
TICKET_MOVES: dict[str, set] = {
    TicketStatus.NEW: _WORKED | {TicketStatus.SOLVED},
    TicketStatus.OPEN: _WORKED | {TicketStatus.SOLVED},
    TicketStatus.WAITING_ON_CUSTOMER: _WORKED | {TicketStatus.SOLVED},
    TicketStatus.WAITING_ON_US: _WORKED | {TicketStatus.SOLVED},
    TicketStatus.SOLVED: _WORKED | {TicketStatus.CLOSED},
    TicketStatus.CLOSED: set(),
    TicketStatus.FOLDED: set(),
}


class TicketPriority(TextChoices):
    """How much a ticket matters; set by a person, with a reason."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class TicketKind(TextChoices):
    """What sort of problem it is. An incident is one cause behind many tickets."""

    QUESTION = "question"
    PROBLEM = "problem"
    COMPLAINT = "complaint"
    TASK = "task"
    INCIDENT = "incident"


class LinkKind(TextChoices):
    """How two tickets belong together."""

    RELATED = "related"
    CHILD = "child", "Part of"
    INCIDENT = "incident", "Caused by"


class Trust(TextChoices):
    """How sure it is that an address is this customer's."""

    VERIFIED = "verified"
    CLAIMED = "claimed"
    GUESSED = "guessed"


class FieldNoun(TextChoices):
    """What fields of our own stand on."""

    CUSTOMER = "customer"
    COMPANY = "company"
    TICKET = "ticket"


class FieldKind(TextChoices):
    """What a field of our own holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    MULTI_CHOICE = "multi_choice"
    BOOLEAN = "boolean"
    LINK = "link"


class ConsentPurpose(TextChoices):
    """What a customer may agree to."""

    CONTACT = "contact"
    MARKETING = "marketing"
    RECORDING = "recording"
    SURVEY = "survey"


class ClockKind(TextChoices):
    """What is promised (`crm/clocks.py`)."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    RESOLUTION = "resolution"


class ClockState(TextChoices):
    """How a promise stands."""

    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    BREACHED = "breached"


class MessageState(TextChoices):
    """Where an outbound message is; inbound ones are `received`."""

    RECEIVED = "received"
    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Verdict(TextChoices):
    """What a post needs (`practice.md` 1.4)."""

    RESPOND = "respond"
    FOLLOW = "follow"
    NO_ANSWER_NEEDED = "no_answer_needed"
    ESCALATE = "escalate"
    SPAM = "spam"


OPENING_VERDICTS = {Verdict.RESPOND, Verdict.ESCALATE}


class TeamVisibility(TextChoices):
    """Whether other teams may read this team's words."""

    OPEN = "open"
    RESTRICTED = "restricted"
    CLOSED = "closed"


class CodeKind(TextChoices):
    """The two coded lists of wrap-up (`practice.md` 1.6)."""

    REASON = "reason"
    OUTCOME = "outcome"


class MacroReach(TextChoices):
    """Who may use a macro."""

    EVERYBODY = "everybody"
    TEAM = "team"
    OWN = "own"


class NoticeKind(TextChoices):
    """Why somebody is told."""

    MENTION = "mention"
    RELEASE = "release"  # an answer of somebody in training waits for his coach


class Question(TextChoices):
    """What a survey asks (`practice.md` 5.4 and 5.5); the two recommendations are never one figure."""

    CSAT = "csat", "Satisfaction"
    NPS_CONTACT = "nps_contact", "Recommendation after contact"
    NPS_RELATION = "nps_relation", "Recommendation"
    SOLVED = "solved", "Was it solved"


# The lowest and the highest answer to each.
SCALES: dict[str, tuple[int, int]] = {
    Question.CSAT.value: (1, 5),
    Question.NPS_CONTACT.value: (0, 10),
    Question.NPS_RELATION.value: (0, 10),
    Question.SOLVED.value: (0, 1),
}


class ImportNoun(TextChoices):
    """What a file holds."""

    CUSTOMERS = "customers"
    IDENTITIES = "identities", "Further addresses"
    COMPANIES = "companies"
    TICKETS = "tickets"
    HISTORY = "history", "Past messages"
    SURVEYS = "surveys", "Answers to surveys"


class ImportState(TextChoices):
    """Where an import is. Checking, running and undoing are promises: rows wait, and whoever is free goes on."""

    OPEN = "open"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class RowOutcome(TextChoices):
    """What a row of an import became; while the import is only checked, what it would become."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    UNDONE = "undone"
    KEPT = "kept"


class ExportState(TextChoices):
    """Where the file of an export is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class ExportFormat(TextChoices):
    """In which form a list leaves."""

    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel"
    JSONL = "jsonl", "JSON lines"


class Sharing(TextChoices):
    """Who sees a view of a list."""

    PRIVATE = "private", "only me"
    TEAM = "team", "my team"
    EVERYBODY = "everybody"


class ErasureWay(TextChoices):
    """What becomes of a person's record."""

    ERASE = "erase"
    ANONYMISE = "anonymise"  # the same, but facts that name nobody stay


class ErasureWhy(TextChoices):
    """Why a record goes; a code, so that the proof names nobody."""

    REQUEST = "request", "The person asked for it"
    CONSENT = "consent", "Consent was taken back"
    RETENTION = "retention", "Kept long enough"
    UNLAWFUL = "unlawful", "It should not have been kept"


class ErasureState(TextChoices):
    """From the promise to the proof."""

    WAITING = "waiting"
    DONE = "done"


class RetentionKind(TextChoices):
    """What is kept for a time only."""

    CUSTOMERS = "customers", "Customers without any contact"
    MESSAGES = "messages", "Words of closed contacts"
    PAST = "past", "Imported words of the past"
    MENTIONS = "mentions", "Words of posts that need nothing"
    DELIVERIES = "deliveries", "Raw deliveries that are done"
    QUARANTINE = "quarantine", "Raw deliveries in the quarantine"
    IMPORTS = "imports", "Rows of imported files"


class BulkState(TextChoices):
    """Where an edit of many rows is. Running and undoing are promises: rows wait, and whoever is free goes on."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class BulkOutcome(TextChoices):
    """What a row of such an edit became; while it is only previewed, what it would become."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    RESTORED = "restored"
    KEPT = "kept"


class VerifiedHow(TextChoices):
    """How it was made sure that this is the person."""

    CODE = "code", "A code sent to a known address"
    CALL_BACK = "call_back", "Called back on a known number"
    DOCUMENT = "document", "A document was shown"
    ANSWERS = "answers", "Questions only the person can answer"
    IN_PERSON = "in_person", "In person"
