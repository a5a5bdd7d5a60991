"""Macros for people: the list, the editor with its preview, versions side by side."""

from difflib import ndiff
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm import placeholders
from crm.access import Permission, find, may, sees_everything
from crm.choices import LENGTHS, ChannelKind, MacroReach, TicketPriority
from crm.errors import Conflict, DomainError, InvalidInput
from crm.models import Brand, Macro, MacroVersion, Tag, Team, User
from crm.services import macros
from crm.views.base import BIGGEST_ID, Page, address, chosen, form_again, said

VIEWS = {"": "For me", "retired": "Retired"}
SHOWN = 500
ACTS = ("back", "retire", "revive")


class MacroList(Page):
    """`/macros/`: those that one may use, most used first."""

    permission = Permission.READ_WORK
    template = "crm/macro_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        words, view = said(request, "search"), chosen(request, "view", VIEWS)
        visible = Macro.objects.visible_to(request.user).filter(retired=view == "retired")
        return {
            "macros": _found(visible, words)
            .select_related("team", "owner")
            .order_by("-uses", "name")[:SHOWN],
            "views": [
                {"url": address(request, view=name, search=None), "label": label, "here": name == view}
                for name, label in VIEWS.items()
            ],
            "search": words,
            "can_add": may(request.user, Permission.REPLY),
        }


def _found(found: QuerySet, words: str) -> QuerySet:
    return found.filter(Q(name__icontains=words) | Q(slug__icontains=words)) if words else found


class MacroEditor(Page):
    """`/macros/new/`: a form that becomes a macro."""

    permission = Permission.REPLY
    template = "crm/macro_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        blank = {
            "name": "",
            "slug": "",
            "text": "",
            "texts": {},
            "actions": {},
            "situation": {},
            "reach": MacroReach.OWN,
        }
        return {"macro": None, "can_keep": True, "form": blank, "errors": {}, **_choices(request.user)}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = _given(request)
        try:
            made = macros.create(given, by=request.user)
        except DomainError as error:
            return form_again(request, self.template, self.context(request), given, error)
        messages.success(request, "The macro is there.")
        return redirect("macro", pk=made.pk)


class MacroDetail(Page):
    """`/macros/<id>/`: the editor, how often it was used, and its versions with what changed between two."""

    permission = Permission.READ_WORK
    template = "crm/macro_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        macro = find(Macro.objects.visible_to(request.user).select_related("team", "owner"), pk=kwargs["pk"])
        versions = list(macro.versions.select_related("by")[:100])
        newest = versions[0]
        asked = said(request, "version")
        older = next((one for one in versions if str(one.number) == asked and one != newest), None)
        return {
            "macro": macro,
            "can_keep": macros.may_keep(macro, request.user),
            "form": {
                "name": macro.name, "slug": macro.slug, "situation": macro.situation, "reach": macro.reach, "team": macro.team,
                "text": newest.text, "texts": newest.texts, "actions": newest.actions,
            },
            "errors": {},
            "versions": versions,
            "older": older,
            "changes": _changes(older, newest) if older else [],
            **_choices(request.user),
        }  # fmt: skip

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        macro = find(Macro.objects.visible_to(request.user), pk=kwargs["pk"])
        act = request.POST.get("act", "")
        given = _given(request) if act not in ACTS else {}
        try:
            if act == "back":
                macros.go_back(macro, _number(request.POST.get("version", "")), by=request.user)
            else:
                macros.edit(macro, given or {"retired": act == "retire"}, by=request.user)
        except (InvalidInput, Conflict) as error:
            if given:
                return form_again(request, self.template, self.context(request, **kwargs), given, error)
            messages.error(request, error.detail)
            return redirect("macro", pk=macro.pk)
        messages.success(request, "Kept.")
        return redirect("macro", pk=macro.pk)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _choices(user: User) -> dict[str, Any]:
    lead = may(user, Permission.SUPERVISE)
    reaches = [(value, label) for value, label in MacroReach.choices if lead or value == MacroReach.OWN]
    teams = macros.known_teams(user)
    return {
        "reaches": reaches,
        "keepable_teams": teams if sees_everything(user) else teams.filter(pk=user.team_id),
        "teams": teams,
        "brands": Brand.objects.order_by("name"),
        "kinds": [(value, label, LENGTHS.get(value)) for value, label in ChannelKind.choices],
        "statuses": [(one.value, str(one.label)) for one in macros.SETTABLE],
        "priorities": TicketPriority.choices,
        "tags": Tag.objects.order_by("name")[:200],
        "variables": placeholders.VARIABLES,
    }


def _given(request: HttpRequest) -> dict[str, Any]:
    """What the form says, in the words of the service."""
    post = request.POST
    texts = {
        kind: post.get(f"text-{kind}", "")
        for kind in ChannelKind.values
        if post.get(f"text-{kind}", "").strip()
    }
    return {
        "name": post.get("name", ""),
        **({"slug": post["slug"]} if post.get("slug", "").strip() else {}),
        "reach": post.get("reach", MacroReach.OWN),
        "team": _team(post.get("team", "")),
        "situation": {
            "brands": post.getlist("brands"), "channels": post.getlist("channels"),
            "topics": _split(post.get("topics", "")), "languages": _split(post.get("languages", "")),
        },
        "text": _plain(post.get("text", "")),
        "texts": {kind: _plain(words) for kind, words in texts.items()},
        "actions": _acts(request),
        "note": post.get("change", ""),
    }  # fmt: skip


def _team(slug: str) -> Team | None:
    return Team.objects.filter(slug=slug).first() if slug and "\x00" not in slug else None


def _plain(text: str) -> str:
    """Forms send lines with a carriage return."""
    return text.replace("\r\n", "\n")


def _split(text: str) -> list[str]:
    return [word for word in (one.strip() for one in text.split(",")) if word]


def _acts(request: HttpRequest) -> dict[str, Any]:
    post = request.POST
    hours = post.get("snooze_hours", "").strip()
    owner = post.get("owner", "")
    found = {
        "status": post.get("status", ""),
        "priority": post.get("priority", ""),
        "priority_reason": post.get("priority_reason", ""),
        "topic": post.get("topic", "").strip(),
        "team": post.get("set_team", ""),
        "owner": int(owner) if owner.isascii() and owner.isdecimal() and int(owner) <= BIGGEST_ID else owner,
        "tags": post.getlist("tags"),
        "snooze_hours": int(hours) if hours.isascii() and hours.isdecimal() and len(hours) < 10 else hours,
        "checklist": [line for line in _plain(post.get("checklist", "")).split("\n") if line.strip()],
        "note": _plain(post.get("act_note", "")).strip(),
    }
    return {name: value for name, value in found.items() if value not in ("", [])}


def _changes(older: MacroVersion, newest: MacroVersion) -> list[dict[str, Any]]:
    """What changed from one version to another, text by text, line by line."""
    kinds = sorted({*older.texts, *newest.texts})
    pairs = [("Text", older.text, newest.text)]
    pairs += [
        (str(ChannelKind(kind).label), older.texts.get(kind, ""), newest.texts.get(kind, ""))
        for kind in kinds
    ]
    pairs.append(("Actions", _listed(older.actions), _listed(newest.actions)))
    return [
        {"what": what, "lines": _lines(before, after)} for what, before, after in pairs if before != after
    ]


def _lines(before: str, after: str) -> list[tuple[str, str]]:
    """(sign, line): `+` came, `-` went, blank stayed."""
    compared = ndiff(before.split("\n"), after.split("\n"))
    return [(line[:1], line[2:]) for line in compared if line[:1] != "?"]


def _listed(actions: dict[str, Any]) -> str:
    return "\n".join(f"{name.replace('_', ' ')}: {_written(value)}" for name, value in actions.items())


def _written(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
