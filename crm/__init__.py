"""The floor: who the customer is, what was said, what is owed. Importing it binds the Celery app."""

from crm.celery import app as celery_app

__all__ = ["celery_app"]
