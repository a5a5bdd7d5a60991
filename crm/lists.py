"""What lists consist of: one description for pages, REST, saved views and bulk acts. Apps above plug in theirs.

A column says whether it can be shown, asked about (`crm/conditions.py`), sorted by and edited in place; fields of our own
join the columns of their noun by their kind.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet, TextChoices

from crm.access import Permission, work_filter
from crm.choices import ChannelKind, FieldKind, FieldNoun, TicketKind, TicketPriority, TicketStatus
from crm.conditions import OPERATORS, ConditionError, Group, Kind, Reader, Subject, as_q, decoded, read
from crm.keysets import Walk
from crm.models import Company, Customer, CustomField, Identity, Interaction, Ticket, User

OWN = "fields."  # before the slug of a field of our own
MOST_COLUMNS = 20
OVER = [TicketStatus.SOLVED.value, TicketStatus.CLOSED.value, TicketStatus.FOLDED.value]
_KINDS = {
    FieldKind.TEXT: Kind.TEXT, FieldKind.LINK: Kind.TEXT, FieldKind.NUMBER: Kind.NUMBER, FieldKind.DATE: Kind.DATE,
    FieldKind.BOOLEAN: Kind.BOOLEAN, FieldKind.CHOICE: Kind.CHOICE, FieldKind.MULTI_CHOICE: Kind.MANY,
}  # fmt: skip

Choices = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list."""

    name: str
    label: str
    kind: Kind = Kind.TEXT
    path: str = ""  # of the ORM, for conditions; empty: as it is called
    many: tuple[type[Model], str, str] | None = None
    latest: tuple[type[Model], str, str] | None = None
    choices: Choices = ()
    refers: str = ""  # REF and MANY: the noun whose rows are the values
    own: str = ""  # REF: what `me` stands for
    shown: bool = True  # may be a column
    asked: bool = True  # may stand in conditions
    sorts: str = ""  # the field by which it sorts
    edited: bool = False  # in place and in bulk
    field: FieldKind | None = None  # a field of our own
    whole: bool = False  # NUMBER: without a fraction

    @property
    def slug(self) -> str:
        """Of a field of our own."""
        return self.name.removeprefix(OWN) if self.field else ""

    def subject(self) -> Subject:
        """As conditions know it."""
        return Subject(
            self.name, self.kind, path=self.path or self.name, slug=self.slug, many=self.many, latest=self.latest,
            choices=tuple(value for value, _ in self.choices), own=self.own, whole=self.whole,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preset:
    """A view that everybody has."""

    name: str
    label: str
    where: dict
    ordering: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: whose rows, in which columns, sorted how, and who may read and change them."""

    noun: str
    label: str
    model: type[Model]
    visible_to: Callable[[User], QuerySet]
    read: Permission
    edit: Permission
    fields: str  # noun of fields of our own; empty: it has none
    fixed: tuple[Column, ...]
    default: tuple[str, ...]
    ordering: str
    presets: tuple[Preset, ...]
    in_place: bool = True  # cells are edited where they stand
    walks: Callable[[User], dict[str, Walk]] = lambda user: {}  # orders by rows of other tables

    def columns(self) -> dict[str, Column]:
        """All columns by name, fields of our own last; one statement where there are such."""
        own = (
            CustomField.objects.filter(noun=self.fields, retired=False, restricted=False)
            if self.fields
            else ()
        )
        return {one.name: one for one in (*self.fixed, *map(_own, own))}

    @property
    def orderings(self) -> tuple[str, ...]:
        """The fields to sort by."""
        return tuple(dict.fromkeys(("id", *(one.sorts for one in self.fixed if one.sorts))))

    def chosen(self, names: Iterable[str], columns: dict[str, Column]) -> list[Column]:
        """The named columns that there are, or the usual ones."""
        found = [columns[one] for one in dict.fromkeys(names) if one in columns and columns[one].shown]
        return found[:MOST_COLUMNS] or [columns[one] for one in self.default]

    def conditions(self, data: Any, columns: dict[str, Column] | None = None) -> Group:
        """Conditions of this list, read; ConditionError when they make no sense. No statement for none."""
        if data in (None, "", {}, []):
            return Group("all", ())
        asked = (columns or self.columns()).values()
        subjects = {one.name: one.subject() for one in asked if one.asked}
        return read(decoded(data) if isinstance(data, str) else data, subjects)

    def narrowed(self, rows: QuerySet, where: Group, user: User) -> QuerySet:
        """The rows that fit."""
        return rows.filter(as_q(where, _reader(user))) if where.parts else rows


def _reader(user: User) -> Reader:
    return Reader(user.pk, user.team_id, lambda model: model.objects.visible_to(user))


def _own(field: CustomField) -> Column:
    kind = _KINDS[FieldKind(field.kind)]
    return Column(
        f"{OWN}{field.slug}", field.label, kind, choices=[(str(one), str(one)) for one in field.choices],
        edited=True, field=FieldKind(field.kind),
    )  # fmt: skip


def described(listing: Listing, columns: Iterable[Column]) -> dict[str, Any]:
    """A list as programs and the builder of conditions read it."""
    return {
        "noun": listing.noun,
        "ordering": listing.ordering,
        "orderings": [sign + name for name in listing.orderings for sign in ("", "-")],
        "default": list(listing.default),
        "columns": [
            {
                "name": one.name, "label": one.label, "kind": one.kind.value, "shown": one.shown, "sorts": one.sorts,
                "edited": one.edited, "operators": list(OPERATORS[one.kind]) if one.asked else [],
                "choices": [{"value": value, "label": str(label)} for value, label in one.choices], "refers": one.refers,
            }
            for one in columns
        ],
    }  # fmt: skip


def _worded(kind: type[TextChoices]) -> Choices:
    return [(one.value, one.value.replace("_", " ").capitalize()) for one in kind]


# --- The floor's own

_OWNER = Column("owner", "Owner", Kind.REF, refers="users", own="user", edited=True)
_CUSTOMER_TAGS = (Customer.tags.through, "customer_id", "tag__slug")
_TICKET_TAGS = (Ticket.tags.through, "ticket_id", "tag__slug")
_LAST_CONTACT = (Interaction, "customer_id", "last_message_at")


def _by_last_contact(user: User) -> dict[str, Walk]:
    """Customers by the last word in a contact that the reader may see; `interaction_newest` has the order."""
    contacts = Interaction.objects.visible_to(user).filter(customer=OuterRef("pk"))
    same = Q(last_message_at=OuterRef("last_contact"), pk__gt=OuterRef("contact"))
    newer = contacts.filter(
        Q(last_message_at__gt=OuterRef("last_contact")) | same, last_message_at__gte=OuterRef("last_contact")
    )

    def having(rows: QuerySet) -> QuerySet:
        seen = rows.filter(work_filter(user, "interactions__"), interactions__isnull=False)
        at, place = F("interactions__last_message_at"), F("interactions__pk")
        return seen.annotate(last_contact=at, contact=place).filter(~Exists(newer))

    def without(rows: QuerySet) -> QuerySet:
        return rows.filter(~Exists(contacts))

    return {"last_contact": Walk(having, without, "last_contact", "contact")}


CUSTOMERS = Listing(
    "customers", "Customers", Customer,
    lambda user: Customer.objects.visible_to(user).filter(merged_into=None),
    Permission.READ_CUSTOMERS, Permission.NOTE, FieldNoun.CUSTOMER,
    (
        Column("name", "Customer", sorts="name"),
        Column("handles", "Known as", asked=False),
        Column(
            "channel", "Has an address on", Kind.MANY, many=(Identity, "customer_id", "kind"),
            choices=ChannelKind.choices, shown=False,
        ),
        Column("company", "Company", Kind.REF, refers="companies"),
        Column("owner", "Owner", Kind.REF, refers="users", own="user", edited=True),
        Column("tags", "Tags", Kind.MANY, many=_CUSTOMER_TAGS, refers="tags", edited=True),
        Column("language", "Language"),
        Column("value", "Value a year", Kind.NUMBER, sorts="value"),
        Column("vip", "VIP", Kind.BOOLEAN, edited=True),
        Column("public_figure", "Public figure", Kind.BOOLEAN),
        Column("preferred_channel", "Prefers", Kind.CHOICE, choices=ChannelKind.choices),
        Column("note", "Note"),
        Column("open_tickets", "Open tickets", Kind.NUMBER, asked=False),
        Column("last_contact", "Last contact", Kind.INSTANT, latest=_LAST_CONTACT, sorts="last_contact"),
        Column("created_at", "Added", Kind.INSTANT, sorts="created_at"),
    ),
    ("name", "handles", "tags", "open_tickets", "value", "last_contact", "created_at"), "-created_at",
    (
        Preset("all", "All", {}),
        Preset("mine", "Mine", {"column": "owner", "op": "any_of", "value": ["me"]}),
        Preset("vip", "VIP", {"column": "vip", "op": "is", "value": True}),
    ),
    walks=_by_last_contact,
)  # fmt: skip

TICKETS = Listing(
    "tickets", "Tickets", Ticket, lambda user: Ticket.objects.visible_to(user),
    Permission.READ_WORK, Permission.CLOSE, FieldNoun.TICKET,
    (
        Column("number", "Ticket", Kind.NUMBER, asked=False, sorts="id"),
        Column("subject", "Subject"),
        Column("customer", "Customer", path="customer__name"),
        Column("status", "Status", Kind.CHOICE, choices=_worded(TicketStatus), edited=True),
        Column("priority", "Priority", Kind.CHOICE, choices=TicketPriority.choices, edited=True),
        Column("kind", "Kind", Kind.CHOICE, choices=TicketKind.choices, edited=True),
        Column("topic", "Topic"),
        Column("brand", "Brand", Kind.REF, refers="brands"),
        Column("team", "Team", Kind.REF, refers="teams", own="team", edited=True),
        _OWNER,
        Column("tags", "Tags", Kind.MANY, many=_TICKET_TAGS, refers="tags", edited=True),
        Column("vip", "Customer is VIP", Kind.BOOLEAN, path="customer__vip", shown=False),
        Column("opened_at", "Opened", Kind.INSTANT, sorts="opened_at"),
        Column("updated_at", "Changed", Kind.INSTANT, sorts="updated_at"),
        Column("due_at", "Due", Kind.INSTANT, sorts="due_at"),
        Column("next_due_at", "Next promise", Kind.INSTANT, sorts="next_due_at"),
        Column("promised_by", "Promised", Kind.INSTANT),
        Column("snoozed_until", "Sleeps until", Kind.INSTANT),
        Column("solved_at", "Solved", Kind.INSTANT),
    ),
    ("number", "subject", "customer", "status", "owner", "opened_at", "due_at"), "-opened_at",
    (
        Preset("open", "Open", {"column": "status", "op": "none_of", "value": OVER}),
        Preset(
            "mine", "Mine",
            {"all": [
                {"column": "owner", "op": "any_of", "value": ["me"]}, {"column": "status", "op": "none_of", "value": OVER},
            ]},
        ),
        Preset("waiting", "Waiting on us", {"column": "status", "op": "any_of", "value": ["new", "open", "waiting_on_us"]}),
        Preset("solved", "Solved", {"column": "status", "op": "any_of", "value": OVER}),
        Preset("all", "All", {}),
    ),
)  # fmt: skip

COMPANIES = Listing(
    "companies", "Companies", Company, lambda user: Company.objects.visible_to(user),
    Permission.READ_CUSTOMERS, Permission.NOTE, FieldNoun.COMPANY,
    (
        Column("name", "Company", sorts="name"),
        Column("domain", "Domain"),
        Column("parent", "Part of", Kind.REF, refers="companies"),
        _OWNER,
        Column("people", "Customers", Kind.NUMBER, asked=False),
        Column("note", "Note"),
        Column("created_at", "Added", Kind.INSTANT, sorts="created_at"),
    ),
    ("name", "domain", "parent", "owner", "people", "created_at"), "name",
    (Preset("all", "All", {}), Preset("mine", "Mine", {"column": "owner", "op": "any_of", "value": ["me"]})),
)  # fmt: skip

LISTINGS: dict[str, Listing] = {one.noun: one for one in (CUSTOMERS, TICKETS, COMPANIES)}


def register(listing: Listing) -> None:
    """Plug in a list of an app above."""
    LISTINGS[listing.noun] = listing


__all__ = [
    "COMPANIES",
    "CUSTOMERS",
    "LISTINGS",
    "TICKETS",
    "Column",
    "ConditionError",
    "Listing",
    "described",
    "register",
]
