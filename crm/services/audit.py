"""The history as a chain: each line of who did what is sealed with the line before it, so that tampering shows.

The seal is an HMAC under a key that is not in the database: who can write rows cannot make seals. Lines are sealed in the
background, in the order in which they are found; a line that is not sealed yet (`seq` is empty) is the waiting row, and no
writer waits for another. What a seal holds cannot be changed (a trigger), and a change past the trigger breaks the seal.
"""

import hmac
from collections.abc import Iterator
from datetime import UTC
from hashlib import sha256
from typing import Any

import orjson
from django.db import transaction

from crm import rows
from crm.services import keys

BATCH = 5_000
SHOWN = 2_000  # broken lines that are listed
HALF = 64  # hex digits of one half of a seal
LATE = 600  # s after which a line that nobody sealed is a finding

_LINES = "SELECT id, seq, seal, at, actor_id, verb, customer_id, ticket_id, interaction_id, data, source FROM crm_activity"


def seal_new(limit: int = BATCH) -> int:
    """Seal lines that are not sealed yet; returns how many. One sealer at a time."""
    with transaction.atomic(), rows.serialised("earshot.audit"):
        fresh = rows.dicts(f"{_LINES} WHERE seq IS NULL ORDER BY id LIMIT %s", (limit,))
        if not fresh:
            return 0
        last = rows.run("SELECT seq, seal FROM crm_activity WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1")
        seq, seal = last[0] if last else (0, "")
        key, seals = _key(), []
        for line in fresh:
            seq += 1
            seal = _seal(key, seq, seal, line)
            seals.append((line["id"], seq, seal))
        rows.run(
            "UPDATE crm_activity a SET seq = n.seq, seal = n.seal "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS n(id, seq, seal) WHERE a.id = n.id",
            tuple(map(list, zip(*seals, strict=True))),
        )
        rows.run(
            "INSERT INTO crm_audithead (id, seq, seal) VALUES (1, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, seal = excluded.seal",
            (seq, _head(key, seq, seal)),
        )
    return len(fresh)


def verify() -> dict:
    """Walk the whole chain: {"lines", "unsealed", "broken", "problems": [{"seq", "id", "problem"}]}.

    `broken` counts every line that was changed, taken away, put in or put elsewhere; of them `SHOWN` are listed.
    """
    key, broken, problems = _key(), 0, []
    expected, previous = 1, ""
    for line in _walk():
        wrong = list(_wrong(key, line, expected, previous))
        broken += max(0, line["seq"] - expected) + any(not one.startswith("missing") for one in wrong)
        problems += [{"seq": line["seq"], "id": line["id"], "problem": one} for one in wrong]
        expected, previous = line["seq"] + 1, line["seal"]
    head = rows.run("SELECT seq, seal FROM crm_audithead WHERE id = 1")
    if tail := _tail(key, head, expected - 1, previous):
        broken += max(1, (head[0][0] if head else 0) - expected + 1)
        problems.append({"seq": expected, "id": None, "problem": tail})
    unsealed, late = rows.run(
        "SELECT count(*), count(*) FILTER (WHERE at < now() - make_interval(secs => %s)) FROM crm_activity WHERE seq IS NULL",
        (LATE,),
    )[0]
    if late:
        broken += late
        problems.append(
            {"seq": None, "id": None, "problem": f"{late} lines have waited for their seal too long"}
        )
    return {"lines": expected - 1, "unsealed": unsealed, "broken": broken, "problems": problems[:SHOWN]}


# --- Erasing words from lines that are sealed

# What may stay of a line: numbers, and what is one of a few words of ours.
_CODES = {
    "status", "state", "verdict", "kind", "trust", "purpose", "queue", "list", "format", "outcome", "due", "fields", "way",
    "why", "topic", "macro", "acts",
}  # fmt: skip


def erase(ids: list[int]) -> int:
    """Take people's words out of sealed lines, in the caller's transaction; returns how many lines lost some.

    A line's place, time, actor, verb and links stay, and the half of its seal to which the next line is chained. In place
    of the words stands that half with a second seal over what is left: only who has the key can make it, so that a line
    which somebody else emptied is found like any other change. A line that was tampered with before stays a finding.
    """
    if not ids:
        return 0
    while seal_new():
        pass
    key, changed = _key(), []
    with rows.serialised("earshot.audit"):
        for line in rows.dicts(f"{_LINES} WHERE id = ANY(%s) ORDER BY id", (ids,)):
            data = rows.from_json(line["data"])
            plain = _without_words(data)
            if _second(data) or plain == data:
                continue
            was = hmac.new(key, _said(line["seq"], line, data), sha256).hexdigest()
            true = hmac.compare_digest(was, line["seal"][:HALF])
            mark = was + _reseal(key, line["seq"], line, plain, was) if true else "0" * 2 * HALF
            changed.append((line["id"], rows.as_json({**plain, "erased": mark})))
        if changed:
            rows.run(
                "UPDATE crm_activity a SET data = n.data FROM unnest(%s::bigint[], %s::jsonb[]) AS n(id, data) WHERE a.id = n.id",
                tuple(map(list, zip(*changed, strict=True))),
            )
    return len(changed)


def _without_words(data: Any) -> dict:
    return {
        name: value if name in _CODES and isinstance(value, str | list) else _numbers(value)
        for name, value in data.items()
    }


def _numbers(value: object) -> object:
    if isinstance(value, str):
        return ""
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if isinstance(inner, int | float | None)}
    return value


def _second(data: Any) -> str:
    """What stands in a line instead of its words, if anything does."""
    mark = data.get("erased") if isinstance(data, dict) else None
    return mark if isinstance(mark, str) and len(mark) == 2 * HALF else ""


def _reseal(key: bytes, seq: int, line: dict, plain: dict, was: str) -> str:
    return hmac.new(key, b"erased:" + was.encode() + _said(seq, line, plain), sha256).hexdigest()


# --- Walking


def _walk() -> Iterator[dict]:
    after = 0
    while page := rows.dicts(f"{_LINES} WHERE seq > %s ORDER BY seq, id LIMIT %s", (after, BATCH)):
        yield from page
        after = page[-1]["seq"]


def _wrong(key: bytes, line: dict, expected: int, previous: str) -> Iterator[str]:
    own = line["seal"][:HALF]
    if not hmac.compare_digest(_own(key, line["seq"], line), own):
        yield "is not what was sealed"
    if line["seq"] > expected:
        # What it was chained to is gone; its own half of the seal was checked all the same.
        yield f"missing before it: {line['seq'] - expected}"
    elif not hmac.compare_digest(_chained(key, previous, own), line["seal"][HALF:]):
        yield "does not follow the line before it"


def _tail(key: bytes, head: list[tuple], seq: int, seal: str) -> str:
    if not head:
        return "the head of the chain is missing" if seq else ""
    if head[0][0] > seq:
        return f"missing at the end: {head[0][0] - seq}"
    right = head[0][0] == seq and hmac.compare_digest(_head(key, seq, seal), head[0][1])
    return "" if right else "the end is not what was sealed"


def _key() -> bytes:
    return keys.lasting("audit")


def _seal(key: bytes, seq: int, previous: str, line: dict) -> str:
    """Two halves: over the line itself, and over that and the seal before it."""
    own = _own(key, seq, line)
    return own + _chained(key, previous, own)


def _chained(key: bytes, previous: str, own: str) -> str:
    return hmac.new(key, f"{previous}:{own}".encode(), sha256).hexdigest()


def _own(key: bytes, seq: int, line: dict) -> str:
    """The half over the line; of an erased one the half that it had, if the second seal says that it is so."""
    data = rows.from_json(line["data"])
    if isinstance(data, dict) and (mark := _second(data)):
        plain = {name: value for name, value in data.items() if name != "erased"}
        was = mark[:HALF]
        return was if hmac.compare_digest(_reseal(key, seq, line, plain, was), mark[HALF:]) else "0" * HALF
    return hmac.new(key, _said(seq, line, data), sha256).hexdigest()


def _said(seq: int, line: dict, data: object) -> bytes:
    said = [
        seq, line["at"].astimezone(UTC).isoformat(), line["actor_id"], line["verb"], line["customer_id"],
        line["ticket_id"], line["interaction_id"], data, line["source"],
    ]  # fmt: skip
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _head(key: bytes, seq: int, seal: str) -> str:
    return hmac.new(key, f"{seq}:{seal}".encode(), sha256).hexdigest()
