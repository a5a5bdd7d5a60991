"""The belt under load: the next list is read while one is written, a bad item stands alone, a dead leader's lists go on."""

import orjson
import pytest

from crm import judging, rows
from crm.choices import ChannelKind, DeliveryState
from crm.models import Brand, Channel, Delivery, Team
from crm.services import deliveries
from routing.models import Queue, WorkItem
from socialcare.models import Mention

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel():
    team = Team.objects.create(slug="care", name="Care")
    Queue.objects.create(slug="general", name="General", team=team, is_fallback=True)
    brand = Brand.objects.create(slug="brand", name="Brand")
    return Channel.objects.create(slug="sim-x", name="X", kind=ChannelKind.X, brand=brand)


def deliver(channel, count):
    items = [
        {
            "id": str(number),
            "kind": "mention",
            "text": f"number {number}: my internet is down since yesterday, please help, this is terrible",
            "created_at": "2026-01-01T10:00:00Z",
            "author": {"id": f"c{number}", "handle": f"c{number}"},
        }
        for number in range(count)
    ]
    deliveries.accept(channel, [orjson.dumps(one) for one in items])


def states():
    return {
        state: Delivery.objects.filter(state=state).count()
        for state in DeliveryState.values
        if Delivery.objects.filter(state=state).exists()
    }


def taken_together(monkeypatch):
    """How many deliveries each writing transaction held."""
    sizes = []
    write = deliveries._write

    def counting(inbounds):
        sizes.append(len(inbounds))
        return write(inbounds)

    monkeypatch.setattr(deliveries, "_write", counting)
    return sizes


@pytest.fixture
def ahead(transactional_db):
    """Its thread claims on a connection of its own: what it shall see is committed."""
    kept = deliveries.Ahead()
    yield kept
    kept.give_back()
    kept.close()


def test_the_list_after_it_is_claimed_while_one_is_written_and_all_come_once(ahead, channel):
    deliver(channel, 12)
    assert deliveries.process(5, ahead) == 5
    assert ahead.holds
    ahead._next.result()
    assert states() == {"queued": 2, "in_progress": 5, "done": 5}
    assert [deliveries.process(5, ahead) for _ in range(3)] == [5, 2, 0]
    assert states() == {"done": 12}
    assert Mention.objects.count() == WorkItem.objects.count() == 12


def test_who_leaves_puts_back_what_he_had_only_claimed(ahead, channel):
    deliver(channel, 12)
    deliveries.process(5, ahead)
    ahead.give_back()
    assert states() == {"queued": 7, "done": 5}
    assert set(Delivery.objects.filter(state="queued").values_list("attempts", flat=True)) == {0}
    assert deliveries.process(50, ahead) == 7
    assert states() == {"done": 12}


@pytest.mark.parametrize("with_ahead", [False, True], ids=["one list", "with the next ahead"])
def test_an_item_that_breaks_the_judge_is_set_aside_alone(ahead, channel, monkeypatch, with_ahead):
    honest = judging.judge

    def brittle(texts):
        if any("number 7:" in one.text for one in texts):
            raise ValueError("seven")
        return honest(texts)

    monkeypatch.setattr(judging, "judge", brittle)
    deliver(channel, 12)
    while deliveries.process(5, ahead if with_ahead else None):
        pass
    assert states() == {"done": 11, "quarantined": 1}
    bad = Delivery.objects.get(state="quarantined")
    assert (bad.external_id, bad.error, bad.attempts) == ("7", "ValueError: seven", deliveries.MAX_ATTEMPTS)


def test_a_dead_leaders_lists_go_together_once_more_and_then_one_by_one(channel, monkeypatch):
    sizes = taken_together(monkeypatch)
    deliver(channel, 6)

    def die():
        """Claimed, and then nothing more was heard of him."""
        rows.run("UPDATE crm_delivery SET state = 'in_progress', attempts = attempts + 1")
        assert deliveries.put_back() == 6

    die()
    deliveries.process(3)
    assert sizes == [3]
    # The others have now been in hand as often as may be chance.
    Delivery.objects.filter(state="queued").update(attempts=deliveries.ATTEMPTS_TOGETHER)
    deliveries.process(3)
    assert sizes == [3, 1, 1, 1]
    assert states() == {"done": 6}
