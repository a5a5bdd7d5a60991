"""What is owed to the people themselves: holds that keep a record, and the proof that one is gone."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.choices import ErasureState, ErasureWay, ErasureWhy, RetentionKind, VerifiedHow
from crm.models.channels import Brand, Channel
from crm.models.companies import Company, CustomField
from crm.models.customers import Customer
from crm.models.tickets import Ticket
from crm.models.users import User
from crm.querysets import ErasureQuerySet, LegalHoldQuerySet, RetentionPolicyQuerySet
from crm.secrets import EncryptedField


class LegalHold(models.Model):
    """A customer's record may not be erased while a lawyer needs it: until a day, or until it is lifted."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="holds")
    reason = models.CharField(max_length=200)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is lifted.")
    lifted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    objects = LegalHoldQuerySet.as_manager()

    def __str__(self) -> str:
        return self.reason


class Erasure(models.Model):
    """The promise, and then the proof: who had whom erased, when, why and how much it was. Nothing of the person."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="erasures")
    way = models.CharField(max_length=9, choices=ErasureWay)
    why = models.CharField(max_length=9, choices=ErasureWhy)
    state = models.CharField(max_length=7, choices=ErasureState, default=ErasureState.WAITING)
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, help_text="Rows that were emptied or taken away, by noun.")
    problem = models.CharField(max_length=200, blank=True, db_default="", help_text="Why it waits.")

    objects = ErasureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer"], condition=Q(state="waiting"), name="erasure_once")
        ]
        indexes = [models.Index("id", name="erasure_promised", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.get_way_display()} {self.customer_id}"


class ErasedKey(models.Model):
    """By which an erased author or item is known again, so that it stays out: an HMAC under a key outside the database."""

    digest = models.BinaryField(primary_key=True)
    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, related_name="keys")
    at = models.DateTimeField(help_text="What an author posted until then stays out.")


class LastingKey(models.Model):
    """A key for one purpose that outlives every SECRET_KEY: made from the first one, kept encrypted under today's."""

    purpose = models.CharField(max_length=20, primary_key=True)
    secret = EncryptedField(help_text="In hexadecimal.")


class RetentionPolicy(models.Model):
    """How long one kind of data is kept, of one brand or of all; what is older goes, but what is on hold."""

    kind = models.CharField(max_length=10, choices=RetentionKind)
    brand = models.ForeignKey(
        Brand,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Empty: of all brands.",
    )
    days = models.PositiveIntegerField(validators=[MinValueValidator(1)], help_text="What is older goes.")
    way = models.CharField(
        max_length=9, choices=ErasureWay, default=ErasureWay.ERASE, help_text="Anonymise: only of customers."
    )
    is_active = models.BooleanField(default=False, help_text="Look at the dry run first.")
    ran_at = models.DateTimeField(null=True, blank=True, editable=False)
    went = models.PositiveBigIntegerField(default=0, editable=False, help_text="Rows, of all runs.")

    objects = RetentionPolicyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "retention policies"
        constraints = [
            models.UniqueConstraint(fields=["kind", "brand"], nulls_distinct=False, name="retention_once"),
            models.CheckConstraint(condition=Q(days__gte=1), name="retention_days"),
            models.CheckConstraint(
                condition=Q(way=ErasureWay.ERASE) | Q(kind=RetentionKind.CUSTOMERS),
                name="retention_way",
                violation_error_message="Only customers are made anonymous; of the rest the words go.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}{f' of {self.brand}' if self.brand else ''}: {self.days} days"


class Masked(models.Model):
    """The words of an item as they came, encrypted, where something in them was masked on arrival."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    external_id = models.CharField(max_length=255)
    title = EncryptedField(blank=True)
    text = EncryptedField(blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "external_id"], name="masked_once")]


class Verification(models.Model):
    """Somebody made sure that this is the person, in some way, and for how long that counts."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="verifications")
    how = models.CharField(max_length=9, choices=VerifiedHow)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(db_index=True)


class RestrictedValue(models.Model):
    """A value of a restricted field of a customer, a ticket or a company: apart from all others, and encrypted."""

    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    field = models.ForeignKey(CustomField, on_delete=models.PROTECT, related_name="+")
    value = EncryptedField(help_text="As JSON.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "field"], name="restricted_value_once"),
            models.UniqueConstraint(fields=["ticket", "field"], name="restricted_value_of_ticket_once"),
            models.UniqueConstraint(fields=["company", "field"], name="restricted_value_of_company_once"),
            models.CheckConstraint(
                condition=Q(customer__isnull=False, ticket=None, company=None)
                | Q(customer=None, ticket__isnull=False, company=None)
                | Q(customer=None, ticket=None, company__isnull=False),
                name="restricted_value_of_one",
            ),
        ]
