"""The nouns of the floor."""

from crm.models.channels import Brand, Channel, ChannelAccount
from crm.models.codes import Code
from crm.models.companies import Company, Consent, CustomField, Order, Tag
from crm.models.customers import Customer, Identity, NameWord
from crm.models.deliveries import AwaitedChange, Delivery
from crm.models.history import PastMessage
from crm.models.idempotency import IdempotencyKey
from crm.models.imports import Export, Import, ImportMade, ImportRow
from crm.models.interactions import Interaction, ThreadRef
from crm.models.macros import Macro, MacroUse, MacroVersion
from crm.models.merges import Apart, Merge, MergeRule, MovedRow
from crm.models.messages import Message
from crm.models.notices import NoteMention, Notice
from crm.models.polls import Poll, PollDay
from crm.models.privacy import (
    ErasedKey,
    Erasure,
    LastingKey,
    LegalHold,
    Masked,
    RestrictedValue,
    RetentionPolicy,
    Verification,
)
from crm.models.saved import Bulk, BulkRow, SavedView
from crm.models.slas import BusinessCalendar, Holiday, SlaPolicy, TicketClock
from crm.models.streams import LiveEvent, Stream
from crm.models.surveys import Survey
from crm.models.tickets import (
    Activity,
    AuditHead,
    ChecklistItem,
    PauseReason,
    StatusName,
    Ticket,
    TicketLink,
    TicketMerge,
)
from crm.models.users import ApiToken, Grant, RightSet, Team, User, Viewing

__all__ = [
    "Apart",
    "Activity",
    "ApiToken",
    "AuditHead",
    "AwaitedChange",
    "Brand",
    "Bulk",
    "BulkRow",
    "BusinessCalendar",
    "Channel",
    "ChannelAccount",
    "ChecklistItem",
    "Code",
    "Company",
    "Consent",
    "CustomField",
    "Customer",
    "Delivery",
    "ErasedKey",
    "Erasure",
    "Export",
    "Grant",
    "Holiday",
    "IdempotencyKey",
    "Identity",
    "Import",
    "ImportMade",
    "ImportRow",
    "Interaction",
    "LastingKey",
    "LegalHold",
    "LiveEvent",
    "Macro",
    "MacroUse",
    "MacroVersion",
    "Merge",
    "MergeRule",
    "Message",
    "MovedRow",
    "NameWord",
    "NoteMention",
    "Notice",
    "Order",
    "Masked",
    "RestrictedValue",
    "RightSet",
    "RetentionPolicy",
    "PastMessage",
    "PauseReason",
    "Poll",
    "PollDay",
    "Verification",
    "Viewing",
    "SavedView",
    "SlaPolicy",
    "StatusName",
    "Stream",
    "Survey",
    "Tag",
    "Team",
    "ThreadRef",
    "Ticket",
    "TicketClock",
    "TicketLink",
    "TicketMerge",
    "User",
]
