"""Mentions as a list that can leave."""

from typing import Any

from django.db.models import Q

from crm.access import BRANDS, Permission, granted, work_filter
from crm.models import Interaction, User
from crm.services import exports
from crm.services.exports import Column, Listed
from socialcare.models import Mention

MENTIONS: tuple[Column, ...] = (
    ("id", lambda one: one.pk), ("network", lambda one: one.network), ("external_id", lambda one: one.external_id),
    ("channel", lambda one: one.channel.slug), ("author", lambda one: one.identity.handle or one.identity.name),
    ("customer_id", lambda one: one.customer_id), ("customer", lambda one: one.customer.name), ("text", lambda one: one.text),
    ("permalink", lambda one: one.permalink), ("language", lambda one: one.language), ("topic", lambda one: one.topic),
    ("sentiment", lambda one: one.sentiment), ("actionable", lambda one: one.actionable), ("verdict", lambda one: one.verdict),
    ("judged", lambda one: one.status), ("decided_by", lambda one: str(one.decided_by or "")),
    ("followers", lambda one: one.followers), ("likes", lambda one: one.likes), ("reposts", lambda one: one.reposts),
    ("posted_at", lambda one: one.posted_at), ("received_at", lambda one: one.received_at),
    ("deleted_at", lambda one: one.deleted_at),
)  # fmt: skip


def _within(user: User) -> Q:
    """A post is within a scope by the brand whose channel heard it, or by the contact that came of it."""
    contacts = Interaction.objects.filter(work_filter(user, permission=Permission.EXPORT))
    heard = Q(channel__brand__in=granted(user, Permission.EXPORT).get(BRANDS, ()))
    return heard | Q(interaction_id__in=contacts.values("pk"))


def register(filters: Any) -> None:
    """Plug the list in with what narrows it."""
    related = ("channel", "identity", "customer", "decided_by")
    exports.register("mentions", Listed(Mention.objects.visible_to, _within, filters, MENTIONS, related))
