"""What each part of the score is worth: changed with a reason, after a look at what waits, and heard at once."""

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from crm.choices import Role
from crm.models import Activity
from routing import engine
from routing.models import Assignment, RuleChange, Scoring
from routing.services import dispatch, scoring
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def owner(client) -> Client:
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    return client


def two_waiting():
    """One urgent and one of value, else alike."""
    queue, now = make.make_queue(), timezone.now()
    alike = {
        "queue": queue,
        "queued_at": now - timedelta(minutes=10),
        "deadline": now + timedelta(minutes=50),
    }
    urgent = make.make_work_item(priority_parts={"urgency": 0.8, "value": 0.0}, **alike)
    valued = make.make_work_item(priority_parts={"urgency": 0.0, "value": 0.8}, **alike)
    return urgent, valued


def test_without_a_change_the_weights_of_the_engine_count():
    assert scoring.scale() == scoring.Scale()
    Scoring.objects.create(pk=1)
    assert scoring.scale().weights == engine.Weights()


def test_a_change_asks_for_a_reason_stands_in_the_history_and_re_orders_what_waits(owner):
    urgent, valued = two_waiting()
    router = dispatch.Router()
    router.rebuild()
    refused = owner.patch("/api/v1/scoring/", {"value": 5.0}, content_type=JSON)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["reason"])
    kept = owner.patch(
        "/api/v1/scoring/", {"value": 5.0, "urgency": 0.0, "reason": "a campaign"}, content_type=JSON
    )
    assert (kept.status_code, kept.json()["value"]) == (200, 5.0)
    assert RuleChange.objects.get().changes == {"value": [0.2, 5.0], "urgency": [0.3, 0.0]}
    assert Activity.objects.get(verb="scoring.changed").data["reason"] == "a campaign"
    make.make_agent(capacity=3)
    router.refresh_seats()
    assert router.catch_up()
    assert router.round(time.time()) == 1
    assert Assignment.objects.get().work_item == valued


def test_before_a_change_the_urgent_one_goes_first():
    urgent, _ = two_waiting()
    make.make_agent(capacity=3)
    router = dispatch.Router()
    router.rebuild()
    assert router.round(time.time()) == 1
    assert Assignment.objects.get().work_item == urgent


def test_a_preview_shows_both_orders_and_writes_nothing(owner):
    urgent, valued = two_waiting()
    found = owner.post("/api/v1/scoring/preview/", {"value": 5.0, "urgency": 0.0}, content_type=JSON).json()
    assert (found["waiting"], found["moved"]) == (2, 2)
    first = found["items"][0]
    assert (first["work_item"], first["before"]["place"], first["after"]["place"]) == (valued.pk, 2, 1)
    assert first["after"]["score"] > first["before"]["score"]
    assert not Scoring.objects.exists() and not RuleChange.objects.exists()


def test_a_channel_family_that_is_worth_more_lifts_its_work(owner):
    queue = make.make_queue()
    item = make.make_work_item(queue=queue)
    owner.patch("/api/v1/scoring/", {"channels": {item.family: 3.0}, "reason": "a storm"}, content_type=JSON)
    scale = scoring.scale()
    assert scale.weigh(dispatch.items_of([item.pk])[0]).weight == 3.0
    assert owner.get("/api/v1/scoring/").json()["channels"]["mail"] == 1.0


@pytest.mark.parametrize(
    "wrong",
    [{"age": 0}, {"urgency": -1}, {"urgency": 11}, {"bands": 0}, {"band_width": 0}, {"channels": {"pigeon": 1}},
     {"channels": {"mail": -1}}],
)  # fmt: skip
def test_weights_that_make_no_sense_are_refused(owner, wrong):
    for path in ("/api/v1/scoring/preview/", "/api/v1/scoring/"):
        ask = owner.post if path.endswith("preview/") else owner.patch
        assert ask(path, wrong | {"reason": "a try"}, content_type=JSON).status_code == 400
    assert not Scoring.objects.exists()


@pytest.mark.parametrize("wrong", [{"pk": 2}, {"age": 0}, {"urgency": -0.1}, {"bands": 0}, {"band_width": 0}])
def test_the_database_refuses_them_too(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        Scoring.objects.create(**{"pk": 1, **wrong})


def test_the_page_tries_and_keeps(owner):
    urgent, valued = two_waiting()
    sent = {
        name: str(value)
        for name, value in scoring.told(scoring.scale()).items()
        if name not in ("channels", "locked")
    }
    tried = owner.post("/scoring/", sent | {"value": "5", "urgency": "0", "act": "try"})
    assert tried.context["preview"]["items"][0]["work_item"] == valued.pk
    assert "What would have happened" in tried.content.decode()
    refused = owner.post("/scoring/", sent | {"value": "much", "reason": "a try", "act": "keep"})
    assert refused.status_code == 400 and "is a number from 0 to 10" in refused.content.decode()
    assert owner.post("/scoring/", sent | {"value": "5", "reason": "a try", "act": "keep"}).status_code == 302
    assert Scoring.objects.get().value == 5.0
    assert [change.reason for change in owner.get("/scoring/").context["changes"]] == ["a try"]
