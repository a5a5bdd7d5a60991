"""`reconcile`: a sound centre passes, and each check fails on the very row that breaks it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from crm.models import ChannelAccount, Customer, Merge
from crm.services import streams
from reports.services import reconciliation
from tests import factories as make

pytestmark = pytest.mark.django_db
LEDGER = "the ledger's sum holds"

# Check -> statements after which it must fail, and nothing but what they name is touched.
BREAKS = {
    "a done delivery has an outcome": ["UPDATE crm_delivery SET outcome = '' WHERE state = 'done'"],
    "a quarantined delivery has a reason": ["UPDATE crm_delivery SET error = '' WHERE state = 'quarantined'"],
    "one mention for one post": [
        "ALTER TABLE socialcare_mention DROP CONSTRAINT mention_once",
        "UPDATE socialcare_mention SET network = 'x', external_id = 'same'",
    ],
    "one customer behind an identity": ["UPDATE crm_identity SET customer_id = 999999999"],
    "one open contact of an identity in a thread": [
        "DROP INDEX interaction_once",
        "UPDATE crm_interaction SET thread = 1, audience = 'public', identity_id = (SELECT min(id) FROM crm_identity)",
    ],
    "a contact belongs to its identity's customer": [
        "UPDATE crm_interaction SET customer_id = (SELECT max(id) FROM crm_customer) WHERE status = 'closed'"
    ],
    "a contact's ticket is its customer's": [
        "UPDATE crm_ticket SET customer_id = (SELECT max(id) FROM crm_customer)"
    ],
    "a mention belongs to its author's customer": [
        "UPDATE socialcare_mention SET customer_id = (SELECT max(id) FROM crm_customer)"
    ],
    "a merged customer is an empty shell of one live merge": ["UPDATE crm_merge SET undone_at = now()"],
    "merges lead to a customer and never in a circle": [
        "UPDATE crm_customer c SET merged_into_id = g.merged_id FROM crm_merge g WHERE g.survivor_id = c.id"
    ],
    "a reply stands in the contact whose post it answers": [
        "UPDATE crm_message m SET in_reply_to = q.external_id FROM crm_message q WHERE m.direction = 'outbound' "
        "AND q.direction = 'inbound' AND q.channel_id = m.channel_id AND q.identity_id <> "
        "(SELECT identity_id FROM crm_interaction WHERE id = m.interaction_id)"
    ],
    "a folded ticket holds no open contact": [
        "UPDATE crm_ticket SET status = 'folded' WHERE solved_at IS NULL"
    ],
    "an open contact has exactly one open work item": [
        "UPDATE routing_workitem SET status = 'done', done_at = now() WHERE status = 'waiting'"
    ],
    "a closed contact has no open work item": [
        "UPDATE routing_workitem SET status = 'waiting' WHERE status = 'done'"
    ],
    "what was counted of choices holds together": [
        "INSERT INTO routing_choicecount (hour, what, won, number) VALUES (now(), 'looked', 'chat', 1)"
    ],
    "an open contact is owned by a team": ["UPDATE crm_interaction SET team_id = NULL WHERE status = 'open'"],
    "work waits in a queue that there is, and never goes back to one it overflowed from": [
        "UPDATE routing_workitem SET been_in = jsonb_build_array(queue_id)"
    ],
    "a work item's state fits its live assignment": [
        "UPDATE routing_workitem SET status = 'waiting' WHERE status = 'offered'"
    ],
    "an agent's load is what he holds": ["UPDATE routing_agent SET load = load + 1"],
    "nobody is over capacity by more than two items": ["UPDATE routing_agent SET capacity = 15, load = 22"],
    "streams are dense": ["DELETE FROM crm_liveevent WHERE seq = 2"],
    "a stream's number is its newest event's": ["UPDATE crm_stream SET seq = seq + 1"],
    "a sent reply has the network's id": [
        "UPDATE crm_message SET external_id = NULL WHERE direction = 'outbound'"
    ],
    "nothing posted stands twice": [
        "ALTER TABLE crm_message DROP CONSTRAINT message_once",
        "UPDATE crm_message SET external_id = 'same', channel_id = (SELECT min(id) FROM crm_channel)",
    ],
    "what a person was given is what his grants add up to": [
        """UPDATE crm_user SET reach = '{"reply": {"all": true}}'"""
    ],
    "our own accounts are no mentions": [
        "UPDATE crm_channelaccount a SET channel_id = m.channel_id, external_id = i.value "
        "FROM socialcare_mention m JOIN crm_identity i ON i.id = m.identity_id"
    ],
    LEDGER: ["UPDATE crm_delivery SET state = 'lost' WHERE state = 'queued'"],
}  # fmt: skip


@pytest.fixture
def centre():
    """One of everything that a check looks at, as it should be."""
    channel, queue = make.make_channel(), make.make_queue()
    agent, other = make.make_agent(capacity=15), make.make_agent(capacity=15)
    make.make_work_item(make.make_interaction(channel), queue)
    make.make_offer(agent, make.make_work_item(make.make_interaction(channel), queue))
    held = make.make_assignment(other, make.make_work_item(make.make_interaction(channel), queue)).work_item
    make.make_message(
        held.interaction, direction="outbound", state="sent", author=other.user, identity=None,
        idempotency_key="key", in_reply_to=held.interaction.messages.get().external_id,
    )  # fmt: skip
    at = held.created_at
    closed = make.make_interaction(channel, status="closed", closed_at=at, team=queue.team)
    make.make_work_item(closed, queue, status="done", accepted_at=at, done_at=at)
    make.make_mention(channel), make.make_mention(channel)
    ChannelAccount.objects.create(channel=channel, external_id="us", handle="us")
    make.make_delivery(channel)
    make.make_delivery(channel, state="done", outcome="opened", copies=3)
    make.make_delivery(channel, state="quarantined", error="broken")
    survivor, merged = make.make_customer(), make.make_customer()
    Merge.objects.create(survivor=survivor, merged=merged)
    Customer.objects.filter(pk=merged.pk).update(merged_into=survivor)
    make.make_customer()  # the newest: nothing is his
    for _ in range(3):
        streams.tell([(f"desk:{agent.user_id}", "alert", {})])


@contextmanager
def broken(statements: list[str]) -> Iterator[None]:
    """For the length of the block; constraints that are checked at the commit are never asked."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what was written before is sound
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for statement in statements:
                cursor.execute(statement)
                assert cursor.rowcount != 0, statement
        yield
        transaction.set_rollback(True)


def reconcile(**options: object) -> tuple[int, str]:
    """The exit code, and what was printed."""
    out = StringIO()
    try:
        call_command("reconcile", stdout=out, **options)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


def test_a_sound_centre_passes(centre):
    code, text = reconcile(json=True)
    assert json.loads(text) == {"checks": len(BREAKS), "violations": []}
    assert code == 0
    assert reconcile() == (0, f"{len(BREAKS)} checks, 0 broken\n")


def test_every_check_is_broken_here_once():
    assert set(BREAKS) == {*reconciliation.CHECKS, LEDGER}


@pytest.mark.parametrize("check", BREAKS)
def test_each_check_fails_on_what_breaks_it(centre, check):
    with broken(BREAKS[check]):
        code, text = reconcile(json=True)
        told = {one["check"]: one["found"] for one in json.loads(text)["violations"]}
        assert code == 1
        assert told[check]
        code, text = reconcile()
        assert code == 1
        assert f"BROKEN  {check}: [" in text
    assert reconcile()[0] == 0


def test_a_long_list_is_cut(centre):
    for _ in range(25):
        make.make_delivery(state="done", outcome="")
    found = reconciliation.violations()[0]["found"]
    assert len(found) == 20
