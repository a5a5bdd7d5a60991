"""The demo's content: scenarios of our own writing, real questions, the centre; pure, no Django."""

import csv
import json
import random
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "demo"
QUESTION_FILES = {"banking77": "questions_banking77.csv", "clinc150": "questions_clinc150.csv"}
RUN = "{run}"  # in ids: each play of a scenario makes new posts by the same people

Played = tuple[datetime, str, dict]


def names() -> list[str]:
    """The scenarios there are."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def scenario(name: str, run: str, start: datetime, pace: float = 1.0) -> list[Played]:
    """When which channel receives which item, in order; `pace` 2 plays it in half the time."""
    if name not in names():
        raise KeyError(f"no scenario {name!r}; there are {', '.join(names())}")
    return fill(lines(FOLDER / f"{name}.jsonl"), run, start, pace)


def lines(path: Path) -> list[dict]:
    """The lines of a scenario file as they are written."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def fill(scenario_lines: list[dict], run: str, start: datetime, pace: float = 1.0) -> list[Played]:
    """Give each line's item its times and its ids."""
    posted: dict[str, str] = {}
    played = []
    for line in sorted(scenario_lines, key=lambda line: line["after"]):
        at = start + timedelta(seconds=line["after"] / pace)
        item = json.loads(json.dumps(line["item"]).replace(RUN, run))
        played.append((at, line["channel"], _timed(item, at.isoformat(), posted)))
    return played


def _timed(item: dict, at: str, posted: dict[str, str]) -> dict:
    """An edit and the later events of a call keep the time of the first line with their id."""
    if item.get("event") == "deleted":
        return item
    first = posted.setdefault(item["id"], at)
    if item.get("event") == "edited":
        return item | {"created_at": first, "edited_at": at}
    call = item.get("extra", {}).get("call")
    extra = {"extra": item["extra"] | {"call": call | {"at": at}}} if call else {}
    return item | {"created_at": first} | extra


def questions(count: int, seed: int = 0) -> list[dict]:
    """`count` real questions {id, text, intent, set}, in an order the seed decides, repeated if need be."""
    pool = list(_all_questions())
    random.Random(seed).shuffle(pool)
    return [dict(pool[number % len(pool)]) for number in range(count)]


def asked(count: int, seed: int, run: str, start: datetime, gap: float = 20.0) -> list[Played]:
    """Real questions as chats, mails and private messages of people nobody knows yet, every `gap` seconds."""
    played = []
    for number, question in enumerate(questions(count, seed)):
        at = start + timedelta(seconds=gap * number)
        channel, kind = (("sim-chat", "chat"), ("sim-mail", "email"), ("sim-x", "direct_message"))[number % 3]
        item = {
            "id": f"{run}-question-{number}",
            "kind": kind,
            "text": question["text"],
            "lang": "en",
            "audience": "private",
            "conversation": f"{run}-question-{number}",
            "created_at": at.isoformat(),
            "author": _asker(kind, number),
            "extra": {"source": question["set"], "source_id": question["id"]},
        }
        if kind == "email":
            item["title"] = " ".join(question["text"].split()[:6])
        played.append((at, channel, item))
    return played


def _asker(kind: str, number: int) -> dict:
    address = f"visitor{number:03d}@example.org"
    if kind == "email":
        return {"id": address, "email": address, "name": f"Visitor {number:03d}"}
    return {
        "id": f"visitor-q{number:03d}",
        "handle": f"visitor_{number:03d}",
        "name": f"Visitor {number:03d}",
    }


@cache
def _all_questions() -> tuple[dict, ...]:
    found = []
    for name, file in QUESTION_FILES.items():
        with (FOLDER / file).open(encoding="utf-8", newline="") as handle:
            rows = csv.DictReader(handle)
            found += [
                {"id": row["id"], "text": row["text"], "intent": row["intent"], "set": name} for row in rows
            ]
    return tuple(found)


def centre() -> dict:
    """The demo centre: brands, people, queues, channels, customers with what was said before."""
    return json.loads((FOLDER / "centre.json").read_text(encoding="utf-8"))


def replies() -> dict:
    """What simulated colleagues write: by form, topic and language, several each, with {handle}."""
    return json.loads((FOLDER / "replies.json").read_text(encoding="utf-8"))


def reply(topic: str, language: str, handle: str, form: str = "public", seed: int = 0) -> str:
    """One ready text; an unknown topic is general, an unknown language is English."""
    texts = replies()[form]
    by_language = texts.get(topic) or texts["general"]
    choices = by_language.get(language) or by_language["en"]
    return choices[seed % len(choices)].replace("{handle}", handle)
