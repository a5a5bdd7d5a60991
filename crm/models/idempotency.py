"""The saved answers of REST writes."""

from django.db import models
from django.db.models.functions import Now

from crm.models.users import User


class IdempotencyKey(models.Model):
    """One use of a client's key: the same request again gets the same answer."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]
