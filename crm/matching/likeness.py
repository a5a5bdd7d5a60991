"""How alike two values are: a few named levels for each kind of value, and nothing about what that means."""

from enum import StrEnum
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.fuzz import ratio, token_set_ratio

from crm.matching.dates import Date
from crm.matching.nicknames import same_nickname

_CACHE = 200_000


class Level(StrEnum):
    """From the same down to different; a field uses those that make sense for it."""

    SAME = "same"
    NICKNAME = "nickname"
    CLOSE = "a typing error apart"
    PART = "one is part of the other"
    INITIAL = "initial fits"
    SWAPPED = "day and month swapped"
    NEAR = "mostly the same"
    DIFFERENT = "different"


def slips(text: str) -> int:
    """How many slips of the finger a word of this length may hold and still be the same word."""
    return 0 if len(text) < 4 else 1 if len(text) < 8 else 2


@lru_cache(maxsize=_CACHE)
def names(one: str, other: str) -> Level:
    """Two given names or two surnames, both folded and not empty."""
    if one == other:
        return Level.SAME
    tight, tight_other = one.replace(" ", ""), other.replace(" ", "")
    if tight == tight_other:
        return Level.SAME
    shorter = min(tight, tight_other, key=len)
    if len(shorter) == 1:
        return Level.INITIAL if one[0] == other[0] else Level.DIFFERENT
    if OSA.distance(tight, tight_other, score_cutoff=2) <= slips(shorter):
        return Level.CLOSE
    words, words_other = one.split(), other.split()
    if words[0] != words_other[0] and same_nickname(words[0], words_other[0]):
        return Level.NICKNAME
    if (len(words) > 1 or len(words_other) > 1) and _within(words, words_other):
        return Level.PART
    if JaroWinkler.similarity(tight, tight_other) >= 0.88 or ratio(tight, tight_other) >= 80:
        return Level.NEAR
    shortened = len(shorter) >= 3 and (tight.startswith(tight_other) or tight_other.startswith(tight))
    return Level.NEAR if shortened else Level.DIFFERENT


def _within(words: list[str], others: list[str]) -> bool:
    """Whether each word of the shorter list stands in the longer one, at least as an initial."""
    few, many = sorted((words, others), key=len)
    if all(len(word) == 1 for word in few):
        return False
    return all(
        any(word == one or (1 in (len(word), len(one)) and word[0] == one[0]) for one in many) for word in few
    )


def births(one: Date, other: Date) -> Level:
    """Two birth dates, of which one may be only a year, or broken."""
    if one.digits == other.digits:
        return Level.SAME
    if not (one.month and other.month) and one.year and other.year:
        return Level.PART if one.year == other.year else Level.DIFFERENT
    if one.year and one.year == other.year and one.month == other.day and one.day == other.month:
        return Level.SWAPPED
    if OSA.distance(one.digits, other.digits, score_cutoff=1) <= 1:
        return Level.CLOSE
    alike = (
        (one.digits[:4] == other.digits[:4])
        + (one.digits[4:6] == other.digits[4:6])
        + (one.digits[6:] == other.digits[6:])
    )
    return Level.NEAR if alike == 2 else Level.DIFFERENT


def emails(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[Level, str]:
    """The best agreement of two lists of addresses, and the address that agrees."""
    if shared := set(some) & set(others):
        return Level.SAME, min(shared)
    best = (Level.DIFFERENT, "")
    for one in some[:5]:
        for other in others[:5]:
            if OSA.distance(one, other, score_cutoff=1) <= 1:
                return Level.CLOSE, one
            if one.partition("@")[0] == other.partition("@")[0]:
                best = (Level.PART, one)
    return best


def phones(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[Level, str]:
    """The best agreement of two lists of numbers; without its country a number agrees by its end."""
    if shared := set(some) & set(others):
        return Level.SAME, min(shared)
    best = (Level.DIFFERENT, "")
    for one in some[:5]:
        for other in others[:5]:
            if not (one[0] == "+" == other[0]) and one[-8:] == other[-8:] and len(one) >= 8 <= len(other):
                return Level.SAME, one
            if OSA.distance(one, other, score_cutoff=1) <= 1:
                best = (Level.CLOSE, one)
    return best


def handles(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[Level, str]:
    """The best agreement of two lists of handles."""
    if shared := set(some) & set(others):
        return Level.SAME, min(shared)
    close = any(OSA.distance(one, other, score_cutoff=1) <= 1 for one in some[:5] for other in others[:5])
    return (Level.CLOSE if close else Level.DIFFERENT), ""


@lru_cache(maxsize=_CACHE)
def codes(one: str, other: str) -> Level:
    """House numbers, postcodes, states: short, so that one wrong sign is a lot."""
    if one == other:
        return Level.SAME
    return (
        Level.CLOSE
        if OSA.distance(one, other, score_cutoff=1) <= 1 and min(len(one), len(other)) > 1
        else Level.DIFFERENT
    )


@lru_cache(maxsize=_CACHE)
def words(one: str, other: str) -> Level:
    """Streets, towns, companies and other texts."""
    if one == other:
        return Level.SAME
    tight, tight_other = one.replace(" ", ""), other.replace(" ", "")
    if tight == tight_other:
        return Level.SAME
    if OSA.distance(tight, tight_other, score_cutoff=2) <= slips(min(tight, tight_other, key=len)):
        return Level.CLOSE
    if ratio(tight, tight_other, score_cutoff=82) or _words_within(one, other):
        return Level.NEAR
    return Level.DIFFERENT


def _words_within(one: str, other: str) -> bool:
    few = min(one, other, key=len)
    return len(few) >= 6 and " " in few and token_set_ratio(one, other, score_cutoff=96) > 0
