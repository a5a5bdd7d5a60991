"""Birth dates as people write them, broken ones included."""

import re
from dataclasses import dataclass
from functools import lru_cache

_MONTHS = {
    "jan": 1, "gen": 1, "ene": 1, "feb": 2, "fev": 2, "mar": 3, "mrz": 3, "maa": 3, "apr": 4, "avr": 4, "abr": 4,
    "may": 5, "mai": 5, "mei": 5, "mag": 5, "jun": 6, "giu": 6, "jul": 7, "lug": 7, "aug": 8, "ago": 8, "aou": 8,
    "sep": 9, "set": 9, "oct": 10, "okt": 10, "ott": 10, "out": 10, "nov": 11, "dec": 12, "dez": 12, "dic": 12,
}  # fmt: skip
_FIRST_YEAR, _LAST_YEAR = 1850, 2050
_TIME = re.compile(r"[t ]\d{1,2}:\d{2}.*$")


@dataclass(frozen=True, slots=True)
class Date:
    """A date as read; month and day are 0 when only the year is known, `digits` are as for `YYYYMMDD`."""

    year: int
    month: int
    day: int
    digits: str


@lru_cache(maxsize=50_000)
def read_date(text: str, month_first: bool = False) -> Date | None:
    """A date in any usual order; None when there is none. Eight digits that are no date keep their digits, year 0."""
    said = _TIME.sub("", text.strip().casefold())
    if re.fullmatch(r"\d{8}", said):
        return _of_digits(said)
    if re.fullmatch(r"\d{4}", said):
        year = int(said)
        return Date(year, 0, 0, said + "0000") if _FIRST_YEAR <= year <= _LAST_YEAR else None
    parts = [part for part in re.split(r"[^\w]+|(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)", said) if part]
    parts = [part for part in parts if part not in ("de", "of", "st", "nd", "rd", "th")]
    return _of_parts(parts, month_first) if len(parts) == 3 else None


def _of_digits(said: str) -> Date:
    for year, month, day in (
        (said[:4], said[4:6], said[6:]),
        (said[4:], said[2:4], said[:2]),
        (said[4:], said[:2], said[2:4]),
    ):
        if made := _valid(int(year), int(month), int(day)):
            return made
    return Date(0, 0, 0, said)


def _of_parts(parts: list[str], month_first: bool) -> Date | None:
    named = [place for place, part in enumerate(parts) if part[:3] in _MONTHS]
    if len(named) == 1:
        month = _MONTHS[parts.pop(named[0])[:3]]
        if not all(part.isdecimal() for part in parts):
            return None
        day, of_year = (parts[1], parts[0]) if len(parts[0]) == 4 else (parts[0], parts[1])
        return _valid(_full(of_year), month, int(day))
    if named or not all(part.isdecimal() and len(part) <= 4 for part in parts):
        return None
    if len(parts[0]) == 4:
        return _valid(int(parts[0]), int(parts[1]), int(parts[2])) or _valid(
            int(parts[0]), int(parts[2]), int(parts[1])
        )
    one, two, year = int(parts[0]), int(parts[1]), _full(parts[2])
    orders = ((one, two), (two, one)) if month_first else ((two, one), (one, two))
    return next((made for month, day in orders if (made := _valid(year, month, day))), None)


def _full(year: str) -> int:
    """Two digits are a year of the century in which somebody who is alive was born."""
    return int(year) + (1900 if int(year) > 25 else 2000) if len(year) <= 2 else int(year)


def _valid(year: int, month: int, day: int) -> Date | None:
    if _FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12 and 1 <= day <= 31:
        return Date(year, month, day, f"{year:04}{month:02}{day:02}")
    return None


def month_comes_first(texts: list[str]) -> bool:
    """Whether a column writes the month before the day: some second number is too large for a month, no first one is."""
    firsts, seconds = [], []
    for text in texts:
        if found := re.match(r"\s*(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}", text):
            firsts.append(int(found[1]))
            seconds.append(int(found[2]))
    return bool(seconds) and max(seconds) > 12 and max(firsts) <= 12
