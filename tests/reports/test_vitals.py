"""`/metrics`: the rows' own figures and what all processes of the host counted, for who may see everything."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families as parsed

from crm import counters, launcher, rows
from crm.choices import Role
from crm.services import deliveries, tokens
from reports.services import vitals
from routing.models import Leader
from routing.services import assignments
from tests import factories as make

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
pytestmark = pytest.mark.django_db


def figures(client, **request) -> dict[tuple, float]:
    """Every sample by its name and the values of its labels."""
    answer = client.get("/metrics", **request)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parsed(answer.content.decode())
        for sample in family.samples
    }


# --- What it says


def test_what_waits_is_told_with_its_age(client):
    queue, idle = make.make_queue(slug="billing"), make.make_queue(slug="idle")
    now = timezone.now()
    make.make_work_item(queue=queue, queued_at=now - timedelta(minutes=20))
    make.make_work_item(queue=queue, queued_at=now - timedelta(minutes=5))
    make.make_offer(work_item=make.make_work_item(queue=queue))
    make.make_delivery(received_at=now - timedelta(seconds=90))
    make.make_delivery(state="quarantined", error="broken")
    make.make_delivery(state="done", outcome="opened")
    told = figures(client)
    assert told["earshot_work_items", "billing", "waiting"] == 2
    assert told["earshot_work_items", "billing", "offered"] == 1
    assert told["earshot_oldest_queued_seconds", "billing"] == pytest.approx(1200, abs=30)
    assert told["earshot_oldest_queued_seconds", idle.slug] == 0
    assert told["earshot_deliveries", "queued"] == 1
    assert told["earshot_deliveries", "in_progress"] == 0
    assert told["earshot_deliveries", "quarantined"] == 1
    assert told["earshot_oldest_delivery_seconds",] == pytest.approx(90, abs=30)


def test_unknown_sends_silent_agents_and_the_leader_are_told(client):
    interaction = make.make_interaction()
    for state in ("unknown", "sent", "queued"):
        make.make_message(interaction, direction="outbound", state=state, external_id=None)
    make.make_agent(), make.make_agent(silent=True), make.make_agent(blocked_families=["chat"])
    make.make_agent(chosen="offline", silent=True)
    for part, silent in (("belt", 30), ("router", 130)):
        Leader.objects.create(name=part, backend_pid=1, beat_at=timezone.now() - timedelta(seconds=silent))
    told = figures(client)
    assert (told["earshot_replies", "unknown"], told["earshot_replies", "queued"]) == (1, 1)
    assert ("earshot_replies", "sent") not in told
    assert (told["earshot_agents", "available"], told["earshot_agents", "not_responding"]) == (1, 2)
    assert told["earshot_agents", "offline"] == 1
    assert told["earshot_leader_silence_seconds", "belt"] == pytest.approx(30, abs=20)
    assert told["earshot_leader_silence_seconds", "router"] == pytest.approx(130, abs=20)
    assert told["earshot_database_up",] == 1
    held = sum(value for key, value in told.items() if key[0] == "earshot_database_connections")
    assert 1 <= held <= told["earshot_database_connections_limit",]


def test_offers_are_counted_with_their_end_after_the_commit(client, django_capture_on_commit_callbacks):
    before = figures(client)
    agent = make.make_agent()
    accepted, declined = make.make_offer(agent), make.make_offer(agent)
    with django_capture_on_commit_callbacks(execute=True):
        assignments.accept(accepted.pk, by=agent.user)
        assignments.decline(declined.pk, by=agent.user, reason="busy")
    after = figures(client)
    for state in ("accepted", "declined"):
        key = ("earshot_offers_total", state)
        assert after[key] - before.get(key, 0) == 1
    undone = make.make_offer(agent)
    with django_capture_on_commit_callbacks():  # nothing was committed
        assignments.accept(undone.pk, by=agent.user)
    assert figures(client)["earshot_offers_total", "accepted"] == after["earshot_offers_total", "accepted"]


def test_items_are_counted_at_the_door_and_at_their_end(client):
    before = figures(client)
    channel = make.make_channel()
    item = b'{"id": "1", "kind": "mention", "text": "hi", "created_at": "2020-01-01T00:00:00Z", "author": {"id": "9"}}'
    deliveries.accept(channel, [item, item, b'{"id": "2"}'])
    deliveries.process()
    after = figures(client)

    def more(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    for result in ("accepted", "duplicate", "rejected"):
        assert more("earshot_intake_items_total", result) == 1
    assert sum(more(*key) for key in after if key[0] == "earshot_deliveries_handled_total") == 1
    assert more("earshot_ingest_lag_seconds_count") == 1


def test_nobodys_words_or_names_are_told(client):
    agent = make.make_agent()
    make.make_offer(agent, make.make_work_item(make.make_interaction(text="canary-9b1f")))
    text = client.get("/metrics").content.decode()
    for secret in ("canary-9b1f", agent.user.email, agent.user.name):
        assert secret not in text


def test_without_a_database_it_says_so_and_still_tells_the_counters(client, monkeypatch):
    def gone(*_: object) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(vitals.rows, "run", gone)
    counters.REFUSED.labels("unavailable").inc()
    told = figures(client)
    assert told["earshot_database_up",] == 0
    assert told["earshot_intake_refused_total", "unavailable"] >= 1
    assert not [key for key in told if key[0] == "earshot_work_items"]


def test_watching_costs_a_fixed_number_of_statements(client, django_assert_num_queries):
    for _ in range(3):
        make.make_work_item()
    with django_assert_num_queries(len(vitals._FIGURES) + 2):  # and the savepoint around them
        client.get("/metrics")


def test_no_figure_reads_a_large_table_whole():
    rows.run(
        "SET LOCAL enable_seqscan = off"
    )  # the tables are empty here: what is left says whether an index would do
    for _, _, statement in vitals._FIGURES.values():
        plan = "\n".join(line for (line,) in rows.run(f"EXPLAIN {statement}"))
        assert not re.search(r"Seq Scan on (crm_message|crm_delivery|routing_workitem)", plan), plan


# --- Who may read


def test_from_elsewhere_only_who_may_see_everything_reads_it(client):
    assert client.get("/metrics", **ELSEWHERE).status_code == 401
    for role, answer in (
        (Role.AGENT, 401),
        (Role.SUPERVISOR, 401),
        (Role.AUDITOR, 200),
        (Role.ADMINISTRATOR, 200),
    ):
        user = make.make_user(role)
        client.force_login(user)
        assert client.get("/metrics", **ELSEWHERE).status_code == answer
        client.logout()
        bearer = {"authorization": f"Bearer {tokens.issue(user)}"}
        assert client.get("/metrics", headers=bearer, **ELSEWHERE).status_code == answer


def test_a_token_needs_the_scope_of_the_feed(client):
    user = make.make_user(Role.API_CLIENT)
    for scope, answer in (("events:read", 200), ("customers:read", 401)):
        bearer = {"authorization": f"Bearer {tokens.issue(user, scopes=[scope])}"}
        assert client.get("/metrics", headers=bearer, **ELSEWHERE).status_code == answer
    assert (
        client.get("/metrics", headers={"authorization": "Bearer ear_nobody"}, **ELSEWHERE).status_code == 401
    )


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_a_proxy_on_this_machine_passes_on_came_from_elsewhere(client, header):
    assert client.get("/metrics", headers={header: "198.51.100.4"}).status_code == 401


def test_the_scraper_gets_the_format_that_it_asks_for(client):
    plain = client.get("/metrics")
    assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
    assert plain["Cache-Control"] == "no-store"
    open_metrics = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert open_metrics["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.content.endswith(b"# EOF\n")


# --- Several processes


def in_a_process(folder: Path, code: str) -> str:
    """What a process prints that counts in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", f"import os\nfrom crm import counters as c\n{code}"],
        cwd=ROOT, env=os.environ | {counters.FOLDER: str(folder)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_all_processes_of_a_host_are_added_up_and_a_fallen_one_holds_no_sockets(tmp_path):
    count = "c.OFFERS.labels('made').inc(2); c.SOCKETS.set(5); c.RESYNCS.inc(); print(os.getpid())"
    first, _ = in_a_process(tmp_path, count), in_a_process(tmp_path, count)
    tell = "\n".join(
        ["for f in c.families():", "    for s in f.samples: print(s.name, *s.labels.values(), s.value)"]
    )
    told = in_a_process(tmp_path, tell).splitlines()
    assert {
        "earshot_offers_total made 4.0",
        "earshot_sockets 10.0",
        "earshot_socket_resyncs_total 2.0",
    } <= set(told)
    launcher.forget_held(tmp_path, int(first))
    told = in_a_process(tmp_path, tell).splitlines()
    assert {"earshot_offers_total made 4.0", "earshot_sockets 5.0"} <= set(told)
