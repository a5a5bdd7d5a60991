"""Training on live work: no answer leaves unreleased, only a coach or lead releases, and figures are without it."""

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import Role, TeamVisibility
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.models import Activity, Interaction, Message, Notice, User
from crm.services import coaching, messages
from crm.services import interactions as contacts
from reports.models import Board
from reports.services import boards
from routing.models import Agent
from routing.services import assignments
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def acting(user):
    client = Client()
    client.force_login(user)

    def ask(method: str, path: str, **body):
        return getattr(client, method)(f"/api/v1/{path}", body or None, content_type=JSON)

    return ask


@pytest.fixture
def floor():
    """A trainee with work in hand, his coach, a lead and a colleague of one team."""
    team = make.make_team()
    coach = make.make_agent(make.make_user(team=team))
    trainee = make.make_agent(make.make_user(team=team), capacity=15)
    coaching.begin(trainee.user, coach.user, by=coach.user)
    contact = make.make_interaction(team=team)
    held = make.make_assignment(trainee, make.make_work_item(contact, make.make_queue(team)))
    people = {
        "trainee": trainee.user, "coach": coach.user, "lead": make.make_user(Role.SUPERVISOR, team),
        "colleague": make.make_user(team=team),
    }  # fmt: skip
    return held.work_item.interaction, people


def test_an_answer_of_somebody_in_training_waits_and_nothing_takes_it_along(floor):
    contact, people = floor
    said = acting(people["trainee"])("post", f"interactions/{contact.pk}/replies/", text="We send a new one.")
    assert (said.status_code, said.json()["state"]) == (201, "awaiting_approval")
    message = Message.objects.get(pk=said.json()["id"])
    assert message.due_at is None and message.pk not in messages.due()
    messages.deliver(message.pk)  # whoever asks for it, it is not claimed
    messages.settle()
    with pytest.raises(Conflict):
        messages.send_again(message.pk, by=people["trainee"])
    message.refresh_from_db()
    contact.refresh_from_db()
    assert (message.state, message.attempts, contact.first_response_at) == ("awaiting_approval", 0, None)
    notice = Notice.objects.get(user=people["coach"])
    assert (notice.kind, notice.message_id, notice.by) == ("release", message.pk, people["trainee"])
    page = Client()
    page.force_login(people["coach"])
    assert "asks you to release" in page.get("/notices/").content.decode()


def test_a_stale_picture_of_the_writer_does_not_let_his_answer_through(floor):
    contact, people = floor
    stale = people["trainee"]
    stale.coach_id = None  # as read before the training began
    assert messages.reply(contact, by=stale, text="At once!").state == "awaiting_approval"


@pytest.mark.parametrize("who", ["coach", "lead"])
def test_coach_or_lead_lets_it_leave_once_and_nobody_else(floor, who):
    contact, people = floor
    message = messages.reply(contact, by=people["trainee"], text="We send a new one.")
    for other in ("trainee", "colleague"):
        assert acting(people[other])("post", f"messages/{message.pk}/release/").status_code == 403
    ask = acting(people[who])
    page = Client()
    page.force_login(people[who])
    assert 'data-testid="release"' in page.get(f"/interactions/{contact.pk}/").content.decode()
    assert ask("post", f"messages/{message.pk}/release/").json()["state"] == "queued"
    assert ask("post", f"messages/{message.pk}/release/").json()["code"] == "not_waiting"
    assert ask("post", f"messages/{message.pk}/give-back/", reason="no").json()["code"] == "not_waiting"
    assert message.pk in messages.due()
    line = Activity.objects.get(verb="reply.released")
    assert (line.actor, line.interaction_id) == (people[who], contact.pk)


def test_what_is_given_back_never_leaves_and_its_writer_reads_why(floor):
    contact, people = floor
    message = messages.reply(contact, by=people["trainee"], text="No.")
    ask = acting(people["coach"])
    assert set(ask("post", f"messages/{message.pk}/give-back/", reason=" ").json()["errors"]) == {"reason"}
    said = ask("post", f"messages/{message.pk}/give-back/", reason="Say it more warmly.")
    assert said.json()["state"] == "draft"
    assert Message.objects.get(direction="note").text == "Say it more warmly."
    with pytest.raises(Conflict):
        messages.send_again(message.pk, by=people["trainee"])
    assert messages.due() == []


def test_what_waits_when_the_training_ends_still_waits_and_what_comes_then_leaves(floor):
    contact, people = floor
    message = messages.reply(contact, by=people["trainee"], text="One")
    coaching.end(people["trainee"], by=people["lead"])
    trainee = User.objects.get(pk=people["trainee"].pk)
    assert messages.reply(contact, by=trainee, text="Two").state == "queued"
    message.refresh_from_db()
    assert message.state == "awaiting_approval"
    with pytest.raises(NotAllowed):
        messages.release(message, by=trainee)
    assert messages.release(message, by=people["lead"]).state == "queued"


def test_a_coach_of_a_closed_team_only_releases_what_he_may_see(floor):
    contact, people = floor
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    User.objects.filter(pk=people["coach"].pk).update(team=None)
    Interaction.objects.filter(pk=contact.pk).update(team=closed)
    contact.refresh_from_db()
    message = messages.reply(contact, by=people["trainee"], text="One")
    coach = User.objects.get(pk=people["coach"].pk)
    assert acting(coach)("post", f"messages/{message.pk}/release/").status_code == 404


def test_training_begins_with_less_at_once_and_ends_with_what_he_had():
    team = make.make_team()
    lead, agent = (
        make.make_user(Role.SUPERVISOR, team),
        make.make_agent(make.make_user(team=team), capacity=15),
    )
    coach, stranger = make.make_agent(make.make_user(team=team)), make.make_user(Role.AUDITOR)
    path, ask = f"agents/{agent.pk}/training/", acting(lead)
    assert set(ask("put", path, coach=stranger.pk).json()["errors"]) == {"coach"}
    assert set(ask("put", path, coach=agent.user_id).json()["errors"]) == {"coach"}
    assert set(ask("put", path, coach=coach.user_id, capacity=20).json()["errors"]) == {"capacity"}
    assert User.objects.get(pk=agent.user_id).coach is None  # nothing of what was refused stays
    said = ask("put", path, coach=coach.user_id, capacity=6).json()
    assert (said["coach"], said["capacity"]) == (coach.user_id, 6)
    assert ask("put", path, coach=coach.user_id, capacity=3).json()["capacity"] == 3
    with pytest.raises(InvalidInput):  # who is in training coaches nobody
        coaching.begin(coach.user, User.objects.get(pk=agent.user_id), by=lead)
    said = ask("put", path, coach=None).json()
    assert (said["coach"], said["capacity"]) == (None, 15)
    assert Agent.objects.get(pk=agent.pk).capacity_before is None
    assert list(Activity.objects.filter(verb__startswith="training").values_list("verb", flat=True)) == [
        "training.begun", "training.begun", "training.ended",
    ]  # fmt: skip


def test_what_somebody_in_training_had_is_marked_and_outside_the_figures_for_good(floor):
    contact, people = floor
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    make.make_codes()
    item, queue = contact.work_items.get(), contact.work_items.get().queue
    lead = make.make_user(Role.ADMINISTRATOR)

    def figures() -> tuple:
        boards.forget_closed_hours()
        queues = {one["slug"]: one for one in boards.snapshot("floor", lead)["queues"]}
        return tuple(queues[queue.slug][name] for name in ("received", "answered", "service_level"))

    plain = figures()
    assert plain[:2] == (1, 1)
    agent = Agent.objects.get(user=people["trainee"])
    assignments.complete(item.pk, by=people["trainee"], reason="billing", outcome="solved")
    contacts.reopen(contact.pk, by=None)
    again = contact.work_items.get(status="waiting")
    assignments.claim(again.pk, by=people["trainee"])
    contact.refresh_from_db()
    assert contact.training and contact.assigned_to == agent.user
    assert figures() == (0, 0, None)
    page = Client()
    page.force_login(people["lead"])
    assert 'data-testid="training"' in page.get(f"/interactions/{contact.pk}/").content.decode()
    coaching.end(people["trainee"], by=lead)
    assignments.complete(again.pk, by=people["trainee"], reason="billing", outcome="solved")
    contact.refresh_from_db()
    assert contact.training and figures() == (0, 0, None)
    assert timezone.now() >= contact.closed_at
