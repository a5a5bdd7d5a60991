"""Which records are compared at all, and which pairs stand: blocks of bounded size, then groups that agree as a whole."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crm.matching.people import Person
from crm.matching.weighing import THRESHOLD, Evidence, Population, Reason

LARGEST_BLOCK = 40  # records that are all compared with one another; a larger block slides a window instead
WINDOW = 8  # neighbours, in the order of all that is known, that a record of a large block is compared with
LARGEST_GROUP = 60  # records of one person; more are a fault of the data
Pair = tuple[int, int]
Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Match:
    """Two records of one person, by their keys, the more likely the higher the score; reasons are of these two.

    `by_way_of` names two other records that are surely one person and tie these together, when that is surer.
    """

    one: str
    other: str
    score: float
    bits: float
    reasons: tuple[Reason, ...]
    by_way_of: tuple[str, str] | None = None


def find(
    people: Sequence[Person],
    others: Sequence[Person] | None = None,
    *,
    threshold: float = THRESHOLD,
    progress: Progress = lambda done: None,
    expect: Callable[[int], object] = lambda total: None,
) -> list[Match]:
    """The pairs of one list that are the same person, or the pairs between two lists, likeliest first.

    Work grows with the number of records times a constant, never with its square. `expect` is told how many comparisons
    there will be, `progress` how many were done.
    """
    everybody = [*people, *(others or ())]
    border = len(people) if others is not None else None
    population = Population(everybody)
    # Of two lists, too, all are compared: a record that one list holds twice helps to find its third.
    pairs = sorted(candidates(everybody))
    expect(len(pairs))
    looked: dict[Pair, Evidence] = {}
    for done, (one, other) in enumerate(pairs, 1):
        found = population.look(everybody[one], everybody[other])
        if found.strangers > 0.0:  # what speaks against itself decides nothing
            looked[one, other] = found
        if done % 5000 == 0:
            progress(5000)
    progress(len(pairs) % 5000)
    population.learn(list(looked.values()))
    matches = [
        _match(everybody, population, pair, link)
        for pair, link in _linked(everybody, population, looked, _bits(threshold)).items()
        if border is None or pair[0] < border <= pair[1]
    ]
    return sorted(matches, key=lambda match: (-match.bits, match.one, match.other))


def _match(everybody: Sequence[Person], population: Population, pair: Pair, link: Pair) -> Match:
    """A pair, as sure as itself or as the link that joined its two records' groups."""
    own, joined = (population.weigh(everybody[one], everybody[other]) for one, other in (pair, link))
    surer = max(own, joined, key=lambda weighed: weighed.bits)
    by_way_of = None if surer is own else (everybody[link[0]].key, everybody[link[1]].key)
    one, other = (everybody[place].key for place in pair)
    return Match(one, other, surer.score, surer.bits, own.reasons, by_way_of)


def _bits(chance: float) -> float:
    return math.log2(chance / (1 - chance)) if 0 < chance < 1 else math.copysign(100.0, chance - 0.5)


# --- Blocking


def candidates(everybody: Sequence[Person]) -> set[Pair]:
    """Pairs of places worth comparing: they share at least one key."""
    blocks: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(everybody):
        for key in keys(one):
            blocks[key].append(place)
    order = {place: _everything(one) for place, one in enumerate(everybody)}
    found: set[Pair] = set()
    for block in blocks.values():
        if len(block) > 1:
            found.update(_pairs(block, order))
    return found


def _pairs(block: list[int], order: dict[int, str]) -> Iterator[Pair]:
    reach = len(block) if len(block) <= LARGEST_BLOCK else WINDOW
    if reach == WINDOW:
        block = sorted(block, key=lambda place: (order[place], place))
    for at, one in enumerate(block):
        for other in block[at + 1 : at + 1 + reach]:
            yield (one, other) if one < other else (other, one)


def _everything(one: Person) -> str:
    """The order in which records of a large block stand: those alike stand near."""
    birth = one.birth.digits if one.birth else ""
    return " ".join((one.surname, one.given, birth, one.postcode, *one.lines, *one.emails, *one.phones))


def keys(one: Person) -> set[str]:
    """The blocks a record belongs to: several independent ones, so that no single error hides a pair."""
    found = {f"mail {value}" for value in one.emails} | {
        f"local {value.partition('@')[0]}" for value in one.emails
    }
    found |= {f"phone {value[-8:]}" for value in one.phones} | {f"handle {value}" for value in one.handles}
    found |= set(_name_keys(one)) | set(_birth_keys(one)) | set(_place_keys(one))
    found |= {f"text {name} {text}" for name, text in one.texts.items() if len(text) >= 4}
    return found


def _name_keys(one: Person) -> Iterator[str]:
    given, surname = sound(one.given), sound(one.surname)
    if given and surname:
        for part, mine, theirs in (
            ("sounds", given, surname), ("starts", one.given[:3], one.surname[:3]), ("ends", one.given[-3:], one.surname[-3:]),
        ):  # fmt: skip
            first, second = sorted((mine, theirs))
            yield f"{part} {first} {second}"
    elif lone := given or surname:
        yield f"lone {lone}"
    for name in {given, surname} - {""}:
        for place in {one.postcode, one.city[:5], *(line[:4] for line in one.lines)} - {""}:
            yield f"name and place {name} {place}"
        if one.number:
            yield f"name and number {name} {one.number}"


def _birth_keys(one: Person) -> Iterator[str]:
    if not one.birth:
        return
    digits = one.birth.digits
    first, second = sorted((digits[4:6], digits[6:]))
    yield f"born {digits[:4]} {first} {second}"
    for name in (one.given, one.surname):
        if name:
            yield f"name and year {sound(name)} {digits[:4]}"
            yield f"name and day {sound(name)} {digits[4:]}"


def _place_keys(one: Person) -> Iterator[str]:
    for line in one.lines:
        tight = line.replace(" ", "")
        yield f"line {tight[:9]}"
        for place in (one.number, one.postcode, one.city[:5]):
            if place:
                yield f"line and place {tight[:6]} {place}"
    if one.number and one.postcode:
        yield f"number and postcode {one.number} {one.postcode}"
    if one.company and (name := one.surname or one.given):
        yield f"company {one.company[:8]} {sound(name)}"


_SOUNDS = str.maketrans(
    {
        sign: str(code)
        for code, signs in enumerate(("bfpvw", "cgjkqsxz", "dt", "l", "mn", "r"), 1)
        for sign in signs
    }
)


def sound(name: str) -> str:
    """Soundex' idea (R. C. Russell, US patent 1,261,167): first letter, then classes of consonants, repeats once."""
    tight = name.replace(" ", "")
    if not tight or not tight.isascii():
        return tight[:4]
    codes = tight.translate(_SOUNDS)
    kept, last = [], codes[0]
    for code in codes[1:]:
        if code.isdigit() and code != last:
            kept.append(code)
        if code not in "hw":
            last = code
    return tight[0] + "".join(kept)[:3]


# --- Choosing


def _linked(
    everybody: Sequence[Person], population: Population, looked: dict[Pair, Evidence], least: float
) -> dict[Pair, Pair]:
    """Records of one person as groups, given as all their pairs, each with the pair that joined its two sides.

    The likeliest pairs join first, and two groups join only if they agree as wholes. So a person with five records is one
    group, while two good candidates that contradict each other are not both taken: one-to-one or many as the data asks.
    """
    groups = [[place] for place in range(len(everybody))]
    weights = {pair: bits for pair, found in looked.items() if (bits := population.bits(found)) >= least}
    links: dict[Pair, Pair] = {}
    for pair in sorted(weights, key=lambda pair: (-weights[pair], pair)):
        mine, theirs = (groups[place] for place in pair)
        if mine is theirs or len(mine) + len(theirs) > LARGEST_GROUP:
            continue
        crossing = [(min(one, other), max(one, other)) for one in mine for other in theirs]
        if sum(population.bits(_look(everybody, population, looked, one)) for one in crossing) > 0.0:
            links.update(dict.fromkeys(crossing, pair))
            mine += theirs
            for place in theirs:
                groups[place] = mine
    return links


def _look(
    everybody: Sequence[Person], population: Population, looked: dict[Pair, Evidence], pair: Pair
) -> Evidence:
    if pair not in looked:
        looked[pair] = population.look(everybody[pair[0]], everybody[pair[1]])
    return looked[pair]
