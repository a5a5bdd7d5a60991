"""People are erased while the eraser is killed; then they are looked for everywhere, and all they posted is delivered again."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import load
from bench.drills.log import Log
from bench.scene import Scene
from bench.stack import ROOT, BenchError, Stack, until

MARK = "Zqxcanary"  # stands in every name, handle, id and text of who is erased
BATCH = 500
PATIENCE = 900.0  # s for all erasures

TEXTS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_name = c.table_name AND t.table_schema = c.table_schema
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
AND c.data_type IN ('text', 'character varying', 'jsonb', 'json', 'bytea', 'ARRAY', 'character')
"""
# What reports count, row by row without ids and words: it may not change.
FIGURES = {
    "contacts": "SELECT md5(coalesce(string_agg(concat_ws('|', opened_at, received_at, first_message_at, last_message_at, "
    "status, family, audience, topic, language, sentiment, reach, first_response_at, closed_at, reason, outcome, team_id, "
    "channel_id), "
    "',' ORDER BY id), '')) FROM crm_interaction",
    "messages": "SELECT md5(coalesce(string_agg(concat_ws('|', at, created_at, direction, audience, state, sentiment, courtesy, "
    "sent_at, deleted_at, channel_id, interaction_id), ',' ORDER BY id), '')) FROM crm_message",
    "tickets": "SELECT md5(coalesce(string_agg(concat_ws('|', opened_at, updated_at, status, kind, topic, priority, due_at, "
    "solved_at, team_id, owner_id, brand_id), ',' ORDER BY id), '')) FROM crm_ticket",
    "mentions": "SELECT md5(coalesce(string_agg(concat_ws('|', posted_at, received_at, network, language, sentiment, topic, "
    "verdict, status, likes, reposts, actionable), ',' ORDER BY id), '')) FROM socialcare_mention",
    "work items": "SELECT md5(coalesce(string_agg(concat_ws('|', status, queued_at, deadline, accepted_at, done_at, queue_id), "
    "',' ORDER BY id), '')) FROM routing_workitem",
    "clocks": "SELECT md5(coalesce(string_agg(concat_ws('|', kind, state, started_at, due_at, stopped_at), ',' ORDER BY id), "
    "'')) FROM crm_ticketclock",
    "customers": "SELECT count(*)::text FROM crm_customer",
    "ledger": "SELECT md5(string_agg(concat_ws('|', state, outcome, copies, received_at), ',' ORDER BY id)) FROM crm_delivery",
}


def run(scene: Scene, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    stack = scene.stack
    posts = of_people(options.people, dice)
    others = of_others(options.people)
    hand_in(scene, posts + others)
    people = json.loads(in_house(stack, "-m", "bench.drills.people"))["customers"]
    command(stack, "verify_audit")
    calm(stack)
    before, traces = figures(stack), look(stack)
    log.note(f"before: {traces}")
    listed = stack.home / "erase.txt"
    listed.write_text("\n".join(map(str, people)))
    killed, seconds = erase(stack, listed, dice, log)
    listed.unlink()
    after, left = figures(stack), look(stack)
    ledger, customers = stack.ledger(), count(stack, "crm_customer")
    dice.shuffle(posts)
    hand_in(scene, posts)
    again, back = stack.ledger(), look(stack)
    facts = {
        "people erased, posts of theirs": (len(people), len(posts)),
        "places where they stood": len(traces),
        "the eraser was killed": killed,
        "seconds, per person": (f"{seconds:.1f}", f"{seconds / len(people) * 1000:.0f} ms"),
        "left": left,
        "came back": back,
        "figures that changed": [name for name in before if before[name] != after[name]],
        "turned away": count(stack, "crm_delivery WHERE outcome = 'erased'"),
    }
    checks = {
        "everybody stood in many places": len(traces) >= 12,
        "the eraser was killed in the middle": killed > 0,
        "all are erased, each with one proof": count(stack, "crm_erasure WHERE state = 'done'")
        == len(people),
        "nothing of them in database, files, streams and Valkey": not left,
        "figures unchanged": before == after,
        "what they had posted stays out": not back and count(stack, "crm_customer") == customers,
        "and is counted": again["received"] == ledger["received"] + len(posts)
        and facts["turned away"] == len({one["id"] for one in posts}),
        "other people are all there": count(stack, "crm_identity WHERE handle LIKE 'other%%'")
        == options.people,
        "the history is whole": command(stack, "verify_audit") == 0,
        "reconcile finds no violation": command(stack, "reconcile") == 0,
    }
    return facts, checks


def of_people(many: int, dice: random.Random) -> list[dict]:
    """Complaints, replies, what is passed over, and reposts of people who will be erased."""
    posts = []
    for number in range(many):
        author = {
            "id": f"{MARK}id{number}", "handle": f"{MARK}_{number}", "name": f"{MARK}{number} Surname",
            "email": f"{MARK}{number}@mail.test".lower(), "followers": dice.randint(1, 9000),
        }  # fmt: skip
        for place in range(dice.randint(2, 5)):
            one = load.item(f"{MARK}-{number}-{place}", "", f"@brand {MARK}: {load.COMPLAINT}")
            if place == 1:
                one |= {
                    "kind": "reply",
                    "in_reply_to": f"{MARK}-{number}-0",
                    "text": f"{MARK}: and still nothing, please help",
                }
            elif place == 2:
                one["text"] = f"{MARK}: nice weather"
            elif place == 3:
                one |= {"kind": "repost", "in_reply_to": f"{MARK}-{number}-0", "text": ""}
            posts.append(one | {"author": author, "created_at": "2026-01-05T10:00:00Z"})
    return posts


def of_others(many: int) -> list[dict]:
    """Somebody else answers in each of their threads."""
    return [
        load.item(
            f"other-{number}",
            f"other{number}",
            f"@{MARK}_{number} the same here, nobody helps, this is terrible",
        )
        | {"kind": "reply", "in_reply_to": f"{MARK}-{number}-0", "created_at": "2026-01-05T11:00:00Z"}
        for number in range(many)
    ]


def hand_in(scene: Scene, posts: list[dict]) -> None:
    for start in range(0, len(posts), BATCH):
        scene.post(posts[start : start + BATCH])


def calm(stack: Stack) -> None:
    """Clocks are replayed and work items ended: nothing moves any more by itself."""
    waiting = "SELECT 1 FROM crm_ticket WHERE clocked_at IS DISTINCT FROM updated_at LIMIT 1"
    if stack.sql("SELECT 1 FROM crm_slapolicy LIMIT 1"):
        until(lambda: not stack.sql(waiting), 120, "clocks are replayed", 0.5)


def erase(stack: Stack, listed: Path, dice: random.Random, log: Log) -> tuple[int, float]:
    """Run the command, kill it (-9) in the middle, run it again; the house's worker is at it too."""
    words = [sys.executable, str(ROOT / "manage.py"), "erase", "--file", str(listed), "--yes", "--json"]
    started, killed = time.monotonic(), 0
    process = subprocess.Popen(
        words, cwd=ROOT, env=stack.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    total = len(listed.read_text().split())
    middle = max(1, int(total * dice.uniform(0.05, 0.3)))
    while process.poll() is None:
        if count(stack, "crm_erasure WHERE state = 'done'") >= middle:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
            break
        time.sleep(0.02)
    process.wait()
    done = count(stack, "crm_erasure WHERE state = 'done'")
    log.note(f"killed after {done} of {total}")
    waits = "crm_erasure WHERE state = 'waiting'"
    # What was promised is a row: the worker finishes it, whether or not somebody asks again.
    until(lambda: not count(stack, waits), PATIENCE, "all erasures done", 0.2)
    return killed, time.monotonic() - started


def count(stack: Stack, what: str) -> int:
    return stack.sql(f"SELECT count(*) FROM {what}")[0][0]


def figures(stack: Stack) -> dict[str, Any]:
    return {name: stack.sql(statement)[0][0] for name, statement in FIGURES.items()}


def look(stack: Stack) -> dict[str, int]:
    """Where the mark stands: each column of text, JSON and bytes of each table, each file of the home, each key of Valkey."""
    mark = MARK.lower()
    found = {}
    with stack.connect() as link:
        for table, column, kind in link.execute(TEXTS).fetchall():
            text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
            many = link.execute(
                f'SELECT count(*) FROM "{table}" WHERE position(%s in lower({text})) > 0', (mark,)
            ).fetchone()
            if many and many[0]:
                found[f"{table}.{column}"] = many[0]
    return found | in_files(stack, mark.encode()) | in_valkey(stack, mark.encode())


def in_files(stack: Stack, mark: bytes) -> dict[str, int]:
    """All files of the home but the database's own pages and logs of writing, which are read through the database above."""
    found = {}
    for folder, below, names in os.walk(stack.home):
        if "PG_VERSION" in names:
            below.clear()
            continue
        for name in names:
            path = Path(folder) / name
            if name == "erase.txt" or not path.is_file():
                continue
            if many := path.read_bytes().lower().count(mark):
                found[str(path.relative_to(stack.home))] = many
    return found


def in_valkey(stack: Stack, mark: bytes) -> dict[str, int]:
    """Names and values of all keys, also of streams."""
    bell = stack.bell()
    found = {}
    readers = {
        b"string": bell.get, b"list": lambda key: bell.lrange(key, 0, -1), b"set": bell.smembers, b"hash": bell.hgetall,
        b"zset": lambda key: bell.zrange(key, 0, -1), b"stream": lambda key: bell.xrange(key),
    }  # fmt: skip
    for key in bell.scan_iter(count=1000):
        value = readers[bell.type(key)](key)
        if many := repr((key, value)).encode().lower().count(mark):
            found[f"valkey {key!r}"] = many
    return found


def in_house(stack: Stack, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=stack.environ(), capture_output=True, text=True
    )
    if done.returncode:
        raise BenchError(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]


def command(stack: Stack, name: str) -> int:
    words = [sys.executable, str(ROOT / "manage.py"), name]
    return subprocess.run(words, cwd=ROOT, env=stack.environ(), capture_output=True, text=True).returncode
