"""What each part of the score is worth, which channels overtake no other, and what was counted of it."""

from django.db import models
from django.db.models import F, Q

from crm.choices import Family

HEAVIEST = 10.0
MOST_BANDS = 10
ALARM_ABOVE = 10.0  # overtakings per 100 choices


class Scoring(models.Model):
    """The weights of the score; without a row the engine's own count. Changed on one page, with a preview and a reason."""

    urgency = models.FloatField(default=0.3)
    value = models.FloatField(default=0.2)
    target = models.FloatField(default=0.4)
    channel = models.FloatField(default=0.1)
    age = models.FloatField(
        default=0.15, help_text="For each promise that was waited; more than nothing, so that nobody starves."
    )
    sentiment = models.FloatField(default=0.1, help_text="Moves only inside a band.")
    reach = models.FloatField(default=0.0, help_text="Moves only inside a band; off by default.")
    bands = models.PositiveSmallIntegerField(default=4)
    band_width = models.FloatField(default=0.25)
    channels = models.JSONField(
        default=dict, blank=True, help_text="Worth of each channel family; 1 where none is named."
    )
    locked = models.JSONField(
        default=list, db_default=[], blank=True, help_text="Channel families that overtake no other."
    )
    alarm_above = models.FloatField(
        default=ALARM_ABOVE,
        db_default=ALARM_ABOVE,
        help_text="Overtakings per 100 choices; the lower end of the 95 % interval above it rings.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="scoring_one_row"),
            *[
                models.CheckConstraint(
                    condition=Q(**{f"{part}__gte": 0, f"{part}__lte": HEAVIEST}), name=f"scoring_{part}"
                )
                for part in ("urgency", "value", "target", "channel", "sentiment", "reach")
            ],
            models.CheckConstraint(condition=Q(age__gt=0, age__lte=HEAVIEST), name="scoring_age"),
            models.CheckConstraint(condition=Q(bands__gte=1, bands__lte=MOST_BANDS), name="scoring_bands"),
            models.CheckConstraint(
                condition=Q(band_width__gt=0, band_width__lte=HEAVIEST), name="scoring_band_width"
            ),
            models.CheckConstraint(
                condition=Q(alarm_above__gte=0, alarm_above__lte=100), name="scoring_alarm"
            ),
        ]


class ChoiceCount(models.Model):
    """Decisions of one hour, counted by the router as it made them (`routing/bias.py`): a line for each thing counted."""

    hour = models.DateTimeField()
    what = models.CharField(max_length=10, help_text="choice, an exemption, decision or looked.")
    won = models.CharField(max_length=8, choices=Family, help_text="Got the agent.")
    passed = models.CharField(
        max_length=8, blank=True, db_default="", help_text="Waited on, though he could have taken it."
    )
    number = models.PositiveIntegerField()
    overtakings = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hour", "what", "won", "passed"], name="choice_count_once"),
            models.CheckConstraint(condition=Q(overtakings__lte=F("number")), name="choice_count_part"),
            models.CheckConstraint(
                condition=(Q(what="choice") & ~Q(passed=""))
                | (~Q(what="choice") & Q(passed="", overtakings=0)),
                name="choice_count_of_two",
            ),
            models.CheckConstraint(condition=~Q(won=F("passed")), name="choice_count_two_channels"),
        ]
