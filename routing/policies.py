"""Reference policies for the simulator, written for comparison only: nothing of the product is routed by them.

They hear the router pipe's messages. Items of one kind (channel, language, skill, VIP) wait in the order of their coming.
"""

import math
from collections import deque
from typing import Any

LIVE = ("voice", "chat")
SWITCHING = 0.15
LOOK_AGAIN = 5.0  # s between looks for held work whose time has come

Kind = tuple[str, str, bool, bool]


class LongestWaiting:
    """The longest waiting item that he is able to take, as soon as an agent has room; a new item to the longest idle."""

    def __init__(self) -> None:
        self.channels: dict[str, dict[str, Any]] = {}
        self.agents: dict[int, dict[str, Any]] = {}
        self.units = 15
        self.queues: dict[Kind, deque[dict[str, Any]]] = {}
        self.gone: set[int] = set()
        self.able: dict[Kind, list[dict[str, Any]]] = {}

    def hear(self, message: dict[str, Any]) -> list[list[int]] | None:
        """One message of the pipe."""
        event, now = message["event"], message.get("now", 0.0)
        if event == "hello":
            self.hello(message)
        elif event == "arrival":
            return self.arrival(now, message["item"])
        elif event == "agent_free":
            agent = self.agents[message["agent"]["id"]]
            agent.update(message["agent"])
            return self.agent_free(now, agent)
        elif event == "agent_off":
            self.agents[message["agent"]["id"]].update(message["agent"])
        elif event == "abandon":
            self.gone.add(message["item"]["id"])
        return None

    def hello(self, message: dict[str, Any]) -> None:
        """Start the day."""
        self.channels, self.units = message["channels"], message["units"]
        self.agents = {one["id"]: dict(one) for one in message["agents"]}

    def arrival(self, now: float, item: dict[str, Any]) -> list[list[int]]:
        """A new item goes to a free agent if nothing of its kind waits."""
        kind = self.wait(item)
        head = self.head(kind)
        if head is None or head["id"] != item["id"]:
            return []
        agent = self.choose(now, item, kind)
        return [self.give(now, agent, kind)] if agent is not None else []

    def agent_free(self, now: float, agent: dict[str, Any]) -> list[list[int]]:
        """An agent with room takes the best items until he is full."""
        given: list[list[int]] = []
        while (kind := self.best(now, agent)) is not None:
            given.append(self.give(now, agent, kind))
        return given

    # -- the parts

    def wait(self, item: dict[str, Any]) -> Kind:
        """Put an item behind those of its kind."""
        kind = (item["channel"], item["lang"], item["tech"], item["vip"])
        self.queues.setdefault(kind, deque()).append(item)
        return kind

    def head(self, kind: Kind) -> dict[str, Any] | None:
        """The first of a kind who has not given up."""
        queue = self.queues[kind]
        while queue and queue[0]["id"] in self.gone:
            self.gone.discard(queue.popleft()["id"])
        return queue[0] if queue else None

    def can(self, agent: dict[str, Any], kind: Kind) -> bool:
        """Whether he has channel, language and skill."""
        return kind[0] in agent["channels"] and kind[1] in agent["langs"] and (agent["tech"] or not kind[2])

    def capable(self, kind: Kind) -> list[dict[str, Any]]:
        """All who can, on shift or not."""
        if kind not in self.able:
            self.able[kind] = [agent for agent in self.agents.values() if self.can(agent, kind)]
        return self.able[kind]

    def choose(self, now: float, item: dict[str, Any], kind: Kind) -> dict[str, Any] | None:
        """The agent for a new item."""
        free = [agent for agent in self.capable(kind) if agent["on"] and agent["free"] >= item["units"]]
        return min(free, key=lambda agent: agent["since"], default=None)

    def best(self, now: float, agent: dict[str, Any]) -> Kind | None:
        """The kind whose first item an agent with room takes next."""
        found = [
            (self.order(now, head, kind), kind)
            for kind in self.queues
            if self.can(agent, kind)
            and (head := self.head(kind)) is not None
            and head["units"] <= agent["free"]
            and self.allowed(now, head, kind, agent)
        ]
        return min(found)[1] if found else None

    def order(self, now: float, head: dict[str, Any], kind: Kind) -> float:
        """The smaller, the sooner."""
        return head["at"]

    def allowed(self, now: float, head: dict[str, Any], kind: Kind, agent: dict[str, Any]) -> bool:
        """Whether he may have it now."""
        return True

    def give(self, now: float, agent: dict[str, Any], kind: Kind) -> list[int]:
        """Take the first of a kind out of its queue."""
        item = self.queues[kind].popleft()
        agent["free"] -= item["units"]
        return [item["id"], agent["id"]]


class Greedy(LongestWaiting):
    """The earliest promise first."""

    def order(self, now: float, head: dict[str, Any], kind: Kind) -> float:
        return head["at"] + head["target"]


class StrictPriority(LongestWaiting):
    """The channel with the shortest promise first, VIPs before others."""

    def order(self, now: float, head: dict[str, Any], kind: Kind) -> float:
        return self.channels[kind[0]]["target"] * 1e6 - 1e5 * kind[3] + head["at"]


class Release(LongestWaiting):
    """Adaptive Gc-mu/EDF with packing and a reserve: deferred work younger than `hold` of its promise takes no idle agent
    who takes calls while no more than `reserve` of them are idle. Multipliers follow the promises kept lately."""

    def __init__(self, reserve: int, hold: float) -> None:
        super().__init__()
        self.reserve, self.hold = reserve, hold
        self.levels: dict[str, float] = {}
        self.pace: dict[str, float] = {}
        self.look_at = 0.0

    def hello(self, message: dict[str, Any]) -> None:
        super().hello(message)
        self.levels = dict.fromkeys(self.channels, 0.95)
        for name, about in self.channels.items():
            at_once = self.units // about["units"]
            self.pace[name] = 360 * at_once / (about["aht"] * (1 + SWITCHING * (at_once - 1)))

    def arrival(self, now: float, item: dict[str, Any]) -> list[list[int]]:
        return super().arrival(now, item) + self.look(now)

    def agent_free(self, now: float, agent: dict[str, Any]) -> list[list[int]]:
        return super().agent_free(now, agent) + self.look(now)

    def look(self, now: float) -> list[list[int]]:
        """Give what was held and may go now."""
        if now < self.look_at:
            return []
        self.look_at = now + LOOK_AGAIN
        given: list[list[int]] = []
        heads = [
            (self.order(now, head, kind), kind)
            for kind in self.queues
            if (head := self.head(kind)) is not None
        ]
        for _, kind in sorted(heads):
            while (head := self.head(kind)) is not None:
                agent = self.choose(now, head, kind)
                if agent is None:
                    break
                given.append(self.give(now, agent, kind))
        return given

    def order(self, now: float, head: dict[str, Any], kind: Kind) -> float:
        waited = (now - head["at"]) / head["target"]
        early, late = (1.0, 0.6) if kind[0] in LIVE else (0.02 + waited**2, 0.3)
        rush = early if waited <= 1 else late
        short = self.channels[kind[0]]["goal"] + 0.03 - self.levels[kind[0]]
        return -head["weight"] * self.pace[kind[0]] * rush * math.exp(6 * max(0.0, short))

    def allowed(self, now: float, head: dict[str, Any], kind: Kind, agent: dict[str, Any]) -> bool:
        if kind[0] in LIVE or agent["free"] < self.units or "voice" not in agent["channels"]:
            return True
        return now - head["at"] >= self.hold * head["target"] or self.idle() > self.reserve

    def idle(self) -> int:
        """Agents with nothing in hand who take calls."""
        return sum(
            1
            for agent in self.agents.values()
            if agent["on"] and agent["free"] == self.units and "voice" in agent["channels"]
        )

    def choose(self, now: float, item: dict[str, Any], kind: Kind) -> dict[str, Any] | None:
        free = [agent for agent in self.capable(kind) if agent["on"] and agent["free"] >= item["units"]]
        if kind[0] == "voice":
            return min(free, key=lambda agent: (agent["flex"], agent["since"]), default=None)
        allowed = [
            agent for agent in free if agent["free"] < self.units or self.allowed(now, item, kind, agent)
        ]
        return min(allowed, key=self._packed, default=None)

    def _packed(self, agent: dict[str, Any]) -> tuple:
        idle = agent["free"] == self.units
        return (idle, idle and "voice" in agent["channels"], agent["free"], agent["flex"], agent["since"])

    def give(self, now: float, agent: dict[str, Any], kind: Kind) -> list[int]:
        head = self.queues[kind][0]
        kept = now - head["at"] <= head["target"]
        self.levels[kind[0]] += 0.01 * (kept - self.levels[kind[0]])
        return super().give(now, agent, kind)


def late_release() -> Release:
    """Holds long behind a large reserve: the best known for an ordinary day."""
    return Release(reserve=25, hold=0.85)


def early_release() -> Release:
    """Holds shortly behind a smaller reserve: the best known for a storm."""
    return Release(reserve=14, hold=0.3)


REFERENCES = {
    "longest": LongestWaiting,
    "greedy": Greedy,
    "strict": StrictPriority,
    "early": early_release,
    "late": late_release,
}
