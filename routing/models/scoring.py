"""What each part of the score is worth: one row for the house."""

from django.db import models
from django.db.models import Q

HEAVIEST = 10.0
MOST_BANDS = 10


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
        ]
