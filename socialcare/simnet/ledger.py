"""What the simulated networks know, in one SQLite file that outlives a kill."""

import json
import os
import sqlite3
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS posts (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, network TEXT NOT NULL, idempotency_key TEXT,
    text TEXT NOT NULL, in_reply_to TEXT, conversation TEXT, author TEXT NOT NULL, audience TEXT NOT NULL,
    permalink TEXT NOT NULL, created_at TEXT NOT NULL, requests INTEGER NOT NULL DEFAULT 1,
    UNIQUE (network, idempotency_key));
CREATE TABLE IF NOT EXISTS callbacks (
    network TEXT PRIMARY KEY, url TEXT NOT NULL, slug TEXT NOT NULL, secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS behaviours (
    network TEXT PRIMARY KEY, mode TEXT NOT NULL, remaining INTEGER, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS echoes (
    number INTEGER PRIMARY KEY, network TEXT NOT NULL, post TEXT NOT NULL, body TEXT NOT NULL, due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting', said TEXT);
CREATE INDEX IF NOT EXISTS echoes_waiting ON echoes (due) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS plays (
    network TEXT PRIMARY KEY, rate REAL NOT NULL, total INTEGER NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, started_at TEXT NOT NULL,
    ended_at TEXT, said TEXT);
CREATE TABLE IF NOT EXISTS play_items (
    number INTEGER PRIMARY KEY, network TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS play_items_of ON play_items (network, number);
"""
POSTS = "SELECT * FROM posts WHERE (:network IS NULL OR network = :network)"
PRIVATE_KINDS = {"sim-mail": "email", "sim-chat": "chat", "sim-phone": "sms"}


def now_text() -> str:
    """The time as networks write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_post(row: sqlite3.Row) -> dict:
    """A post as it is told; its number and the count of requests belong to the ledger alone."""
    post = dict(row)
    del post["number"], post["requests"]
    post["author"] = json.loads(post["author"])
    return post


def as_delivery(post: dict) -> dict:
    """A post of the brand as the network tells it to everybody who listens, the brand too."""
    public = post["audience"] == "public"
    author = post["author"]
    return {
        "id": post["id"],
        "kind": "post" if public else PRIVATE_KINDS.get(post["network"], "direct_message"),
        "text": post["text"],
        "created_at": post["created_at"],
        "permalink": post["permalink"],
        "in_reply_to": post["in_reply_to"],
        "conversation": post["conversation"],
        "audience": post["audience"],
        "author": author if isinstance(author, dict) else {"id": author, "handle": author, "name": author},
    }


class Ledger:
    """The file and every question asked of it; one process owns it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds the secrets of the callbacks
        self.db = sqlite3.connect(path, isolation_level=None, timeout=5)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    # -- posts

    def publish(self, network: str, wanted: dict, *, echoes: int) -> tuple[dict, bool]:
        """The post and whether it is new; its echoes are owed from the same moment on."""
        key = wanted["idempotency_key"]
        with self._transaction():
            if key is not None and (known := self.find(network, key)):
                self.db.execute("UPDATE posts SET requests = requests + 1 WHERE id = ?", (known["id"],))
                return known, False
            identity = uuid.uuid4().hex[:20]
            post = {**wanted, "id": identity, "network": network, "created_at": now_text()}
            post["permalink"] = f"https://{network}.example/posts/{identity}"
            self.db.execute(
                "INSERT INTO posts (id, network, idempotency_key, text, in_reply_to, conversation, author, audience,"
                " permalink, created_at) VALUES (:id, :network, :idempotency_key, :text, :in_reply_to,"
                " :conversation, :author, :audience, :permalink, :created_at)",
                {**post, "author": json.dumps(post["author"])},
            )
            body = json.dumps(as_delivery(post))
            for _ in range(echoes):
                self.db.execute(
                    "INSERT INTO echoes (network, post, body, due) VALUES (?, ?, ?, ?)",
                    (network, identity, body, time.time()),
                )
        return post, True

    def find(self, network: str, key: str) -> dict | None:
        """The post made under an idempotency key."""
        query = "SELECT * FROM posts WHERE network = ? AND idempotency_key = ?"
        row = self.db.execute(query, (network, key)).fetchone()
        return _as_post(row) if row else None

    def post(self, network: str, identity: str) -> dict | None:
        """One post."""
        query = "SELECT * FROM posts WHERE network = ? AND id = ?"
        row = self.db.execute(query, (network, identity)).fetchone()
        return _as_post(row) if row else None

    def newest(self, network: str, limit: int) -> list[dict]:
        """The newest posts of a network, newest first."""
        query = "SELECT * FROM posts WHERE network = ? ORDER BY number DESC LIMIT ?"
        return [_as_post(row) for row in self.db.execute(query, (network, limit))]

    def summary(self, network: str | None, after: int, limit: int) -> dict:
        """The ledger of one network or all: posts, counts, and the same words said twice to the same thread."""
        ask = {"network": network, "after": after, "limit": limit}
        rows = self.db.execute(f"{POSTS} AND number > :after ORDER BY number LIMIT :limit", ask).fetchall()
        counts = self._counts("posts", "network", network)
        return {
            "posts": [_as_post(row) for row in rows],
            "next_after": rows[-1]["number"] if len(rows) == limit else None,
            "counts": counts,
            "total": sum(counts.values()),
            "repeated_requests": self._repeated(network),
            "duplicates": self._duplicates(network),
            "echoes": self._counts("echoes", "state", network),
            "behaviours": [dict(row) for row in self.db.execute("SELECT * FROM behaviours")],
            "callbacks": [dict(row) for row in self.db.execute("SELECT network, url, slug FROM callbacks")],
        }

    def _repeated(self, network: str | None) -> int:
        query = (
            "SELECT coalesce(sum(requests - 1), 0) FROM posts WHERE :network IS NULL OR network = :network"
        )
        return self.db.execute(query, {"network": network}).fetchone()[0]

    def _counts(self, table: str, column: str, network: str | None) -> dict[str, int]:
        query = (
            f"SELECT {column}, count(*) FROM {table}"  # noqa: S608 — both names are ours
            " WHERE :network IS NULL OR network = :network GROUP BY 1"
        )
        return {row[0]: row[1] for row in self.db.execute(query, {"network": network})}

    def _duplicates(self, network: str | None) -> list[dict]:
        rows = self.db.execute(
            "SELECT network, in_reply_to, conversation, text, group_concat(id) AS ids, count(*) AS copies FROM posts"
            " WHERE coalesce(in_reply_to, conversation) IS NOT NULL AND (:network IS NULL OR network = :network)"
            " GROUP BY network, in_reply_to, conversation, audience, text HAVING count(*) > 1 LIMIT 1000",
            {"network": network},
        )
        return [{**dict(row), "ids": row["ids"].split(",")} for row in rows]

    def _transaction(self) -> "_Transaction":
        return _Transaction(self.db)

    # -- faults

    def behave(self, network: str, mode: str, count: int | None, seconds: float) -> None:
        """The next `count` posts of a network meet this fault; None: all until it is changed."""
        self.db.execute("DELETE FROM behaviours WHERE network = ?", (network,))
        if mode != "normal" and count != 0:
            self.db.execute("INSERT INTO behaviours VALUES (?, ?, ?, ?)", (network, mode, count, seconds))

    def next_behaviour(self, network: str) -> tuple[str, float]:
        """The mode that meets this request, used up by asking."""
        row = self.db.execute("SELECT * FROM behaviours WHERE network = ?", (network,)).fetchone()
        if row is None:
            return "normal", 0.0
        if row["remaining"] is not None:
            if row["remaining"] <= 1:
                self.db.execute("DELETE FROM behaviours WHERE network = ?", (network,))
            else:
                self.db.execute(
                    "UPDATE behaviours SET remaining = remaining - 1 WHERE network = ?", (network,)
                )
        return row["mode"], row["seconds"]

    # -- callbacks and echoes

    def listen(self, network: str, url: str, slug: str, secret: str) -> None:
        """Remember the door of a listener; what waited for one is due now."""
        with self._transaction():
            self.db.execute(
                "INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?, ?)", (network, url, slug, secret)
            )
            self.db.execute(
                "UPDATE echoes SET due = ? WHERE network = ? AND state = 'waiting'", (time.time(), network)
            )

    def callback(self, network: str) -> sqlite3.Row | None:
        """Where and with which secret a network delivers."""
        return self.db.execute("SELECT * FROM callbacks WHERE network = ?", (network,)).fetchone()

    def due_echoes(self, limit: int) -> list[sqlite3.Row]:
        """Echoes to deliver now, oldest first, of networks that have a listener."""
        query = (
            "SELECT echoes.*, url, slug, secret FROM echoes JOIN callbacks USING (network)"
            " WHERE state = 'waiting' AND due <= ? ORDER BY number LIMIT ?"
        )
        return self.db.execute(query, (time.time(), limit)).fetchall()

    def echoed(self, number: int, state: str, said: str) -> None:
        """An echo reached its end: done, or refused for good."""
        self.db.execute(
            "UPDATE echoes SET state = ?, said = ?, attempts = attempts + 1 WHERE number = ?",
            (state, said, number),
        )

    def echo_later(self, number: int, wait: float, said: str) -> None:
        """The door did not take it: again after `wait` seconds."""
        self.db.execute(
            "UPDATE echoes SET due = ?, said = ?, attempts = attempts + 1 WHERE number = ?",
            (time.time() + wait, said, number),
        )

    # -- plays

    def start_play(self, network: str, items: list[dict], rate: float) -> bool:
        """Take the items to be played; False while another play of this network runs."""
        with self._transaction():
            if self.db.execute(
                "SELECT 1 FROM plays WHERE network = ? AND ended_at IS NULL", (network,)
            ).fetchone():
                return False
            self.db.execute(
                "INSERT OR REPLACE INTO plays (network, rate, total, started_at) VALUES (?, ?, ?, ?)",
                (network, rate, len(items), now_text()),
            )
            self.db.execute("DELETE FROM play_items WHERE network = ?", (network,))
            rows = [(network, json.dumps(item)) for item in items]
            self.db.executemany("INSERT INTO play_items (network, body) VALUES (?, ?)", rows)
        return True

    def play(self, network: str) -> dict | None:
        """How far the play of a network is."""
        row = self.db.execute("SELECT * FROM plays WHERE network = ?", (network,)).fetchone()
        if row is None:
            return None
        waiting = self.db.execute("SELECT count(*) FROM play_items WHERE network = ?", (network,)).fetchone()[
            0
        ]
        return {**dict(row), "running": row["ended_at"] is None, "waiting": waiting}

    def running_plays(self) -> list[str]:
        """Networks with a play under way."""
        return [row[0] for row in self.db.execute("SELECT network FROM plays WHERE ended_at IS NULL")]

    def play_items(self, network: str, limit: int) -> list[sqlite3.Row]:
        """The next items of a play."""
        query = "SELECT * FROM play_items WHERE network = ? ORDER BY number LIMIT ?"
        return self.db.execute(query, (network, limit)).fetchall()

    def stamp(self, number: int, body: str) -> None:
        """Keep an item as it leaves, so that a second try after a kill sends the very same one."""
        self.db.execute("UPDATE play_items SET body = ? WHERE number = ?", (body, number))

    def played(self, network: str, numbers: list[int], answer: dict) -> None:
        """The door took these items."""
        with self._transaction():
            self.db.executemany("DELETE FROM play_items WHERE number = ?", [(number,) for number in numbers])
            self.db.execute(
                "UPDATE plays SET sent = sent + ?, duplicates = duplicates + ?, rejected = rejected + ?, said = NULL"
                " WHERE network = ?",
                (len(numbers), answer["duplicates"], answer["rejected"], network),
            )

    def play_says(self, network: str, said: str) -> None:
        """Why a play is not getting on."""
        self.db.execute("UPDATE plays SET said = ? WHERE network = ?", (said, network))

    def end_play(self, network: str) -> None:
        """A play is over; what was not sent is dropped."""
        with self._transaction():
            self.db.execute("DELETE FROM play_items WHERE network = ?", (network,))
            self.db.execute(
                "UPDATE plays SET ended_at = ? WHERE network = ? AND ended_at IS NULL", (now_text(), network)
            )


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, error, trace) -> None:
        self.db.execute("ROLLBACK" if kind else "COMMIT")
