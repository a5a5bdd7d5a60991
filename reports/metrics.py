"""Figures of the trade as plain arithmetic; each function states its variant (`practice.md` 5)."""

SHORT_ABANDON_SECONDS = 5


def share(part: float, whole: float) -> float | None:
    """A share from 0 to 1, or None when there is nothing to divide."""
    return part / whole if whole else None


def service_level(in_time: int, answered: int, abandoned: int, abandoned_short: int = 0) -> float | None:
    """Answered within T ÷ (answered + abandoned after the short-abandon limit): the variant in force (5.2)."""
    return share(in_time, answered + abandoned - abandoned_short)


def service_level_abandons_in_time_met(
    in_time: int, answered: int, abandoned: int, abandoned_in_time: int
) -> float | None:
    """Published variant: who left within T counts as served within T."""
    return share(in_time + abandoned_in_time, answered + abandoned)


def service_level_all_abandons_missed(in_time: int, answered: int, abandoned: int) -> float | None:
    """Published variant: everybody who left counts as missed."""
    return share(in_time, answered + abandoned)


def service_level_abandons_in_time_left_out(
    in_time: int, answered: int, abandoned: int, abandoned_in_time: int
) -> float | None:
    """Published variant: who left within T is counted nowhere."""
    return share(in_time, answered + abandoned - abandoned_in_time)


def share_within_target(in_time: int, fell_due: int) -> float | None:
    """Deferred channels: answered in time ÷ all that fell due in the period, unanswered ones included (5.1)."""
    return share(in_time, fell_due)


def level_of_mixed_work(live: tuple[int, int, int, int], deferred: tuple[int, int]) -> float | None:
    """Live and deferred work of one queue in one figure, weighted by contacts (5.2).

    `live` is (in time, answered, abandoned, abandoned short), `deferred` is (in time, fell due).
    """
    in_time, answered, abandoned, short = live
    return share(in_time + deferred[0], answered + abandoned - short + deferred[1])


def load(held_units: float, units: float) -> float | None:
    """Mean units held ÷ units (5.3); beside occupancy, never instead of it."""
    return share(held_units, units)
