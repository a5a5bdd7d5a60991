"""The history: sealed line by line; whoever changes, takes away, puts in or cuts off lines is found out."""

import json
import os
import random
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connection, transaction

from crm import rows
from crm.choices import Role
from crm.models import Activity
from crm.services import activities, audit, tickets
from tests import factories as make

pytestmark = pytest.mark.django_db
TAMPERED = int(os.environ.get("AUDIT_TAMPERED", "60"))


def history(count):
    ticket, by = make.make_ticket(), make.make_user()
    for number in range(count):
        activities.record("ticket.edited", by=by, ticket_id=ticket.pk, fields=["subject"], number=number)
    while audit.seal_new(limit=50):
        pass


def past_the_trigger(sql, params=()):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, params)
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_what_was_written_is_whole_and_is_sealed_once():
    history(120)
    found = audit.verify()
    assert (found["lines"], found["broken"], found["unsealed"]) == (120, 0, 0)
    assert audit.seal_new() == 0
    assert list(Activity.objects.order_by("pk").values_list("seq", flat=True)) == list(range(1, 121))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE crm_activity SET verb = 'nothing.happened'",
        "DELETE FROM crm_activity",
        "UPDATE crm_activity SET data = '{}'",
    ],
)
def test_the_database_refuses_to_change_or_delete_a_line(sql):
    history(2)
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        rows.run(sql)


def test_tampered_lines_are_all_found_one_by_one():
    history(TAMPERED * 3)
    dice = random.Random(5)
    chosen = dice.sample(range(1, TAMPERED * 3 + 1), TAMPERED)
    changed, gone = chosen[: TAMPERED // 2], chosen[TAMPERED // 2 :]
    past_the_trigger(
        "UPDATE crm_activity SET data = data || '{\"number\": -1}' WHERE seq = ANY(%s)", (changed,)
    )
    past_the_trigger("DELETE FROM crm_activity WHERE seq = ANY(%s)", (gone,))
    found = audit.verify()
    altered = {one["seq"] for one in found["problems"] if one["problem"] == "is not what was sealed"}
    assert altered == set(changed)
    assert found["broken"] >= TAMPERED
    missing = sum(
        int(one["problem"].split(": ")[1])
        for one in found["problems"]
        if one["problem"].startswith("missing")
    )
    assert missing == len(gone)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("DELETE FROM crm_activity WHERE seq = (SELECT max(seq) FROM crm_activity)", "missing at the end: 1"),
        ("DELETE FROM crm_audithead", "the head of the chain is missing"),
        ("UPDATE crm_audithead SET seq = seq - 1", "the end is not what was sealed"),
        ("UPDATE crm_activity SET at = at - interval '1 day' WHERE seq = 3", "is not what was sealed"),
        ("UPDATE crm_activity SET actor_id = NULL WHERE seq = 3", "is not what was sealed"),
        ("UPDATE crm_activity SET source = 'api' WHERE seq = 3", "is not what was sealed"),
        (
            "INSERT INTO crm_activity (verb, data, at, source, seq, seal) SELECT 'x', '{}', now(), 'page', 11, seal "
            "FROM crm_activity WHERE seq = 10",
            "is not what was sealed",
        ),
        (
            "UPDATE crm_activity a SET data = b.data, at = b.at FROM crm_activity b WHERE a.seq + b.seq = 9 AND a.seq IN (4, 5)",
            "is not what was sealed",
        ),
        (
            "INSERT INTO crm_activity (verb, data, at, source) VALUES ('x', '{}', now() - interval '1 day', 'page')",
            "1 lines have",
        ),
    ],
)
def test_every_way_of_tampering_shows(sql, problem):
    history(10)
    past_the_trigger(sql)
    found = audit.verify()
    assert found["broken"] >= 1
    assert any(one["problem"].startswith(problem) for one in found["problems"])


def test_the_command_says_so_and_ends_with_one():
    history(5)
    out = StringIO()
    call_command("verify_audit", json=True, stdout=out)
    assert json.loads(out.getvalue())["broken"] == 0
    past_the_trigger("DELETE FROM crm_activity WHERE seq = 2")
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", stdout=out)
    assert ended.value.code == 1 and "missing before it: 1" in out.getvalue()


def test_the_door_stands_in_the_history(client):
    user = make.make_user(Role.AGENT)
    ticket = make.make_ticket()
    client.force_login(user)
    path = f"/api/v1/tickets/{ticket.pk}/"
    assert client.patch(path, {"subject": "by api"}, content_type="application/json").status_code == 200
    tickets.edit(ticket, {"subject": "by the house"}, by=user)
    assert list(Activity.objects.order_by("pk").values_list("source", flat=True)) == ["api", "house"]


def test_a_line_that_was_changed_is_counted_once_and_the_next_one_not_at_all():
    history(90)
    past_the_trigger("UPDATE crm_activity SET verb = 'ticket.closed' WHERE seq = 51")
    found = audit.verify()
    assert found["broken"] == 1 and [one["seq"] for one in found["problems"]] == [51]
    past_the_trigger("DELETE FROM crm_activity WHERE seq IN (60, 61)")
    assert audit.verify()["broken"] == 3
