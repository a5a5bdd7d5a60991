"""A new SECRET_KEY: secrets at rest still open, who was erased stays out, the history still verifies."""

from datetime import UTC, datetime

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from crm import rows, secrets
from crm.models import Channel, Delivery, Erasure, LastingKey
from crm.services import audit, deliveries, erased, keys
from tests import factories as make

pytestmark = pytest.mark.django_db

FIRST, SECOND = "the first long random text " * 2, "the second long random text " * 2
BEFORE = datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def house(settings, monkeypatch):
    """As it was under its first SECRET_KEY; nothing is remembered by the process."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = FIRST, []
    monkeypatch.setattr(keys, "_known", {})
    make.make_queue(is_fallback=True)


def comes(channel: Channel, ident: str) -> str:
    """What becomes of an old post of the erased person."""
    item = {
        "id": ident,
        "kind": "mention",
        "text": "help!",
        "created_at": BEFORE.isoformat(),
        "author": {"id": "anna"},
    }
    deliveries.accept(channel, [orjson.dumps(item)])
    while deliveries.process():
        pass
    return Delivery.objects.order_by("-pk")[0].outcome


def test_who_was_erased_stays_out_under_a_new_key_and_the_history_and_secrets_are_whole(settings):
    channel, by = make.make_channel(secret="s3cret"), make.make_user("administrator")
    erasure = Erasure.objects.create(
        customer=make.make_customer(erased_at=timezone.now()), way="erase", why="asked", by=by
    )
    erased.remember(erasure.pk, [erased.author_key("x", "anna")])
    while audit.seal_new():
        pass
    assert comes(channel, "1") == "erased"
    old = rows.run("SELECT secret FROM crm_channel WHERE id = %s", (channel.pk,))[0][0]

    for fallbacks in ([FIRST], [FIRST], []):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = SECOND, fallbacks
        keys._known.clear()
        if fallbacks:
            call_command("rotate_keys")  # the second time there is nothing left that it would have to change
        assert comes(channel, f"{len(fallbacks)}-{Delivery.objects.count()}") == "erased"
        assert Channel.objects.get(pk=channel.pk).secret == "s3cret"
        assert audit.verify()["problems"] == []
    new = rows.run("SELECT secret FROM crm_channel WHERE id = %s", (channel.pk,))[0][0]
    assert new != old and "s3cret" not in new


def test_the_key_by_which_the_erased_are_known_is_the_one_drawn_from_the_first_secret_key(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = SECOND, [FIRST]
    assert keys.lasting("erased") == secrets.derived("erased", FIRST)
    assert "erased" not in LastingKey.objects.get(purpose="erased").secret
    stored = rows.run("SELECT secret FROM crm_lastingkey WHERE purpose = 'erased'")[0][0]
    assert keys.lasting("erased").hex() not in stored


def test_without_the_earlier_key_nothing_is_half_believed(settings):
    make.make_channel(secret="s3cret")
    key = erased.author_key("x", "anna")
    settings.SECRET_KEY = SECOND
    with pytest.raises(ValueError, match="does not open"):
        erased.author_key("x", "anna")
    with pytest.raises(CommandError, match="SECRET_KEY_FALLBACKS"):
        call_command("rotate_keys")
    settings.SECRET_KEY_FALLBACKS = [FIRST]
    assert erased.author_key("x", "anna") == key
