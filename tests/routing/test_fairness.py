"""What the router counted of its choices between channels: kept by the hour, told on page and REST; locks kept by people."""

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from crm.choices import Role
from crm.models import Activity
from reports.services import reconciliation
from routing import bias
from routing.models import Assignment, ChoiceCount, RuleChange
from routing.services import dispatch, fairness, previews, scoring
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def owner(client) -> Client:
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    return client


def two_channels():
    """A mail that has waited for long beside a post that has only just come; both of no known worth."""
    queue, now = make.make_queue(), timezone.now()
    known = {"priority_parts": {"urgency": 0.0, "value": 0.0}, "queue": queue}
    mail = make.make_work_item(family="mail", queued_at=now - timedelta(hours=3, minutes=50),
                               deadline=now + timedelta(minutes=10), **known)  # fmt: skip
    post = make.make_work_item(
        family="social", queued_at=now - timedelta(minutes=55), deadline=now + timedelta(minutes=5), **known
    )
    return mail, post


def test_what_the_router_decides_is_counted_and_kept_in_one_statement_by_the_hour(
    django_assert_num_queries,
):
    two_channels()
    make.make_agent(capacity=3)
    router = dispatch.Router()
    router.rebuild()
    assert router.round(time.time()) == 1
    with django_assert_num_queries(1):
        assert fairness.keep(router.meter)
    with django_assert_num_queries(0):
        assert not fairness.keep(router.meter)
    found = {
        (one.what, one.won, one.passed): (one.number, one.overtakings) for one in ChoiceCount.objects.all()
    }
    first = Assignment.objects.get().work_item.family
    other = "mail" if first == "social" else "social"
    assert found[bias.DECISION, first, ""] == found[bias.LOOKED, first, ""] == (1, 0)
    assert found[bias.CHOICE, first, other][0] == 1


def test_counts_of_one_hour_are_added_up():
    for _ in range(2):
        meter = bias.Meter()
        meter.looks("chat", 1.0)
        meter.choice("chat", "mail", True)
        fairness.keep(meter)
    one = ChoiceCount.objects.get(what="choice")
    assert (one.number, one.overtakings) == (2, 2)
    assert reconciliation.find("what was counted of choices holds together") == []


def test_counts_that_contradict_each_other_are_found():
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    ChoiceCount.objects.create(hour=hour, what="looked", won="chat", number=2)
    ChoiceCount.objects.create(hour=hour, what="decision", won="chat", number=1)
    assert len(reconciliation.find("what was counted of choices holds together")) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"what": "choice", "won": "chat", "passed": "", "number": 1},
     {"what": "choice", "won": "chat", "passed": "chat", "number": 1},
     {"what": "choice", "won": "chat", "passed": "mail", "number": 1, "overtakings": 2},
     {"what": "call", "won": "voice", "number": 1, "overtakings": 1}],
)  # fmt: skip
def test_the_database_refuses_counts_that_cannot_be(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        ChoiceCount.objects.create(hour=timezone.now(), **wrong)


def counted(won, passed, choices, overtakings, ago=timedelta()):
    ChoiceCount.objects.create(
        hour=timezone.now() - ago,
        what="choice",
        won=won,
        passed=passed,
        number=choices,
        overtakings=overtakings,
    )


def test_the_report_tells_pairs_with_interval_and_alarm_and_too_few(owner):
    counted("chat", "mail", 40, 30)
    counted("social", "mail", 5, 5)
    counted("chat", "mail", 1000, 0, ago=timedelta(days=8))
    ChoiceCount.objects.create(hour=timezone.now(), what="safety", won="social", number=3)
    told = owner.get("/api/v1/fairness/").json()
    pairs = {(one["first"], one["second"]): one for one in told["pairs"]}
    chat, social = pairs["chat", "mail"], pairs["social", "mail"]
    assert (chat["choices"], chat["per_100"], chat["alarm"]) == (40, 75.0, True)
    assert chat["low"] == pytest.approx(59.8, abs=0.1) and chat["high"] == pytest.approx(85.8, abs=0.1)
    assert (social["choices"], social["per_100"], social["alarm"]) == (5, None, False)
    assert told["exempt"] == [{"exemption": "safety", "channel": "social", "decisions": 3}]
    assert owner.get("/api/v1/fairness/?days=30").json()["pairs"][0]["choices"] == 1040
    page = owner.get("/fairness/").content.decode()
    assert "too few" in page and "75.0" in page and "59.8" in page and 'data-level="missed"' in page


@pytest.mark.parametrize("days", ["0", "91", "-1", "x", "1.5", "٣", "9" * 400])
def test_an_odd_number_of_days_is_refused(owner, days):
    assert owner.get("/api/v1/fairness/", {"days": days}).status_code == 400
    assert owner.get("/fairness/", {"days": days}).status_code == 400


def test_the_same_need_is_compared_channel_by_channel_with_unanswered_work(owner):
    queue, now = make.make_queue(), timezone.now()
    alike = {"queue": queue, "queued_at": now - timedelta(hours=2), "deadline": now - timedelta(hours=1),
             "priority_parts": {"urgency": 0.5, "value": None}}  # fmt: skip
    for place in range(30):
        kept = now - timedelta(minutes=90) if place < 27 else None
        make.make_work_item(family="mail", accepted_at=kept, **alike)
        make.make_work_item(family="social", accepted_at=now - timedelta(minutes=30), **alike)
    make.make_work_item(family="chat", status="withdrawn", **alike)
    make.make_work_item(family="chat", **alike | {"deadline": now + timedelta(hours=1)})
    (need,) = owner.get("/api/v1/fairness/").json()["needs"]
    assert (need["target"], need["priority"], need["value"]) == ("an hour", "middle", "unknown")
    mail, social = need["channels"]
    assert (mail["channel"], mail["due"], mail["breaches"], mail["share"]) == ("mail", 30, 3, 0.9)
    assert (social["channel"], social["breaches"], social["share"]) == ("social", 30, 0.0)


# --- the lock


def test_a_lock_asks_for_a_reason_stands_in_the_history_and_binds_what_waits(owner):
    mail, post = two_channels()
    router = dispatch.Router()
    router.rebuild()
    worth = {"channels": {"social": 10.0, "mail": 0.0}, "channel": 2.0}
    assert owner.patch("/api/v1/scoring/", worth | {"reason": "loud"}, content_type=JSON).status_code == 200
    assert owner.patch("/api/v1/scoring/", {"locked": ["social"]}, content_type=JSON).status_code == 400
    kept = owner.patch("/api/v1/scoring/", {"locked": ["social"], "reason": "too loud"}, content_type=JSON)
    assert (kept.status_code, kept.json()["locked"]) == (200, ["social"])
    assert RuleChange.objects.order_by("pk").last().changes == {"locked": [[], ["social"]]}
    assert Activity.objects.filter(verb="scoring.changed").last().data["reason"] == "too loud"
    make.make_agent(capacity=3)
    router.refresh_seats()
    assert router.catch_up()
    assert router.pool.weights.locked == {"social"}
    better = max((mail, post), key=level_of)
    assert router.round(time.time()) == 1
    assert Assignment.objects.get().work_item == better


def level_of(item):
    (found,) = dispatch.items_of([item.pk])
    scale = scoring.scale()
    return dispatch.engine.level(scale.weigh(found), time.time(), {}, scale.weights)


def test_a_lock_is_tried_before_it_is_kept(owner):
    mail, post = two_channels()
    worth = {"channels": {"social": 10.0, "mail": 0.0}, "channel": 2.0, "age": 1.0}
    user = make.make_user(Role.ADMINISTRATOR)
    loud = previews.of_scoring(worth, by=user)
    locked = previews.of_scoring(worth | {"locked": ["social"]}, by=user)
    assert [one["work_item"] for one in loud["items"]] == [post.pk, mail.pk]
    assert [one["work_item"] for one in locked["items"]] == [mail.pk, post.pk]


@pytest.mark.parametrize("wrong", [{"locked": ["voice"]}, {"locked": ["pigeon"]}, {"locked": "chat"}, {"locked": [3]},
                                   {"alarm_above": -1}, {"alarm_above": 101}])  # fmt: skip
def test_locks_that_make_no_sense_are_refused(owner, wrong):
    assert owner.patch("/api/v1/scoring/", wrong | {"reason": "a try"}, content_type=JSON).status_code == 400


def test_the_page_ticks_and_unticks_a_lock(owner):
    sent = {
        name: str(value)
        for name, value in scoring.told(scoring.scale()).items()
        if name not in ("channels", "locked")
    }
    sent |= {"reason": "a test", "act": "keep"}
    assert owner.post("/scoring/", sent | {"locked": ["", "social", "mail"]}).status_code == 302
    assert scoring.scale().weights.locked == {"social", "mail"}
    assert 'value="mail" checked' in owner.get("/scoring/").content.decode()
    assert owner.post("/scoring/", sent | {"locked": ""}).status_code == 302
    assert scoring.scale().weights.locked == frozenset()
