"""What stands around customers: companies, tags, fields of our own, orders, consent."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from crm.choices import ConsentPurpose, FieldKind, FieldNoun
from crm.models.users import User
from crm.querysets import CustomerQuerySet


class Tag(models.Model):
    """A word that people put on customers and tickets."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=40)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Company(models.Model):
    """An organisation that customers belong to; companies may be part of another."""

    name = models.CharField(max_length=200)
    domain = models.CharField(max_length=253, blank=True, help_text="Of its e-mail addresses.")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="parts")
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(blank=True)
    fields = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="Fields of our own, by slug."
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = CustomerQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "companies"
        constraints = [
            models.CheckConstraint(condition=~Q(parent=F("id")), name="company_not_part_of_itself")
        ]
        indexes = [GinIndex(OpClass(Upper("name"), "gin_trgm_ops"), name="company_name_parts")]

    def __str__(self) -> str:
        return self.name


class CustomField(models.Model):
    """A field of our own on a noun: what may stand in its `fields`. Retired, never deleted."""

    noun = models.CharField(max_length=8, choices=FieldNoun)
    slug = models.SlugField(max_length=40)
    label = models.CharField(max_length=60)
    kind = models.CharField(max_length=12, choices=FieldKind)
    choices = models.JSONField(
        default=list, blank=True, help_text='For choice and multi-choice: ["gold", "silver"].'
    )
    restricted = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Shown to who has the right; of customers and tickets once the person is verified.",
    )
    place = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["place", "id"]
        constraints = [models.UniqueConstraint(fields=["noun", "slug"], name="custom_field_once")]

    def __str__(self) -> str:
        return self.label


class Order(models.Model):
    """What a customer bought: a fact from the shop, by its number there."""

    customer = models.ForeignKey("crm.Customer", on_delete=models.PROTECT, related_name="orders")
    number = models.CharField(max_length=60, unique=True)
    at = models.DateTimeField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, default="EUR")
    state = models.CharField(max_length=30, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        indexes = [models.Index("customer", F("at").desc(), name="order_of_customer")]

    def __str__(self) -> str:
        return self.number


class Consent(models.Model):
    """That a customer agreed to something, or took it back: the newest line counts."""

    customer = models.ForeignKey("crm.Customer", on_delete=models.CASCADE, related_name="consents")
    purpose = models.CharField(max_length=10, choices=ConsentPurpose)
    given = models.BooleanField()
    how = models.CharField(max_length=200, blank=True, help_text="Where and in which words.")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index("customer", "purpose", F("at").desc(), name="consent_newest")]
