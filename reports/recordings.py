"""Reads recorded input of several shapes as delivery items (`interface.md`, Receiving); pure, no Django."""

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from reports import scenarios

FORMATS = ("conversations", "twcs", "airline", "items")
BASE = datetime(2017, 10, 1, 8, 0, tzinfo=UTC)  # the first instant of recordings that tell no time
STEP = timedelta(seconds=30)
PACIFIC = timezone(timedelta(hours=-8))  # the airline set's own offset; some of its rows leave it out
COMPANY, CUSTOMER = "company", "customer"
ADDRESSED = re.compile(r"@(\w+)")
CARE_AFFIXES = re.compile(r"^(?:ask|team)?_?(.+?)_?(?:helps?|support|cares?|us)?$")
RUN = "recorded"  # what {run} becomes in a demo scenario that is replayed as a recording

csv.field_size_limit(10_000_000)


class UnknownFormatError(ValueError):
    """The file has none of the shapes that can be read."""


@dataclass(frozen=True)
class Broken:
    """A line that could not be read; an item stands for it, so that the door quarantines it in sight."""

    line: int
    reason: str


@dataclass
class Recording:
    """What a file holds: items for the door, and the accounts that it shows to be agents or companies."""

    format: str
    items: list[dict] = field(default_factory=list)
    own_accounts: list[dict] = field(default_factory=list)
    bad: list[Broken] = field(default_factory=list)

    def by_time(self) -> list[dict]:
        """The items in the order in which they were posted; those without a readable time come first."""
        return sorted(self.items, key=lambda item: (_instant(item) is not None, _instant(item) or BASE))


def read(
    path: str | Path, format: str = "auto", limit: int | None = None, channel: str | None = None
) -> Recording:
    """Read a recording. `limit` counts items; `channel` keeps only that channel's scenario lines."""
    path = Path(path)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    chosen = detect(text) if format == "auto" else format
    if chosen not in FORMATS:
        raise UnknownFormatError(f"format is {format!r}; it should be auto or one of {', '.join(FORMATS)}")
    recording = Recording(format=chosen)
    READERS[chosen](_Source(path.stem, text, channel), recording)
    if limit is not None:
        recording.items = list(islice(recording.items, max(0, limit)))
    return recording


def detect(text: str) -> str:
    """Tell the format from the beginning of the text."""
    lines = (line.strip() for line in io.StringIO(text))
    first = next((line for line in lines if line), "")
    if first[:1] in ("{", "[") or not first:
        return "conversations" if _is_conversation(first) else "items"
    columns = set(next(csv.reader([first]), []))
    if "tweet_created" in columns:
        return "airline"
    if {"tweet_id", "author_id"} <= columns or {"id", "text"} <= columns:
        return "twcs"
    raise UnknownFormatError("neither JSON, nor a CSV with the columns of twcs or of airline_sentiment")


@dataclass(frozen=True)
class _Source:
    """The text of a file, with the names that its ids are made of."""

    stem: str
    text: str
    channel: str | None = None


# Conversations: one JSON object a line, with turns and perhaps a closing one


def _read_conversations(source: _Source, recording: Recording) -> None:
    rows = [(number, *_parse(line)) for number, line in _lines(source.text)]
    own = _OwnAccounts(row for _, row, _ in rows if isinstance(row, dict))
    for number, row, reason in rows:
        name = f"{source.stem}-{number}"
        if not _has_turns(row):
            _add_broken(recording, f"conversations:{name}", number, reason or "no list of turns", row)
            continue
        name = str(row.get("id") or name)
        turns = [*row["turns"], *([row["closing"]] if row.get("closing") else [])]
        _add_thread(recording, name, number, turns, own)
    recording.own_accounts = own.listed()


def _add_thread(recording: Recording, name: str, line: int, turns: list, own: "_OwnAccounts") -> None:
    thread: list[dict] = []
    for position, turn in enumerate(turns):
        key = f"conversations:{name}:{position}"
        if not isinstance(turn, dict) or not isinstance(turn.get("text"), str):
            _add_broken(recording, key, line, f"turn {position} has no text", turn)
            continue
        moment = turn.get("created_at") or _made_up_time(len(recording.items))
        item = {"id": key, "kind": "", "text": "", "created_at": moment, "conversation": name}
        item["author"] = _author(turn, name, own)
        item["text"] = _unmask(html.unescape(turn["text"]), name)
        item["kind"] = _kind(item, thread, own)
        if thread:
            item["in_reply_to"] = _addressed(item, thread)["id"]
        thread.append(item)
        recording.items.append(item)


def _author(turn: dict, conversation: str, own: "_OwnAccounts") -> dict:
    """Who speaks; without a handle the company is one account, and each conversation has its own customer."""
    handle = turn.get("handle")
    if handle:
        return {"id": str(handle).lower(), "handle": str(handle), "name": str(handle)}
    if turn.get("author") == "agent":
        return own.company()
    handle = _customer_handle(conversation)
    return {"id": conversation, "handle": handle, "name": handle}


def _kind(item: dict, thread: list[dict], own: "_OwnAccounts") -> str:
    if item["author"]["id"] in own:
        return "reply" if thread else "post"
    spoke_before = any(earlier["author"]["id"] not in own for earlier in thread)
    return "reply" if spoke_before else "mention"


def _addressed(item: dict, thread: list[dict]) -> dict:
    """The latest earlier turn of whom the text addresses first, else the turn before."""
    match = ADDRESSED.match(item["text"].lstrip(" ."))
    wanted = match.group(1).lower() if match else None
    return next((earlier for earlier in reversed(thread) if earlier["author"]["id"] == wanted), thread[-1])


def _unmask(text: str, conversation: str) -> str:
    """Turn the mask of a handle into a handle, so that nobody takes it for a word."""
    customer = _customer_handle(conversation)
    return text.replace("__company__", f"@{COMPANY}").replace("__cust__", f"@{customer}")


def _customer_handle(conversation: str) -> str:
    return f"{CUSTOMER}_{re.sub(r'[^0-9A-Za-z]+', '_', conversation)}"


class _OwnAccounts:
    """The accounts of agents and companies in a set of conversations, the brand's main account included."""

    def __init__(self, rows: Iterable[dict]):
        self.accounts: dict[str, dict] = {}
        openers = set()
        for row in rows:
            turns = [*_list(row.get("turns")), row.get("closing")]
            turns = [turn for turn in turns if isinstance(turn, dict)]
            openers.update(str(turn.get("handle")) for turn in turns[:1] if turn.get("handle"))
            for turn in turns:
                if turn.get("author") == "agent":
                    self._add(str(turn.get("handle") or COMPANY))
        self._add_brands(openers)

    def _add_brands(self, openers: set[str]) -> None:
        """A brand's main account may open with an advertisement and is then recorded as a customer."""
        roots = {_root(account) for account in self.accounts if account != COMPANY}
        for opener in sorted(openers):
            if _root(opener) in roots:
                self._add(opener)

    def _add(self, handle: str) -> None:
        self.accounts.setdefault(handle.lower(), {"id": handle.lower(), "handle": handle, "name": handle})

    def __contains__(self, account: str) -> bool:
        return account in self.accounts

    def company(self) -> dict:
        return dict(self.accounts[COMPANY])

    def listed(self) -> list[dict]:
        return [self.accounts[key] for key in sorted(self.accounts)]


def _root(handle: str) -> str:
    """AskeBay, eBay and eBay_Support have one root."""
    match = CARE_AFFIXES.match(handle.lower())
    return match.group(1) if match else handle.lower()


# Customer Support on Twitter: CSV with parents, or with id and text only


def _read_twcs(source: _Source, recording: Recording) -> None:
    rows = list(_rows(source, recording, "twcs"))
    parents = _parents(row for _, row in rows)
    own: dict[str, dict] = {}
    for number, row in rows:
        item = _tweet(number, row, source, parents)
        recording.items.append(item)
        if (row.get("inbound") or "").strip().lower() == "false":
            own.setdefault(item["author"]["id"], item["author"])
    recording.own_accounts = [own[key] for key in sorted(own)]


def _tweet(number: int, row: dict, source: _Source, parents: dict[str, str]) -> dict:
    key = _number(row.get("tweet_id") or row.get("id")) or f"twcs:{source.stem}:{number}"
    parent = parents.get(key)
    inbound = (row.get("inbound") or "true").strip().lower() != "false"
    author = _number(row.get("author_id")) or f"author-of-{key}"  # a first post of somebody nobody named
    item = {
        "id": key,
        "kind": "reply" if parent else ("mention" if inbound else "post"),
        "text": html.unescape(row.get("text") or ""),
        "created_at": _twitter_time(row.get("created_at")) or _made_up_time(number),
        "author": {"id": author, "handle": author, "name": author},
    }
    if parent:
        item["in_reply_to"] = parent
    return item


def _parents(rows: Iterable[dict]) -> dict[str, str]:
    """Child to parent, as either side of the pair tells it; the child's own word counts more."""
    told_by_parent, told_by_child = {}, {}
    for row in rows:
        key = _number(row.get("tweet_id"))
        for child in (row.get("response_tweet_id") or "").split(","):
            if _number(child):
                told_by_parent[_number(child)] = key
        if _number(row.get("in_response_to_tweet_id")):
            told_by_child[key] = _number(row["in_response_to_tweet_id"])
    return told_by_parent | told_by_child


def _number(value: str | None) -> str:
    """An id as text; a spreadsheet may have made 3.0 of 3."""
    return re.sub(r"^(\d+)\.0+$", r"\1", (value or "").strip())


def _twitter_time(value: str | None) -> str | None:
    try:
        return datetime.strptime((value or "").strip(), "%a %b %d %H:%M:%S %z %Y").isoformat()
    except ValueError:
        return (value or "").strip() or None  # the door says what is wrong with it


# Tweets to airlines: CSV without answers


def _read_airline(source: _Source, recording: Recording) -> None:
    rows = list(_rows(source, recording, "airline"))
    for number, row in rows:
        recording.items.append(_airline_tweet(number, row, source))
    recording.own_accounts = _addressees(row for _, row in rows)


def _airline_tweet(number: int, row: dict, source: _Source) -> dict:
    key = _number(row.get("row_id")) or f"{source.stem}-{number}"
    name = (row.get("name") or "").strip() or f"author-of-{key}"
    columns = ("airline", "tweet_location", "user_timezone")
    extra = {column: row[column] for column in columns if row.get(column)}
    item = {
        "id": f"airline:{key}",
        "kind": "mention",
        "text": html.unescape(row.get("text") or ""),
        "created_at": _local_time(row.get("tweet_created")) or _made_up_time(number),
        "author": {"id": name.lower(), "handle": name, "name": name},
        "extra": extra,
    }
    if (row.get("retweet_count") or "").strip().isdigit():
        item["reach"] = {"reposts": int(row["retweet_count"])}
    return item


def _local_time(value: str | None) -> str | None:
    """`2015-02-20 13:48` means local time too: the offset and the seconds were lost, not meant otherwise."""
    value = (value or "").strip()
    try:
        moment = datetime.fromisoformat(re.sub(r" ([+-]\d\d)(\d\d)$", r"\1:\2", value))
    except ValueError:
        return value or None
    return (moment if moment.tzinfo else moment.replace(tzinfo=PACIFIC)).isoformat()


def _addressees(rows: Iterable[dict]) -> list[dict]:
    """The account that most rows of an airline address is that airline's, whatever the column calls it."""
    counts: dict[str, Counter] = {}
    for row in rows:
        handles = {handle.lower() for handle in ADDRESSED.findall(row.get("text") or "")}
        counts.setdefault(row.get("airline") or "", Counter()).update(sorted(handles))
    first = sorted({count.most_common(1)[0][0] for count in counts.values() if count})
    return [{"id": handle, "handle": handle, "name": handle} for handle in first]


# Delivery items: JSON lines, an array, {"items": []}, or the lines of a demo scenario


def _read_items(source: _Source, recording: Recording) -> None:
    acts = []
    for number, value, reason in _values(source.text):
        name = f"items:{source.stem}:{number}"
        if not isinstance(value, dict):
            _add_broken(recording, name, number, reason or "not an object", value)
        elif not _is_scenario_line(value):
            recording.items.append(_completed(value, name, len(recording.items)))
        elif source.channel in (None, value["channel"]):
            acts.append(value)
    recording.items += [item for _, _, item in scenarios.fill(acts, RUN, BASE)]


def _values(text: str) -> Iterator[tuple[int, Any, str]]:
    """Every item with its number: of the line, or its place in the one document that the file is."""
    whole, _ = _parse(text)
    if isinstance(whole, dict) and isinstance(whole.get("items"), list):
        whole = whole["items"]
    if isinstance(whole, list):
        yield from ((place, value, "") for place, value in enumerate(whole, start=1))
        return
    for number, line in _lines(text):
        value, reason = _parse(line)
        is_batch = isinstance(value, dict) and isinstance(value.get("items"), list)
        yield from ((number, entry, reason) for entry in (value["items"] if is_batch else [value]))


def _completed(item: dict, name: str, position: int) -> dict:
    """An item as it came, with an id and a time where it has none; all other judgement is the door's."""
    missing = {} if item.get("id") not in (None, "") else {"id": f"{name}:{position}"}
    if item.get("created_at") in (None, "") and item.get("event") != "deleted":
        missing["created_at"] = _made_up_time(position)
    return item | missing


def _is_scenario_line(value: dict) -> bool:
    """{"after": seconds, "channel": slug, "item": {"id", ...}}."""
    after, item = value.get("after"), value.get("item")
    return isinstance(after, int | float) and isinstance(value.get("channel"), str) and _has_id(item)


def _has_id(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)


# What the readers share


def _rows(source: _Source, recording: Recording, form: str) -> Iterator[tuple[int, dict]]:
    """The rows of a CSV with their numbers; one that does not fit the header becomes a broken item."""
    reader = csv.DictReader(io.StringIO(source.text, newline=""), restkey="_rest")
    number = 0
    while True:
        number += 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _add_broken(recording, f"{form}:{source.stem}:{number}", number, str(error), None)
            continue
        if row.get("_rest") or row.get("text") is None:
            reason = "columns do not fit the header"
            _add_broken(recording, f"{form}:{source.stem}:{number}", number, reason, row)
            continue
        yield number, row


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Only a line feed ends a line: the other separators of Unicode occur inside of texts."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _parse(line: str) -> tuple[Any, str]:
    """The value of a JSON text and no reason, or the text as it is and the reason."""
    try:
        return json.loads(line), ""
    except (ValueError, RecursionError) as error:
        return line, f"not JSON: {error}"


def _add_broken(recording: Recording, key: str, line: int, reason: str, raw: object) -> None:
    """Nothing is dropped in silence: the item lacks what the door asks for, and says why."""
    recording.bad.append(Broken(line, reason))
    try:
        shown = raw if isinstance(raw, str) else json.dumps(raw, default=str)
    except RecursionError:
        shown = ""
    recording.items.append({"id": key, "extra": {"line": line, "reason": reason, "raw": shown[:2000]}})


def _made_up_time(position: int) -> str:
    return (BASE + position * STEP).isoformat()


def _instant(item: dict) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(item.get("created_at")))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _is_conversation(line: str) -> bool:
    value, _ = _parse(line)
    return isinstance(value, dict) and isinstance(value.get("turns"), list)


def _has_turns(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("turns"), list)


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


READERS = {
    "conversations": _read_conversations,
    "twcs": _read_twcs,
    "airline": _read_airline,
    "items": _read_items,
}


def span(items: Iterable[dict]) -> float:
    """Seconds from the earliest to the latest readable time of the items; 0 when there are not two."""
    times = [moment for item in items if (moment := _instant(item))]
    return (max(times) - min(times)).total_seconds() if times else 0.0
