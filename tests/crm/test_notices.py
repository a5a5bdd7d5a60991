"""Colleagues and teams called in notes: who is meant, who may be told, and what reaches them."""

import pytest

from crm import hub
from crm.errors import InvalidInput
from crm.models import LiveEvent, Message, NoteMention, Notice
from crm.services import messages, notices
from tests import factories as make
from tests.sockets import OURS, cookie, frame, opened, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def writer():
    return make.make_user(name="Wilma Writer", team=make.make_team())


def told(note):
    return set(Notice.objects.filter(message=note).values_list("user__name", flat=True))


def test_a_person_called_by_name_is_told_and_the_words_are_not_copied(writer):
    make.make_user(name="Ana Garcia")
    make.make_user(name="Ana")
    note = messages.note(make.make_interaction(), by=writer, text="Look, @ana garcia: is that right?")
    assert told(note) == {"Ana Garcia"}
    assert NoteMention.objects.get().user.name == "Ana Garcia"
    event = LiveEvent.objects.get(stream__startswith="notices:")
    assert event.type == "notice.made" and "right" not in str(event.data)


def test_a_team_is_told_once_each_and_never_the_writer(writer):
    member = make.make_user(name="Max", team=writer.team)
    make.make_user(name="Gone", team=writer.team, is_active=False)
    note = messages.note(make.make_interaction(), by=writer, text=f"@{writer.team.slug} and @Max, please")
    assert told(note) == {"Max"}
    assert Notice.objects.get(user=member).team is None  # by name counts more
    assert NoteMention.objects.count() == 2


@pytest.mark.parametrize(
    "text",
    ["write to @bquill_on_x", "ana@example.org asked", "x@Ana Garcia", "@Ana Garciaz", "@", "@@Ana Garcia"],
)
def test_other_words_after_an_at_are_just_words(writer, text):
    make.make_user(name="Ana Garcia")
    note = messages.note(make.make_interaction(), by=writer, text=text)
    assert told(note) == set() and not NoteMention.objects.exists()


def test_who_may_not_see_the_contact_is_refused_by_name_and_nothing_is_kept(writer):
    closed = make.make_team(visibility="closed")
    insider = make.make_user(name="Ina Inside", team=closed)
    make.make_user(name="Otto Outside", team=make.make_team())
    here = make.make_interaction(team=closed)
    with pytest.raises(InvalidInput) as refused:
        messages.note(here, by=insider, text="@Otto Outside, look")
    assert "Otto Outside may not see this contact" in refused.value.detail
    assert not Message.objects.filter(direction="note").exists()
    other = make.make_team(name="Billing")
    make.make_user(team=other)
    with pytest.raises(InvalidInput) as refused:
        messages.note(here, by=insider, text="@Billing, look")
    assert "nobody of Billing" in refused.value.detail


def test_who_holds_a_contact_of_a_closed_team_may_be_called(writer):
    closed = make.make_team(visibility="closed")
    holder = make.make_user(name="Hilde Holder", team=make.make_team())
    here = make.make_interaction(team=closed, assigned_to=holder)
    note = messages.note(here, by=make.make_user(team=closed), text="@Hilde Holder?")
    assert told(note) == {"Hilde Holder"}


def test_people_of_a_closed_team_are_not_known_outside(writer):
    make.make_user(name="Ina Inside", team=make.make_team(visibility="closed", name="Secret"))
    here = make.make_interaction()
    note = messages.note(here, by=writer, text="@Ina Inside and @Secret")
    assert told(note) == set()
    assert notices.suggested("Ina", here, by=writer) == [] == notices.suggested("Secr", here, by=writer)


def test_two_of_one_name_are_told_apart_by_their_address(writer):
    one = make.make_user(name="Kim Lee", email="kim1@example.com")
    make.make_user(name="Kim Lee", email="kim2@example.com")
    here = make.make_interaction()
    with pytest.raises(InvalidInput) as refused:
        messages.note(here, by=writer, text="@Kim Lee?")
    assert "@kim1@example.com" in refused.value.detail
    note = messages.note(here, by=writer, text="@kim1@example.com?")
    assert [notice.user for notice in Notice.objects.filter(message=note)] == [one]
    assert {found["insert"] for found in notices.suggested("Kim", here, by=writer)} == {
        "@kim1@example.com",
        "@kim2@example.com",
    }


def test_a_call_is_asked_as_often_for_many_as_for_few(writer, django_assert_max_num_queries):
    team = make.make_team(name="Crowd")
    for _ in range(40):
        make.make_user(team=team)
    here = make.make_interaction()
    with django_assert_max_num_queries(25):
        messages.note(here, by=writer, text="@Crowd, please")
    assert Notice.objects.count() == 40


def test_notices_are_ones_own_and_only_while_one_may_see(client, writer):
    reader = make.make_user(name="Rita Reader", team=make.make_team())
    here = make.make_interaction()
    messages.note(here, by=writer, text="@Rita Reader")
    client.force_login(reader)
    listed = client.get("/api/v1/notices/?unread=true").json()["results"]
    assert [(one["by"], one["interaction"], one["ticket"]) for one in listed] == [
        ("Wilma Writer", here.pk, here.ticket_id)
    ]
    assert "Rita Reader" in client.get("/notices/").content.decode()
    here.team = make.make_team(visibility="closed")
    here.save()
    assert client.get("/api/v1/notices/").json()["results"] == []
    assert client.get(f"/api/v1/notices/{listed[0]['id']}/").status_code == 404
    assert notices.unread(reader) == 0


def test_opening_a_notice_marks_it_and_leads_to_the_words(client, writer):
    reader = make.make_user(name="Rita Reader")
    note = messages.note(make.make_interaction(), by=writer, text="@Rita Reader")
    notice = Notice.objects.get()
    client.force_login(reader)
    answer = client.post(f"/notices/{notice.pk}/")
    assert answer["Location"] == f"/interactions/{note.interaction_id}/#message-{note.pk}"
    notice.refresh_from_db()
    assert notice.read_at
    assert client.post("/api/v1/notices/read/", content_type="application/json").json() == {"read": 0}


@pytest.mark.django_db(transaction=True)
def test_the_bell_hears_each_notice_as_it_comes(valkey):
    writer, reader = make.make_user(name="Wilma"), make.make_user(name="Rita Reader")
    here, headers = make.make_interaction(), [OURS, cookie(reader)]

    async def story():
        async with opened("/ws/notices/", headers) as (client, accepted, _):
            assert accepted
            first = await frame(client)
            assert (first["type"], first["data"]) == ("snapshot", {"unread": 0})
            await hub.hub.in_thread(lambda: messages.note(here, by=writer, text="@Rita Reader!"))
            made = await frame(client)
            assert (made["type"], made["data"]["by"], made["seq"]) == (
                "notice.made",
                "Wilma",
                first["seq"] + 1,
            )

    run(story)
