"""The bound on waiting that `engine.Pool` proves, checked on overloaded days: nobody who comes later passes."""

from dataclasses import replace

import pytest

from routing import engine
from routing.pipe import RouterPipe
from routing.simulation import Day, play, synthetic_day


class Watching(RouterPipe):
    """The live engine; at each decision it is asked who was passed over although he had waited beyond his bound."""

    def __init__(self, locked=frozenset()):
        super().__init__()
        self.locked = frozenset(locked)
        self.beyond = 0  # decisions beside somebody beyond his bound whom the agent could have taken
        self.passed: list[tuple] = []

    def _round(self, now):
        pool = self.pool
        if pool.weights.locked != self.locked:
            pool.weights = replace(pool.weights, locked=self.locked)
        waiting, seats = dict(self.waiting), {seat.id: replace(seat) for seat in pool.seats}
        averages = engine.means(waiting.values())
        beyond = [one for one in waiting.values() if now >= engine.due(one) + self.patience(one)]
        made = super()._round(now)
        for item_id, agent_id in made:
            item, seat = waiting.pop(item_id), seats[agent_id]
            self.look(item, seat, [one for one in beyond if one.id in waiting], now, averages)
            need, _ = engine.requirement(item, now)
            seat.load += need.need(seat.capacity)
            seat.in_call = seat.in_call or item.family == "voice"
        return made

    def patience(self, item):
        """S, as the docstring of `Pool` has it."""
        weights = self.pool.weights
        climb = (weights.bands - 1) * weights.band_width / weights.age * item.goal_seconds
        return max(climb, self.pool.pacing.starving_after)

    def look(self, item, seat, beyond, now, averages):
        for other in beyond:
            if engine.why_not(other, seat, now) is not None:
                continue
            self.beyond += 1
            weights = self.pool.weights
            starves = now >= item.queued_at + self.patience(item)
            above = engine.level(item, now, averages, weights) > engine.level(other, now, averages, weights)
            if not starves and not (other.family in self.locked and above):
                self.passed.append((now, item.id, other.id))


def overloaded(seed):
    """A storm for a third of the staff, in which nobody gives up."""
    day = synthetic_day("storm", seed, size=0.12)
    return Day([replace(one, patience=None) for one in day.arrivals], day.agents[::3])


@pytest.mark.parametrize("locked", [(), ("message", "social")], ids=["no lock", "locked"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_has_waited_beyond_its_bound_is_passed_by_nothing_that_came_later(seed, locked):
    watching = Watching(locked)
    played = play(overloaded(seed), watching)
    assert played.refused == []
    assert watching.beyond > 100
    assert watching.passed == []
