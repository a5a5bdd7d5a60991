"""Presence, offers, capacity, parking, wrap-up, transfer, overflow and timers in any order: nothing is lost, nobody overfilled.

The machine is `tests/floor.py`. That it would find what is wrong is shown by planting faults in the product's own statements.
`STATE_STEPS=5000` runs the drill's length (`make drill states`), `STATE_SEED` repeats a run; without them a small form.
"""

import inspect
import os
from importlib import import_module
from types import ModuleType

import pytest
from django.db import DatabaseError
from django.utils import timezone
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from crm import rows
from tests.floor import Floor, House

pytestmark = pytest.mark.django_db

STEPS = 50
ALL_STEPS = int(os.environ.get("STATE_STEPS", 250))
SEED = int(os.environ.get("STATE_SEED", 11))
FOUND_WITHIN = max(1000, ALL_STEPS)  # steps

# What is planted: module, name of a statement or function in it, what stands there, and what stands there instead.
FAULTS = {
    "an offer that ended keeps its units": (
        "assignments",
        "_end_offers",
        "SET load = g.load - e.units",
        "SET load = g.load",
    ),
    "finished work keeps its units": (
        "assignments",
        "_END",
        "SET load = g.load - held.units",
        "SET load = g.load",
    ),
    "work closed elsewhere keeps its units": (
        "work_items",
        "_WITHDRAW",
        "SET load = g.load - e.units",
        "SET load = g.load",
    ),
    "parked work counts": ("parking", "_PARK", "SET load = g.load - p.units", "SET load = g.load"),
    "work that comes back from aside counts nothing": (
        "parking",
        "_RETURN",
        "SET load = g.load + b.units",
        "SET load = g.load",
    ),
    "a hand-over loses the age": (
        "assignments",
        "_HAND_ON",
        "SET queue_id",
        "SET queued_at = now(), queue_id",
    ),
    "what a silent owner had begins anew": (
        "returns",
        "_BACK",
        "SET status = 'waiting'",
        "SET status = 'waiting', queued_at = now()",
    ),
    "a silent owner keeps his work": ("returns", "_SILENT", "WHERE g.silent", "WHERE NOT g.silent"),
    "handed-back work keeps its owner": (
        "returns",
        "give_back",
        "interactions.assign([(contact, None) for contact in contacts])",
        "pass",
    ),
    "the wrap-up's timer frees nobody": (
        "wrap_ups",
        "_OVER",
        "a.wrap_up_until <= now() ORDER",
        "false ORDER",
    ),
    "an offer is taken after its time": ("assignments", "_ACCEPT", " AND a.expires_at > now()", ""),
    "an offer that is over is taken": ("assignments", "_ACCEPT", " AND a.status = 'offered' AND", " AND"),
    "a missed offer is counted twice": (
        "assignments",
        "expire",
        "SET missed_in_row = missed_in_row + 1",
        "SET missed_in_row = missed_in_row + 2",
    ),
    "a claim takes one unit too many": ("assignments", "claim", "> agent.capacity:", "> agent.capacity + 1:"),
    "a router gives what is taken": (
        "dispatch",
        "_COMMIT",
        "WHERE w.id = f.item AND w.status = 'waiting'",
        "WHERE w.id = f.item",
    ),
    "a router asks who left meanwhile": (
        "dispatch",
        "_COMMIT",
        " AND chosen = 'available' AND then_state = '' AND NOT silent",
        "",
    ),
    "who is away is asked": ("dispatch", "_SEATS", "a.chosen = 'available' AND", ""),
    "who is leaving is asked": ("dispatch", "_SEATS", "AND a.then_state = ''", ""),
    "who leaves keeps his offers": (
        "presence",
        "choose",
        "assignments.return_offers_of([agent.pk], state)",
        "pass",
    ),
    "a level too low will do": (
        "dispatch",
        "_SEATS",
        "jsonb_object_agg(s.code, x.level)",
        "jsonb_object_agg(s.code, x.level + 1)",
    ),
    "overflow goes round in a circle": (
        "overflows",
        "_DUE",
        "WHERE NOT coalesce(w.been_in, '[]') @> to_jsonb(x.target_id)",
        "",
    ),
    "overflow forgets where work was": (
        "overflows",
        "_MOVE",
        "coalesce(w.been_in, '[]') || to_jsonb(g.source)",
        "to_jsonb(ARRAY[g.source])",
    ),
    "more is kept aside than allowed": (
        "parking",
        "_park",
        "count > limits[agent]",
        "count > limits[agent] + 1",
    ),
    "what is due never comes back": (
        "parking",
        "_RETURN",
        "a.answered_at IS NOT NULL OR a.parked_until <= now() OR",
        "false OR",
    ),
    "the conveyor forgets a timer": ("conveyor", "parking.keep", "", ""),
    "a change is not told to the router": ("parking", "_say", "work_items.changed(agents=agents)", "pass"),
    "codes are not asked for": (
        "assignments",
        "complete",
        "if item.queue.codes_required and",
        "if False and",
    ),
}


# Without the drill, so many as fit into some seconds.
SOON_FOUND = (
    "parked work counts",
    "work closed elsewhere keeps its units",
    "a claim takes one unit too many",
)
PLANTED = tuple(FAULTS) if os.environ.get("STATE_FAULTS") == "all" else SOON_FOUND


@pytest.fixture
def floor(monkeypatch) -> type[Floor]:
    """The machine in a house of its own, where time stands still in Python as it does in the transaction."""
    now = rows.run("SELECT now()")[0][0]
    monkeypatch.setattr(timezone, "now", lambda: now)

    class Here(Floor):
        house = House()

    return Here


def run(floor: type[Floor], steps: int, **more: object) -> None:
    """So many steps and a few more; what fails is told with the steps that lead to it."""
    turn = 0
    while floor.steps < steps:
        run_state_machine_as_test(
            seed(SEED + turn)(floor),
            settings=settings(
                max_examples=max(1, (steps - floor.steps) // STEPS), stateful_step_count=STEPS, deadline=None, database=None,
                suppress_health_check=list(HealthCheck), **more,
            ),
        )  # fmt: skip
        turn += 1


def plant(monkeypatch, module: ModuleType, name: str, old: str, new: str) -> None:
    """Write something else into a statement, or into a function's text."""
    target = getattr(module, name)
    text = target if isinstance(target, str) else inspect.getsource(target)
    assert old in text, f"{module.__name__}.{name} says something else by now: plant it anew"
    wrong = text.replace(old, new)
    if isinstance(target, str):
        monkeypatch.setattr(module, name, wrong)
        return
    made: dict = {}
    exec(compile(wrong, f"{name} with a fault", "exec"), module.__dict__, made)  # noqa: S102 - the product's own text
    monkeypatch.setattr(module, name, made[name])


def test_no_order_of_acts_and_timers_loses_work_or_overfills_anybody(floor):
    run(floor, ALL_STEPS, phases=[Phase.generate])
    assert floor.steps >= ALL_STEPS


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(floor, monkeypatch, fault, record_property):
    module, name, old, new = FAULTS[fault]
    if module == "conveyor":
        monkeypatch.setattr("routing.conveyor.parking.keep", lambda: 0)
    else:
        plant(monkeypatch, import_module(f"routing.services.{module}"), name, old, new)
    with pytest.raises((AssertionError, DatabaseError, Flaky)):
        run(floor, FOUND_WITHIN, phases=[Phase.generate], report_multiple_bugs=False)
    record_property("steps", floor.steps)
