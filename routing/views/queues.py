"""The queues, what waits in them, and their rules with a trial before they are kept."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from crm.access import Permission, find, leads, may, outside_closed, require, require_lead
from crm.choices import Family
from crm.errors import Conflict, DomainError, InvalidInput
from crm.models import Channel, Team, User
from crm.views.base import Act, Page
from routing.choices import GivesUp, QueueMode, QueueOrder
from routing.models import Queue, Simulation, Skill, WorkItem
from routing.models.queues import default_targets
from routing.services import orphans, previews, pulls, queues, simulations, waiting, work_items

SPARE_STEPS = 2
CHANGES = 50  # that are shown
NUMBERS = (
    "wrap_up_seconds",
    "pull_within",
    "escape_seconds",
    "interrupt_seconds",
    "pending_seconds",
    "longest_hold",
)
CHOSEN = ("channels", "exclusive")
YES_OR_NO = ("is_fallback", "codes_required")


class QueueList(Page):
    """`/queues/`: in the order in which it will be offered."""

    permission = Permission.READ_WORK
    template = "routing/queue_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {
            "queues": waiting.queues(request.user),
            "orphans": orphans.shown_to(request.user),
            "can_configure": may(request.user, Permission.CONFIGURE),
            "can_work": may(request.user, Permission.WORK),
        }


class QueueDetail(Page):
    """`/queues/<slug>/`: its rules, who changed them why, and what waits under them or under others."""

    permission = Permission.READ_WORK
    template = "routing/queue_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        queue = _found(request.user, kwargs["slug"])
        return {
            "queue": queue,
            "form": _form_of(queues.described(queue)),
            "errors": {},
            "preview": previews.of_queue(queue, {}, by=request.user),
            "tried": False,
            "changes": list(queue.changes.select_related("by").order_by("-at", "-pk")[:CHANGES]),
            "fed_by": queues.feeding(queue),
            **_choices(request.user, queue),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        queue = _found(request.user, kwargs["slug"])
        given = _given(request)
        try:
            if request.POST.get("act") == "try":
                require_lead(request.user, queue.team_id)
                tried = previews.of_queue(queue, given, by=request.user)
                context = self.context(request, **kwargs) | {"preview": tried, "tried": True}
                return render(request, self.template, _typed(context, given, request))
            if request.POST.get("act") == "replay":
                return redirect("simulation", pk=_replayed(queue, given, request.user).pk)
            queues.configure(queue, given, by=request.user)
        except (InvalidInput, Conflict) as error:
            return _again(request, self.template, self.context(request, **kwargs), given, error)
        messages.success(request, "Kept. What waits follows the new rules.")
        return redirect("queue", slug=queue.slug)


class QueueEditor(Page):
    """`/queues/new/`: a form that becomes a queue."""

    permission = Permission.CONFIGURE
    template = "routing/queue_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        blank = {name: Queue._meta.get_field(name).get_default() for name in queues.FIELDS if name != "team"}
        form = _form_of(blank | {"team": "", "targets": default_targets(), "steps": []})
        return {"queue": None, "form": form, "errors": {}, **_choices(request.user, None)}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = _given(request)
        try:
            made = queues.create(given, by=request.user)
        except (InvalidInput, Conflict) as error:
            return _again(request, self.template, self.context(request), given, error)
        messages.success(request, "The queue is there.")
        return redirect("queue", slug=made.slug)


class Take(Act):
    """`/queues/<slug>/take/`: the next one of a queue that is pulled, or `item`, where agents choose; then to its contact."""

    permission = Permission.WORK

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        queue = _found(request.user, kwargs["slug"])
        if "item" in request.POST:
            asked = _number(request.POST["item"])
            known = WorkItem.objects.visible_to(request.user).filter(queue=queue)
            item = find(known, pk=asked if isinstance(asked, int) else 0)
            require(request.user, Permission.REPLY, item)  # who may only read there takes nothing from there
            held = pulls.claim(item.pk, by=request.user)
        else:
            held = pulls.next_for(request.user, queue)
        contact = held.work_item.interaction_id
        return redirect("interaction", pk=contact) if contact else redirect("desk")


def _replayed(queue: Queue, given: dict[str, Any], user: User) -> Simulation:
    """Last week under the rules that the form holds, as far as they decide about work that waits."""
    rules = {name: value for name, value in given.items() if name in simulations.RULES}
    return simulations.ask({"change": {"queue": {"slug": queue.slug, "rules": rules}}}, by=user)


def _found(user: User, slug: str) -> Queue:
    known: QuerySet = outside_closed(Queue.objects.select_related("team"), user, "team")
    return find(known, slug=slug)


def _choices(user: User, queue: Queue | None) -> dict[str, Any]:
    return {
        "can_configure": may(user, Permission.CONFIGURE),
        "can_simulate": may(user, Permission.SIMULATE),
        "can_keep": may(user, Permission.CONFIGURE) if queue is None else leads(user, queue.team_id),
        "families": [
            (family.value, str(family.label), work_items.offer_seconds(family)) for family in Family
        ],
        "modes": QueueMode.choices,
        "orders": QueueOrder.choices,
        "kinds": GivesUp.choices,
        "teams": Team.objects.order_by("name"),
        "skills": Skill.objects.order_by("code"),
        "channels": Channel.objects.order_by("slug"),
        "others": Queue.objects.exclude(pk=queue.pk if queue else None).order_by("name"),
    }


# --- The form


def _form_of(told: dict[str, Any]) -> dict[str, Any]:
    """A queue's rules as the form shows them."""
    form = {name: told[name] for name in queues.FIELDS} | {"slug": "", "reason": ""}
    form["goal"] = f"{told['goal'] * 100:g}"
    for name in ("required_skills", "preferred_skills"):
        form[name] = ", ".join(f"{code} {level}" for code, level in told[name].items())
    for name in ("topics",):
        form[name] = ", ".join(told[name])
    return form | {"steps": _rows(told["steps"])}


def _rows(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the form: each step, and some empty ones."""
    spare = min(SPARE_STEPS, queues.MOST_STEPS - len(steps))
    return [{"skip_if_nobody": True, **step} for step in steps] + [{"skip_if_nobody": True}] * spare


def _typed(context: dict[str, Any], given: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
    """The form as it was sent; nothing typed is lost."""
    post, form = request.POST, dict(context["form"])
    for name in (
        "name",
        "slug",
        "mode",
        "ordering",
        "reason",
        "topics",
        "required_skills",
        "preferred_skills",
        "goal",
    ):
        form[name] = post.get(name, form[name])
    form |= {
        name: given[name]
        for name in (*NUMBERS, *YES_OR_NO, *CHOSEN, "targets", "offer_seconds")
        if name in given
    }
    form["team"] = post.get("team", form["team"])
    if "steps" in given:
        form["steps"] = _rows(given["steps"])
    return context | {"form": form}


def _again(
    request: HttpRequest, template: str, context: dict, given: dict, error: DomainError
) -> HttpResponse:
    errors = error.extra.get("errors") or {"": error.detail}
    return render(
        request, template, _typed(context, given, request) | {"errors": errors}, status=error.status
    )


def _given(request: HttpRequest) -> dict[str, Any]:
    """What the form says, in the words of the service; what it does not name stays as it is."""
    post = request.POST
    given: dict[str, Any] = {
        name: post[name] for name in ("name", "slug", "mode", "ordering", "reason") if name in post
    }
    given |= {name: _number(post[name]) for name in NUMBERS if name in post}
    given |= {name: post.getlist(name)[-1] == "1" for name in YES_OR_NO if name in post}
    if "team" in post:
        given["team"] = Team.objects.filter(slug=post["team"]).first() if post["team"].isprintable() else None
    if "goal" in post:
        given["goal"] = _share(post["goal"])
    if "topics" in post:
        given["topics"] = [word.strip() for word in post["topics"].split(",") if word.strip()]
    given |= {name: [one for one in post.getlist(name) if one] for name in CHOSEN if name in post}
    for name in ("required_skills", "preferred_skills"):
        if name in post:
            given[name] = _levels(post[name])
    for name in ("targets", "offer_seconds"):
        found = {family: post[f"{name}-{family}"] for family in Family.values if f"{name}-{family}" in post}
        if found:
            given[name] = {family: _number(text) for family, text in found.items() if text.strip()}
    if "steps" in post:
        given["steps"] = _steps(request)
    return given


def _number(text: str) -> int | str | None:
    """A whole number; what is none stays as it was typed, for the service to refuse. Nothing typed: None."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text or None


def _share(text: str) -> float | str:
    """Per cent as a share."""
    try:
        return float(text) / 100
    except ValueError:
        return text


def _levels(text: str) -> dict[str, Any]:
    """`french 4, billing`: levels by code, 1 where none is named."""
    found: dict[str, Any] = {}
    for word in text.split(","):
        code, _, level = word.strip().partition(" ")
        if code:
            found[code] = _number(level) if level.strip() else 1
    return found


def _steps(request: HttpRequest) -> list[dict[str, Any]]:
    """The steps in the order that is typed; a row without a kind is none."""
    post, found = request.POST, []
    for row in range(queues.MOST_STEPS + SPARE_STEPS):
        if not post.get(f"step-{row}-gives_up"):
            continue
        step: dict[str, Any] = {
            "seconds": _number(post.get(f"step-{row}-seconds", "")),
            "gives_up": post[f"step-{row}-gives_up"],
        }
        for name in ("skill", "target"):
            if post.get(f"step-{row}-{name}"):
                step[name] = post[f"step-{row}-{name}"]
        if post.get(f"step-{row}-level", "").strip():
            step["level"] = _number(post[f"step-{row}-level"])
        step["skip_if_nobody"] = post.get(f"step-{row}-skip") == "1"
        place = _number(post.get(f"step-{row}-place", ""))
        found.append((place if isinstance(place, int) else row + 1, row, step))
    return [step for _, _, step in sorted(found, key=lambda one: one[:2])]
