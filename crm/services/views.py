"""Views of lists: kept, shared, counted. A view narrows what its reader may see, and never shows more."""

import time
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction

from crm.access import Permission, may, require_somewhere
from crm.choices import Sharing
from crm.conditions import ConditionError
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.lists import LISTINGS, MOST_COLUMNS, Listing
from crm.models import Activity, SavedView, User

MOST = 50  # views of one person and list
COUNTED = 1_000  # rows; more are said to be more
COUNT_MS = 250  # a view that takes longer has no count
ALL_SECONDS = 1.5  # for all views of a list together
LONGEST_NAME = 60
EDITABLE = frozenset({"name", "sharing", "columns", "where", "ordering", "place"})
_CANCELLED = "57014"


def create(*, by: User, noun: str, **given: Any) -> SavedView:
    """Keep a view of a list."""
    if noun not in LISTINGS:
        raise InvalidInput("Of which list?", errors={"noun": f"is one of {', '.join(LISTINGS)}"})
    require_somewhere(by, LISTINGS[noun].read)
    if SavedView.objects.filter(owner=by, noun=noun).count() >= MOST:
        raise Conflict(f"At most {MOST} views of a list: delete one first.", code="too_many")
    return _kept(SavedView(noun=noun, owner=by), given, by, "view.created")


def edit(view: SavedView, changes: dict, *, by: User) -> SavedView:
    """Change a view: its owner, and an administrator what is shared."""
    _own(view, by)
    return _kept(view, changes, by, "view.edited")


def delete(view: SavedView, *, by: User) -> None:
    """Take a view away from everybody who saw it."""
    _own(view, by)
    with transaction.atomic():
        _record("view.deleted", view, by)
        view.delete()


def _own(view: SavedView, by: User) -> None:
    if view.owner_id != by.pk and not may(by, Permission.CONFIGURE):
        raise NotAllowed("This view is somebody else's: save it under a name of your own.")


def _kept(view: SavedView, changes: dict, by: User, verb: str) -> SavedView:
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    for name, value in changes.items():
        setattr(view, name, value)
    if errors := _problems(view, by, changes):
        raise InvalidInput("The view cannot be kept so.", errors=errors)
    if "sharing" in changes:
        view.team_id = view.owner.team_id if view.sharing == Sharing.TEAM else None
    try:
        with transaction.atomic():
            view.save()
            _record(verb, view, by)
    except IntegrityError as error:
        raise Conflict("You have a view of this name.", code="name_taken") from error
    return view


def _problems(view: SavedView, by: User, changes: dict) -> dict[str, str]:
    listing, errors = LISTINGS[view.noun], {}
    columns = listing.columns()
    view.name = " ".join(str(view.name).split())
    if not 0 < len(view.name) <= LONGEST_NAME or not view.name.isprintable():
        errors["name"] = f"has 1 to {LONGEST_NAME} characters"
    shown = {name for name, column in columns.items() if column.shown}
    if "columns" in changes and (len(view.columns) > MOST_COLUMNS or not {*view.columns} <= shown):
        errors["columns"] = f"are at most {MOST_COLUMNS} of {', '.join(sorted(shown))}"[:500]
    if view.ordering and view.ordering.removeprefix("-") not in listing.orderings:
        errors["ordering"] = f"is one of {', '.join(listing.orderings)}, with - before it descending"
    if "where" in changes:
        try:
            listing.conditions(view.where, columns)
        except ConditionError as error:
            errors["where"] = str(error)
    return errors | (_unshareable(view, by) if "sharing" in changes else {})


def _unshareable(view: SavedView, by: User) -> dict[str, str]:
    if view.sharing not in Sharing.values:
        return {"sharing": f"is one of {', '.join(Sharing.values)}"}
    if view.sharing == Sharing.TEAM and view.owner.team_id is None:
        return {"sharing": "needs a team, and its owner has none"}
    if view.sharing == Sharing.EVERYBODY and not may(by, Permission.SUPERVISE):
        raise NotAllowed("A supervisor can share a view with everybody.")
    return {}


def _record(verb: str, view: SavedView, by: User) -> None:
    # Without its name, which may be a person's.
    data = {"view": view.pk, "list": view.noun, "sharing": view.sharing}
    Activity.objects.create(actor=by, verb=verb, data=data)


# --- Counting


def counts(listing: Listing, *, by: User) -> dict[str, int | None]:
    """How many rows each view shows its reader: presets by their name, kept ones by id. COUNTED + 1 is more than COUNTED.

    None where it would take too long to know, or where the conditions fit the list no more.
    """
    require_somewhere(by, listing.read)
    columns = listing.columns()
    wanted: dict[str, Any] = {one.name: one.where for one in listing.presets}
    kept = SavedView.objects.visible_to(by).filter(noun=listing.noun).order_by("place", "name")
    wanted |= {str(one.pk): one.where for one in kept[:MOST]}
    until = time.monotonic() + ALL_SECONDS
    return {
        name: _count(listing, where, columns, by) if time.monotonic() < until else None
        for name, where in wanted.items()
    }


def _count(listing: Listing, where: Any, columns: dict, by: User) -> int | None:
    try:
        rows = listing.narrowed(listing.visible_to(by), listing.conditions(where, columns), by)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {COUNT_MS}")
            count = rows.order_by().values("pk")[: COUNTED + 1].count()
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
            return count
    except ConditionError:
        return None
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _CANCELLED:
            raise
        return None
