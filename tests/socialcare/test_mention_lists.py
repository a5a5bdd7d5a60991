"""The list of mentions: columns, conditions, order, views and edits of many, the same on the page and over REST."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.choices import Role
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.models import Activity, Interaction, SavedView
from crm.services import bulks, exports, views
from socialcare.lists import MENTIONS
from socialcare.models import Mention
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(client):
    user = make.make_user(team=make.make_team())
    client.force_login(user)
    return user


def asked(column, op, value=None):
    return {"column": column, "op": op, **({} if value is None else {"value": value})}


def test_page_rest_file_and_edit_leave_the_same_posts(client, agent):
    vip = make.make_identity(make.make_customer(vip=True), handle="zoe_q")
    loud = make.make_mention(identity=vip, sentiment=-0.9, followers=5_000, reposts=7, topic="billing")
    calm = make.make_mention(
        sentiment=0.1, followers=10, text="Nice sofa", verdict="follow", actionable=False
    )
    gone = make.make_mention(sentiment=None, followers=None, deleted_at=timezone.now(), language="de")
    boss = make.make_user(Role.ADMINISTRATOR)
    for where, wanted in (
        (asked("sentiment", "below", -0.5), [loud]),
        (asked("followers", "at_least", 10), [loud, calm]),
        (asked("author", "contains", "ZOE"), [loud]),
        (asked("vip", "is", True), [loud]),
        (asked("text", "contains", "sofa"), [calm]),
        (asked("deleted_at", "filled"), [gone]),
        (asked("channel", "any_of", [calm.channel_id]), [calm]),
        (asked("brand", "any_of", [loud.channel.brand_id]), [loud]),
        (asked("sentiment", "empty"), [gone]),
        ({"any": [asked("verdict", "any_of", ["follow"]), asked("language", "is", "de")]}, [calm, gone]),
        ({"none": [asked("topic", "is", "billing"), asked("actionable", "is", False)]}, [gone]),
    ):
        text, ids = json.dumps(where), sorted(one.pk for one in wanted)
        page = client.get("/mentions/", {"where": text})
        assert sorted(one.pk for one in page.context["mentions"]) == ids, where
        listed = client.get("/api/v1/mentions/", {"where": text}).json()["results"]
        assert sorted(one["id"] for one in listed) == ids, where
        assert exports.ask("mentions", "jsonl", {"where": [text]}, by=boss).body.count(b"\n") == len(ids)
        bulk = bulks.preview("mentions", {"actionable": True}, by=agent, words={"where": [text]})
        assert sorted(bulk.rows.values_list("row_id", flat=True)) == ids, where


@pytest.mark.parametrize(
    "where",
    [
        asked("followers", "above", 2.5), asked("network", "any_of", ["email"]), asked("sentiment", "is", "sad"),
        asked("nothing", "is", "x"), asked("text", "is", "a\x00"), asked("posted_at", "after", "soon"), ["x"],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_reason(client, agent, where):
    make.make_mention()
    page = client.get("/mentions/", {"where": json.dumps(where)})
    assert page.status_code == 400 and page.context["errors"] and page.context["mentions"] == []
    assert client.get("/api/v1/mentions/", {"where": json.dumps(where)}).status_code == 400


def test_posts_become_a_table_with_columns_of_ones_own(client, agent):
    shown = make.make_mention(text="Where is my parcel?", followers=321)
    page = client.get("/mentions/")
    assert 'role="feed"' in page.content.decode() and page.context["is_table"] is False
    assert page.context["described"]["columned"] == []  # a view that is kept from here stays one of posts
    table = client.get("/mentions/?columns=text,followers,channel")
    body = table.content.decode()
    assert table.context["is_table"] and 'role="feed"' not in body
    assert [head["label"] for head in table.context["heads"]] == ["Post", "Followers", "Channel"]
    assert "Where is my parcel?" in body and "321" in body and shown.channel.name in body
    assert "data-edit" not in body
    every = ",".join(one.name for one in MENTIONS.fixed if one.shown)
    make.make_mention(text="<b>bold</b>", deleted_at=timezone.now(), sentiment=0.3)
    assert client.get(f"/mentions/?columns={every}").status_code == 200


def test_a_view_is_kept_shared_counted_and_shows_its_columns(client, agent):
    boss = make.make_user(Role.SUPERVISOR)
    kept = views.create(
        by=boss, noun="mentions", name="Loud ones", sharing="everybody", where=asked("followers", "above", 100),
        columns=["author", "followers"], ordering="-posted_at",
    )  # fmt: skip
    loud = make.make_mention(followers=101)
    make.make_mention(followers=100)
    page = client.get(f"/mentions/?view={kept.pk}")
    assert page.context["mentions"] == [loud] and page.context["is_table"]
    assert "Loud ones" in page.content.decode() and page.context["asked"].ordering == "-posted_at"
    counts = client.get("/api/v1/lists/mentions/counts/").json()["counts"]
    assert counts[str(kept.pk)] == 1 and counts["all"] == 2 and counts["vip"] == 0
    with pytest.raises(InvalidInput):
        views.create(by=boss, noun="mentions", name="Odd", ordering="text")
    assert SavedView.objects.count() == 1
    described = client.get("/api/v1/lists/mentions/").json()
    assert described["orderings"] == ["id", "-id", "posted_at", "-posted_at", "received_at", "-received_at"]
    choices = client.get("/api/v1/lists/mentions/choices/?column=channel").json()["results"]
    assert {"value": loud.channel_id, "label": str(loud.channel)} in choices


def test_pages_lead_on_and_back_in_either_order(client, agent):
    now = timezone.now()
    for number in range(60):
        make.make_mention(posted_at=now - timedelta(minutes=number // 2))
    for ordering in ("-posted_at", "posted_at", "-received_at"):
        first = client.get(f"/mentions/?ordering={ordering}").context
        second = client.get(first["next_url"]).context
        seen = [one.pk for one in (*first["mentions"], *second["mentions"])]
        assert len(first["mentions"]) == 50 and len(set(seen)) == 60, ordering
        again = client.get(second["previous_url"]).context["mentions"]
        assert again == first["mentions"]
    oldest = client.get("/mentions/?ordering=posted_at").context["mentions"][0]
    assert oldest.posted_at == now - timedelta(minutes=29)


def made(change, mentions, by):
    bulk = bulks.preview("mentions", change, by=by, ids=[one.pk for one in mentions])
    return bulks.start(bulk, by=by)


def test_many_take_a_verdict_and_the_undo_leaves_no_trace_of_it(client, agent):
    judged = [make.make_mention(verdict="respond") for _ in range(3)]
    earlier = make.make_user()
    decided = make.make_mention(
        verdict="follow",
        status="decided",
        decided_by=earlier,
        decided_at=timezone.now(),
        corrections={"topic": "x"},
    )
    before = list(Mention.objects.order_by("pk").values("verdict", "status", "corrections"))
    bulk = made({"verdict": "spam"}, [*judged, decided], agent)
    assert bulk.counts == {"changed": 4}
    for one in Mention.objects.all():
        assert (one.verdict, one.status, one.decided_by) == ("spam", "decided", agent) and one.decided_at
    judged[0].refresh_from_db()
    assert judged[0].corrections == {"verdict": "respond"}
    lines = Activity.objects.filter(verb="mention.decided")
    assert {line.data["mention"] for line in lines} == {one.pk for one in [*judged, decided]}
    assert all(line.actor == agent and line.data["bulk"] == bulk.pk for line in lines)
    assert f"/mentions/{judged[0].pk}/" not in client.get(f"/bulks/{bulk.pk}/").content.decode(), (
        "posts have no page"
    )
    bulks.undo(bulk, by=agent)
    assert list(Mention.objects.order_by("pk").values("verdict", "status", "corrections")) == before
    judged[0].refresh_from_db()
    assert judged[0].decided_by is None and judged[0].decided_at is None


def test_the_same_verdict_of_many_makes_it_a_persons(agent):
    one = make.make_mention(verdict="spam")
    assert made({"verdict": "spam"}, [one], agent).counts == {"changed": 1}
    one.refresh_from_db()
    assert (one.status, one.decided_by, one.corrections) == ("decided", agent, {})
    assert made({"verdict": "spam"}, [one], agent).counts == {"unchanged": 1}


def test_no_edit_of_many_opens_a_contact_or_judges_a_post_that_is_gone(agent):
    fresh = make.make_mention(verdict="follow")
    gone = make.make_mention(deleted_at=timezone.now())
    contact = make.make_interaction()
    known = make.make_mention(verdict="follow", interaction_id=contact.pk)
    bulk = made({"verdict": "respond"}, [fresh, gone, known], agent)
    assert bulk.counts == {"refused": 2, "changed": 1}
    reasons = dict(bulk.rows.values_list("row_id", "reason"))
    assert "opens a contact" in reasons[fresh.pk] and "deleted" in reasons[gone.pk]
    assert Interaction.objects.count() == 1
    line = Activity.objects.get(verb="mention.decided")
    assert (line.interaction_id, line.ticket_id, line.customer_id) == (
        contact.pk, contact.ticket_id, contact.customer_id,
    )  # fmt: skip


def test_only_who_decides_edits_many(client):
    auditor = make.make_user(Role.AUDITOR)
    mention = make.make_mention()
    with pytest.raises(NotAllowed):
        bulks.preview("mentions", {"verdict": "spam"}, by=auditor, ids=[mention.pk])
    client.force_login(auditor)
    body = client.get("/mentions/").content.decode()
    assert "data-choose" not in body and "<bulk-edit>" not in body
    with pytest.raises(InvalidInput):
        bulks.preview("mentions", {"text": "x"}, by=make.make_user(), ids=[mention.pk])


def test_what_was_decided_since_is_left_by_the_undo(agent):
    one = make.make_mention(verdict="follow")
    bulk = made({"verdict": "spam"}, [one], agent)
    Mention.objects.update(verdict="no_answer_needed")
    assert bulks.undo(bulk, by=agent).state == "undone"
    one.refresh_from_db()
    assert one.verdict == "no_answer_needed"
    with pytest.raises(Conflict):
        bulks.undo(bulk, by=agent)
