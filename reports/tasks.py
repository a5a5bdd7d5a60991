"""The mirror's periodic work: each calls one service."""

from celery import shared_task

from reports.services import demo


@shared_task
def colleagues() -> None:
    """The simulated colleagues' turn."""
    demo.colleagues_turn()


@shared_task
def callbacks() -> None:
    """Tell the simulated networks again where we are: they may have started after us."""
    demo.register_callbacks()
