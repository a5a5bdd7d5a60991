"""Answers to surveys: facts, read by who may read what they are about, in from REST and files, and out again whole."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.choices import Role, TeamVisibility
from crm.errors import Conflict, InvalidInput, NotAllowed, NotFound
from crm.models import Activity, Import, Survey
from crm.services import erasures, imports, merges, person_export, surveys, timeline
from tests import factories as make
from tests.crm.test_imports import read_in, undo

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def agent():
    return make.make_user(Role.AGENT)


def answer(question="csat", score=5, **more):
    return {"question": question, "score": score, "at": AT, **more}


def test_an_answer_stands_on_the_timeline_and_about_its_contact_and_ticket(agent, client):
    contact = make.make_interaction()
    given = answer("nps_contact", 9, comment="Quick, thanks", channel="email", interaction=contact.pk)
    (kept,) = surveys.take(contact.customer, [given], by=agent)
    survey = Survey.objects.get(pk=kept)
    assert (survey.ticket_id, survey.interaction_id, survey.score) == (contact.ticket_id, contact.pk, 9)
    (entry,) = timeline.of(contact.customer_id, agent, kinds=["survey"]).entries
    assert (entry["state"], int(entry["amount"]), entry["text"], entry["channel"]) == (
        "nps_contact",
        9,
        "Quick, thanks",
        "email",
    )
    assert timeline.of(contact.customer_id, agent, kinds=["survey"], channels=["x"]).entries == []
    assert Activity.objects.get(verb="surveys.taken").data == {"surveys": [kept]}
    client.force_login(agent)
    page = client.get(f"/customers/{contact.customer_id}/?kind=survey").content.decode()
    assert "Recommendation after contact 9 of 10" in page and "Quick, thanks" in page
    listed = client.get(f"/api/v1/surveys/?ticket={contact.ticket_id}&question=nps_contact").json()["results"]
    assert [one["id"] for one in listed] == [kept]
    assert client.get("/api/v1/surveys/?question=csat").json()["results"] == []


def test_rest_takes_many_at_once_and_a_known_reference_again_as_it_is_now(agent, client):
    customer = make.make_customer()
    client.force_login(agent)
    path = f"/api/v1/customers/{customer.pk}/surveys/"
    first = {"question": "csat", "score": 2, "at": AT.isoformat(), "reference": "s-1"}
    solved = {"question": "solved", "score": 0, "at": AT.isoformat()}
    made = client.post(path, {"surveys": [first, solved]}, "application/json")
    assert made.status_code == 201 and [one["score"] for one in made.json()] == [2, 0]
    again = client.post(path, {"surveys": [first | {"score": 4}, solved]}, "application/json")
    assert [one["id"] for one in again.json()] == [one["id"] for one in made.json()]
    assert sorted(Survey.objects.values_list("question", "score")) == [("csat", 4), ("solved", 0)]
    other = make.make_customer()
    taken = client.post(f"/api/v1/customers/{other.pk}/surveys/", {"surveys": [first]}, "application/json")
    assert (taken.status_code, taken.json()["code"]) == (409, "other_customer")
    wrong = client.post(path, {"surveys": [solved, first | {"score": 9}]}, "application/json")
    assert wrong.status_code == 400 and "goes from 1 to 5" in str(wrong.json()["errors"])


@pytest.mark.parametrize(
    "wrong",
    [
        answer(score=0), answer(score=6), answer("nps_relation", 11), answer("solved", 2),
        answer(at=timezone.now() + timedelta(days=1)),
    ],
)  # fmt: skip
def test_what_is_not_on_the_scale_of_its_question_is_no_answer(agent, wrong):
    customer = make.make_customer()
    with pytest.raises(InvalidInput):
        surveys.take(customer, [wrong], by=agent)
    if wrong["at"] == AT:
        with pytest.raises(IntegrityError), transaction.atomic():
            make.make_survey(customer, question=wrong["question"], score=wrong["score"])


def test_what_is_somebody_elses_or_not_to_be_seen_is_refused(agent):
    mine, theirs = make.make_customer(), make.make_interaction()
    with pytest.raises(Conflict):
        surveys.take(mine, [answer(interaction=theirs.pk)], by=agent)
    closed = make.make_interaction(team=make.make_team(visibility=TeamVisibility.CLOSED))
    with pytest.raises(NotFound):
        surveys.take(closed.customer, [answer(ticket=closed.ticket_id, interaction=closed.pk)], by=agent)
    with pytest.raises(NotAllowed):
        surveys.take(mine, [answer()], by=make.make_user(Role.AUDITOR))


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.AGENT, Role.MARKETING, Role.AUDITOR])
def test_the_timeline_shows_the_comments_of_exactly_the_listed_answers(role):
    customer = make.make_customer()
    mine = make.make_team()
    for visibility in TeamVisibility.values:
        for public in ("public", "private"):
            team = make.make_team(visibility=visibility)
            contact = make.make_interaction(customer=customer, team=team, audience=public)
            contact.ticket.team = team
            contact.ticket.save()
            make.make_survey(customer, ticket=contact.ticket, comment=f"{visibility} {public}")
    make.make_survey(customer, comment="about nothing")
    user = make.make_user(role, mine)
    entries = timeline.of(customer.pk, user, kinds=["survey"]).entries
    listed = Survey.objects.visible_to(user)
    assert {one["id"] for one in entries if one["text"]} == set(listed.values_list("pk", flat=True))
    assert len(entries) == (7 if role in (Role.ADMINISTRATOR, Role.AUDITOR) else 5)  # of closed teams nothing
    assert all(one["text"] or one["barred"] for one in entries)


def test_a_merge_takes_answers_along_and_its_undo_gives_them_back(agent):
    one, two = make.make_customer(), make.make_customer()
    survey = make.make_survey(two)
    step = merges.merge(one, two, by=agent)
    survey.refresh_from_db()
    two.refresh_from_db()
    assert survey.customer_id == one.pk
    surveys.take(two, [answer(reference="late")], by=agent)  # the shell passes on what still comes for it
    assert Survey.objects.get(reference="late").customer_id == one.pk
    merges.undo(step, by=agent)
    survey.refresh_from_db()
    assert survey.customer_id == two.pk


@pytest.mark.django_db(transaction=True)
def test_an_erasure_empties_comments_and_keeps_the_score(monkeypatch):
    monkeypatch.setattr("crm.tasks.erase.delay", lambda *_: None)
    admin = make.make_user(Role.ADMINISTRATOR)
    survey = make.make_survey(comment="call me on my yacht", reference="yacht-1", score=2)
    assert "call me on my yacht" in str(person_export.collect(survey.customer))
    word = erasures.preview(survey.customer, by=admin)["confirmation"]
    erasures.ask(survey.customer, way="erase", why="request", confirmation=word, by=admin)
    assert erasures.work() == 1
    survey.refresh_from_db()
    assert (survey.comment, survey.reference, survey.score) == ("", "", 2)
    with pytest.raises(Conflict):
        surveys.take(survey.customer, [answer()], by=admin)


FILE = "Id,E-mail,Survey,Rating,Feedback,Answered at,Ticket"


def test_a_file_of_answers_is_taken_once_and_undone_exactly():
    customer = make.make_customer()
    make.make_identity(customer, kind="email", value="anna@example.com", handle="")
    ticket = make.make_ticket(customer)
    lines = [
        f"a-1,anna@example.com,CSAT,4,card 4111 1111 1111 1111 works,2026-01-02 10:00,{ticket.number}",
        "a-2,anna@example.com,Was it solved,yes,,2026-01-02 10:00,",
        "a-3,anna@example.com,tNPS,11,,2026-01-02 10:00,",
        "a-4,nobody@example.com,CSAT,4,,2026-01-02 10:00,",
        "a-5,anna@example.com,CSAT,good,,2026-01-02 10:00,",
        "a-6,anna@example.com,CSAT,5,,2999-01-02 10:00,",
        "a-1,anna@example.com,CSAT,4,,2026-01-02 10:00,",
    ]
    body = "\n".join([FILE, *lines]).encode()
    kept = imports.upload(body, "surveys.csv", by=None, noun="surveys")
    assert kept.mapping == ["reference", "email", "question", "score", "comment", "at", "ticket"]
    done = read_in(kept)
    assert list(done.rows.order_by("line").values_list("outcome", flat=True)) == [
        "created", "created", "failed", "failed", "failed", "failed", "unchanged",
    ]  # fmt: skip
    survey = Survey.objects.get(reference="a-1")
    assert (survey.score, survey.ticket, survey.customer) == (4, ticket, customer)
    assert survey.comment == "card •••• •••• •••• 1111 works"
    assert Survey.objects.get(reference="a-2").score == 1
    again = read_in(imports.upload(body, "again.csv", by=None, noun="surveys"))
    assert again.counts == {"unchanged": 3, "failed": 4} and Survey.objects.count() == 2
    undo(again)
    assert Survey.objects.count() == 2
    undo(Import.objects.get(pk=done.pk))
    assert not Survey.objects.exists()
