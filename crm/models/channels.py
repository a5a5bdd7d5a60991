"""Brands, their channels, and the accounts on a channel that are ours."""

from django.db import models

from crm.choices import ChannelKind, Family
from crm.secrets import EncryptedField


class Brand(models.Model):
    """A name under which the organisation speaks."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Channel(models.Model):
    """An endpoint of ours: a brand page, a mailbox, a number, a chat widget."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=12, choices=ChannelKind)
    brand = models.ForeignKey(Brand, on_delete=models.PROTECT, related_name="channels")
    connector = models.CharField(
        max_length=30, default="items", help_text="Which connector speaks for this channel."
    )
    base_url = models.URLField(
        blank=True,
        help_text="Where the network is reached. This host and port may be private; all others may not.",
    )
    token = EncryptedField(blank=True, help_text="What we show the network. Encrypted at rest.")
    secret = EncryptedField(blank=True, help_text="Signs deliveries (HMAC-SHA256). Encrypted at rest.")
    previous_secret = EncryptedField(blank=True, help_text="Still accepted while the sender changes over.")
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text="What its connector must know beside address and token; never a secret.",
    )
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name

    @property
    def family(self) -> str:
        """The family that work from this channel belongs to when the item does not say otherwise."""
        return str(FAMILY_OF_KIND.get(self.kind, Family.SOCIAL))


FAMILY_OF_KIND = {
    ChannelKind.PHONE: Family.VOICE,
    ChannelKind.CHAT: Family.CHAT,
    ChannelKind.SMS: Family.MESSAGE,
    ChannelKind.EMAIL: Family.MAIL,
    ChannelKind.FAX: Family.MAIL,
    ChannelKind.WEBHOOK: Family.MAIL,
}


class ChannelAccount(models.Model):
    """An author on a channel that is ours: brand or staff. What he posts is never a customer's contact."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="accounts")
    external_id = models.CharField(max_length=255)
    handle = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "external_id"], name="channel_account_once")
        ]

    def __str__(self) -> str:
        return self.handle or self.external_id
