"""What stands in the cells of lists: every column of a noun as a piece of the page, and what the rows need for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from crm.choices import FieldKind
from crm.conditions import Kind
from crm.lists import OVER, Column, Listing
from crm.models import Company, Customer, Identity, Interaction, Ticket, User
from crm.templatetags.workspace import bdi, channel_icon, icon, initials, instant, reached_at, short, words

HANDLES_SHOWN = 3
LONGEST = 90
NOTHING = mark_safe('<span class="faint nothing">–</span>')
_RELATED = {
    "customer": "customer",
    "owner": "owner",
    "team": "team",
    "brand": "brand",
    "company": "company",
    "parent": "parent",
}
_RIGHT = (Kind.NUMBER, Kind.INSTANT, Kind.DATE)

Cell = Callable[[Any], SafeString]


@dataclass(frozen=True, slots=True)
class Shown:
    """One cell of one row: its piece of the page, and the style of its place."""

    html: SafeString
    css: str
    column: Column


def prepared(rows: QuerySet, columns: Iterable[Column]) -> QuerySet:
    """The rows with what their cells point to, in one statement, and their tags in another."""
    names = {column.name for column in columns}
    related = sorted(path for name, path in _RELATED.items() if name in names and _has(rows.model, path))
    rows = rows.select_related(*related) if related else rows
    return rows.prefetch_related("tags") if "tags" in names else rows


def _has(model: Any, path: str) -> bool:
    return path in {field.name for field in model._meta.get_fields()}


def furnish(rows: list[Any], listing: Listing, columns: list[Column], user: User) -> None:
    """Give each row its cells; what is counted or collected elsewhere costs a statement a column for the page."""
    names = {column.name for column in columns}
    for name, load in _LOADS.get(listing.noun, {}).items():
        if name in names:
            load(rows, user)
    own = _CELLS[listing.noun]
    drawn = [
        (column, own.get(column.name) or _by_kind(column), _css(column, place))
        for place, column in enumerate(columns)
    ]
    for row in rows:
        row.cells = [Shown(draw(row), css, column) for column, draw, css in drawn]


def _css(column: Column, place: int) -> str:
    if column.name in ("number",):
        return "tight mono"
    if column.kind in _RIGHT:
        return (
            "right tight num minor"
            if column.kind == Kind.NUMBER and column.name == "value"
            else "right tight num"
        )
    return "wide" if column.name in ("name", "subject", "text") else ""


def register(noun: str, cells: dict[str, Cell]) -> None:
    """Plug in how cells of a list of an app above are drawn, where their kind does not say it."""
    _CELLS[noun] = cells


# --- By kind


def _by_kind(column: Column) -> Cell:
    read = _reader(column)
    draw = _of_our_own(column) if column.field else _DRAWN[column.kind](column)

    def cell(row: Any) -> SafeString:
        value = read(row)
        return NOTHING if value is None or value == "" or value == [] else draw(value)

    return cell


def _reader(column: Column) -> Callable[[Any], Any]:
    if column.field:
        slug = column.slug
        return lambda row: row.fields.get(slug)
    name = column.name
    return lambda row: getattr(row, name)


def _text(value: Any) -> SafeString:
    text = str(value)
    return bdi(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def _yes(value: Any) -> SafeString:
    return icon("check", "yes") if value is True else NOTHING


def _choice(column: Column) -> Cell:
    labels = {
        value: str(label).lower() if not column.field else str(label) for value, label in column.choices
    }
    return lambda value: _text(labels.get(value, value))


def _chips(values: Iterable[Any]) -> SafeString:
    return format_html(
        '<span class="chips">{}</span>',
        format_html_join("", '<span class="chip">{}</span>', ((bdi(one),) for one in values)),
    )


_DRAWN: dict[Kind, Callable[[Column], Cell]] = {
    Kind.TEXT: lambda column: _text,
    Kind.NUMBER: lambda column: lambda value: format_html("{}", short(value)),
    Kind.DATE: lambda column: _text,
    Kind.INSTANT: lambda column: instant,
    Kind.BOOLEAN: lambda column: _yes,
    Kind.CHOICE: _choice,
    Kind.REF: lambda column: _text,
    Kind.MANY: lambda column: lambda value: _chips(value.all()),
}


def _of_our_own(column: Column) -> Cell:
    """A value as it is kept, whatever the field was before: what does not fit its kind is shown as text."""

    def draw(value: Any) -> SafeString:
        if isinstance(value, bool):
            return icon("check", "yes") if value else format_html("no")
        if isinstance(value, int | float):
            return format_html("{}", f"{value:,}")
        if isinstance(value, list):
            return _chips(value)
        if column.field == FieldKind.LINK and str(value).startswith(("http://", "https://")):
            return format_html(
                '<a class="above" href="{}" target="_blank" rel="noopener noreferrer nofollow"'
                ' referrerpolicy="no-referrer">{}</a>',
                value, _text(str(value).split("://", 1)[1]),
            )  # fmt: skip
        return _text(value)

    return draw


# --- Customers


def _customer(one: Customer) -> SafeString:
    vip = format_html('<span class="badge badge--warn">{}VIP</span>', icon("star")) if one.vip else ""
    if one.erased_at:
        vip = format_html('<span class="badge">{}erased</span>', icon("lock"))
    return format_html(
        '<span class="row"><span class="avatar" aria-hidden="true">{}</span>'
        '<a class="main clip" href="/customers/{}/">{}</a>{}</span>',
        initials(one), one.pk, bdi(one), vip,
    )  # fmt: skip


def _handles(one: Customer) -> SafeString:
    found = ((channel_icon(each.kind), bdi(reached_at(each))) for each in one.handles[:HANDLES_SHOWN])
    return format_html(
        '<span class="chips">{}</span>', format_html_join("", '<span class="chip">{}{}</span>', found)
    )


def _company(one: Company | None) -> SafeString:
    return format_html('<a class="above" href="/companies/{}/">{}</a>', one.pk, bdi(one)) if one else NOTHING


def _load_handles(customers: list[Customer], user: User) -> None:
    handles: dict[int, list[Identity]] = {}
    for identity in Identity.objects.filter(customer__in=[one.pk for one in customers]).order_by("pk"):
        handles.setdefault(identity.customer_id, []).append(identity)
    for one in customers:
        one.handles = handles.get(one.pk, [])


def _load_tickets(customers: list[Customer], user: User) -> None:
    found = (
        Ticket.objects.visible_to(user)
        .filter(customer__in=[one.pk for one in customers])
        .exclude(status__in=OVER)
    )
    counted = dict(found.order_by().values_list("customer_id").annotate(Count("pk")))
    for one in customers:
        one.open_tickets = counted.get(one.pk)


def _load_contact(customers: list[Customer], user: User) -> None:
    found = Interaction.objects.visible_to(user).filter(customer__in=[one.pk for one in customers])
    last = dict(found.order_by().values_list("customer_id").annotate(Max("last_message_at")))
    for one in customers:
        one.last_contact = last.get(one.pk)


# --- Tickets and companies


def _subject(one: Ticket) -> SafeString:
    text = one.subject if len(one.subject) <= LONGEST else f"{one.subject[: LONGEST - 1]}…"
    topic = format_html('<span class="chip">{}</span>', words(one.topic)) if one.topic else ""
    return format_html(
        '<span class="row"><a class="main" href="/tickets/{}/">{}</a>{}</span>', one.pk, bdi(text), topic
    )


_STATUS_MARKS = {
    "solved": ("good", "check"), "closed": ("good", "check"), "waiting_on_customer": ("", "hourglass"),
    "folded": ("", "corner-up-left"),
}  # fmt: skip
_PRIORITY_MARKS = {"urgent": "bad", "high": "warn"}


def _status(one: Ticket) -> SafeString:
    level, mark = _STATUS_MARKS.get(one.status, ("info", "circle-dot"))
    css = f" badge--{level}" if level else ""
    return format_html('<span class="badge{}">{}{}</span>', css, icon(mark), words(one.status))


def _priority(one: Ticket) -> SafeString:
    level = _PRIORITY_MARKS.get(one.priority)
    if level is None:
        return format_html('<span class="quiet">{}</span>', one.priority)
    mark = icon("triangle-alert")
    return format_html(
        '<span class="badge badge--{}" title="{}">{}{}</span>', level, one.priority_reason, mark, one.priority
    )


def _owner(one: Ticket) -> SafeString:
    return _text(one.owner) if one.owner_id else format_html('<span class="faint">nobody yet</span>')


def _due(one: Ticket) -> SafeString:
    return NOTHING if one.solved_at else instant(one.due_at, "due", one.opened_at)


def _load_people(companies: list[Company], user: User) -> None:
    found = Customer.objects.visible_to(user).filter(
        company__in=[one.pk for one in companies], merged_into=None
    )
    counted = dict(found.order_by().values_list("company_id").annotate(Count("pk")))
    for one in companies:
        one.people = counted.get(one.pk)


_LOADS: dict[str, dict[str, Callable[[list, User], None]]] = {
    "customers": {"handles": _load_handles, "open_tickets": _load_tickets, "last_contact": _load_contact},
    "companies": {"people": _load_people},
}
_CELLS: dict[str, dict[str, Cell]] = {
    "customers": {
        "name": _customer, "handles": _handles, "company": lambda one: _company(one.company),
    },
    "tickets": {
        "number": lambda one: format_html("#{}", one.number), "subject": _subject, "status": _status, "priority": _priority,
        "customer": lambda one: format_html('<a class="above" href="/customers/{}/">{}</a>', one.customer_id, bdi(one.customer)),
        "owner": _owner, "due_at": _due,
        "next_due_at": lambda one: NOTHING if one.solved_at else instant(one.next_due_at, "due", one.opened_at),
        "topic": lambda one: _text(words(one.topic)) if one.topic else NOTHING,
    },
    "companies": {
        "name": lambda one: format_html('<a class="main" href="/companies/{}/">{}</a>', one.pk, bdi(one)),
        "parent": lambda one: _company(one.parent),
    },
}  # fmt: skip
