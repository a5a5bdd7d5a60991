"""Celery's doors of the distributor: each calls one service, and can be run twice. The rows are the promise."""

from celery import shared_task

from routing.services import simulations

SWEEP_SECONDS = 30


@shared_task
def simulate(simulation_id: int) -> None:
    """Play a day as it was and otherwise."""
    simulations.work(simulation_id)


@shared_task
def sweep() -> None:
    """Find the simulations that a lost task left behind, and let old ones go."""
    for simulation_id in simulations.due():
        simulate.apply_async((simulation_id,), expires=SWEEP_SECONDS)
    simulations.forget_old()
