"""The list of mentions: what it consists of, for the page, REST, saved views and edits of many."""

from typing import Any

from django.db.models import QuerySet

from crm.access import Permission
from crm.choices import ChannelKind, Verdict
from crm.conditions import Kind
from crm.lists import Choices, Column, Listing, Preset
from socialcare.choices import MentionStatus
from socialcare.models import Mention

NETWORKS = (
    ChannelKind.X, ChannelKind.FACEBOOK, ChannelKind.INSTAGRAM, ChannelKind.YOUTUBE, ChannelKind.MASTODON,
    ChannelKind.BLUESKY, ChannelKind.REDDIT,
)  # fmt: skip
_NETWORKS: Choices = [(one.value, one.label) for one in NETWORKS]


def _visible_to(user: Any) -> QuerySet:
    """What is shown of a mention beside its own words comes with it."""
    return Mention.objects.visible_to(user).select_related("channel", "identity", "customer", "decided_by")


MENTIONS = Listing(
    "mentions", "Mentions", Mention, _visible_to, Permission.READ_WORK, Permission.TRIAGE, "",
    (
        Column("network", "Network", Kind.CHOICE, choices=_NETWORKS),
        Column("author", "Author", path="identity__handle"),
        Column("author_name", "Author's name", path="identity__name"),
        Column("text", "Post"),
        Column("verdict", "Verdict", Kind.CHOICE, choices=Verdict.choices, edited=True),
        Column("status", "Judged by", Kind.CHOICE, choices=MentionStatus.choices),
        Column("actionable", "Needs an answer", Kind.BOOLEAN, edited=True),
        Column("sentiment", "Tone, −1 to 1", Kind.NUMBER),
        Column("topic", "Topic"),
        Column("language", "Language"),
        Column("customer", "Customer", path="customer__name"),
        Column("vip", "Customer is VIP", Kind.BOOLEAN, path="customer__vip", shown=False),
        Column("channel", "Channel", Kind.REF, refers="channels"),
        Column("brand", "Brand", Kind.REF, path="channel__brand", refers="brands", shown=False),
        Column("followers", "Followers", Kind.NUMBER, whole=True),
        Column("likes", "Likes", Kind.NUMBER, whole=True),
        Column("reposts", "Reposts", Kind.NUMBER, whole=True),
        Column("decided_by", "Decided by", Kind.REF, refers="users", own="user"),
        Column("decided_at", "Decided", Kind.INSTANT),
        Column("posted_at", "Posted", Kind.INSTANT, sorts="posted_at"),
        Column("received_at", "Received", Kind.INSTANT, sorts="received_at"),
        Column("deleted_at", "Deleted there", Kind.INSTANT),
    ),
    ("network", "author", "text", "verdict", "sentiment", "followers", "posted_at"), "-received_at",
    (
        Preset("all", "All", {}),
        Preset(
            "undecided", "Nobody decided yet",
            {"all": [
                {"column": "status", "op": "any_of", "value": [MentionStatus.TRIAGED.value]},
                {"column": "actionable", "op": "is", "value": True}, {"column": "deleted_at", "op": "empty"},
            ]},
        ),
        Preset("mine", "Decided by me", {"column": "decided_by", "op": "any_of", "value": ["me"]}),
        Preset("vip", "From VIPs", {"column": "vip", "op": "is", "value": True}),
    ),
    in_place=False,
)  # fmt: skip
