"""Queues as objects: their rules, and what they do to the work that waits in them."""

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from routing.models import Assignment
from routing.services import dispatch
from tests import factories as make

pytestmark = pytest.mark.django_db


def offered() -> int:
    """What a router who has just read everything offers in one round."""
    router = dispatch.Router()
    router.rebuild()
    return router.round(time.time())


def test_an_offer_rings_as_long_as_its_queue_says_else_as_long_as_the_installation_does(settings):
    settings.OFFER_SECONDS_SOCIAL = 61
    own = make.make_work_item(queue=make.make_queue(offer_seconds={"social": 7}))
    usual = make.make_work_item(queue=make.make_queue(offer_seconds={"mail": 9}))
    make.make_agent()
    assert offered() == 2
    rung = {one.work_item_id: one.expires_at - one.offered_at for one in Assignment.objects.all()}
    assert rung == {own.pk: timedelta(seconds=7), usual.pk: timedelta(seconds=61)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "best"},
        {"ordering": "random"},
        {"wrap_up_seconds": 3601},
        {"pull_within": 0},
        {"escape_seconds": 0},
    ],
)
def test_the_database_refuses_rules_that_make_no_sense(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        make.make_queue(**wrong)
