"""What customers answered when they were asked: facts, kept as they came."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import ChannelKind, Question
from crm.models.customers import Customer
from crm.models.interactions import Interaction
from crm.models.tickets import Ticket
from crm.querysets import SurveyQuerySet


class Survey(models.Model):
    """One answer to one question: of a customer, and where it is known about which ticket and which contact."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="surveys", db_index=False)
    ticket = models.ForeignKey(
        Ticket, null=True, blank=True, on_delete=models.SET_NULL, related_name="surveys", db_index=False
    )
    interaction = models.ForeignKey(
        Interaction, null=True, blank=True, on_delete=models.SET_NULL, related_name="surveys", db_index=False
    )
    question = models.CharField(max_length=12, choices=Question)
    score = models.PositiveSmallIntegerField(help_text="On the scale of its question.")
    comment = models.TextField(blank=True)
    channel = models.CharField(
        max_length=12, choices=ChannelKind, blank=True, help_text="How it was asked and answered."
    )
    at = models.DateTimeField(help_text="When it was answered.")
    reference = models.CharField(max_length=100, blank=True, help_text="Its id in the system that asked.")
    digest = models.CharField(max_length=32, unique=True, help_text="To know it again.")
    created_at = models.DateTimeField(db_default=Now())

    objects = SurveyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(question="csat", score__range=(1, 5))
                | Q(question__in=["nps_contact", "nps_relation"], score__range=(0, 10))
                | Q(question="solved", score__range=(0, 1)),
                name="survey_on_its_scale",
            )
        ]
        indexes = [
            models.Index("customer", F("at").desc(), name="survey_of_customer"),
            models.Index("ticket", name="survey_of_ticket", condition=Q(ticket__isnull=False)),
            models.Index("interaction", name="survey_of_contact", condition=Q(interaction__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.get_question_display()} {self.score}"
