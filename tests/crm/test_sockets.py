"""Sockets: who may open them, dense numbers, resume without gap, snapshots instead of gaps, rights that end."""

import asyncio
import threading

import orjson
import pytest
from django.db import transaction

from crm import hub
from crm.choices import Role
from crm.models import ApiToken, User
from crm.secrets import digest
from crm.services import rights, streams
from tests.factories import make_agent, make_interaction, make_team, make_user
from tests.sockets import OURS, closing, cookie, frame, opened, run


def say(user, *kinds):
    with transaction.atomic():
        streams.tell([(f"desk:{user.pk}", kind, {"n": place}) for place, kind in enumerate(kinds)])


async def told(user, *kinds):
    await hub.hub.in_thread(say, user, *kinds)
    hub.hub.ring([f"desk:{user.pk}"])


def test_a_desk_gets_a_snapshot_then_dense_events_and_resumes_without_gap_or_repeat(running):
    user = make_agent().user
    headers = [OURS, cookie(user)]

    async def story():
        async with opened("/ws/desk/", headers) as (client, accepted, _):
            assert accepted
            first = await frame(client)
            assert first["type"] == "snapshot" and first["data"]["agent"]["name"] == str(user)
            await told(user, "alert", "alert")
            seqs = [(await frame(client))["seq"] for _ in range(2)]
            assert seqs == [first["seq"] + 1, first["seq"] + 2]
        many = hub.MAX_BEHIND + 50  # who was away long is not the same as who reads slowly
        await hub.hub.in_thread(say, user, *["alert"] * many)
        async with opened(f"/ws/desk/?after={seqs[-1]}", headers) as (client, _, _):
            missed = [await frame(client) for _ in range(many)]
            assert [one["seq"] for one in missed] == list(range(seqs[-1] + 1, seqs[-1] + many + 1))
            await told(user, "alert")
            assert (await frame(client))["seq"] == seqs[-1] + many + 1

    run(story)


def test_a_number_that_is_too_high_or_too_old_gets_a_snapshot(running):
    user = make_agent().user
    say(user, "alert", "alert", "alert")

    async def story():
        for after in ("99", "-1", "x", "9" * 30):
            async with opened(f"/ws/desk/?after={after}", [OURS, cookie_of]) as (client, _, _):
                first = await frame(client)
                assert (first["type"], first["seq"]) == ("snapshot", 3), after

    cookie_of = cookie(user)
    run(story)


def test_what_was_told_before_never_comes_ahead_of_a_snapshot_that_takes_its_time(running):
    user = make_agent().user
    say(user, "alert", "alert")
    heard, go = [], threading.Event()

    async def story():
        socket = hub.Socket(
            person=hub.Person(user),
            send=lambda text: wrote(orjson.loads(text)),
            close=wrote,
            snapshot=lambda: {"waited": go.wait(10)},
            stream=f"desk:{user.pk}",
        )
        joining = asyncio.create_task(hub.hub.join(socket, None))
        await asyncio.sleep(0.1)
        await told(user, "alert")
        await asyncio.sleep(0.3)
        before = list(heard)
        go.set()
        await joining
        while len(heard) < 2:
            await asyncio.sleep(0.01)
        hub.hub.leave(socket)
        assert before == []
        # The state was read before the third was told: it follows, once.
        assert [(one["type"], one["seq"]) for one in heard] == [("snapshot", 2), ("alert", 3)]

    async def wrote(said):
        heard.append(said)

    run(story)


def test_two_tabs_get_the_same_and_a_slow_reader_gets_a_snapshot_instead_of_a_gap(running, monkeypatch):
    monkeypatch.setattr(hub, "MAX_BEHIND", 20)
    user = make_agent().user
    headers = [OURS, cookie(user)]

    async def story():
        async with opened("/ws/desk/", headers) as (one, _, _), opened("/ws/desk/", headers) as (two, _, _):
            await frame(one), await frame(two)
            await told(user, *["alert"] * 100)
            seen = []
            while not seen or seen[-1]["seq"] < 100:
                seen.append(await frame(two))
            gaps = [b for a, b in zip(seen, seen[1:], strict=False) if b["seq"] != a["seq"] + 1]
            assert all(later["type"] == "snapshot" for later in gaps)
            assert any(later["type"] == "snapshot" for later in seen)
            assert (await frame(one))["seq"] <= 100

    run(story)


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"http://127.0.0.1.evil.example", b"http://[", b""]
)
def test_a_foreign_origin_is_refused_in_the_handshake(running, origin):
    headers = [(b"origin", origin), cookie(make_agent().user)]

    async def story():
        async with opened("/ws/desk/", headers) as (_, accepted, _):
            assert not accepted

    run(story)


def test_no_origin_needs_a_bearer_and_strangers_are_told_4401(running):
    user = make_agent().user
    ApiToken.objects.create(user=user, digest=digest("good"), scopes=["desk"])
    ApiToken.objects.create(user=user, digest=digest("narrow"), scopes=["customers:read"])

    async def story():
        async with opened("/ws/desk/", []) as (_, accepted, _):
            assert not accepted
        for headers, expected in (
            ([OURS], 4401), ([OURS, (b"cookie", b"sessionid=made-up")], 4401),
            ([(b"authorization", b"Bearer nope")], 4401), ([(b"authorization", b"Bearer narrow")], 4403),
        ):  # fmt: skip
            async with opened("/ws/desk/", headers) as (client, accepted, _):
                assert accepted and await closing(client) == expected
        async with opened("/ws/desk/", [(b"authorization", b"Bearer good")]) as (client, _, _):
            assert (await frame(client))["type"] == "snapshot"
        async with opened("/ws/nothing/", [OURS]) as (_, accepted, _):
            assert not accepted

    run(story)


def test_a_thread_of_a_closed_team_is_not_yours(running):
    team = make_team(visibility="closed")
    hidden = make_interaction(team=team)
    open_to_all = make_interaction()
    stranger = cookie(make_agent().user)

    async def story():
        async with opened(f"/ws/interactions/{hidden.pk}/", [OURS, stranger]) as (client, _, _):
            assert await closing(client) == 4403
        async with opened("/ws/interactions/999999/", [OURS, stranger]) as (client, _, _):
            assert await closing(client) == 4403
        async with opened(f"/ws/interactions/{open_to_all.pk}/", [OURS, stranger]) as (client, _, _):
            assert (await frame(client))["data"]["interaction"]["id"] == open_to_all.pk
        async with opened("/ws/events/", [OURS, stranger]) as (client, _, _):
            assert await closing(client) == 4403

    run(story)


def test_rights_that_end_close_the_socket(running, monkeypatch):
    monkeypatch.setattr(hub, "RIGHTS_SECONDS", 0.1)
    left, moved, lead = (make_agent().user for _ in range(3))
    team, admin = make_team(), make_user(role=Role.ADMINISTRATOR)
    cookies = [cookie(one) for one in (left, moved, lead)]

    def change():
        left.set_password("another")
        left.save()
        User.objects.filter(pk=moved.pk).update(team=team)
        rights.give(lead, role=Role.SUPERVISOR, scope="team", team=team, by=admin)

    async def story():
        async with (
            opened("/ws/desk/", [OURS, cookies[0]]) as (one, _, _),
            opened("/ws/desk/", [OURS, cookies[1]]) as (two, _, _),
            opened("/ws/desk/", [OURS, cookies[2]]) as (three, _, _),
        ):
            await frame(one), await frame(two), await frame(three)
            await hub.hub.in_thread(change)
            assert await closing(one) == 4401
            assert await closing(two) == 4408
            assert await closing(three) == 4408

    run(story)


def test_the_feed_is_numbered_after_commit_and_heard_by_who_sees_everything(running):
    auditor = cookie(make_user(role=Role.AUDITOR))

    def number():
        with transaction.atomic():
            streams.tell([("events", "interaction.opened", {"interaction": n}) for n in range(5)])
        assert streams.number_feed() == 5

    async def story():
        async with opened("/ws/events/", [OURS, auditor]) as (client, _, _):
            assert (await frame(client))["type"] == "snapshot"
            await hub.hub.in_thread(number)
            hub.hub.ring(["events"])
            assert [(await frame(client))["seq"] for _ in range(5)] == [1, 2, 3, 4, 5]

    run(story)
