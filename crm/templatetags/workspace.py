"""Tags of the workspace: icons, channel marks, instants, people's words, navigation by role."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from crm.access import Permission, may_somewhere
from crm.choices import SCALES, ChannelKind, MessageState, Question, Role, Verdict
from crm.models import Message
from crm.services import messages

register = template.Library()

CHANNEL_ICONS = {
    ChannelKind.EMAIL: "mail",
    ChannelKind.CHAT: "message-circle",
    ChannelKind.PHONE: "phone",
    ChannelKind.SMS: "smartphone",
    ChannelKind.FAX: "printer",
    ChannelKind.WEBHOOK: "webhook",
}
DELIVERY_ICONS = {
    MessageState.AWAITING_APPROVAL: "hourglass",
    MessageState.SCHEDULED: "clock",
    MessageState.QUEUED: "clock",
    MessageState.SENDING: "loader-circle",
    MessageState.SENT: "check-check",
    MessageState.FAILED: "circle-alert",
    MessageState.UNKNOWN: "circle-help",
}
CONTACT_NOUNS = {
    ChannelKind.EMAIL: "Mail",
    ChannelKind.CHAT: "Chat",
    ChannelKind.PHONE: "Call",
    ChannelKind.SMS: "SMS",
    ChannelKind.FAX: "Fax",
    ChannelKind.WEBHOOK: "Message",
}
WRITTEN_OUT = (ChannelKind.EMAIL, ChannelKind.PHONE, ChannelKind.SMS, ChannelKind.FAX)
EVERYBODY = frozenset(set(Role) - {Role.API_CLIENT})
OVERSEERS = frozenset({Role.ADMINISTRATOR, Role.SUPERVISOR, Role.AUDITOR})
LISTENERS = EVERYBODY - {Role.AUDITOR}
# Address, label, icon, key after `g`, who sees it.
PLACES = (
    ("/desk/", "Desk", "inbox", "d", frozenset({Role.AGENT})),
    ("/mentions/", "Mentions", "radio", "m", LISTENERS),
    ("/customers/", "Customers", "users", "c", EVERYBODY),
    ("/tickets/", "Tickets", "ticket", "t", EVERYBODY),
    ("/queues/", "Queues", "list", "q", EVERYBODY - {Role.MARKETING}),
    ("/boards/floor/", "Board", "layout-dashboard", "b", OVERSEERS),
    ("/channels/", "Channels", "ear", "h", OVERSEERS),
    ("/simulator/", "Simulator", "play", "s", OVERSEERS - {Role.AUDITOR}),
    ("/deliveries/", "Quarantine", "shield-alert", "u", OVERSEERS),
    ("/privacy/", "Privacy", "shield-check", "y", OVERSEERS),
    ("/people/", "People and rights", "lock", "p", frozenset({Role.ADMINISTRATOR})),
    ("/admin/", "Administration", "settings", "a", frozenset({Role.ADMINISTRATOR})),
)
# Places that a right opens which was given beside the role.
_OPENED_BY = {
    "/boards/floor/": Permission.WATCH_BOARDS,
    "/channels/": Permission.READ_DELIVERIES,
    "/deliveries/": Permission.READ_DELIVERIES,
    "/privacy/": Permission.SEE_PRIVACY,
    "/simulator/": Permission.SIMULATE,
    "/people/": Permission.CONFIGURE,
    "/admin/": Permission.CONFIGURE,
}
DEMO_LOGINS = ("agent1@example.com", "agent2@example.com", "supervisor@example.com", "admin@example.com")
# The administration by task: what it is called, and the models of each.
TASKS = {
    "People": ("User", "Team", "Agent", "Skill"),
    "Channels": ("Brand", "Channel"),
    "Routing": ("Queue", "PresenceReason"),
    "Targets": ("SlaPolicy", "BusinessCalendar", "Holiday", "PauseReason"),
    "Answering": ("Code", "StatusName"),
}
LINK = re.compile(r"https?://[^\s<>\"'\x00-\x1f]{1,2000}")
TRAILING = ".,;:!?)]}…"
Mark = tuple[int, int, Callable[[str], SafeString]]  # from, to, how it is written


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """One symbol of the sprite; without a label it is decoration."""
    said = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html('<svg class="icon" {}><use href="{}#{}"></use></svg>', said, static("icons.svg"), name)


@register.simple_tag
def channel_icon(kind: str) -> SafeString:
    """The mark of a channel kind, with its name for those who do not see it."""
    known = kind if kind in ChannelKind.values else ChannelKind.WEBHOOK
    name = CHANNEL_ICONS.get(known) or f"net-{known}"
    label = ChannelKind(known).label
    return format_html('<span class="mark mark--{}" title="{}">{}</span>', known, label, icon(name, label))


@register.simple_tag
def delivery_state(state: str) -> SafeString:
    """Where an outbound message is, as icon and word."""
    mark = icon(DELIVERY_ICONS.get(state, "circle"))
    return format_html(
        '<span class="delivery delivery--{}">{}{}</span>', state, mark, state.replace("_", " ")
    )


@register.simple_tag
def instant(at: datetime | str | None, form: str = "age", since: datetime | str | None = None) -> SafeString:
    """A time that ticks in the browser: `age`, `due` (counts down, amber from a quarter left) or `clock`."""
    if not at:
        return mark_safe('<span class="faint">–</span>')
    at, since = _parsed(at), _parsed(since)
    local = timezone.localtime(at)
    return format_html(
        '<relative-time datetime="{}" form="{}" since="{}" title="{}">{}</relative-time>',
        at.isoformat(),
        form,
        since.isoformat() if since else "",
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        local.strftime("%H:%M" if local.date() == timezone.localdate() else "%d %b %H:%M"),
    )


def _parsed(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) and value else value or None


@register.simple_tag
def bdi(text: object) -> SafeString:
    """People's words, isolated so that their direction cannot reorder ours."""
    return format_html('<bdi dir="auto">{}</bdi>', "" if text is None else text)


@register.simple_tag
def people_words(text: str | None, spans: list | None = None, lang: str = "") -> SafeString:
    """A message as it came: escaped, isolated, http(s) links clickable, the words that carry tone marked.

    `spans` are [start, end, weight] by character, as triage leaves them.
    """
    text = text or ""
    marks = _without_overlap([*_links(text), *_tones(text, spans or [])])
    pieces, done = [], 0
    for start, end, render in marks:
        pieces += [conditional_escape(text[done:start]), render(text[start:end])]
        done = end
    body = format_html_join("", "{}", ((piece,) for piece in [*pieces, text[done:]]))
    return format_html('<bdi dir="auto"{}>{}</bdi>', format_html(' lang="{}"', lang) if lang else "", body)


def _links(text: str) -> Iterator[Mark]:
    for found in LINK.finditer(text):
        yield found.start(), found.start() + len(found.group().rstrip(TRAILING)), _link


def _tones(text: str, spans: list) -> Iterator[Mark]:
    for span in spans:
        if (
            isinstance(span, list | tuple)
            and len(span) >= 3
            and 0 <= span[0] < span[1] <= len(text)
            and span[2]
        ):
            yield span[0], span[1], _praise if span[2] > 0 else _blame


def _without_overlap(marks: list[Mark]) -> list[Mark]:
    """In order of place; what begins inside an earlier mark is left out."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: mark[0]):
        if not kept or mark[0] >= kept[-1][1]:
            kept.append(mark)
    return kept


def _link(url: str) -> SafeString:
    return format_html(
        '<a href="{0}" target="_blank" rel="noopener noreferrer nofollow"'
        ' referrerpolicy="no-referrer">{0}</a>',
        url,
    )


def _blame(word: str) -> SafeString:
    return format_html('<mark class="tone tone--neg" title="negative">{}</mark>', word)


def _praise(word: str) -> SafeString:
    return format_html('<mark class="tone tone--pos" title="positive">{}</mark>', word)


@register.simple_tag
def sentiment(value: float | None) -> SafeString:
    """Tone as face and signed number; nothing when it is unknown."""
    if value is None:
        return mark_safe("")
    face, level = ("frown", "bad") if value <= -0.35 else ("smile", "good") if value >= 0.35 else ("meh", "")
    if -0.35 < value < -0.1:
        level = "warn"
    number = "0" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")
    return format_html(
        '<span class="badge badge--{}" title="Sentiment, −1 to +1">{}{}</span>',
        level or "plain",
        icon(face, "Sentiment"),
        number,
    )


@register.filter
def words(code: str) -> str:
    """`waiting_on_us` → `waiting on us`."""
    return str(code or "").replace("_", " ")


@register.filter
def of(found: dict | None, name: str) -> Any:
    """What stands under a name in a dictionary, or nothing."""
    return (found or {}).get(name, "")


@register.filter
def lines(found: list[str] | str) -> str:
    """A list, a line each."""
    return found if isinstance(found, str) else "\n".join(found)


@register.filter
def commas(found: list[str] | str) -> str:
    """A list on one line."""
    return found if isinstance(found, str) else ", ".join(found)


@register.filter
def initials(name: object) -> str:
    """At most two letters or digits for an avatar."""
    found = [part[0] for part in re.split(r"[\W_]+", str(name or "")) if part]
    return "".join(found[:2]).upper() or "?"


@register.filter
def short(value: float | None) -> str:
    """1204 → 1,204; 1250000 → 1.3 M."""
    if value is None:
        return "–"
    return f"{value / 1_000_000:.1f} M" if value >= 1_000_000 else f"{value:,.0f}"


@register.simple_tag(takes_context=True)
def navigation(context: template.Context) -> list[dict[str, Any]]:
    """The places this person may go to, with the one he is at."""
    request = context.get("request")
    user = getattr(request, "user", None)
    role = getattr(user, "role", None)
    here = getattr(request, "path", "")
    return [
        {"url": url, "label": label, "icon": name, "key": key, "here": _is_at(here, url)}
        for url, label, name, key, roles in PLACES
        if role in roles
        or (url in _OPENED_BY and getattr(user, "reach", None) and may_somewhere(user, _OPENED_BY[url]))
    ]


def _is_at(path: str, url: str) -> bool:
    if url == "/people/":
        return path.startswith(("/people/", "/rights/"))
    return path.startswith("/boards/" if url.startswith("/boards/") else url)


@register.simple_tag(takes_context=True)
def has_role(context: template.Context, *roles: str) -> bool:
    """Whether the person has one of these roles. It shows and hides; access is asked elsewhere."""
    return getattr(getattr(context.get("request"), "user", None), "role", None) in roles


@register.simple_tag(takes_context=True)
def may_release(context: template.Context, message: Message) -> bool:
    """Whether the reader may let an answer of somebody in training leave."""
    return messages.may_release(context["request"].user, message)


@register.simple_tag(takes_context=True)
def has_right(context: template.Context, right: str) -> bool:
    """Whether the person has a right over anything, by role or given. It shows and hides; access is asked elsewhere."""
    return may_somewhere(getattr(context.get("request"), "user", None), Permission(right))


@register.filter
def handle(identity: Any) -> str:
    """How an address is written: @name on a network, else the address itself. Takes a row or a document."""
    if not identity:
        return ""
    read = identity.get if isinstance(identity, dict) else lambda name: getattr(identity, name, "")
    name = read("handle")
    if not name or read("kind") in CHANNEL_ICONS:
        return str(name or read("name") or read("value") or "")
    return f"@{name.lstrip('@')}"


@register.filter
def reached_at(identity: Any) -> str:
    """Where somebody is reached: the mail address, the number, the @name; for a visitor of the chat his name."""
    read = identity.get if isinstance(identity, dict) else lambda name: getattr(identity, name, "")
    return str(read("value") or "") if read("kind") in WRITTEN_OUT else handle(identity)


@register.filter
def customer_name(customer: dict[str, Any]) -> str:
    """How a customer of a document is called, who may have no name or none any more; as `str` of the row says it."""
    return str(customer.get("name") or f"Customer {customer['id']}")


@register.filter
def activity(verb: str) -> str:
    """`offer.declined` → `offer declined`."""
    return words(verb).replace(".", " ")


@register.filter
def happened(line: Any) -> str:
    """What a line of history says beside its verb: what changed, why, which other ticket."""
    data = line.data if isinstance(line.data, dict) else {}
    said = []
    if isinstance(data.get("fields"), list):
        said.append(", ".join(words(str(name)) for name in data["fields"]))
    if "status" in (data.get("fields") or ()) and data.get("status"):
        said.append(words(str(data["status"])))
    said += [str(data[name]) for name in ("reason", "outcome") if data.get(name)]
    if data.get("from") and data.get("to"):
        said.append(f"{data['from']} → {data['to']}")
    if line.verb.startswith("ticket.") and isinstance(data.get("other"), int):
        said.append(f"#{1000 + data['other']}")
    return ": ".join(said)


@register.filter
def figure(value: float | None, form: str) -> str:
    """A figure as its kind is written: `share` in per cent, `time` from seconds, `seconds`, `minutes`, `times`, `count`."""
    if value is None:
        return "–"
    if form == "share":
        return f"{value * 100:.1f} %"
    if form == "time":
        return (
            f"{value:.0f} s"
            if value < 120
            else f"{value / 60:.0f} min"
            if value < 7200
            else f"{value / 3600:.1f} h"
        )
    if form == "times":
        return f"{value:.2f}"
    return (
        f"{value:,.0f} {form[0] if form == 'seconds' else 'min'}"
        if form in ("seconds", "minutes")
        else f"{value:,.0f}"
    )


@register.filter
def mood(value: float | None) -> str:
    """A sentiment from -1 to 1 in a word."""
    if value is None:
        return "unknown"
    return "unhappy" if value < -0.2 else "happy" if value > 0.2 else "neutral"


@register.simple_tag
def mood_chart(values: list[float]) -> SafeString:
    """What a customer's words sounded like, oldest first: a line over the middle of the scale, from -1 (low) to 1 (high)."""
    width, height = 120, 28
    step = width / max(1, len(values) - 1)
    points = [
        (place * step, height / 2 - max(-1.0, min(1.0, value)) * (height / 2 - 3))
        for place, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return format_html(
        '<svg class="mood" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">'
        '<line x1="0" y1="{}" x2="{}" y2="{}"/><polyline points="{}"/><circle cx="{}" cy="{}" r="2.5"/></svg>',
        width, height, f"Mood in the last {len(values)} messages: " + ", ".join(mood(value) for value in values),
        height / 2, width, height / 2, line, f"{points[-1][0]:.1f}", f"{points[-1][1]:.1f}",
    )  # fmt: skip


@register.filter
def percent(share: float | None) -> str:
    """A share in per cent, with one place."""
    return "–" if share is None else f"{share * 100:.1f} %"


@register.simple_tag
def interval_bar(
    value: float | None, low: float | None, high: float | None, limit: float = 0.0
) -> SafeString:
    """A share of a hundred as a bar with its 95 % interval, and a mark where an alarm begins; the figure stands beside it."""
    if value is None or low is None or high is None:
        return format_html('<span class="faint">{}</span>', "too few")
    return format_html(
        '<svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"{}>'
        '<rect class="interval__all" width="100" height="10"/><rect class="interval__part" width="{}" height="10"/>'
        '<rect class="interval__span" x="{}" width="{}" y="4" height="2"/>'
        '<rect class="interval__limit" x="{}" width="0.6" height="10"/></svg>',
        mark_safe(' data-level="missed"') if limit and low > limit else "",
        f"{value:.2f}", f"{low:.2f}", f"{max(0.4, high - low):.2f}", f"{limit:.2f}",
    )  # fmt: skip


@register.simple_tag
def contact_words(line: dict[str, Any]) -> str:
    """What a line of the timeline was: a post, a mail, a call; ours or theirs."""
    noun = CONTACT_NOUNS.get(line.get("channel", ""), "Post")
    ours = {"outbound": ", our answer", "note": ", note"}.get(line.get("direction", ""), "")
    return noun + ours


@register.filter
def answered(question: str, score: Any) -> str:
    """An answer to a survey in words: `Satisfaction 4 of 5`, `Was it solved: yes`."""
    label = Question(question).label
    if question == Question.SOLVED:
        return f"{label}: {'yes' if score else 'no'}"
    return f"{label} {int(score)} of {SCALES[question][1]}"


@register.simple_tag
def by_task(app_list: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The models that the admin lists by app, by task instead; what belongs to none is the system's."""
    models = {model["object_name"]: model for app in app_list for model in app["models"]}
    grouped = [
        {"name": task, "models": [models.pop(name) for name in names if name in models]}
        for task, names in TASKS.items()
    ]
    return [
        group for group in [*grouped, {"name": "System", "models": [*models.values()]}] if group["models"]
    ]


@register.simple_tag
def demo_logins() -> tuple[str, ...]:
    """The addresses a visitor may try where the demo centre is; none elsewhere."""
    return DEMO_LOGINS if settings.DEMO else ()


@register.simple_tag
def verdicts() -> list[dict[str, str]]:
    """The five verdicts in the order of their keys."""
    return [{"value": value, "label": words(value).capitalize()} for value in Verdict.values]
