"""The triage list."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from crm.access import Permission, may
from crm.choices import ChannelKind, Verdict
from crm.views.base import Page, address, chosen, page_of, said
from socialcare.choices import MentionStatus
from socialcare.models import Mention

TONES = {"negative": (None, -0.35), "neutral": (-0.35, 0.35), "positive": (0.35, None)}
ACTIONABLE = {"yes": "Needs an answer", "no": "Noise"}
NETWORKS = (
    ChannelKind.X, ChannelKind.FACEBOOK, ChannelKind.INSTAGRAM, ChannelKind.YOUTUBE, ChannelKind.MASTODON,
    ChannelKind.BLUESKY, ChannelKind.REDDIT,
)  # fmt: skip


class MentionList(Page):
    """`/mentions/`: newest first, with filters on the left and verdict keys on each row."""

    permission = Permission.READ_WORK
    template = "socialcare/mention_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        words = said(request, "search")
        filters = [
            _filter(request, "Verdict", "verdict", [(one.value, one.label.capitalize()) for one in Verdict]),
            _filter(request, "Judged by", "status", MentionStatus.choices),
            _filter(request, "Needs an answer", "actionable", ACTIONABLE.items()),
            _filter(request, "Tone", "tone", [(name, name.capitalize()) for name in TONES]),
            _filter(request, "Network", "network", [(kind.value, kind.label) for kind in NETWORKS]),
        ]
        visible = Mention.objects.visible_to(request.user).select_related(
            "channel", "identity", "customer", "decided_by"
        )
        page = page_of(request, _found(_narrowed(visible, request), words), "received_at")
        return {
            "mentions": page.rows,
            "filters": filters,
            "can_decide": may(request.user, Permission.TRIAGE),
            "search": words,
            "export_words": _exported(request, words),
            **page.addresses(),
        }


def _exported(request: HttpRequest, words: str) -> str:
    """The same list as a file: the page's own words in those of the filters."""
    low, high = TONES.get(request.GET.get("tone", ""), (None, None))
    actionable = chosen(request, "actionable", ACTIONABLE)
    kept = {
        "noun": "mentions",
        "search": words,
        "verdict": chosen(request, "verdict", Verdict.values),
        "status": chosen(request, "status", MentionStatus.values),
        "network": chosen(request, "network", NETWORKS),
        "actionable": {"yes": "true", "no": "false"}.get(actionable, ""),
        "sentiment_above": "" if low is None else str(low),
        "sentiment_below": "" if high is None else str(high),
    }
    return f"/exports/?{urlencode({name: value for name, value in kept.items() if value})}"


def _filter(request: HttpRequest, label: str, name: str, options: Any) -> dict:
    """One group of links; the first takes the filter away."""
    options = list(options)
    here = chosen(request, name, dict(options))
    return {
        "label": label,
        "choices": [
            {"url": address(request, **{name: value}), "label": text, "count": None, "here": value == here}
            for value, text in [("", "All"), *options]
        ],
    }


def _narrowed(mentions: QuerySet, request: HttpRequest) -> QuerySet:
    for name, allowed in (
        ("verdict", Verdict.values),
        ("status", MentionStatus.values),
        ("network", NETWORKS),
    ):
        if value := chosen(request, name, allowed):
            mentions = mentions.filter(**{name: value})
    if value := chosen(request, "actionable", ACTIONABLE):
        mentions = mentions.filter(actionable=value == "yes")
    low, high = TONES.get(request.GET.get("tone", ""), (None, None))
    if low is not None:
        mentions = mentions.filter(sentiment__gte=low)
    return mentions if high is None else mentions.filter(sentiment__lt=high)


def _found(mentions: QuerySet, words: str) -> QuerySet:
    if not words:
        return mentions
    author = words.lstrip("@")
    by = Q(identity__handle__icontains=author) | Q(identity__name__icontains=author) if author else Q()
    return mentions.filter(Q(text__icontains=words) | by)
