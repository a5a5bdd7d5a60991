"""Given names that one person may go by (`nicknames.txt`)."""

from collections import defaultdict
from pathlib import Path


def _nicknames() -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = defaultdict(set)
    lines = (Path(__file__).parent / "nicknames.txt").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        for name in line.split() if not line.startswith("#") else ():
            groups[name].add(number)
    return {name: frozenset(numbers) for name, numbers in groups.items()}


_NICKNAMES = _nicknames()
_NOBODY: frozenset[int] = frozenset()


def same_nickname(one: str, other: str) -> bool:
    """Whether a person may go by both given names."""
    return bool(_NICKNAMES.get(one, _NOBODY) & _NICKNAMES.get(other, _NOBODY))


def is_given(word: str) -> bool:
    """Whether a folded word is a given name we know."""
    return word in _NICKNAMES


def also_called(name: str) -> set[str]:
    """Other given names that a bearer of this one may go by."""
    mine = _NICKNAMES.get(name, _NOBODY)
    return {other for other, groups in _NICKNAMES.items() if groups & mine} - {name} if mine else set()
