"""Lists of customers, tickets and companies: views, columns to choose, conditions, order, keyset pages.

The rows are narrowed by the FilterSet that REST uses too; a view adds its conditions unless the address has its own.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django_filters import FilterSet

from crm import keysets
from crm.access import Permission, may
from crm.choices import Sharing
from crm.conditions import DAYS, LISTS, ME, OPERATORS, VALUELESS, Condition, ConditionError, Group
from crm.filters import CompanyFilter, CustomerFilter, TicketFilter
from crm.lists import COMPANIES, CUSTOMERS, TICKETS, Column, Listing, described
from crm.models import SavedView, User
from crm.rows import as_json, from_json
from crm.services import references
from crm.views.base import PAGE, Page
from crm.views.cells import furnish, prepared

LONGEST = 4_000  # characters of a word of the address
LONGEST_NAME = 40
MOST_VALUES = 100
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+")
_OURS = ("view", "columns", "ordering", "cursor", "where", "search")


class Words(QueryDict):
    """The words of an address as people may have typed them: without control characters, not too long."""

    path = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "Words":
        """Those of a request."""
        words = cls(mutable=True)
        words.path = request.path
        for name, values in request.GET.lists():
            kept = [value for one in values if (value := _UNPRINTABLE.sub(" ", one).strip()[:LONGEST])]
            if kept and len(name) <= LONGEST_NAME:
                words.setlist(name, kept[:MOST_VALUES])
        return words

    def address(self, path: str = "", **changes: str | None) -> str:
        """The same address with some words changed; the place in the list is left behind."""
        kept = self.copy()
        kept.pop("cursor", None)
        for name, value in changes.items():
            kept.pop(name, None)
            if value:
                kept[name] = value
        return f"{path or self.path}?{kept.urlencode()}"


@dataclass(slots=True)
class Asked:
    """A list as an address asks for it: in which view, columns and order, narrowed how, and what is wrong with that."""

    view: str
    saved: SavedView | None
    where: Any
    ordering: str
    columns: list[Column]
    group: Group
    errors: list[str] = field(default_factory=list)
    changed: bool = False  # it is no longer the view as it was kept


class ListPage(Page):
    """A list."""

    listing: Listing
    filters: type[FilterSet]
    template = "crm/list.html"
    label = ""
    made_by_hand = ""  # what its button says; empty: such rows come by themselves
    empty = ("list", "Nothing here yet", "")

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The page; what makes no sense is a 400 with the list's frame and the reasons."""
        context = self.context(request, **kwargs)
        return render(request, self.template, context, status=400 if context["errors"] else 200)

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        listing, user = self.listing, request.user
        columns = listing.columns()
        views = list(
            SavedView.objects.visible_to(user).filter(noun=listing.noun).order_by("place", "name")[:200]
        )
        words = Words.of(request)
        asked = _asked(listing, words, views, columns)
        page = self._page(request, words, asked)
        furnish(page.rows, listing, asked.columns, user)
        named = references.labels(asked.group, columns, user)
        exported = words.address("/exports/", noun=listing.noun, **_exported(asked))
        return {
            "listing": listing,
            "rows": page.rows,
            listing.noun: page.rows,
            "asked": asked,
            "errors": asked.errors,
            "heads": [_head(words, one, asked.ordering) for one in asked.columns],
            "views": _tabs(words, listing, views, asked.view),
            "chips": _chips(words, asked, columns, named, self.filters),
            "offered": _offered(columns, asked.columns),
            "described": described(listing, columns.values())
            | {
                "operators": OPERATORS,
                "names": named,
                "ordered": asked.ordering,
                "export": exported,
                "filters": _filters_of(words, asked, self.filters),
                "columned": [one.name for one in asked.columns],
            },
            "where": asked.where,
            "search": words.get("search", ""),
            "hidden": [
                (name, value)
                for name, values in words.lists()
                for value in values
                if name not in ("search", "cursor")
            ],
            "label": self.label,
            "empty": self.empty,
            "sharings": _sharings(user),
            "may_change": may(user, listing.edit),
            "made_by_hand": self.made_by_hand if may(user, Permission.NOTE) else "",
            "owns_view": asked.saved is not None
            and (asked.saved.owner_id == user.pk or may(user, Permission.CONFIGURE)),
            "export_words": exported,
            "by_time": asked.ordering.removeprefix("-").endswith("_at"),
            "previous_url": page.previous and words.address(cursor=page.previous),
            "next_url": page.next and words.address(cursor=page.next),
        }

    def _page(self, request: HttpRequest, words: Words, asked: Asked) -> keysets.Page:
        """The rows of this page; none when something makes no sense, for a list that is not narrowed would mislead."""
        listing, user = self.listing, request.user
        given = words.copy()
        given.pop("where", None)
        found = self.filters(given, queryset=listing.visible_to(user), request=request)
        if not found.is_valid():
            asked.errors += [f"{name}: {' '.join(said)}" for name, said in found.form.errors.items()]
        if asked.errors:
            return keysets.Page([])
        rows = prepared(listing.narrowed(found.qs, asked.group, user), asked.columns)
        walks = listing.walks(user)
        try:
            return keysets.page_of(rows, asked.ordering, words.get("cursor"), PAGE, walks)
        except keysets.BadCursorError:
            return keysets.page_of(rows, asked.ordering, None, PAGE, walks)


class CustomerList(ListPage):
    """`/customers/`: found by name, handle, address or a ticket's number."""

    permission = Permission.READ_CUSTOMERS
    listing, filters = CUSTOMERS, CustomerFilter
    label = "Name, handle, e-mail or number"
    made_by_hand = "New customer"
    empty = (
        "users", "No customers yet",
        "Everybody who writes to one of your channels appears here by himself, with his first message.",
    )  # fmt: skip


class TicketList(ListPage):
    """`/tickets/`: found by number, subject or customer."""

    permission = Permission.READ_WORK
    listing, filters = TICKETS, TicketFilter
    label = "Number, subject or customer"
    empty = (
        "ticket",
        "No tickets in this view",
        "A ticket opens by itself when a customer's message needs an answer.",
    )


class CompanyList(ListPage):
    """`/companies/`."""

    permission = Permission.READ_CUSTOMERS
    listing, filters = COMPANIES, CompanyFilter
    label = "Name"
    made_by_hand = "New company"
    empty = ("building-2", "No companies yet", "Companies come with imported customers, or over the API.")


# --- What is asked


def _asked(listing: Listing, words: Words, views: list[SavedView], columns: dict[str, Column]) -> Asked:
    presets = {one.name: one for one in listing.presets}
    saved = {str(one.pk): one for one in views}
    # Who searches looks everywhere unless he says otherwise.
    usual = "all" if "search" in words else listing.presets[0].name
    view = words.get("view", usual)
    errors = (
        [] if view in presets or view in saved else ["There is no such view, or it is not shared with you."]
    )
    kept = saved.get(view)
    where = kept.where if kept else presets[view].where if view in presets else {}
    wanted = kept.columns if kept else ()
    ordering = (kept.ordering if kept else "") or listing.ordering
    asked = Asked(view, kept, where, _ordering(words, listing, ordering), [], Group("all", ()), errors)
    named = [name for one in words.getlist("columns") for name in one.split(",")]
    asked.columns = listing.chosen(named or wanted, columns)
    asked.changed = "where" in words or "ordering" in words or bool(named)
    try:
        asked.group = listing.conditions(words.get("where") or where, columns)
        asked.where = from_json(words["where"]) if "where" in words else where
    except ConditionError as error:
        asked.errors.append(str(error))
    return asked


def _ordering(words: Words, listing: Listing, usual: str) -> str:
    wanted = words.get("ordering", "")
    return wanted if wanted.removeprefix("-") in listing.orderings else usual


def _exported(asked: Asked) -> dict[str, str | None]:
    return {
        "view": None,
        "columns": None,
        "ordering": None,
        "where": as_json(asked.where) if asked.where else None,
    }


def _filters_of(words: Words, asked: Asked, filters: type[FilterSet]) -> dict[str, list[str]]:
    """All that narrows the list, the view's conditions too, as an edit of all its rows names them."""
    kept = {
        name: values for name, values in words.lists() if name in filters.base_filters and name != "where"
    }
    return kept | ({"where": [as_json(asked.where)]} if asked.where else {})


# --- What is shown


def _head(words: Words, column: Column, ordering: str) -> dict[str, Any]:
    """A column's head: where it leads, and whether the list is sorted by it."""
    right = column.kind in ("number", "instant", "date") and column.name != "number"
    head: dict[str, Any] = {"label": column.label, "css": "right" if right else "", "sorted": "", "url": ""}
    if not column.sorts:
        return head
    name, descending = ordering.removeprefix("-"), ordering.startswith("-")
    if name == column.sorts:
        head["sorted"] = "descending" if descending else "ascending"
        turned = name if descending else f"-{name}"
    else:
        turned = column.sorts if column.kind == "text" else f"-{column.sorts}"
    return head | {"url": words.address(ordering=turned)}


def _tabs(words: Words, listing: Listing, views: list[SavedView], here: str) -> list[dict[str, Any]]:
    """Everybody's presets, then one's own and shared views. Another view is another list: nothing is carried over."""
    tabs = [(one.name, one.label, "") for one in listing.presets]
    tabs += [
        (str(one.pk), one.name, one.get_sharing_display() if one.sharing != Sharing.PRIVATE else "")
        for one in views
    ]
    return [
        {"key": key, "url": f"?view={key}", "label": label, "shared": shared, "here": key == here}
        for key, label, shared in tabs
    ]


def _offered(columns: dict[str, Column], shown: list[Column]) -> list[dict[str, Any]]:
    """All columns to choose from: those that are shown first, in their order."""
    rest = [one for one in columns.values() if one.shown and one not in shown]
    return [{"name": one.name, "label": one.label, "on": one in shown} for one in [*shown, *rest]]


def _sharings(user: User) -> list[tuple[str, Any]]:
    allowed: set = {Sharing.PRIVATE}
    allowed |= {Sharing.TEAM} if user.team_id else set()
    allowed |= {Sharing.EVERYBODY} if may(user, Permission.SUPERVISE) else set()
    return [(one.value, one.label) for one in Sharing if one in allowed]


def _chips(
    words: Words, asked: Asked, columns: dict[str, Column], named: dict, filters: type[FilterSet]
) -> list[dict[str, Any]]:
    """What narrows the list, in words; each filter of the address can be taken away."""
    chips = [
        {"text": f"{name.replace('_', ' ')}: {', '.join(values)}"[:120], "url": words.address(**{name: None})}
        for name, values in words.lists()
        if name in filters.base_filters and name not in _OURS
    ]
    chips += [{"text": text, "url": None} for text in _said(asked.group, columns, named)]
    return chips


def _said(group: Group, columns: dict[str, Column], named: dict) -> list[str]:
    """Conditions in words: those that all must hold one by one, others as a whole."""
    if group.way == "all":
        return [_part(one, columns, named) for one in group.parts]
    return [_part(group, columns, named)]


def _part(node: Condition | Group, columns: dict[str, Column], named: dict) -> str:
    if isinstance(node, Group):
        joint = {"all": " and ", "any": " or ", "none": " or "}[node.way]
        inside = joint.join(_part(one, columns, named) for one in node.parts)
        return f"not ({inside})" if node.way == "none" else f"({inside})" if len(node.parts) > 1 else inside
    subject, column = node.subject, columns[node.subject.name]
    said = f"{column.label} {OPERATORS[subject.kind][node.op]}"
    if node.op in VALUELESS:
        return said
    if node.op in LISTS:
        return f"{said} {', '.join(_named(one, column, named) for one in node.value)}"
    value = node.value
    if hasattr(value, "strftime"):
        value = value.strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00")
    if isinstance(value, bool):
        return f"{column.label}: {'yes' if value else 'no'}"
    return f"{said} {value} days" if node.op in DAYS else f"{said} {value}"


def _named(value: Any, column: Column, named: dict) -> str:
    """A value of a list of values, as it is called."""
    if value == ME and column.own:
        return "me" if column.own == "user" else "my team"
    known = dict(column.choices)
    return str(known[value]).lower() if value in known else str(named.get(column.name, {}).get(value, value))
