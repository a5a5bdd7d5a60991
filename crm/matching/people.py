"""A record made comparable: names folded, numbers in E.164, mail in one spelling, addresses in parts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import phonenumbers

from crm.matching.dates import Date, month_comes_first, read_date
from crm.matching.roles import Role, words_of

_LETTERS = str.maketrans({
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŋ": "n",
    "'": "", "’": "", "`": "", "´": "",
})  # fmt: skip
_TITLES = frozenset({
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam", "herr", "frau", "dipl", "ing", "mag", "mme", "mlle",
    "monsieur", "madame", "sr", "sra", "srta", "don", "jr", "snr", "jnr", "phd", "md",
})  # fmt: skip
_PARTICLES = frozenset({
    "van", "von", "de", "der", "den", "di", "da", "del", "della", "du", "la", "le", "dos", "das", "mac", "mc", "o", "al",
    "el", "bin", "ibn", "ter", "ten", "zu", "zur", "af",
})  # fmt: skip
_STREET_WORDS = {
    "street": "st", "str": "st", "strasse": "st", "road": "rd", "avenue": "ave", "av": "ave", "place": "pl", "court": "ct",
    "crt": "ct", "crescent": "cr", "cres": "cr", "drive": "dr", "drv": "dr", "lane": "ln", "close": "cl", "circuit": "cct",
    "circ": "cct", "terrace": "tce", "boulevard": "blvd", "bvd": "blvd", "parade": "pde", "highway": "hwy", "square": "sq",
    "grove": "gr", "platz": "pl", "weg": "wg", "village": "vlge", "vlg": "vlge", "retirement": "retrmnt", "apartment": "apt",
    "apmnt": "apt", "flat": "apt", "building": "bldg", "saint": "st", "mount": "mt", "north": "n", "south": "s", "east": "e",
    "west": "w",
}  # fmt: skip
_REGIONS = {
    "germany": "DE", "deutschland": "DE", "allemagne": "DE", "alemania": "DE", "austria": "AT", "osterreich": "AT",
    "switzerland": "CH", "schweiz": "CH", "suisse": "CH", "united kingdom": "GB", "uk": "GB", "great britain": "GB",
    "england": "GB", "scotland": "GB", "usa": "US", "united states": "US", "united states of america": "US", "canada": "CA",
    "australia": "AU", "new zealand": "NZ", "ireland": "IE", "france": "FR", "spain": "ES", "espana": "ES", "italy": "IT",
    "italia": "IT", "netherlands": "NL", "nederland": "NL", "belgium": "BE", "poland": "PL", "polska": "PL", "portugal": "PT",
    "brazil": "BR", "brasil": "BR", "mexico": "MX", "india": "IN", "japan": "JP", "china": "CN", "sweden": "SE",
    "norway": "NO", "denmark": "DK", "finland": "FI", "turkey": "TR", "russia": "RU", "south africa": "ZA",
}  # fmt: skip
_NO_VALUE = frozenset(
    {
        "",
        "na",
        "n a",
        "nan",
        "null",
        "none",
        "nil",
        "unknown",
        "unbekannt",
        "tbd",
        "xxx",
        "test",
        "no",
        "keine",
    }
)
_LONGEST = 500  # characters of a cell that are looked at


@dataclass(slots=True)
class Person:
    """What of a record is compared; an empty field says nothing. Values are folded, never what a page shows."""

    key: str
    given: str = ""
    surname: str = ""
    birth: Date | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    number: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    postcode: str = ""
    state: str = ""
    country: str = ""
    company: str = ""
    texts: dict[str, str] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether nothing is known by which anybody could be told from others."""
        known = (
            self.given,
            self.surname,
            self.birth,
            self.emails,
            self.phones,
            self.handles,
            self.lines,
            self.company,
            self.texts,
        )
        return not any(known)


@lru_cache(maxsize=200_000)
def fold(text: str) -> str:
    """Lower case, no accents, no punctuation, single blanks: `Müller-Lüdenscheidt ` is `muller ludenscheidt`."""
    plain = unicodedata.normalize("NFKD", text[:_LONGEST].casefold().translate(_LETTERS))
    kept = "".join(sign if sign.isalnum() else " " for sign in plain if not unicodedata.combining(sign))
    words = " ".join(kept.split())
    return "" if words in _NO_VALUE else words


@lru_cache(maxsize=100_000)
def split_name(text: str) -> tuple[str, str]:
    """Given name and surname out of a whole name: `Dr. Anna Maria von Trapp`, `Trapp, Anna Maria von`."""
    before, comma, after = text.partition(",")
    if comma and (given := _without_titles(fold(after))):
        return given, _without_titles(fold(before))
    words = _without_titles(fold(text)).split()
    if not words:
        return "", ""
    if len(words) == 1:
        return "", words[0]
    start = len(words) - 1
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 1
    return " ".join(words[:start]), " ".join(words[start:])


def _without_titles(folded: str) -> str:
    words = [word for word in folded.split() if word not in _TITLES]
    return " ".join(words)


def email_key(text: str) -> str:
    """One spelling of a mail address: case, `+tag`, Gmail's dots and its other domain do not matter."""
    said = text.strip().strip("<>").casefold()[:_LONGEST].removeprefix("mailto:")
    local, at, domain = said.rpartition("@")
    if not at or not local or "." not in domain or " " in local:
        return ""
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


@lru_cache(maxsize=100_000)
def phone_key(text: str, region: str = "") -> str:
    """A number in E.164 (`+49301234567`); without a known country its national digits; empty when it is none."""
    said = unicodedata.normalize("NFKC", text[:60]).strip()
    if said.startswith("00"):
        said = "+" + said[2:]
    digits = "".join(sign for sign in said if sign.isascii() and sign.isdigit())
    if not 6 <= len(digits) <= 17 or len(set(digits)) == 1:
        return ""
    if said.startswith("+") or region:
        try:
            parsed = phonenumbers.parse(said, region or None)
        except phonenumbers.NumberParseException:
            return digits.lstrip("0")
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return digits.lstrip("0")


@lru_cache(maxsize=100_000)
def address_line(text: str) -> str:
    """A line of an address, with the usual abbreviations: `3 Crisp Street` is `3 crisp st`."""
    words = [_STREET_WORDS.get(word, word) for word in fold(text).split()]
    return " ".join(re.sub(r"(?<=[a-z]{3})(strasse|str)$", " st", word) for word in words)


class Reader:
    """Makes records of one file comparable; what the file as a whole tells (order of dates, country) counts for each row."""

    def __init__(
        self, headers: Sequence[str], roles: Sequence[Role], rows: Sequence[Sequence[str]], region: str = ""
    ):
        self._places: dict[Role, list[int]] = {}
        for place, role in enumerate(roles):
            self._places.setdefault(role, []).append(place)
        self._texts = [
            (place, words_of(headers[place]) or str(place)) for place in self._places.get(Role.TEXT, [])
        ]
        births = [row[place] for place in self._places.get(Role.BIRTH, []) for row in rows]
        self._month_first = month_comes_first(births)
        self._region = region or self._usual_region(rows)

    def _usual_region(self, rows: Sequence[Sequence[str]]) -> str:
        """The country of most numbers that name theirs."""
        seen: Counter[str] = Counter()
        for place in self._places.get(Role.PHONE, []):
            for row in rows[:2000]:
                if row[place].strip().startswith(("+", "00")) and (key := phone_key(row[place])).startswith(
                    "+"
                ):
                    seen[phonenumbers.region_code_for_number(phonenumbers.parse(key)) or ""] += 1
        return seen.most_common(1)[0][0] if seen else ""

    def read(self, key: str, row: Sequence[str]) -> Person:
        """One record."""
        country = self._joined(row, Role.COUNTRY)
        given, surname = self._name(row)
        number, lines, postcode, city = _address(
            self._joined(row, Role.NUMBER),
            self._cells(row, Role.LINE),
            self._joined(row, Role.POSTCODE),
            self._joined(row, Role.CITY),
        )
        return Person(
            key=key, given=given, surname=surname, birth=self._birth(row),
            emails=_distinct(email_key(one) for cell in self._cells(row, Role.EMAIL) for one in re.split(r"[;,\s]+", cell)),
            phones=_distinct(
                phone_key(one, region_of(country) or self._region)
                for cell in self._cells(row, Role.PHONE) for one in re.split(r"[;,|]", cell)
            ),
            handles=_distinct(cell.strip().lstrip("@").casefold()[:100] for cell in self._cells(row, Role.HANDLE)),
            number=number, lines=lines, city=city, postcode=postcode,
            state=self._joined(row, Role.STATE), country=country, company=self._joined(row, Role.COMPANY),
            texts={name: words for place, name in self._texts if (words := fold(row[place]))},
        )  # fmt: skip

    def _cells(self, row: Sequence[str], role: Role) -> list[str]:
        return [row[place] for place in self._places.get(role, []) if row[place].strip()]

    def _joined(self, row: Sequence[str], role: Role) -> str:
        return fold(" ".join(self._cells(row, role)))

    def _name(self, row: Sequence[str]) -> tuple[str, str]:
        given = _without_titles(self._joined(row, Role.GIVEN))
        surname = _without_titles(self._joined(row, Role.SURNAME))
        if not given and not surname:
            return split_name(" ".join(self._cells(row, Role.NAME))[:_LONGEST])
        return given, surname

    def _birth(self, row: Sequence[str]) -> Date | None:
        cells = self._cells(row, Role.BIRTH)
        return read_date(cells[0][:40], self._month_first) if len(cells) == 1 else _of_three(cells)


def _of_three(cells: list[str]) -> Date | None:
    """A birth date over three columns (day, month, year, in any order that reads)."""
    return read_date(" ".join(cells)[:40]) if len(cells) == 3 else None


def region_of(country: str) -> str:
    """The two letters of a folded country name, as far as known."""
    if len(country) == 2 and country.isascii():
        return {"uk": "GB"}.get(country, country.upper())
    return _REGIONS.get(country, "")


def _address(
    number: str, cells: list[str], postcode: str, city: str
) -> tuple[str, tuple[str, ...], str, str]:
    """House number, lines, postcode, city; what has no column of its own is looked for in the lines."""
    lines = [line for cell in cells for part in re.split(r"[,\n;]+", cell) if (line := address_line(part))]
    if not postcode and len(lines) > 1:
        lines, postcode, found = _with_postcode(lines)
        city = city or found
    if not number:
        for place, line in enumerate(lines):
            if cut := re.fullmatch(r"(\d+[a-z]?) (.+)", line) or re.fullmatch(
                r"(?P<rest>\D.*?) (?P<n>\d+ ?[a-z]?)", line
            ):
                named = cut.groupdict()
                number = named.get("n") or cut[1]
                lines[place] = named.get("rest") or cut[2]
                break
    return number.replace(" ", ""), tuple(dict.fromkeys(lines)), postcode.replace(" ", ""), city


def _with_postcode(lines: list[str]) -> tuple[list[str], str, str]:
    """The last line that holds four to six digits besides words, or alone, is town and postcode."""
    for place in range(len(lines) - 1, 0, -1):
        words = lines[place].split()
        codes = [word for word in words if re.fullmatch(r"\d{4,6}", word)]
        if len(codes) == 1:
            town = " ".join(word for word in words if word != codes[0])
            return lines[:place] + lines[place + 1 :], codes[0], town
    return lines, "", ""


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))


def person(key: str, said: Mapping[Role, str | Sequence[str]], region: str = "") -> Person:
    """A person out of values by role, for callers that have no table."""
    headers: list[Role] = []
    row: list[str] = []
    for role, value in said.items():
        for one in [value] if isinstance(value, str) else value:
            headers.append(role)
            row.append(one)
    return Reader([str(role) for role in headers], headers, [row], region).read(key, row)
