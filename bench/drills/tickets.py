"""Mixed races over a running house: people and tickets are merged and parted while others reply, close and write."""

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import orjson

from bench import load
from bench.drills.erasures import command
from bench.drills.log import Log
from bench.names import token_of
from bench.scene import Scene
from bench.stack import ROOT, Stack, until

RACERS = 6  # requests of a race, all at the same instant
PAIRS = 8  # of people who are merged and parted
THREADS = 3  # contacts of a person at the beginning
UNDER = 500  # answers from here on are our own fault
ACTS = (
    "merge people",
    "part people",
    "merge tickets",
    "part tickets",
    "split",
    "reply",
    "close",
    "reopen",
    "write",
)


@dataclass
class Pair:
    """Two people and everything that is theirs."""

    customers: tuple[int, int]
    authors: tuple[str, str]


@dataclass
class Act:
    """One request, and what it was."""

    name: str
    bytes: bytes
    text: str = ""
    contact: int = 0


def run(scene: Scene, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    stack = scene.stack
    pairs = people(scene)
    home = dict(stack.sql("SELECT id, customer_id FROM crm_identity"))
    answers: Counter = Counter()
    broken: list[str] = []
    replies: dict[str, tuple[int, int]] = {}
    waits = deadlocks(stack)
    for number in range(options.races):
        acts = [
            act_of(scene, dice, dice.choice(pairs[:2] if number % 2 else pairs), number)
            for _ in range(RACERS)
        ]
        acts = [act for act in acts if act is not None]
        whose = dict(stack.sql("SELECT id, identity_id FROM crm_interaction"))
        for act, (status, body) in zip(acts, load.run(at_once(stack.port, acts)), strict=True):
            answers[act.name, status] += 1
            if status >= UNDER or status == 0:
                broken.append(f"race {number}: {act.name} {status} {body[:200]!r}")
            if act.name == "reply" and status == 201:
                replies[act.text] = (act.contact, whose[act.contact])
    stack.drain(60)
    parted = part_all(stack, pairs)
    violations = broken_rules(stack)
    facts = {
        "races, requests": (options.races, sum(answers.values())),
        "answers": {
            name: {status: many for (act, status), many in sorted(answers.items()) if act == name}
            for name in ACTS
        },
        "deadlocks that PostgreSQL broke": deadlocks(stack) - waits,
        "merges undone at the end": parted,
        "broken": broken[:5],
        "violations": violations,
    }
    for line in broken:
        log.note(line)
    return facts, {
        "no caller saw a fault or a deadlock": not broken,
        "every act succeeded at times": all(any(act == name and status < 300 for act, status in answers) for name in ACTS),
        "and was refused at times: they did compete": any(status == 409 for _, status in answers),
        **standing(stack, replies, home),
        "reconcile finds no violation": not violations,
        "the history is whole": command(stack, "verify_audit") == 0,
    }  # fmt: skip


def people(scene: Scene) -> list[Pair]:
    """Pairs of people with some threads each."""
    authors = [(f"left{n}", f"right{n}") for n in range(PAIRS)]
    posts = [
        load.item(f"tickets-{author}-{place}", author)
        for pair in authors
        for author in pair
        for place in range(THREADS)
    ]
    scene.post(posts)
    known = dict(scene.stack.sql("SELECT value, customer_id FROM crm_identity"))
    return [Pair((known[left], known[right]), (left, right)) for left, right in authors]


# --- What is done


def act_of(scene: Scene, dice: random.Random, pair: Pair, number: int) -> Act | None:
    """An act that made sense a moment ago; None where there is nothing to do it to."""
    stack, name = scene.stack, dice.choice(ACTS)
    contacts = stack.sql(
        "SELECT i.id, i.status, i.ticket_id FROM crm_interaction i JOIN crm_identity y ON y.id = i.identity_id "
        "WHERE y.value = ANY(%s) AND i.folded_into_id IS NULL ORDER BY i.id",
        (list(pair.authors),),
    )
    contact, _, ticket = dice.choice(contacts)
    left, right = dice.sample(pair.customers, 2)
    if name == "merge people":
        return asked(scene, dice, name, f"customers/{left}/merge/", {"other": right})
    if name == "part people":
        steps = stack.sql(
            "SELECT max(id) FROM crm_merge WHERE survivor_id = ANY(%s)", (list(pair.customers),)
        )
        return asked(scene, dice, name, f"merges/{steps[0][0]}/undo/", {}) if steps[0][0] else None
    if name == "merge tickets":
        other = dice.choice(contacts)[2]
        return asked(scene, dice, name, f"tickets/{ticket}/merge/", {"other": other})
    if name == "part tickets":
        steps = stack.sql("SELECT merged_id FROM crm_ticketmerge ORDER BY id DESC LIMIT 5")
        return asked(scene, dice, name, f"tickets/{dice.choice(steps)[0]}/unmerge/", {}) if steps else None
    if name == "split":
        said = stack.sql(
            "SELECT id FROM crm_message WHERE interaction_id = %s AND direction = 'inbound' ORDER BY id DESC LIMIT 1",
            (contact,),
        )
        return asked(scene, dice, name, f"tickets/{ticket}/split/", {"message": said[0][0]})
    if name == "write":
        author = dice.choice(pair.authors)
        post = load.item(f"tickets-{author}-{number}-{next(scene.numbers)}", author)
        parent = f"tickets-{author}-{dice.randrange(THREADS)}"
        return Act(name, scene.delivery([post | {"kind": "reply", "in_reply_to": parent}]))
    return on_contact(scene, dice, name, contact, number)


def on_contact(scene: Scene, dice: random.Random, name: str, contact: int, number: int) -> Act:
    if name == "reply":
        text = f"Reply {number}.{next(scene.numbers)}: we are looking into it"
        act = asked(scene, dice, name, f"interactions/{contact}/replies/", {"text": text})
        act.text, act.contact = text, contact
        return act
    if name == "close":
        return asked(
            scene, dice, name, f"interactions/{contact}/close/", {"reason": "billing", "outcome": "solved"}
        )
    return asked(scene, dice, name, f"interactions/{contact}/reopen/", {})


def asked(scene: Scene, dice: random.Random, name: str, path: str, body: dict) -> Act:
    headers = load.bearer(token_of(dice.randint(1, 40)))
    return Act(name, load.request("POST", f"/api/v1/{path}", scene.stack.port, orjson.dumps(body), headers))


async def at_once(port: int, acts: list[Act]) -> list[tuple[int, bytes]]:
    callers = [await load.connect(port) for _ in acts]
    answers = await asyncio.gather(*[one(caller, act) for caller, act in zip(callers, acts, strict=True)])
    for caller in callers:
        if caller.transport:
            caller.transport.close()
    return answers


async def one(caller: load.Caller, act: Act) -> tuple[int, bytes]:
    try:
        return await asyncio.wait_for(caller.call(act.bytes), 60)
    except (TimeoutError, load.Lost) as error:
        return 0, repr(error).encode()


# --- What must hold


def standing(stack: Stack, replies: dict[str, tuple[int, int]], home: dict[int, int]) -> dict[str, bool]:
    """Nothing is lost, nothing is somebody else's, and with all merges undone everybody has his own again."""
    kept: dict[str, list[tuple[int, int]]] = {}
    for text, contact, identity in stack.sql(
        "SELECT m.text, i.id, i.identity_id FROM crm_message m JOIN crm_interaction i ON i.id = m.interaction_id "
        "WHERE m.direction = 'outbound'"
    ):
        kept.setdefault(text, []).append((contact, identity))
    delivered, heard = stack.sql(
        "SELECT (SELECT count(*) FROM crm_delivery WHERE state = 'done'), "
        "(SELECT count(*) FROM crm_message WHERE direction = 'inbound' AND interaction_id IS NOT NULL)"
    )[0]
    return {
        "there were many replies": len(replies) > 10,
        "every reply stands once": set(kept) == set(replies) and all(len(found) == 1 for found in kept.values()),
        "and is for the person it was written to": all(kept[text][0][1] == identity for text, (_, identity) in replies.items()),
        "no reply answers another person's post": not stack.sql(
            "SELECT 1 FROM crm_message m JOIN crm_interaction i ON i.id = m.interaction_id JOIN crm_message q "
            "ON q.channel_id = m.channel_id AND q.external_id = m.in_reply_to AND q.direction = 'inbound' "
            "WHERE m.direction = 'outbound' AND q.identity_id <> i.identity_id LIMIT 1"
        ),
        "every post is in a contact": delivered == heard,
        **{f"no {what}": not stack.sql(one) for what, one in ORPHANS.items()},
        "parted again, everybody has his own": dict(stack.sql("SELECT id, customer_id FROM crm_identity")) == home,
    }  # fmt: skip


ORPHANS = {
    "contact on another person's ticket": "SELECT 1 FROM crm_interaction i LEFT JOIN crm_ticket t ON t.id = i.ticket_id "
    "WHERE t.id IS NULL OR t.customer_id <> i.customer_id LIMIT 1",
    "contact away from its address": "SELECT 1 FROM crm_interaction i JOIN crm_identity y ON y.id = i.identity_id "
    "WHERE y.customer_id <> i.customer_id LIMIT 1",
    "ticket without a contact": "SELECT 1 FROM crm_ticket t WHERE t.status <> 'folded' AND NOT EXISTS "
    "(SELECT 1 FROM crm_interaction i WHERE i.ticket_id = t.id) LIMIT 1",
    "contact left on a merged ticket": "SELECT 1 FROM crm_ticket t WHERE t.status = 'folded' AND (t.folded_into_id IS NULL "
    "OR EXISTS (SELECT 1 FROM crm_interaction i WHERE i.ticket_id = t.id AND i.folded_into_id IS NULL)) LIMIT 1",
    "words without a contact": "SELECT 1 FROM crm_message WHERE direction = 'inbound' AND interaction_id IS NULL LIMIT 1",
}


def part_all(stack: Stack, pairs: list[Pair]) -> int:
    """Undo every merge of these people that stands, by the same door; returns how many."""
    undone, ours = 0, [one for pair in pairs for one in pair.customers]

    def none_left() -> bool:
        nonlocal undone
        steps = stack.sql(
            "SELECT id FROM crm_merge WHERE undone_at IS NULL AND survivor_id = ANY(%s) ORDER BY id DESC",
            (ours,),
        )
        for (step,) in steps:
            request = load.request(
                "POST", f"/api/v1/merges/{step}/undo/", stack.port, b"{}", load.bearer(token_of(1))
            )
            status, _ = load.run(at_once(stack.port, [Act("part people", request)]))[0]
            undone += status == 200
        return not steps

    until(none_left, 60, "all merges undone")
    return undone


def broken_rules(stack: Stack) -> list[dict]:
    """What `reconcile` finds."""
    words = [sys.executable, str(ROOT / "manage.py"), "reconcile", "--json"]
    done = subprocess.run(words, cwd=ROOT, env=stack.environ(), capture_output=True, text=True)
    return json.loads(done.stdout)["violations"]


def deadlocks(stack: Stack) -> int:
    return stack.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0]
