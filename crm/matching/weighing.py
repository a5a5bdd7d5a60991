"""What agreement says: Fellegi and Sunter's sum of log likelihood ratios, against strangers and against family.

I. P. Fellegi and A. B. Sunter, "A Theory for Record Linkage", J. Amer. Statist. Assoc. 64 (1969) 1183-1210: a field that
agrees at level L adds log2(m/u), m = P(L | same person), u = P(L | not the same). W. E. Winkler, "Frequency-based matching
in Fellegi-Sunter model of record linkage" (1989, 2000): u of an agreement is how frequent the value itself is, so that a
rare surname counts for more than a common one.

Those who are not the same person are of two kinds, and the pair must beat both: strangers, who agree by chance, and people
who share a home, who agree in address, often in surname and telephone, and by chance in the rest. How many of each a file
holds is learned from the file (`Population.learn`). Fields about a place depend on one another (a postcode names its
town), so their sum is discounted.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from crm.matching import likeness
from crm.matching.likeness import Level
from crm.matching.people import Person

THRESHOLD = 0.9  # chance of being the same person from which on a pair is reported
_SMALLEST = 1_000  # a file of ten rows is still drawn from a town
_DOUBLES = 0.25  # how many records of the same person a record has, before anything is seen
_HOUSEMATES = 0.5  # how many records of others in its home
_BELIEF = 40  # records that these two are worth when a file says otherwise
_ROUNDS = 12
_SMOOTHING = 200  # records of an imaginary file that usual frequencies stand for
_WIDEST = 60.0  # bits; beyond it nothing changes


class Chances(NamedTuple):
    """How often a level is seen in pairs of one person, of strangers (u; for SAME the value's own frequency), of one home."""

    same: float
    strangers: float
    home: float | None = None  # None: as among strangers


_S = Level.SAME
# m from what linkage projects report of names, dates and addresses (Winkler 2006, "Overview of record linkage and current
# research directions", section 3), rounded towards caution: a difference costs more than typing errors alone would say.
TABLE: dict[str, dict[Level, Chances]] = {
    "given name": {
        _S: Chances(0.80, 0.003, 0.003), Level.NICKNAME: Chances(0.04, 0.004), Level.CLOSE: Chances(0.08, 0.006),
        Level.PART: Chances(0.04, 0.004), Level.INITIAL: Chances(0.9, 0.06), Level.NEAR: Chances(0.02, 0.02),
        Level.DIFFERENT: Chances(0.04, 0.95),
    },
    "surname": {
        _S: Chances(0.82, 0.0008, 0.7), Level.CLOSE: Chances(0.09, 0.002, 0.05), Level.NICKNAME: Chances(0.01, 0.01),
        Level.PART: Chances(0.02, 0.002, 0.02), Level.INITIAL: Chances(0.9, 0.06, 0.7), Level.NEAR: Chances(0.02, 0.01, 0.02),
        Level.DIFFERENT: Chances(0.06, 0.95, 0.3),
    },
    "birth date": {
        _S: Chances(0.86, 0.00005, 0.003), Level.SWAPPED: Chances(0.01, 0.00004), Level.CLOSE: Chances(0.05, 0.001),
        Level.NEAR: Chances(0.02, 0.005), Level.PART: Chances(0.9, 0.02), Level.DIFFERENT: Chances(0.05, 0.97),
    },
    "e-mail": {
        _S: Chances(0.7, 0.00001, 0.03), Level.CLOSE: Chances(0.03, 0.00005, 0.02), Level.PART: Chances(0.07, 0.0005, 0.02),
        Level.DIFFERENT: Chances(0.2, 0.99, 0.93),
    },
    "phone": {
        _S: Chances(0.7, 0.00002, 0.4), Level.CLOSE: Chances(0.03, 0.0005, 0.03), Level.DIFFERENT: Chances(0.25, 0.99, 0.57),
    },
    "handle": {
        _S: Chances(0.6, 0.0001, 0.005), Level.CLOSE: Chances(0.05, 0.001), Level.DIFFERENT: Chances(0.3, 0.99),
    },
    "house number": {
        _S: Chances(0.85, 0.01, 0.9), Level.CLOSE: Chances(0.07, 0.06, 0.04), Level.DIFFERENT: Chances(0.08, 0.92, 0.06),
    },
    "address": {
        _S: Chances(0.78, 0.0005, 0.8), Level.CLOSE: Chances(0.11, 0.001, 0.1), Level.NEAR: Chances(0.04, 0.008, 0.04),
        Level.DIFFERENT: Chances(0.07, 0.98, 0.06),
    },
    "city": {
        _S: Chances(0.82, 0.003, 0.85), Level.CLOSE: Chances(0.08, 0.002, 0.08), Level.NEAR: Chances(0.03, 0.01, 0.03),
        Level.DIFFERENT: Chances(0.07, 0.97, 0.04),
    },
    "postcode": {
        _S: Chances(0.84, 0.002, 0.85), Level.CLOSE: Chances(0.08, 0.008, 0.08), Level.DIFFERENT: Chances(0.08, 0.98, 0.07),
    },
    "state": {_S: Chances(0.93, 0.1, 0.95), Level.CLOSE: Chances(0.03, 0.05, 0.03), Level.DIFFERENT: Chances(0.05, 0.8, 0.03)},
    "country": {_S: Chances(0.97, 0.2, 0.98), Level.CLOSE: Chances(0.01, 0.02, 0.01), Level.DIFFERENT: Chances(0.03, 0.7, 0.03)},
    "company": {
        _S: Chances(0.75, 0.001, 0.7), Level.CLOSE: Chances(0.08, 0.002, 0.08), Level.NEAR: Chances(0.07, 0.01, 0.07),
        Level.DIFFERENT: Chances(0.12, 0.98, 0.2),
    },
    "text": {
        _S: Chances(0.6, 0.005, 0.3), Level.CLOSE: Chances(0.07, 0.005, 0.04), Level.NEAR: Chances(0.05, 0.02, 0.04),
        Level.DIFFERENT: Chances(0.35, 0.9, 0.6),
    },
}  # fmt: skip
_AGAIN = 0.4  # what a second statement about the same spot is worth beside the first
_REGARDLESS = frozenset({Level.DIFFERENT, Level.INITIAL})  # levels that say the same whatever the value
_RANKS = {level: rank for rank, level in enumerate(Level)}
_UNIQUE = frozenset({"e-mail", "phone", "handle"})  # two strangers do not share one unless a third does too
_CROSSED = 3.5  # bits that swapped given name and surname, or swapped lines of an address, cost
_WORK_ADDRESSES = frozenset({
    "info", "office", "contact", "kontakt", "mail", "hello", "hallo", "sales", "support", "service", "admin", "team",
    "post", "reception", "no-reply", "noreply",
})  # fmt: skip
# Frequent names anywhere, for files and questions too small to tell: share of people who bear one, in 1,000.
_COMMON = {
    name: share / 1000
    for share, listed in (
        (10, "smith johnson muller schmidt wang li zhang nguyen garcia maria john james mohammed muhammad mohamed kim singh"),
        (5, "jones williams brown davis miller wilson taylor anderson thomas martin schneider fischer weber meyer becker"),
        (5, "rodriguez hernandez lopez gonzalez martinez perez sanchez lee chen liu robert michael david william richard"),
        (5, "mary patricia jennifer linda elizabeth anna peter thomas andreas stefan christian daniel jose juan sarah ali"),
        (3, "moore jackson white harris clark lewis walker hall young king wright hill green adams baker nelson kumar"),
        (3, "joseph charles christopher matthew anthony mark paul steven andrew george susan margaret jessica karen laura"),
        (3, "wagner schulz hoffmann koch bauer richter klein wolf martina sabine petra monika ursula claudia julia emma jack"),
    )
    for name in listed.split()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """One field's part: positive bits speak for the same person, negative ones against it."""

    field: str
    says: str
    bits: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """A pair's weight: the chance (0 to 1) of being one person, its log odds in bits, and the fields' parts."""

    score: float
    bits: float
    reasons: tuple[Reason, ...]


class Evidence(NamedTuple):
    """All that the fields of a pair say, in bits for the same person: against strangers, and against one home."""

    strangers: float
    home: float


class Seen(NamedTuple):
    """A field's level with its two weights, in bits."""

    field: str
    level: Level
    strangers: float
    home: float
    note: str = ""


class Population:
    """How frequent values are among the records at hand; what is rare here or everywhere counts for more."""

    def __init__(self, people: Iterable[Person] = (), size: int | None = None):
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in TABLE}
        count = 0
        for one in people:
            count += 1
            self._add(one)
        self.size = size if size is not None else count
        # Where nobody was counted, usual frequencies are all there is.
        self._smoothing = _SMOOTHING if count else max(self.size, _SMOOTHING)
        self._weights: dict[tuple[str, str, str, str], Seen] = {}
        self._expect(_DOUBLES, _HOUSEMATES)

    def _expect(self, doubles: float, housemates: float) -> None:
        """Set what is expected of a pair before it is looked at, as log odds against strangers and against a home."""
        self._against_strangers = math.log2(max(self.size, _SMALLEST) / (2 * doubles))
        self._against_home = math.log2(housemates / doubles)

    def learn(self, pairs: list[Evidence]) -> None:
        """Learn from all candidates how many records have a double, and how many a housemate (EM on the shares alone).

        A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm" (1977).
        A file without families need not pay for the caution that families ask for.
        """
        doubles, housemates = _DOUBLES, _HOUSEMATES
        for _ in range(_ROUNDS):
            same = home = 0.0
            for pair in pairs:
                strangers = 2 ** -max(pair.strangers - self._against_strangers, -_WIDEST)
                family = 2 ** -max(pair.home - self._against_home, -_WIDEST)
                same += 1 / (1 + strangers + family)
                home += family / (1 + strangers + family)
            doubles = (same + _BELIEF * _DOUBLES) / (self.size + _BELIEF)
            housemates = (home + _BELIEF * _HOUSEMATES) / (self.size + _BELIEF)
            self._expect(doubles, housemates)

    def _add(self, one: Person) -> None:
        counts = self._counts
        for field, value in (
            ("given name", one.given), ("surname", one.surname), ("house number", one.number), ("city", one.city),
            ("postcode", one.postcode), ("state", one.state), ("country", one.country), ("company", one.company),
        ):  # fmt: skip
            if value:
                counts[field][value] += 1
        if one.birth:
            counts["birth date"][one.birth.digits] += 1
        for field, values in (
            ("e-mail", one.emails),
            ("phone", one.phones),
            ("handle", one.handles),
            ("address", one.lines),
        ):
            counts[field].update(values)
        counts["text"].update(f"{name}={text}" for name, text in one.texts.items())

    def frequency(self, field: str, value: str) -> float:
        """How often a value is met among other people, between 0 and 1."""
        counts = self._counts[field]
        seen = counts[value]
        if field in ("given name", "surname"):
            seen += self._counts["surname" if field == "given name" else "given name"][value]
        usual = max(
            TABLE[field][_S].strangers, _COMMON.get(value, 0.0) if field in ("given name", "surname") else 0.0
        )
        others = max(seen - (2 if field in _UNIQUE else 1), 0)
        return min((others + self._smoothing * usual) / (self.size + self._smoothing), 1.0)

    def seen(self, field: str, level: Level, value: str = "", other: str = "") -> "Seen":
        """What a level says; an agreement is worth what its value is worth, a near one never more."""
        key = (field, level, "", "") if level in _REGARDLESS else (field, level, value, other)
        known = self._weights.get(key)
        if known is None:
            known = self._weights[key] = self._weight(*key)
        return known

    def _weight(self, field: str, level: Level, value: str, other: str) -> "Seen":
        chances = TABLE[field][level]
        strangers = chances.strangers
        if level == _S:
            strangers = self.frequency(field, value)
        elif value:
            strangers = max(strangers, self.frequency(field, value), self.frequency(field, other or value))
        strangers = min(strangers, 0.99)
        home = strangers if chances.home is None else chances.home
        return Seen(field, level, math.log2(chances.same / strangers), math.log2(chances.same / home))

    def look(self, one: Person, other: Person) -> Evidence:
        """What the fields of two records say, summed."""
        strangers = home = 0.0
        for part in _parts(self, one, other):
            strangers += part.strangers
            home += part.home
        return Evidence(strangers, home)

    def bits(self, found: Evidence) -> float:
        """Log odds that a pair is one person."""
        strangers, home = found.strangers - self._against_strangers, found.home - self._against_home
        return max(-_WIDEST, min(_WIDEST, -_log2_sum(-strangers, -home)))

    def weigh(self, one: Person, other: Person) -> Weighed:
        """The chance that two records are one person, with each field's part, the weightiest first."""
        bits = self.bits(self.look(one, other))
        reasons = tuple(
            Reason(part.field, part.note or str(part.level), round(part.strangers, 1))
            for part in sorted(_parts(self, one, other), key=lambda part: -abs(part.strangers))
        )
        return Weighed(round(1 / (1 + 2**-bits), 4), round(bits, 2), reasons)


def _parts(population: Population, one: Person, other: Person) -> "list[Seen]":
    parts = _names(population, one, other)
    _contacts(population, one, other, parts)
    _area(population, one, other, parts)
    if one.number and other.number:
        level = likeness.codes(one.number, other.number)
        parts.append(population.seen("house number", level, one.number, other.number))
    if one.lines and other.lines:
        parts.append(_lines(population, one.lines, other.lines))
    if one.texts and other.texts:
        parts += _texts(population, one, other)
    return parts


def _log2_sum(one: float, other: float) -> float:
    """log2(2**one + 2**other) without overflow."""
    high, low = max(one, other), min(one, other)
    return high + math.log2(1 + 2 ** max(low - high, -60.0))


def _names(population: Population, one: Person, other: Person) -> list[Seen]:
    """Given name and surname straight or crossed, whichever says more; a crossing costs."""
    straight = _named(population, one, other)
    if all(part.level == _S for part in straight) and straight:
        return straight
    crossed = _crossed(population, one, other)
    if crossed and sum(part.strangers for part in crossed) > sum(part.strangers for part in straight):
        return crossed
    return straight


def _named(population: Population, one: Person, other: Person) -> list[Seen]:
    parts = []
    for field, mine, theirs in (
        ("given name", one.given, other.given),
        ("surname", one.surname, other.surname),
    ):
        if mine and theirs:
            parts.append(population.seen(field, likeness.names(mine, theirs), mine, theirs))
    return parts


def _crossed(population: Population, one: Person, other: Person) -> list[Seen]:
    """Each one's given name beside the other's surname. A lone agreement is then one of surnames: families share those."""
    pairs = [
        (mine, theirs)
        for mine, theirs in ((one.given, other.surname), (one.surname, other.given))
        if mine and theirs
    ]
    levels = [likeness.names(mine, theirs) for mine, theirs in pairs]
    if all(level == Level.DIFFERENT for level in levels):
        return []
    if len(pairs) == 2 and _RANKS[levels[0]] < _RANKS[levels[1]]:
        pairs, levels = pairs[::-1], levels[::-1]
    parts = []
    for field, (mine, theirs), level in zip(
        ("given name", "surname")[-len(pairs) :], pairs, levels, strict=True
    ):
        parts.append(population.seen(field, level, mine, theirs)._replace(note=f"{level}, names swapped"))
    parts[0] = parts[0]._replace(strangers=parts[0].strangers - _CROSSED, home=parts[0].home - _CROSSED)
    return parts


def _contacts(population: Population, one: Person, other: Person, parts: list[Seen]) -> None:
    if one.birth and other.birth:
        level = likeness.births(one.birth, other.birth)
        parts.append(population.seen("birth date", level, one.birth.digits, other.birth.digits))
    if one.emails and other.emails:
        parts.append(_emails(population, one, other))
    if one.phones and other.phones:
        level, value = likeness.phones(one.phones, other.phones)
        parts.append(population.seen("phone", level, value))
    if one.handles and other.handles:
        level, value = likeness.handles(one.handles, other.handles)
        parts.append(population.seen("handle", level, value))


def _emails(population: Population, one: Person, other: Person) -> Seen:
    level, value = likeness.emails(one.emails, other.emails)
    seen = population.seen("e-mail", level, value)
    local = value.partition("@")[0]
    if local in _WORK_ADDRESSES:
        # Everybody at a company writes from it: it names the house, not the person.
        return seen._replace(strangers=min(seen.strangers, 6.0), home=min(seen.home, 0.0))
    if level in (Level.PART, Level.CLOSE) and _names_him(local, one):
        # Made of the name, it agrees where names do, and says little beyond them.
        return seen._replace(strangers=min(seen.strangers, 1.0), home=min(seen.home, 0.5))
    return seen


def _names_him(local: str, one: Person) -> bool:
    words = [word for word in f"{one.given} {one.surname}".split() if len(word) >= 3]
    return any(word in local for word in words)


def _area(population: Population, one: Person, other: Person, parts: list[Seen]) -> None:
    """Town, postcode, state, country: what names the same spot is counted once, the rest at a discount."""
    found = []
    if one.city and other.city:
        found.append(population.seen("city", likeness.words(one.city, other.city), one.city, other.city))
    if one.postcode and other.postcode:
        found.append(
            population.seen(
                "postcode", likeness.codes(one.postcode, other.postcode), one.postcode, other.postcode
            )
        )
    if one.state and other.state:
        found.append(population.seen("state", likeness.codes(one.state, other.state), one.state, other.state))
    if one.country and other.country:
        found.append(
            population.seen("country", likeness.codes(one.country, other.country), one.country, other.country)
        )
    if len(found) > 1:
        found.sort(key=_by_strangers, reverse=True)
        found[1:] = [
            Seen(part.field, part.level, part.strangers * _AGAIN, part.home, part.note) for part in found[1:]
        ]
    parts += found


def _by_strangers(part: Seen) -> float:
    return part.strangers


def _lines(population: Population, some: tuple[str, ...], others: tuple[str, ...]) -> Seen:
    """Lines of two addresses in any order: the best pair of lines speaks, a second that agrees adds a little."""
    pairs = []
    for place, mine in enumerate(some[:4]):
        for place_other, theirs in enumerate(others[:4]):
            level = likeness.words(mine, theirs)
            if level != Level.DIFFERENT:
                pairs.append((population.seen("address", level, mine, theirs), place, place_other))
    if not pairs:
        return population.seen("address", Level.DIFFERENT)
    pairs.sort(key=lambda pair: -pair[0].strangers)
    best, place, place_other = pairs[0]
    second = [seen for seen, a, b in pairs[1:] if a != place and b != place_other]
    more = _AGAIN * second[0].strangers if second else 0.0
    note = f"{best.level}, lines swapped" if place != place_other else ""
    return best._replace(strangers=best.strangers + more, note=note)


def _texts(population: Population, one: Person, other: Person) -> list[Seen]:
    """Columns nobody knows the meaning of: together they may say a little, never decide alone."""
    parts = []
    for name in one.texts.keys() & other.texts.keys():
        level = likeness.words(one.texts[name], other.texts[name])
        seen = population.seen("text", level, f"{name}={one.texts[name]}", f"{name}={other.texts[name]}")
        parts.append(seen._replace(field=name))
    total = sum(part.strangers for part in parts)
    bound = min(max(total, -4.0), 8.0)
    if not parts or total == bound:
        return parts
    return [
        part._replace(strangers=part.strangers * bound / total, home=part.home * bound / total)
        for part in parts
    ]
