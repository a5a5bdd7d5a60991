"""The figures against worked examples."""

import pytest

from reports import metrics


def test_service_level_in_its_four_published_variants():
    """1,000 answered, 860 in 20 s; 60 abandoned, 20 of them in 20 s, 10 in 5 s (`practice.md` 5.2)."""
    assert metrics.service_level(860, 1000, 60, 10) == pytest.approx(0.819, abs=0.0005)
    assert metrics.service_level_abandons_in_time_met(860, 1000, 60, 20) == pytest.approx(0.830, abs=0.0005)
    assert metrics.service_level_all_abandons_missed(860, 1000, 60) == pytest.approx(0.811, abs=0.0005)
    assert metrics.service_level_abandons_in_time_left_out(860, 1000, 60, 20) == pytest.approx(
        0.827, abs=0.0005
    )


def test_without_contacts_there_is_no_figure():
    assert metrics.service_level(0, 0, 0) is None
    assert metrics.share_within_target(0, 0) is None
    assert metrics.level_of_mixed_work((0, 0, 0, 0), (0, 0)) is None


def test_only_short_abandons_leave_no_figure_either():
    assert metrics.service_level(0, 0, 7, 7) is None


def test_what_fell_due_unanswered_counts_as_missed():
    assert metrics.share_within_target(3, 4) == 0.75


def test_mixed_work_is_weighted_by_contacts_not_by_channels():
    # 90 calls all in time, 10 posts none in time: 90 of 100, not the mean of 100 % and 0 %.
    assert metrics.level_of_mixed_work((90, 90, 0, 0), (0, 10)) == 0.9


def test_load_is_units_held_by_units_there_are():
    assert metrics.load(9, 15) == 0.6
    assert metrics.load(0, 0) is None
