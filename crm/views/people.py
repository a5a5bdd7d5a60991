"""People and rights: who is here for what, what was given to whom over what, and which set holds which right."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from crm import accounts
from crm.access import GRANTS, SCOPED, Permission, find, may
from crm.choices import Role, Scope
from crm.errors import Conflict, DomainError, InvalidInput, NotAllowed
from crm.models import Brand, Grant, RightSet, Team, User
from crm.services import rights, viewing
from crm.views.base import BIGGEST_ID, Page, chosen, page_of, said

# Every right in the order in which it is read, by what it is about: (what, [(right, what it allows)]).
GROUPS: tuple[tuple[str, tuple[tuple[Permission, str], ...]], ...] = (
    ("Work", (
        (Permission.READ_CUSTOMERS, "See customers"), (Permission.READ_WORK, "Read contacts and tickets"),
        (Permission.WORK, "Take offers, own presence"), (Permission.REPLY, "Answer customers"), (Permission.NOTE, "Leave notes"),
        (Permission.CLOSE, "Change and close"), (Permission.TRIAGE, "Decide on mentions"),
        (Permission.MERGE, "Merge customers, and undo it"), (Permission.IMPORT, "Read files in"),
        (Permission.EXPORT, "Take lists out as files"),
    )),
    ("Leading", (
        (Permission.SUPERVISE, "Other people's work and presence"), (Permission.WATCH_BOARDS, "Watch boards"),
        (Permission.SIMULATE, "Simulate days: planners"),
        (Permission.READ_DELIVERIES, "Read raw deliveries"), (Permission.REPLAY_DELIVERIES, "Replay deliveries"),
    )),
    ("Privacy", (
        (Permission.SEE_PRIVACY, "Holds, proofs, retention"), (Permission.HOLD, "Keep a record from erasure"),
        (Permission.ERASE, "Erase, set what is kept how long"), (Permission.EXPORT_PERSON, "All held on one person"),
        (Permission.UNMASK, "Masked words, with a reason"), (Permission.SEE_RESTRICTED, "Restricted fields"),
    )),
    ("The house", (
        (Permission.CONFIGURE, "Administer, people and rights"), (Permission.DELIVER, "Deliver from outside"),
        (Permission.READ_EVENTS, "The feed of events"), (Permission.PLAY_DEMO, "Play the demo"),
    )),
)  # fmt: skip


class _Administration(Page):
    permission = Permission.CONFIGURE

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A change asks for the password first, unless it was said a moment ago."""
        if request.method == "POST" and may(request.user, Permission.CONFIGURE):
            accounts.ask_again(request)
        return super().dispatch(request, *args, **kwargs)


class PeopleList(_Administration):
    """`/people/`: everybody with role, team and what was given beside it."""

    template = "crm/people_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        words, role = said(request, "q"), chosen(request, "role", Role.values)
        found = User.objects.select_related("team").prefetch_related(_standing())
        if words:
            found = found.filter(Q(name__icontains=words) | Q(email__icontains=words))
        if role:
            found = found.filter(role=role)
        if chosen(request, "away", ("1",)) == "":
            found = found.filter(is_active=True)
        page = page_of(request, found)
        return {
            "people": page.rows, "words": words, "role": role, "roles": Role.choices, **page.addresses(),
            "away": "away" in request.GET,
        }  # fmt: skip


def _standing() -> Prefetch:
    given = Grant.objects.standing().select_related("right_set", "team", "brand", "by").order_by("pk")
    return Prefetch("grants", queryset=given, to_attr="given")


class PersonDetail(_Administration):
    """`/people/<id>/`: what somebody is here for, what was given to him, and what he may do where in sum."""

    template = "crm/person_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        person = find(User.objects.select_related("team").prefetch_related(_standing()), pk=kwargs["pk"])
        return {
            "person": person,
            "roles": Role.choices,
            "scopes": Scope.choices,
            "sets": RightSet.objects.filter(retired=False).order_by("name"),
            "teams": Team.objects.order_by("name"),
            "brands": Brand.objects.order_by("name"),
            "groups": _in_sum(person),
            "can_look": request.user.role == Role.ADMINISTRATOR
            and person.is_active
            and person.pk != request.user.pk,
            "minutes": viewing.MINUTES,
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        person = find(User.objects.all(), pk=kwargs["pk"])
        act = {"change": _change, "give": _give, "take": _take}.get(request.POST.get("act", ""))
        try:
            if act is None:
                raise InvalidInput("What shall be done?")
            act(request, person)
        except (InvalidInput, Conflict, NotAllowed) as error:
            messages.error(request, _words_of(error))
        else:
            messages.success(request, "Done. It is felt within seconds, on open pages too.")
        return redirect("person", pk=person.pk)


def _words_of(error: DomainError) -> str:
    errors = error.extra.get("errors") or {}
    return " ".join([error.detail, *(f"{name}: {text}." for name, text in errors.items())])


def _change(request: HttpRequest, person: User) -> None:
    team = _row(request, "team", Team)
    is_active = request.POST.get("is_active") == "1"
    rights.change_person(
        person, {"role": request.POST.get("role", ""), "team": team, "is_active": is_active}, by=request.user
    )


def _give(request: HttpRequest, person: User) -> None:
    named = request.POST.get("set", "")
    scope = request.POST.get("scope", "")
    rights.give(
        person,
        by=request.user,
        scope=scope,
        right_set=_row(request, "set", RightSet) if named.isdecimal() else None,
        role="" if named.isdecimal() else named,
        team=_row(request, "team", Team) if scope == Scope.TEAM else None,
        brand=_row(request, "brand", Brand) if scope == Scope.BRAND else None,
    )


def _take(request: HttpRequest, person: User) -> None:
    grant = _row(request, "grant", Grant)
    if grant is None or grant.user_id != person.pk:
        raise InvalidInput("Which one?")
    rights.take(grant, by=request.user)


def _row(request: HttpRequest, name: str, model: Any) -> Any:
    text = request.POST.get(name, "")
    known = text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= BIGGEST_ID
    return model.objects.filter(pk=int(text)).first() if known else None


def _in_sum(person: User) -> list[dict[str, Any]]:
    """Every right with the ways in which the person has it: by role, or given somewhere."""
    ways: dict[str, list[str]] = {}
    for grant in person.given:
        inside = GRANTS[Role(grant.role)] if grant.right_set is None else grant.right_set.rights
        if grant.right_set is None or not grant.right_set.retired:
            for word in rights.counted(inside, grant.scope):
                ways.setdefault(str(word), []).append(grant.place)
    return [
        {
            "name": name,
            "rights": [
                {"label": label, "by_role": one in GRANTS[Role(person.role)], "given": sorted(set(ways.get(one, [])))}
                for one, label in group
            ],
        }
        for name, group in GROUPS
    ]  # fmt: skip


class Matrix(_Administration):
    """`/rights/`: every right against every set, built-in ones first."""

    template = "crm/rights.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        given = Count("grants", filter=Q(grants__ended_at=None))
        own = list(RightSet.objects.annotate(people=given).order_by("retired", "name")[:40])
        built_in = [{"name": one.label, "role": one.value, "rights": GRANTS[one]} for one in Role]
        return {
            "built_in": built_in,
            "sets": own,
            "groups": [
                {
                    "name": name,
                    "rights": [
                        {
                            "label": label,
                            "scoped": one in SCOPED,
                            "held": [one in held["rights"] for held in built_in] + [one in held.rights for held in own],
                        }
                        for one, label in group
                    ],
                }
                for name, group in GROUPS
            ],
            "teams": Team.objects.order_by("name"),
            "can_look": request.user.role == Role.ADMINISTRATOR,
            "width": 1 + len(built_in) + len(own),
        }  # fmt: skip


class _Editor(_Administration):
    template = "crm/right_set.html"

    def form(self, right_set: RightSet | None, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the editor shows: the set, or what was sent."""
        held = set(given["rights"] if given else right_set.rights if right_set else ())
        return {
            "right_set": right_set,
            "name": given["name"] if given else right_set.name if right_set else "",
            "note": given["note"] if given else right_set.note if right_set else "",
            "groups": [
                {
                    "name": name,
                    "rights": [
                        {"value": one.value, "label": label, "held": one in held, "scoped": one in SCOPED} for one, label in group
                    ],
                }
                for name, group in GROUPS
            ],
            "people": User.objects.filter(grants__right_set=right_set, grants__ended_at=None).distinct().order_by("name")[:100]
            if right_set
            else [],
        }  # fmt: skip

    def again(
        self, request: HttpRequest, right_set: RightSet | None, given: dict, error: DomainError
    ) -> HttpResponse:
        """The form as it was sent, with what is wrong."""
        messages.error(request, _words_of(error))
        return render(request, self.template, self.form(right_set, given), status=error.status)


class NewSet(_Editor):
    """`/rights/new/`."""

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return self.form(None)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = _sent(request)
        try:
            made = rights.make_set(by=request.user, **given)
        except (InvalidInput, NotAllowed) as error:
            return self.again(request, None, given, error)
        messages.success(request, "Made. Give it to people on their pages.")
        return redirect("right-set", pk=made.pk)


class SetDetail(_Editor):
    """`/rights/<id>/`."""

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return self.form(find(RightSet.objects.all(), pk=kwargs["pk"]))

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        kept = find(RightSet.objects.all(), pk=kwargs["pk"])
        act = request.POST.get("act", "")
        given = {} if act in ("retire", "revive") else _sent(request)
        try:
            rights.edit_set(kept, given or {"retired": act == "retire"}, by=request.user)
        except (InvalidInput, NotAllowed, Conflict) as error:
            return self.again(
                request, kept, given or {"name": kept.name, "note": kept.note, "rights": kept.rights}, error
            )
        messages.success(request, "Kept. It is felt within seconds, on open pages too.")
        return redirect("right-set", pk=kept.pk)


def _sent(request: HttpRequest) -> dict[str, Any]:
    return {
        "name": request.POST.get("name", "").replace("\x00", ""),
        "note": request.POST.get("note", "").replace("\x00", ""),
        "rights": request.POST.getlist("rights"),
    }
