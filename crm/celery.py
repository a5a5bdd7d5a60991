"""The Celery app. Tasks carry ids only; the table of periodic work is CELERY_BEAT_SCHEDULE in the settings."""

import os

from celery import Celery, bootsteps
from celery.beat import EmbeddedService

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")


class BeatThread(bootsteps.StartStopStep):
    """Beat inside the first worker. Celery's own -B forks a process that outlives a killed worker."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: object, **options: object) -> None:
        super().__init__(worker, **options)
        self.enabled = os.environ.get("EARSHOT_BEAT") == "1"

    def create(self, worker):
        return EmbeddedService(
            worker.app, thread=True, schedule_filename=worker.app.conf.beat_schedule_filename
        )


app = Celery("earshot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(BeatThread)
