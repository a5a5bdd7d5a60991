"""The router pipe's words turned into the engine's, and back: pure, no database, no settings of a centre."""

import json
import math
from dataclasses import replace
from typing import Any

from routing import bias, engine
from routing.pacing import Pacing

FAMILY_OF = {
    "voice": "voice", "phone": "voice", "call": "voice", "chat": "chat", "webchat": "chat",
    "dm": "message", "message": "message", "private": "message", "sms": "message", "whatsapp": "message",
    "social": "social", "mention": "social", "public": "social", "mail": "mail", "email": "mail", "e-mail": "mail",
}  # fmt: skip
TECH = "tech"
ANSWERED = ("arrival", "agent_free")
MAX_UNITS = 1_000_000
MASK = "work"  # what every channel is called when their names are masked


class BadLine(ValueError):
    """A line that cannot be understood; it is reported and the pipe goes on."""


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadLine(f"{name} must be an object")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadLine(f"{name} must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadLine(f"{name} must be a finite number")
    return number


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadLine(f"{name} must be a whole number")
    return value


def _units(value: Any, name: str) -> int:
    number = _number(value, name)
    if not 0 <= number <= MAX_UNITS:
        raise BadLine(f"{name} must be between 0 and {MAX_UNITS}")
    return math.ceil(number)


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadLine(f"{name} must be a list of texts")
    return value


class RouterPipe:
    """Keeps the pool between lines and turns the pipe's words into the engine's.

    `masked`: the engine hears no channel's name, only promise, worth, units and who can take it (`practice.md` 3.2): what
    then goes otherwise went so for the name. Nothing is held for calls, and no channel is pushed. With a `meter` the choices
    between channels are counted.
    """

    def __init__(
        self, pacing: Pacing | None = None, masked: bool = False, meter: bias.Meter | None = None
    ) -> None:
        self.usual = pacing or Pacing()
        self.masked = masked
        self.meter = meter
        self.channels: dict[str, dict[str, Any]] = {}
        self.units = 15
        self.agents: dict[int, dict[str, Any]] = {}
        self.pool = engine.Pool(pacing=self.usual, meter=meter)
        self.open: dict[int, dict[int, engine.Item]] = {}  # by agent: what he was given and has not finished
        self.waiting: dict[int, engine.Item] = {}

    def answer(self, line: str) -> list[list[int]] | None:
        """What one line is answered with; None when it is not answered."""
        try:
            message = _object(json.loads(line), "a line")
        except (ValueError, RecursionError) as error:
            raise BadLine(f"not a JSON object: {error}") from error
        return self.hear(message)

    def hear(self, message: dict[str, Any]) -> list[list[int]] | None:
        """The same for a message that is no longer text."""
        handler = {
            "hello": self._hello,
            "arrival": self._arrival,
            "agent_free": self._agent_free,
            "abandon": self._abandon,
            "agent_off": self._agent_off,
        }.get(str(message.get("event")))
        if handler is None:
            raise BadLine(f"unknown event {str(message.get('event'))[:40]!r}")
        return handler(message)

    def _hello(self, message: dict[str, Any]) -> None:
        channels = _object(message.get("channels", {}), "channels")
        agents = message.get("agents", [])
        if not isinstance(agents, list):
            raise BadLine("agents must be a list")
        self.channels = {name: _object(about, "a channel") for name, about in channels.items()}
        self.units = _units(message.get("units", 15), "units")
        self.agents = {}
        self.open, self.waiting = {}, {}
        calls = any(self._family(channel) == "voice" for channel in self.channels)
        self.pool = engine.Pool(pacing=self._pacing(), expects_calls=calls, meter=self.meter)
        for about in agents:
            self._set_agent(_object(about, "an agent"))

    def _pacing(self) -> Pacing:
        """The defaults, with what the channels say about handling times and goals."""
        usual = self.usual
        if self.masked:
            known = [
                max(1.0, _number(about["aht"], "aht")) for about in self.channels.values() if about.get("aht")
            ]
            mean = sum(known) / len(known) if known else usual.handling["mail"]
            return replace(usual, begin={}, longest={}, packed=frozenset({MASK}), handling={MASK: mean})
        handling, goals = dict(usual.handling), dict(usual.goals)
        for channel, about in self.channels.items():
            family = self._family(channel)
            if about.get("aht") is not None:
                handling[family] = max(1.0, _number(about["aht"], "aht"))
            if about.get("goal") is not None:
                goals[family] = min(1.0, max(0.0, _number(about["goal"], "goal")))
        return replace(usual, handling=handling, goals=goals)

    def _arrival(self, message: dict[str, Any]) -> list[list[int]]:
        now = _number(message.get("now"), "now")
        item = self._item(_object(message.get("item"), "item"), now)
        self.waiting[item.id] = item
        self.pool.add(item)
        return self._round(now)

    def _agent_free(self, message: dict[str, Any]) -> list[list[int]]:
        now = _number(message.get("now"), "now")
        self._set_agent(_object(message.get("agent"), "agent"))
        return self._round(now)

    def _abandon(self, message: dict[str, Any]) -> None:
        item_id = _whole(_object(message.get("item"), "item").get("id"), "item.id")
        self.waiting.pop(item_id, None)
        self.pool.abandon(item_id)

    def _agent_off(self, message: dict[str, Any]) -> None:
        self._set_agent({**_object(message.get("agent"), "agent"), "on": False})

    def _round(self, now: float) -> list[list[int]]:
        made = self.pool.decide(now)
        for one in made:
            item = self.waiting.pop(one.item_id)
            self.open.setdefault(one.agent_id, {})[item.id] = item
        return [[one.item_id, one.agent_id] for one in made]

    # -- words

    def _family(self, channel: str) -> str:
        if self.masked:
            return MASK
        family = FAMILY_OF.get(channel.lower())
        if family is None:
            # Somebody who loses patience is there now; the rest can be deferred.
            family = "chat" if self.channels.get(channel, {}).get("patience") is not None else "mail"
        return family

    def _item(self, about: dict[str, Any], now: float) -> engine.Item:
        channel = about.get("channel")
        if not isinstance(channel, str):
            raise BadLine("item.channel must be a text")
        rules = self.channels.get(channel, {})
        at = _number(about.get("at", now), "item.at")
        target = _number(about.get("target", rules.get("target", 3600)), "item.target")
        language = about.get("lang")
        if language is not None and not isinstance(language, str):
            raise BadLine("item.lang must be a text")
        skills = {f"channel {channel}": 1}
        if about.get("tech"):
            skills[TECH] = 1
        return engine.Item(
            id=_whole(about.get("id"), "item.id"),
            queue=channel,
            family=self._family(channel),
            units=_units(about.get("units", rules.get("units", 1)), "item.units"),
            skills=skills,
            language=language,
            queued_at=at,
            deadline=at + target,
            goal_seconds=target,
            weight=_number(about.get("weight", 1.0), "item.weight"),
        )

    def _set_agent(self, news: dict[str, Any]) -> None:
        """What is not repeated stays as it was said last."""
        agent_id = _whole(news.get("id"), "agent.id")
        about = {**self.agents.get(agent_id, {}), **news}
        known = self.pool.seat(agent_id)
        if "free" not in news and known is not None:
            about["free"] = self.units - known.load
        seat = self._seat(agent_id, about)
        self._finish(seat, about)
        self.agents[agent_id] = about
        self.pool.update_seat(seat)

    def _finish(self, seat: engine.Seat, about: dict[str, Any]) -> None:
        """Tell what he still has in hand: by the numbers in `open`, where they are items', else by the room he gained."""
        mine = self.open.get(seat.id, {})
        still = {_number_of(one) for one in about.get("open") or ()}
        if still & mine.keys():
            mine = {item_id: item for item_id, item in mine.items() if item_id in still}
        taken = sum(item.units for item in mine.values())
        for item_id, item in list(mine.items()):
            if taken - seat.load >= item.units:
                del mine[item_id]
                taken -= item.units
        self.open[seat.id] = mine
        for item in mine.values():
            seat.open_family = {**seat.open_family, item.family: seat.open_family.get(item.family, 0) + 1}
        seat.in_call = bool(seat.open_family.get("voice"))

    def _seat(self, agent_id: int, about: dict[str, Any]) -> engine.Seat:
        channels = _texts(about.get("channels", []), "agent.channels")
        skills = {f"channel {channel}": 1 for channel in channels}
        if about.get("tech"):
            skills[TECH] = 1
        families = {self._family(channel) for channel in channels}
        load = self.units - min(self.units, _units(about.get("free", self.units), "agent.free"))
        return engine.Seat(
            id=agent_id,
            skills=skills,
            languages=frozenset(_texts(about.get("langs", []), "agent.langs")),
            capacity=self.units,
            load=load,
            live=bool(about.get("on", True)),
            idle_since=_number(about.get("since", 0.0), "agent.since"),
            max_family={family: 0 for family in engine.FAMILIES if family not in families},
        )


def _number_of(one: Any) -> Any:
    """An item's number, whether `open` holds numbers or items."""
    found = one.get("id") if isinstance(one, dict) else one
    return found if isinstance(found, int | str) else None
