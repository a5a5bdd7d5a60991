"""Ids of people in closed teams of others: whoever may not know them is told the same as of ids that nobody has."""

import pytest

from crm.choices import Role, TeamVisibility
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def hidden():
    return make.make_agent(user=make.make_user(team=make.make_team(visibility=TeamVisibility.CLOSED)))


def refused(answer) -> dict:
    assert answer.status_code == 400, answer.content
    return answer.json()["errors"]


def test_a_ticket_is_not_given_to_somebody_unknown(client, hidden):
    user = make.make_user(Role.SUPERVISOR, team=make.make_team())
    client.force_login(user)
    ticket = make.make_ticket(team=user.team)
    path = f"/api/v1/tickets/{ticket.pk}/"

    def given(pk: int):
        return client.patch(path, {"owner": pk}, content_type="application/json")

    closed, nobody = refused(given(hidden.user_id)), refused(given(10**9))
    assert [words.replace(str(hidden.user_id), "ID") for words in closed["owner"]] == [
        words.replace(str(10**9), "ID") for words in nobody["owner"]
    ]
    mate = make.make_user(team=user.team)
    assert given(mate.pk).status_code == 200


def test_work_is_not_handed_to_somebody_unknown(client, hidden):
    offer = make.make_offer(status="accepted")
    client.force_login(offer.agent.user)
    path = f"/api/v1/work-items/{offer.work_item_id}/transfer/"
    answer = client.post(path, {"agent": hidden.pk}, content_type="application/json")
    assert "agent" in refused(answer)
    offer.refresh_from_db()
    assert offer.status == "accepted"
