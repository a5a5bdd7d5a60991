"""What the columns of a file of customers are, and what stands in its cells: guessed, then read strictly. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import phonenumbers

from crm.choices import ChannelKind
from crm.matching.roles import Role, guess, words_of

NETWORKS = (
    ChannelKind.X, ChannelKind.FACEBOOK, ChannelKind.INSTAGRAM, ChannelKind.YOUTUBE, ChannelKind.MASTODON,
    ChannelKind.BLUESKY, ChannelKind.REDDIT,
)  # fmt: skip
LEFT_OUT = ""
OWN = "field:"  # before the slug of a field of our own
HANDLE = "handle:"  # before the network on which all handles of a column are
TARGETS: dict[str, str] = {
    "name": "Name", "given": "Given name", "surname": "Surname", "email": "E-mail", "phone": "Phone", "company": "Company",
    "language": "Language", "value": "Value a year", "vip": "VIP", "note": "Note", "tags": "Tags",
    "handle": "Handle, network in another column", "network": "Network of the handle",
    **{f"{HANDLE}{kind.value}": f"Handle on {str(kind.label)[:1].upper()}{str(kind.label)[1:]}" for kind in NETWORKS},
}  # fmt: skip
_MANY = {"given", "surname", "email", "phone", "tags"}  # several columns may be one of these
_NAMING = {"name", "given", "surname", "email", "phone", "handle"}
_BY_ROLE = {
    Role.GIVEN: "given", Role.SURNAME: "surname", Role.NAME: "name", Role.EMAIL: "email", Role.PHONE: "phone",
    Role.COMPANY: "company",
}  # fmt: skip
_BY_NAME = (
    (
        "language",
        re.compile(r"^(pref(erred)?_)?(language|lang|sprache|langue|idioma|lingua|taal|locale)(_code)?$"),
    ),
    ("vip", re.compile(r"(^|_)vip(_|$)")),
    ("tags", re.compile(r"^(tags?|labels?|segments?|schlagworte?|etiquetas|categor(y|ies))$")),
    ("note", re.compile(r"^(notes?|notiz(en)?|comments?|remarks?|bemerkung(en)?|kommentar|memo)$")),
    ("value", re.compile(r"(^|_)(value|umsatz|revenue|spend|turnover|clv|ltv|wert)(_|$)")),
    ("network", re.compile(r"^(social_)?(network|netzwerk|platform|plattform|reseau)$")),
)
_NETWORK_WORDS = {
    "twitter": "x", "x": "x", "facebook": "facebook", "fb": "facebook", "instagram": "instagram", "insta": "instagram",
    "ig": "instagram", "youtube": "youtube", "yt": "youtube", "mastodon": "mastodon", "bluesky": "bluesky", "bsky": "bluesky",
    "reddit": "reddit",
}  # fmt: skip
_LANGUAGES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "francais": "fr", "spanish": "es", "espanol": "es",
    "italian": "it", "italiano": "it", "dutch": "nl", "nederlands": "nl", "portuguese": "pt", "portugues": "pt",
    "polish": "pl", "turkish": "tr", "arabic": "ar", "hindi": "hi", "chinese": "zh", "japanese": "ja", "russian": "ru",
}  # fmt: skip
_YES = {"1", "true", "yes", "y", "ja", "oui", "si", "x", "vip", "wahr"}
_NO = {"0", "false", "no", "n", "nein", "non", "falsch"}
_NOTHING = {"", "-", "--", "–", "n/a", "na", "null", "none", "nan", "#n/a"}
_MAIL = re.compile(r"[^@\s<>\",;:()\[\]]{1,100}@[^@\s<>\",;:()\[\]]+\.[^@\s<>\",;:()\[\].]{2,}")
_QUOTED = re.compile(r"'[=+\-@\t\r]")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,4})?")
LONGEST_NAME, LONGEST_NOTE, LONGEST_TAG, MOST_OF_A_KIND = 200, 10_000, 40, 10
_HIGHEST_VALUE = Decimal("9999999999.99")


class BadRowError(ValueError):
    """Cells that cannot be read; the message names columns and reasons, for people."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a customer: under `kind` and `value` it is known, `given` is how it was written."""

    kind: str
    value: str
    given: str


@dataclass(slots=True)
class Said:
    """One row as it was understood; what is empty or None is not said."""

    name: str = ""
    addresses: list[Address] = field(default_factory=list)
    company: str = ""
    language: str = ""
    value: Decimal | None = None
    vip: bool | None = None
    note: str = ""
    tags: list[str] = field(default_factory=list)
    own: dict[str, str] = field(default_factory=dict)


# --- What columns are


def guess_mapping(
    headers: Sequence[str], rows: Sequence[Sequence[str]], own: Sequence[tuple[str, str]] = ()
) -> list[str]:
    """A target for each column, from its name and what stands in it; `own` are (slug, label) of fields of our own."""
    by_word = {words_of(text): f"{OWN}{slug}" for slug, label in own for text in (label, slug)}
    roles = guess(headers, rows)
    found: list[str] = []
    for header, role in zip(headers, roles, strict=True):
        target = _target(words_of(header), role, by_word)
        found.append(target if target not in found or target in _MANY else LEFT_OUT)
    if "handle" in found and "network" not in found:
        found = [LEFT_OUT if one == "handle" else one for one in found]
    return [LEFT_OUT if one == "network" and "handle" not in found else one for one in found]


def _target(name: str, role: Role, by_word: dict[str, str]) -> str:
    if name in by_word:
        return by_word[name]
    for target, pattern in _BY_NAME:
        if pattern.search(name):
            return target
    network = next((_NETWORK_WORDS[word] for word in name.split("_") if word in _NETWORK_WORDS), None)
    if network:
        return f"{HANDLE}{network}"
    return "handle" if role == Role.HANDLE else _BY_ROLE.get(role, LEFT_OUT)


def problem_of(mapping: Sequence[str], headers: Sequence[str], own: Sequence[str]) -> str:
    """Why a mapping cannot be used, or nothing."""
    if len(mapping) != len(headers):
        return f"There are {len(headers)} columns and {len(mapping)} of them are mapped."
    known = {LEFT_OUT, *TARGETS, *(f"{OWN}{slug}" for slug in own)}
    if unknown := [one for one in mapping if one not in known]:
        return f"There is no field {unknown[0][:60]!r}."
    twice = [one for one, count in Counter(mapping).items() if one and count > 1 and one not in _MANY]
    if twice:
        return f"Two columns are the {_label(twice[0])}."
    if not {one.split(":")[0] for one in mapping} & _NAMING:
        return "No column says who it is: a name, an e-mail address, a phone number or a handle."
    if ("handle" in mapping) != ("network" in mapping):
        return "A handle needs its network, and a network its handle."
    return ""


def _label(target: str) -> str:
    return TARGETS.get(target, target.removeprefix(OWN)).lower()


def guess_region(rows: Sequence[Sequence[str]], mapping: Sequence[str]) -> str:
    """The country of most numbers that name theirs; empty when none does."""
    seen: Counter[str] = Counter()
    for place in (place for place, target in enumerate(mapping) if target == "phone"):
        for row in rows:
            text = row[place].strip().removeprefix("'")
            if text.startswith(("+", "00")):
                try:
                    number = phonenumbers.parse("+" + text.removeprefix("00").lstrip("+"))
                except phonenumbers.NumberParseException:
                    continue
                seen[phonenumbers.region_code_for_number(number) or ""] += 1
    seen.pop("", None)
    return seen.most_common(1)[0][0] if seen else ""


def regions() -> set[str]:
    """Countries whose numbers can be read, by their two letters."""
    return phonenumbers.SUPPORTED_REGIONS


# --- What stands in cells


class RowReader:
    """Reads rows by a mapping; raises BadRowError with everything that is wrong with one."""

    def __init__(self, headers: Sequence[str], mapping: Sequence[str], region: str = ""):
        self._headers = headers
        self._region = region or None
        self._columns = [
            (place, target, _READERS.get(target.split(":")[0]))
            for place, target in enumerate(mapping)
            if target
        ]

    def read(self, cells: Sequence[str]) -> Said:
        """One row."""
        said, parts, errors = Said(), _Parts(self._region), []
        for place, target, reader in self._columns:
            text = plain(cells[place])
            if text.casefold() in _NOTHING and not target.startswith(OWN):
                continue
            try:
                if reader is None:
                    said.own[target.removeprefix(OWN)] = text
                else:
                    reader(said, parts, text, target)
            except BadRowError as error:
                errors.append(f"{self._headers[place]}: {error}")
        try:
            parts.into(said)
        except BadRowError as error:
            errors.append(str(error))
        said.own = {slug: text for slug, text in said.own.items() if text}
        if not errors and not said.name and not said.addresses:
            errors.append("nothing says who it is: neither a name nor an address")
        if errors:
            raise BadRowError("; ".join(errors)[:1000])
        return said


def plain(cell: str) -> str:
    """A cell without blanks around it, and without the sign that kept a spreadsheet from taking it for a formula."""
    text = cell.strip()
    return text[1:].strip() if _QUOTED.match(text) else text


class _Parts:
    """What becomes whole only with another cell of the row."""

    def __init__(self, region: str | None):
        self.region = region
        self.given: list[str] = []
        self.surname: list[str] = []
        self.handle = ""
        self.network = ""

    def into(self, said: Said) -> None:
        if not said.name:
            said.name = _name(" ".join([*self.given, *self.surname]))
        if self.handle and not self.network:
            raise BadRowError("the handle has no network")
        if self.handle:
            _add(said, _handle(self.network, self.handle))


Reader = Callable[[Said, _Parts, str, str], None]


def _name(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > LONGEST_NAME:
        raise BadRowError(f"is longer than {LONGEST_NAME} characters")
    return text


def _read_name(said: Said, parts: _Parts, text: str, target: str) -> None:
    said.name = _name(text)


def _read_given(said: Said, parts: _Parts, text: str, target: str) -> None:
    parts.given.append(text)


def _read_surname(said: Said, parts: _Parts, text: str, target: str) -> None:
    parts.surname.append(text)


def _read_emails(said: Said, parts: _Parts, text: str, target: str) -> None:
    for piece in re.split(r"[;,|]", text):
        named = re.search(r"<([^<>]+)>", piece)
        for one in [named[1].strip()] if named else piece.split():
            mail = one.removeprefix("mailto:")
            if len(mail) > 255 or not _MAIL.fullmatch(mail):
                raise BadRowError(f"{_shown(piece.strip())} is no e-mail address")
            _add(said, Address(ChannelKind.EMAIL.value, mail.lower(), mail))


def _read_phones(said: Said, parts: _Parts, text: str, target: str) -> None:
    for one in filter(None, (piece.strip() for piece in re.split(r"[;,|]", text))):
        _add(said, Address(ChannelKind.PHONE.value, _e164(one, parts.region), one[:60]))


def _e164(text: str, region: str | None) -> str:
    said = "+" + text[2:] if text.startswith("00") else text
    if not said.startswith("+") and region is None:
        raise BadRowError(f"{_shown(text)} names no country; say which country such numbers are of")
    try:
        number = phonenumbers.parse(said[:60], region)
    except phonenumbers.NumberParseException as error:
        raise BadRowError(f"{_shown(text)} is no telephone number") from error
    if not phonenumbers.is_possible_number(number):
        raise BadRowError(f"{_shown(text)} is no telephone number of any length in use")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _read_handle(said: Said, parts: _Parts, text: str, target: str) -> None:
    if target == "handle":
        parts.handle = text
        return
    _add(said, _handle(target.removeprefix(HANDLE), text))


def _read_network(said: Said, parts: _Parts, text: str, target: str) -> None:
    network = _NETWORK_WORDS.get(words_of(text))
    if network is None:
        raise BadRowError(f"{_shown(text)} is none of {', '.join(kind.value for kind in NETWORKS)}")
    parts.network = network


def _handle(network: str, text: str) -> Address:
    """A handle as people write it: @anna, anna, or the address of the page. The network's own id is not known by it."""
    name = text.removeprefix("https://").removeprefix("http://")
    if "/" in name:
        name = name.split("?")[0].rstrip("/").rpartition("/")[2]
    name = name.strip().removeprefix("@").strip()
    if not 0 < len(name) <= 100 or re.search(r"\s", name):
        raise BadRowError(f"{_shown(text)} is no handle")
    return Address(network, f"@{name.lower()}", name)


def _add(said: Said, address: Address) -> None:
    if all((one.kind, one.value) != (address.kind, address.value) for one in said.addresses):
        said.addresses.append(address)
    if sum(one.kind == address.kind for one in said.addresses) > MOST_OF_A_KIND:
        raise BadRowError(f"more than {MOST_OF_A_KIND} addresses of one kind")


def _read_company(said: Said, parts: _Parts, text: str, target: str) -> None:
    said.company = _name(text)


def _read_language(said: Said, parts: _Parts, text: str, target: str) -> None:
    code = _LANGUAGES.get(words_of(text), text.lower().replace("_", "-"))
    if len(code) > 8 or not _LANGUAGE.fullmatch(code):
        raise BadRowError(f"{_shown(text)} is no language such as de or pt-br")
    said.language = code


def _read_value(said: Said, parts: _Parts, text: str, target: str) -> None:
    said.value = _amount(text)


def _amount(text: str) -> Decimal:
    """`1,234.50`, `1.234,50 €`, `1 234`: the last sign before one or two digits parts the cents."""
    digits = re.sub(r"[\s\u00a0'’]|[€$£]|EUR|USD|GBP|CHF", "", text)
    if re.fullmatch(r"-?\d{1,3}([.,]\d{3})+", digits):
        digits = re.sub(r"[.,]", "", digits)
    elif found := re.fullmatch(r"(-?[\d.,]*?)[.,](\d{1,2})", digits):
        digits = re.sub(r"[.,]", "", found[1]) + "." + found[2]
    try:
        amount = Decimal(digits)
    except InvalidOperation as error:
        raise BadRowError(f"{_shown(text)} is no amount") from error
    if not amount.is_finite() or not 0 <= amount <= _HIGHEST_VALUE:
        raise BadRowError(f"{_shown(text)} is no amount from 0 to {_HIGHEST_VALUE}")
    return amount.quantize(Decimal("0.01"))


def _read_vip(said: Said, parts: _Parts, text: str, target: str) -> None:
    word = text.casefold()
    if word not in _YES | _NO:
        raise BadRowError(f"{_shown(text)} is neither yes nor no")
    said.vip = word in _YES


def _read_note(said: Said, parts: _Parts, text: str, target: str) -> None:
    if len(text) > LONGEST_NOTE:
        raise BadRowError(f"is longer than {LONGEST_NOTE} characters")
    said.note = text


def _read_tags(said: Said, parts: _Parts, text: str, target: str) -> None:
    for one in filter(None, (" ".join(piece.split()) for piece in re.split(r"[;,|]", text))):
        if len(one) > LONGEST_TAG:
            raise BadRowError(f"{_shown(one)} is longer than {LONGEST_TAG} characters")
        if one.casefold() not in {tag.casefold() for tag in said.tags}:
            said.tags.append(one)


def _shown(text: str) -> str:
    return f"“{text[:40]}{'…' if len(text) > 40 else ''}”"


_READERS: dict[str, Reader] = {
    "name": _read_name, "given": _read_given, "surname": _read_surname, "email": _read_emails, "phone": _read_phones,
    "handle": _read_handle, "network": _read_network, "company": _read_company, "language": _read_language,
    "value": _read_value, "vip": _read_vip, "note": _read_note, "tags": _read_tags,
}  # fmt: skip
