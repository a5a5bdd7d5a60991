"""Customers and the addresses by which we know them."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Lower, Reverse, Right, Upper

from crm.choices import ChannelKind, Trust
from crm.models.companies import Company, Tag
from crm.models.users import User
from crm.querysets import CustomerQuerySet

INDEXED = 200  # characters of a name that beginnings and words are found by; an index row has a size limit


def _last_digits(text: object) -> Right:
    """The end of a telephone number, which stays the same with and without its country."""
    return Right(Func(text, Value(r"\D"), Value(""), Value("g"), function="regexp_replace"), 8)


class Customer(models.Model):
    """A person or company we serve."""

    name = models.TextField(blank=True)
    language = models.CharField(max_length=8, blank=True)
    value = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True, help_text="Per year.")
    vip = models.BooleanField(default=False)
    public_figure = models.BooleanField(
        default=False, help_text="Adds marketing as follower; does not move the queue."
    )
    verified_before_disclosure = models.BooleanField(default=False)
    note = models.TextField(blank=True)
    company = models.ForeignKey(
        Company, null=True, blank=True, on_delete=models.PROTECT, related_name="customers", db_index=False
    )
    owner = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    preferred_identity = models.ForeignKey(
        "Identity",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text="Where answers go first.",
    )
    preferred_channel = models.CharField(max_length=12, choices=ChannelKind, blank=True, db_default="")
    tags = models.ManyToManyField(Tag, blank=True, related_name="customers")
    fields = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="Fields of our own, by slug."
    )
    merged_into = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="Found to be this one; an empty shell until that is undone.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since then nobody stands behind this record."
    )

    objects = CustomerQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("created_at", "id", name="customer_newest"),
            # Few customers have one of these: nothing is written for the others.
            models.Index("company", name="customer_company", condition=Q(company__isnull=False)),
            models.Index("owner", name="customer_owner", condition=Q(owner__isnull=False)),
            models.Index(
                "preferred_identity", name="customer_preferred", condition=Q(preferred_identity__isnull=False)
            ),
            models.Index("merged_into", name="customer_merged", condition=Q(merged_into__isnull=False)),
            # For `crm/services/search.py`: beginnings, parts, and whole words of names.
            models.Index(
                OpClass(Left(Upper("name"), INDEXED), "text_pattern_ops"), name="customer_name_begins"
            ),
            GinIndex(OpClass(Upper("name"), "gin_trgm_ops"), name="customer_name_parts"),
            GinIndex(OpClass("fields", "jsonb_path_ops"), name="customer_fields"),
            GinIndex(SearchVector(Left("name", INDEXED), config="simple"), name="customer_name_words"),
        ]

    def __str__(self) -> str:
        return self.name or f"Customer {self.pk}"


class NameWord(models.Model):
    """A word that stands in some customer's name: what a mistyped one is compared with."""

    word = models.CharField(max_length=60, primary_key=True)

    class Meta:
        indexes = [GinIndex(OpClass("word", "gin_trgm_ops"), name="name_word_parts")]


class Identity(models.Model):
    """One address of a customer: a network account, an e-mail address, a phone number."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=12, choices=ChannelKind)
    value = models.CharField(
        max_length=255, help_text="The network's own id of the account, the address or number."
    )
    handle = models.TextField(blank=True)
    name = models.TextField(blank=True)
    followers = models.BigIntegerField(null=True, blank=True)
    verified = models.BooleanField(
        default=False, help_text="The network says so; the person is not thereby verified."
    )
    trust = models.CharField(max_length=8, choices=Trust, db_default=Trust.CLAIMED, default=Trust.CLAIMED)
    claims = models.JSONField(
        default=dict, blank=True, help_text="Mail or phone the account says it has; never acted on."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["kind", "value"], name="identity_once"),
        ]
        indexes = [
            models.Index(
                OpClass(Left(Upper("handle"), INDEXED), "text_pattern_ops"), name="identity_handle_begins"
            ),
            GinIndex(OpClass(Upper("handle"), "gin_trgm_ops"), name="identity_handle_parts"),
            GinIndex(
                OpClass(Upper("value"), "gin_trgm_ops"),
                name="identity_address_parts",
                condition=Q(kind__in=["email", "phone"]),
            ),
            models.Index(
                OpClass(Reverse("value"), "text_pattern_ops"),
                name="identity_number_ends",
                condition=Q(kind="phone"),
            ),
            # For `crm/services/matches.py`: the same address under another name.
            models.Index(
                Lower(KeyTextTransform("email", "claims")),
                name="identity_claims_mail",
                condition=Q(claims__has_key="email"),
            ),
            models.Index(
                _last_digits(KeyTextTransform("phone", "claims")),
                name="identity_claims_phone",
                condition=Q(claims__has_key="phone"),
            ),
            models.Index(
                _last_digits("value"), name="identity_phone_ends", condition=Q(kind__in=["phone", "sms"])
            ),
        ]

    def __str__(self) -> str:
        return self.handle or self.value
