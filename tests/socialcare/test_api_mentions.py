"""Mentions over REST: lists, verdicts, corrections."""

import pytest
from django.utils import timezone

from crm.choices import Role
from crm.models import Interaction
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def marketing(client):
    user = make.make_user(Role.MARKETING)
    client.force_login(user)
    return user


def test_a_verdict_to_respond_opens_one_contact(client, marketing):
    make.make_queue(is_fallback=True)
    mention = make.make_mention(verdict="no_answer_needed")
    path = f"/api/v1/mentions/{mention.pk}/verdict/"
    for _ in range(2):
        said = client.post(path, {"verdict": "respond"}, content_type=JSON).json()
        assert (said["verdict"], said["status"], said["decided_by"]) == ("respond", "decided", marketing.pk)
    contact = Interaction.objects.get()
    assert said["interaction"] == contact.pk and said["corrections"]["verdict"] == "no_answer_needed"
    assert "verdict" in client.post(path, {"verdict": "like"}, content_type=JSON).json()["errors"]


def test_a_post_that_is_gone_takes_no_verdict(client, marketing):
    mention = make.make_mention(deleted_at=timezone.now())
    answer = client.post(f"/api/v1/mentions/{mention.pk}/verdict/", {"verdict": "spam"}, content_type=JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "deleted")


def test_corrections_keep_what_triage_had_said(client, marketing):
    mention = make.make_mention(sentiment=-0.5, topic="price")
    path = f"/api/v1/mentions/{mention.pk}/triage/"

    def correct(**changes):
        return client.patch(path, changes, content_type=JSON)

    assert correct(sentiment=0.5, topic="praise").status_code == 200
    said = correct(sentiment=None).json()
    assert said["sentiment"] is None and said["corrections"] == {"sentiment": -0.5, "topic": "price"}
    for wrong in ({"sentiment": 2}, {"verdict": "spam"}, {}, {"language": "Klingon"}, {"sentiment": "x"}):
        assert correct(**wrong).status_code == 400, wrong


def test_mentions_are_narrowed_by_what_was_asked(client, marketing):
    sad = make.make_mention(sentiment=-0.8, text="the bill is wrong", topic="billing", actionable=True)
    glad = make.make_mention(sentiment=0.8, text="well done", verdict="no_answer_needed", actionable=False)

    def found(query: str) -> list[int]:
        return sorted(row["id"] for row in client.get(f"/api/v1/mentions/?{query}").json()["results"])

    both = sorted([sad.pk, glad.pk])
    for query, wanted in (
        ("", both), ("sentiment_below=0", [sad.pk]), ("sentiment_above=0", [glad.pk]), ("topic=billing", [sad.pk]),
        ("actionable=false", [glad.pk]), ("verdict=respond&verdict=no_answer_needed", both), ("search=bill", [sad.pk]),
        (f"search=@{glad.identity.handle}", [glad.pk]), (f"customer={sad.customer_id}", [sad.pk]), ("deleted=true", []),
        ("network=x", both), ("posted_after=2999-01-01T00:00:00Z", []),
    ):  # fmt: skip
        assert found(query) == wanted, query
