"""The triage list."""

from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm.access import Permission, may
from crm.choices import Verdict
from crm.templatetags.workspace import bdi, channel_icon, handle, sentiment, words
from crm.views import cells
from crm.views.lists import ListPage, Words
from socialcare.choices import MentionStatus
from socialcare.filters import TONES, MentionFilter
from socialcare.lists import MENTIONS, NETWORKS
from socialcare.models import Mention

ACTIONABLE = {"true": "Needs an answer", "false": "Noise"}

SORTS = {"-received_at": "received", "-posted_at": "posted", "posted_at": "oldest post"}


class MentionList(ListPage):
    """`/mentions/`: newest first as posts with verdict keys on each, or with columns of one's own as a table."""

    permission = Permission.READ_WORK
    listing, filters = MENTIONS, MentionFilter
    template = "socialcare/mention_list.html"
    label = "Words, author"
    empty = (
        "radio", "Nothing heard here",
        "Public posts that name the brand appear as they arrive. Loosen the filters, or wait for the channels to bring some.",
    )  # fmt: skip

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        context = super().context(request, **kwargs)
        said, asked = Words.of(request), context["asked"]
        is_table = "columns" in said or bool(asked.saved and asked.saved.columns)
        if not is_table:
            context["described"]["columned"] = []
        return context | {
            "is_table": is_table,
            "can_decide": may(request.user, Permission.TRIAGE),
            "sorts": [
                {"url": said.address(ordering=one), "label": label, "here": asked.ordering == one}
                for one, label in SORTS.items()
            ],
            "is_newest": asked.ordering == MENTIONS.ordering and "cursor" not in said,
            "filters": [
                _group(said, "Verdict", "verdict", [(one.value, one.label.capitalize()) for one in Verdict]),
                _group(said, "Judged by", "status", MentionStatus.choices),
                _group(said, "Needs an answer", "actionable", ACTIONABLE.items()),
                _group(said, "Tone", "tone", [(name, name.capitalize()) for name in TONES]),
                _group(said, "Network", "network", [(kind.value, kind.label) for kind in NETWORKS]),
            ],
        }


def _group(said: Words, label: str, name: str, options: Any) -> dict[str, Any]:
    """One group of links; the first takes the filter away."""
    options = list(options)
    here = said.get(name, "")
    here = here if here in dict(options) else ""
    return {
        "label": label,
        "choices": [
            {"url": said.address(**{name: value}), "label": text, "here": value == here}
            for value, text in [("", "All"), *options]
        ],
    }


# --- As a table


def _author(one: Mention) -> SafeString:
    return format_html(
        '<a class="main" href="/customers/{}/"><span class="clip">{}</span></a>',
        one.customer_id,
        bdi(handle(one.identity)),
    )


def _post(one: Mention) -> SafeString:
    if one.deleted_at:
        return format_html('<i class="faint">deleted on the network</i>')
    text = bdi(one.text if len(one.text) <= cells.LONGEST else f"{one.text[: cells.LONGEST - 1]}…")
    if one.interaction_id:
        return format_html('<a class="above" href="/interactions/{}/">{}</a>', one.interaction_id, text)
    return text


cells.register(
    MENTIONS.noun,
    {
        "network": lambda one: channel_icon(one.network),
        "author": _author,
        "author_name": lambda one: bdi(one.identity.name) if one.identity.name else cells.NOTHING,
        "text": _post,
        "verdict": lambda one: format_html('<span class="badge">{}</span>', words(one.verdict)),
        "sentiment": lambda one: cells.NOTHING if one.sentiment is None else sentiment(one.sentiment),
        "topic": lambda one: bdi(words(one.topic)) if one.topic else cells.NOTHING,
        "customer": lambda one: format_html(
            '<a class="above" href="/customers/{}/">{}</a>', one.customer_id, bdi(one.customer)
        ),
        "channel": lambda one: bdi(one.channel.name),
    },
)
