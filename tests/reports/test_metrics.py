"""The figures against worked examples."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import metrics
from reports.metrics import Contact, Problem, Span, Tone

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


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


# --- What customers say


def test_the_net_promoter_score_comes_with_its_interval():
    """p = 1/2, d = 1/6: 33.3 ± 14.6 at n = 100 (`practice.md` 5.5); 300 answers have the same shares in whole numbers."""
    small = metrics.net_promoter_score(50, 33, 17)
    assert (small.value, small.answers) == (pytest.approx(0.33), 100)
    assert (small.high - small.low) / 2 == pytest.approx(0.147, abs=0.0005)
    exact = metrics.net_promoter_score(150, 100, 50)
    assert exact.value == pytest.approx(1 / 3)
    assert (exact.high - exact.low) / 2 * 3**0.5 == pytest.approx(0.146, abs=0.0005)


def test_marks_become_promoters_passives_and_detractors():
    assert metrics.net_promoter_score_of([10, 9, 8, 7, 6, 0] * 10).value == 0
    assert metrics.net_promoter_score_of([9] * 30) == metrics.net_promoter_score(30, 0, 0)


def test_under_thirty_answers_there_is_no_score():
    assert metrics.net_promoter_score(29, 0, 0) is None
    assert metrics.net_promoter_score(0, 0, 0) is None


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_the_interval_holds_the_score_and_stays_within_bounds(promoters, passives, detractors):
    found = metrics.net_promoter_score(promoters, passives, detractors)
    if found is not None:
        assert -1 <= found.low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.high <= 1


def test_satisfaction_is_the_share_of_the_two_best_marks():
    """81 of 263: 95 % interval .255 to .366 (Newcombe 1998, table I, Wilson's score method)."""
    found = metrics.satisfaction([5] * 40 + [4] * 41 + [3] * 182)
    assert found.value == pytest.approx(81 / 263)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert metrics.satisfaction([]) is None


# --- Agents' time


def test_a_second_is_shared_among_the_chats_active_in_it():
    # Chat 1 alone for a minute, two chats for a minute, chat 2 alone for a minute.
    spans = [Span(1, 0, 120), Span(2, 60, 180)]
    assert metrics.focused_seconds(spans) == {1: 90, 2: 90}
    assert metrics.concurrency(spans) == pytest.approx(240 / 180)


def test_a_call_takes_its_seconds_whole():
    assert metrics.focused_seconds([Span(1, 0, 100), Span(2, 20, 80, whole=True)]) == {1: 40, 2: 60}


def test_two_minutes_without_an_action_are_not_worked():
    spans = metrics.active_spans(1, 0, 1000, [50, 400, 460, 990])
    assert [(span.start, span.end) for span in spans] == [(0, 170), (400, 580), (990, 1000)]


def test_idle_time_counts_for_occupancy_only_while_available():
    # 30 min available, 20 of them in work, 5 more of wrap-up after going on break.
    spans = [Span(1, 0, 1200), Span(1, 1800, 2100)]
    assert metrics.occupancy(spans, [(0, 1800)]) == pytest.approx(1500 / 2100)
    assert metrics.occupancy([], []) is None


STRETCHES = st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda ends: tuple(sorted(ends)))
SPANS = st.lists(
    st.builds(lambda item, ends, whole: Span(item, *ends, whole), st.integers(1, 4), STRETCHES, st.booleans())
)


@given(SPANS)
def test_handle_times_add_up_to_the_time_worked(spans):
    seconds = {second for span in spans for second in range(span.start, span.end)}
    assert metrics.worked_seconds(spans) == len(seconds)
    assert sum(metrics.focused_seconds(spans).values()) == pytest.approx(len(seconds))


@given(SPANS, st.lists(STRETCHES))
def test_occupancy_never_exceeds_one_hundred_percent(spans, available):
    found = metrics.occupancy(spans, available)
    assert found is None or 0 <= found <= 1


@given(SPANS)
def test_nobody_has_less_than_one_item_in_work_while_in_work(spans):
    found = metrics.concurrency(spans)
    assert found is None or found >= 1


# --- First-contact resolution


def solved(days_ago, customer=1, reason="billing", **about):
    return Problem(customer, reason, NOW - timedelta(days=days_ago), **about)


def came(days_ago, customer=1, reason="billing", **about):
    return Contact(customer, reason, NOW - timedelta(days=days_ago), **about)


def rate(problems, contacts=()):
    return metrics.first_contact_resolution(problems, contacts, NOW).rate


def test_who_comes_back_about_it_on_any_channel_was_not_helped_at_once():
    problems = [solved(20), solved(20, customer=2), solved(20, customer=3), solved(20, customer=4)]
    assert rate(problems, [came(15)]) == 0.75


@pytest.mark.parametrize(
    "contact",
    [
        came(15, reason="delivery"), came(15, customer=2), came(12.9), came(20), came(25),
        came(15, by_customer=False), came(15, continues=True),
    ],
)  # fmt: skip
def test_what_is_no_second_contact_about_it_does_not_count(contact):
    assert rate([solved(20)], [contact]) == 1


def test_a_reopened_ticket_and_another_department_fail():
    assert rate([solved(20, reopened=True), solved(20, passed_on=True), solved(20)]) == pytest.approx(1 / 3)


def test_what_was_solved_less_than_seven_days_ago_is_not_judged_yet():
    assert rate([solved(6.9)]) is None


def test_strangers_are_counted_beside_and_small_numbers_say_nothing_about_a_person():
    found = metrics.first_contact_resolution(
        [solved(20), solved(20, customer=None)], [came(15, customer=None)], NOW
    )
    assert (found.rate, found.solved, found.unidentified) == (1, 1, 1)
    assert found.rate_of_an_agent() is None


# --- Sentiment change


def tones(*scores, model="m1"):
    return [Tone(score, model) for score in scores]


def test_the_last_third_is_compared_with_the_first():
    assert metrics.sentiment_change(tones(-0.8, -0.6, 0.0, 0.1, 0.2, 0.4)) == (
        pytest.approx(-0.7),
        pytest.approx(1.0),
    )


def test_courtesy_few_messages_and_another_model_give_no_change():
    assert metrics.sentiment_change(tones(-0.8, 0.2)) is None
    assert metrics.sentiment_change([*tones(-0.8, 0.2), Tone(0.9, "m1", courtesy=True)]) is None
    assert metrics.sentiment_change([*tones(-0.8, 0.2), *tones(0.3, model="m2")]) is None


def test_only_what_is_beyond_the_usual_change_for_that_tone_is_our_doing():
    found = metrics.mean_sentiment_change(
        [tones(-0.6, 0, 0.2), tones(0.4, 0.4, 0.5), tones(1)], {"negative": 0.5, "positive": -0.1}
    )
    assert found.mean == pytest.approx(0.45)
    assert found.beyond_usual == pytest.approx((0.3 + 0.2) / 2)
    assert found.coverage == pytest.approx(2 / 3)
