"""The simulator: a day through the live engine as it was and otherwise, laid side by side."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from crm.access import Permission, find, outside_closed
from crm.choices import Family
from crm.errors import InvalidInput
from crm.views.base import BIGGEST_ID, Page, page_of
from routing.choices import SimulationState
from routing.models import Agent, Simulation
from routing.pacing import Pacing
from routing.services import scoring, simulations
from routing.simulation import CENTRES, SCENARIOS

MOST_LISTED = 500  # agents of the form
SYNTHETIC_NAMES = {"message": "dm", "mail": "email"}  # what a made-up day calls a family
NAMES = {
    "voice": "Calls", "chat": "Chat", "message": "Private messages", "dm": "Private messages", "social": "Social",
    "mail": "Mail", "email": "Mail", "vip": "VIP customers",
}  # fmt: skip
WIDTH, HEIGHT = 480.0, 120.0  # of a chart
SLOTS = 48


class SimulationList(Page):
    """`/simulator/`: what was played, and the form for another; `?from=<id>` fills it with what was asked for then."""

    permission = Permission.SIMULATE
    template = "routing/simulation_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        seen = Simulation.objects.visible_to(request.user)
        page = page_of(request, seen.select_related("by").defer("result"))
        number = request.GET.get("from", "")
        before = int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0
        start = seen.filter(pk=before).first() if 0 < before <= BIGGEST_ID else None
        return {
            "simulations": page.rows,
            "in_hand": any(one.state == SimulationState.WAITING for one in page.rows),
            **_form(request, start.asked if start else {}, start.title if start else ""),
            **page.addresses(),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = _given(request)
        try:
            made = simulations.ask(given, by=request.user)
        except InvalidInput as error:
            wrong = {"errors": error.extra.get("errors") or {"": error.detail}}
            typed = _form(request, given, given["title"])
            return render(request, self.template, self.context(request) | typed | wrong, status=error.status)
        return redirect("simulation", pk=made.pk)


class SimulationDetail(Page):
    """`/simulator/<id>/`: both days in figures and charts. The address can be handed on to whoever may simulate."""

    permission = Permission.SIMULATE
    template = "routing/simulation_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        kept = find(Simulation.objects.visible_to(request.user).select_related("by"), pk=kwargs["pk"])
        shown: dict[str, Any] = {"simulation": kept, "in_hand": kept.state == SimulationState.WAITING}
        if kept.result:
            shown |= _shown(kept.result)
        return shown | {"asked": simulations.words(kept.asked)}


# --- What is shown


def _shown(result: dict[str, Any]) -> dict[str, Any]:
    """Rows and charts of a finished comparison."""
    before, after = result["before"], result["after"]
    channels = [name for name in NAMES if name in before["levels"] or name in after["levels"]]
    return {
        "channels": [_channel(name, result) for name in channels],
        "totals": _totals(result),
        "languages": [
            (lang or "none named", before["languages"].get(lang), share) for lang, share in after["languages"].items()
        ],
        "counts": after["counts"],
        "charts": [
            _chart("Answered in time", "share by half-hour of arrival", before["profile"], after["profile"], 1),
            _chart("Wait for the first answer", "mean by half-hour of arrival", before["profile"], after["profile"], 2),
        ],
    }  # fmt: skip


def _channel(name: str, result: dict[str, Any]) -> dict[str, Any]:
    before, after, really = result["before"], result["after"], result.get("really") or {}
    return {
        "name": NAMES[name],
        "goal": result["goals"].get(name),
        "really": really.get("levels", {}).get(name),
        "level": _pair(before, after, "levels", name),
        "median": _pair(before, after, "median_wait", name),
        "p90": _pair(before, after, "p90_wait", name),
        "lost": _pair(before, after, "abandoned", name),
        "target": [targets.get(name) for targets in result["targets"]],
    }


def _pair(before: dict, after: dict, what: str, name: str) -> dict[str, Any]:
    return {"before": before[what].get(name), "after": after[what].get(name)}


def _totals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures of the whole day: (what, before, after, how it is written, what it means)."""
    rows = (
        ("score", "Weighted share in time", "share", "VIPs count three times; who gave up counts as missed."),
        ("attainment", "Goals reached", "share", "Mean over channels and VIPs, none above its goal."),
        ("occupancy", "Occupancy", "share", "Of the time that agents were there, with work in hand."),
        (
            "social_bias",
            "Bias of social",
            "times",
            "Wait by promise of social over that of live channels; 1 is equal.",
        ),
        (
            "idle_beside_work",
            "Idle beside work",
            "minutes",
            "Agent minutes idle while work waited that they could take.",
        ),
        ("carried", "Left for the next day", "count", "Still inside its promise at the end."),
        ("items", "Items", "count", ""),
    )
    found = [
        {
            "label": label,
            "before": result["before"][name],
            "after": result["after"][name],
            "form": form,
            "hint": hint,
        }
        for name, label, form, hint in rows
    ]
    people = {
        "label": "Agents",
        "before": result["agents"][0],
        "after": result["agents"][1],
        "form": "count",
        "hint": "",
    }
    return [people, *found]


def _chart(
    title: str, hint: str, before: list[list[float]], after: list[list[float]], which: int
) -> dict[str, Any]:
    """Two lines over the day as points of an SVG; half-hours in which nothing came on either day are left out."""
    used = [place for place in range(SLOTS) if before[place][0] or after[place][0]]
    if not used:
        return {"title": title, "hint": hint, "lines": []}
    first, last = used[0], max(used[-1], used[0] + 1)
    values = [day[place][which] for day in (before, after) for place in used]
    low, high = (min(0.5, *values), 1.0) if which == 1 else (0.0, max(1.0, *values))

    def line(day: list[list[float]]) -> str:
        points = [
            (
                (place - first) / (last - first) * WIDTH,
                HEIGHT - (day[place][which] - low) / (high - low) * HEIGHT,
            )
            for place in used
            if day[place][0]
        ]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)

    return {
        "title": title,
        "hint": hint,
        "form": "share" if which == 1 else "seconds",
        "low": low,
        "high": high,
        "from": f"{first // 2:02d}:{first % 2 * 30:02d}",
        "to": f"{(last + 1) // 2:02d}:{(last + 1) % 2 * 30:02d}",
        "lines": [line(before), line(after)],
        "rows": [
            (
                f"{place // 2:02d}:{place % 2 * 30:02d}",
                before[place][which],
                after[place][which],
                after[place][0],
            )
            for place in used
        ],
    }


# --- The form


def _form(request: HttpRequest, asked: dict[str, Any], title: str) -> dict[str, Any]:
    day, change = asked.get("day", {}), asked.get("change", {})
    pacing, usual, scale = change.get("pacing", {}), Pacing(), scoring.told(scoring.scale())
    agents = outside_closed(Agent.objects.select_related("user"), request.user, "user__team", own="user")
    out, shifts = set(change.get("out", ())), change.get("shifts", {})
    return {
        "errors": {},
        "title": title,
        "day": {"kind": simulations.RECORDED, "days": 7, "scenario": "normal", "centre": "reference", "seed": 1, **day},
        "scenarios": SCENARIOS,
        "centres": tuple(CENTRES),
        "most_days": simulations.MOST_DAYS,
        "change": change,
        "rules": json.dumps(change["queue"]) if change.get("queue") else "",
        "queue": _slug(change.get("queue")),
        "families": [
            {
                "value": family.value,
                "label": NAMES[family.value],
                **{
                    what: _of_family(change.get(what, {}), family.value) for what in ("volume", "targets")
                },
                **{
                    what: _of_family(pacing.get(what, {}), family.value) for what in simulations.PACING_BY_FAMILY
                },
                "usual": {what: getattr(usual, what).get(family.value) for what in simulations.PACING_BY_FAMILY},
            }
            for family in Family
        ],
        "pacing": [
            (name, label, pacing.get(name, ""), getattr(usual, name))
            for name, label in (("calls", "Reserve for calls, deviations"), ("most", "Reserve at most, share"))
        ],
        "weights": [
            (name, name.replace("_", " ").capitalize(), change.get("weights", {}).get(name, ""), scale[name])
            for name in scoring.NUMBERS
        ],
        "agents": [
            (one.pk, str(one), one.pk in out, shifts.get(str(one.pk), ""))
            for one in agents.filter(user__is_active=True).order_by("user__name", "pk")[:MOST_LISTED]
        ],
    }  # fmt: skip


def _slug(queue: Any) -> str:
    """Of which queue the rules are, as far as that can be shown."""
    slug = queue.get("slug") if isinstance(queue, dict) else ""
    return slug if isinstance(slug, str) and slug.isprintable() else ""


def _of_family(values: Any, family: str) -> Any:
    found = values if isinstance(values, dict) else {}
    return found.get(family, found.get(SYNTHETIC_NAMES.get(family, family), ""))


def _given(request: HttpRequest) -> dict[str, Any]:
    """What the form says, in the words of the service; what is empty is not changed."""
    post = request.POST
    kind = post.get("kind", simulations.RECORDED)
    day: dict[str, Any] = {"kind": kind}
    if kind == simulations.RECORDED:
        day["days"] = _number(post.get("days", "7"))
    else:
        day |= {
            "scenario": post.get("scenario", ""),
            "centre": post.get("centre", ""),
            "seed": _number(post.get("seed", "1")),
        }
    change: dict[str, Any] = {
        name: _number(post[name]) for name in ("agents", "shift") if post.get(name, "").strip()
    }
    for what in ("volume", "targets"):
        if found := _by_family(request, what, kind):
            change[what] = found
    pacing = {name: _number(post[name]) for name in simulations.PACING if post.get(name, "").strip()}
    pacing |= {
        what: found for what in simulations.PACING_BY_FAMILY if (found := _by_family(request, what, ""))
    }
    weights = {
        name: _number(post[f"w-{name}"]) for name in scoring.NUMBERS if post.get(f"w-{name}", "").strip()
    }
    out = [_number(one) for one in post.getlist("out")]
    shifts = {
        name.removeprefix("shift-"): _number(text)
        for name, text in post.items()
        if name.startswith("shift-") and text.strip() not in ("", "0")
    }
    named = {
        "pacing": pacing,
        "weights": weights,
        "out": out,
        "shifts": shifts,
        "queue": _rules(post.get("rules", "")),
    }
    return {
        "title": post.get("title", ""),
        "day": day,
        "change": change | {name: value for name, value in named.items() if value},
    }


def _by_family(request: HttpRequest, what: str, kind: str) -> dict[str, Any]:
    found = {family: request.POST.get(f"{what}-{family}", "").strip() for family in Family.values}
    names = SYNTHETIC_NAMES if kind == simulations.SYNTHETIC else {}
    return {names.get(family, family): _number(text) for family, text in found.items() if text}


def _rules(text: str) -> Any:
    """A queue's rules as its page handed them on."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> int | float | str:
    """A number; what is none stays as it was typed, for the service to refuse."""
    text = text.strip()[:40]
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        return text
