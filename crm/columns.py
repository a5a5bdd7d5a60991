"""What the columns of a file are, and what stands in its cells: guessed, then read strictly. Pure.

A file holds customers, identities (further addresses of customers that are there), companies, tickets, or history (what was
said before the house had this system). Whose a ticket or a past message is, is said by any address of the customer or by our
own number.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import phonenumbers

from crm.choices import ChannelKind, Question, TicketKind, TicketPriority, Trust
from crm.matching.dates import month_comes_first, read_date
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
_ADDRESSES = {
    name: TARGETS[name]
    for name in TARGETS
    if name in ("email", "phone", "handle", "network") or name[:7] == HANDLE
}
_WHOSE = {"customer": "Customer: our number, or an address", **_ADDRESSES}
TARGETS_OF: dict[str, dict[str, str]] = {
    "customers": TARGETS,
    "identities": {**_WHOSE, "trust": "How sure"},
    "companies": {"name": "Name", "domain": "Domain", "parent": "Part of", "owner": "Owner, by mail address", "note": "Note"},
    "tickets": {
        **_WHOSE, "reference": "Number there", "subject": "Subject", "status": "Status", "priority": "Priority", "topic": "Topic",
        "kind": "Kind", "brand": "Brand", "team": "Team", "owner": "Owner, by mail address", "opened_at": "Opened",
        "solved_at": "Solved", "tags": "Tags",
    },
    "history": {
        **_WHOSE, "at": "When", "channel": "Channel", "direction": "Direction", "text": "Text", "title": "Title",
        "author": "Who of us", "reference": "Id there", "ticket": "Ticket: our number, or the number there",
    },
    "surveys": {
        **_WHOSE, "question": "Question", "score": "Answer, on the scale of its question", "comment": "Comment", "at": "When",
        "channel": "Channel", "reference": "Id there", "ticket": "Ticket: our number, or the number there",
    },
}  # fmt: skip
NOUNS = tuple(TARGETS_OF)
OWN_OF = {
    "customers": "customer",
    "companies": "company",
    "tickets": "ticket",
}  # whose fields of our own a file may hold
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
# What columns are called in files of other nouns, tried in this order.
_CALLED: dict[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    "identities": (
        ("trust", re.compile(r"^(trust|how_sure|confidence|vertrauen)$")),
        ("customer", re.compile(r"customer|kunde|client")),
    ),
    "companies": (
        ("parent", re.compile(r"parent|part_of|mutter|holding|group")),
        ("domain", re.compile(r"domain|website|web|url|homepage")),
        ("owner", re.compile(r"owner|account_manager|betreuer|responsible")),
        ("note", re.compile(r"^(notes?|notiz(en)?|comments?|remarks?|bemerkung(en)?|description)$")),
        ("name", re.compile(r"name|company|firma|organi[sz]ation|unternehmen|account")),
    ),
    "tickets": (
        ("owner", re.compile(r"owner|assignee|agent|bearbeiter|assigned_to")),
        ("opened_at", re.compile(r"open|creat|erstellt|eroffnet|erofnet|received|^date$|^datum$")),
        ("solved_at", re.compile(r"solved|closed|resolved|geschlossen|gelost|erledigt")),
        ("subject", re.compile(r"subject|betreff|title|summary|objet|asunto")),
        ("status", re.compile(r"status|state|zustand")),
        ("priority", re.compile(r"priorit|urgency|dringlichkeit")),
        ("topic", re.compile(r"topic|thema|category|kategorie")),
        ("kind", re.compile(r"^(type|kind|typ|art)$")),
        ("brand", re.compile(r"brand|marke")),
        ("team", re.compile(r"team|group|gruppe|queue|department|abteilung")),
        ("tags", re.compile(r"^(tags?|labels?|schlagworte?)$")),
        ("reference", re.compile(r"ticket|number|nummer|^id$|^nr$|^no$|reference|case")),
        ("customer", re.compile(r"customer|kunde|client|requester")),
    ),
    "history": (
        ("ticket", re.compile(r"ticket|case")),
        ("direction", re.compile(r"direction|richtung|inbound|in_out")),
        ("channel", re.compile(r"channel|kanal|source|medium|^via$|^type$")),
        ("author", re.compile(r"agent|author|by$|^von$|bearbeiter|staff")),
        ("text", re.compile(r"text|body|message|content|nachricht|inhalt|note")),
        ("title", re.compile(r"subject|betreff|title")),
        ("at", re.compile(r"(^|_)(at|date|time|datum|zeit|when|created|sent|timestamp)(_|$)")),
        ("reference", re.compile(r"^id$|reference|_id$|^nr$")),
        ("customer", re.compile(r"customer|kunde|client|requester")),
    ),
    "surveys": (
        ("ticket", re.compile(r"ticket|case")),
        ("at", re.compile(r"(^|_)(at|date|time|datum|zeit|when|created|answered|timestamp)(_|$)")),
        ("question", re.compile(r"question|frage|survey|metric|^type$|^kind$")),
        ("score", re.compile(r"score|rating|answer|antwort|punkte|note$|mark")),
        ("comment", re.compile(r"comment|kommentar|text|feedback|verbatim|reason")),
        ("channel", re.compile(r"channel|kanal|source|medium|^via$")),
        ("reference", re.compile(r"^id$|reference|_id$|^nr$")),
        ("customer", re.compile(r"customer|kunde|client|requester")),
    ),
}  # fmt: skip
_QUESTION_WORDS = {
    **{value: value for value in Question.values}, "satisfaction": "csat", "zufriedenheit": "csat",
    "customer_satisfaction": "csat", "nps": "nps_relation", "relationship_nps": "nps_relation", "recommendation": "nps_relation",
    "transactional_nps": "nps_contact", "tnps": "nps_contact", "nps_after_contact": "nps_contact", "fcr": "solved",
    "was_it_solved": "solved", "gelost": "solved",
}  # fmt: skip
_STATUS_WORDS = {
    "new": "new", "neu": "new", "open": "open", "offen": "open", "in_progress": "open", "active": "open", "reopened": "open",
    "pending": "waiting_on_customer", "waiting": "waiting_on_customer", "waiting_on_customer": "waiting_on_customer",
    "on_hold": "waiting_on_us", "hold": "waiting_on_us", "waiting_on_us": "waiting_on_us", "solved": "solved",
    "resolved": "solved", "gelost": "solved", "erledigt": "solved", "done": "solved", "closed": "closed",
    "geschlossen": "closed",
}  # fmt: skip
_PRIORITY_WORDS = {
    **{value: value for value in TicketPriority.values}, "medium": "normal", "mittel": "normal", "niedrig": "low", "hoch": "high",
    "critical": "urgent", "dringend": "urgent", "p1": "urgent", "p2": "high", "p3": "normal", "p4": "low",
}  # fmt: skip
_KIND_WORDS = {
    **{value: value for value in TicketKind.values},
    "frage": "question",
    "beschwerde": "complaint",
    "aufgabe": "task",
}
_TRUST_WORDS = {value: value for value in Trust.values}
_DIRECTION_WORDS = {
    "in": "inbound", "inbound": "inbound", "incoming": "inbound", "received": "inbound", "customer": "inbound",
    "eingehend": "inbound", "out": "outbound", "outbound": "outbound", "outgoing": "outbound", "sent": "outbound",
    "agent": "outbound", "reply": "outbound", "ausgehend": "outbound", "note": "note", "internal": "note", "notiz": "note",
}  # fmt: skip
_NETWORK_WORDS = {
    "twitter": "x", "x": "x", "facebook": "facebook", "fb": "facebook", "instagram": "instagram", "insta": "instagram",
    "ig": "instagram", "youtube": "youtube", "yt": "youtube", "mastodon": "mastodon", "bluesky": "bluesky", "bsky": "bluesky",
    "reddit": "reddit",
}  # fmt: skip
_CHANNEL_WORDS = {
    **_NETWORK_WORDS, "email": "email", "e_mail": "email", "mail": "email", "phone": "phone", "call": "phone", "telefon": "phone",
    "telephone": "phone", "voice": "phone", "chat": "chat", "web_chat": "chat", "webchat": "chat", "sms": "sms", "fax": "fax",
    "web": "webhook", "form": "webhook", "webhook": "webhook", "dm": "x",
}  # fmt: skip
_LANGUAGES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "francais": "fr", "spanish": "es", "espanol": "es",
    "italian": "it", "italiano": "it", "dutch": "nl", "nederlands": "nl", "portuguese": "pt", "portugues": "pt",
    "polish": "pl", "turkish": "tr", "arabic": "ar", "hindi": "hi", "chinese": "zh", "japanese": "ja", "russian": "ru",
}  # fmt: skip
_YES = {"1", "true", "yes", "y", "ja", "oui", "si", "x", "vip", "wahr"}
_NO = {"0", "false", "no", "n", "nein", "non", "falsch"}
_YES_NO = {"yes": 1, "ja": 1, "oui": 1, "true": 1, "no": 0, "nein": 0, "non": 0, "false": 0}
_NOTHING = {"", "-", "--", "–", "n/a", "na", "null", "none", "nan", "#n/a"}
_MAIL = re.compile(r"[^@\s<>\",;:()\[\]]{1,100}@[^@\s<>\",;:()\[\]]+\.[^@\s<>\",;:()\[\].]{2,}")
_QUOTED = re.compile(r"'[=+\-@\t\r]")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,4})?")
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d+)?\s*([ap]m)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$", re.I
)
_OUR_NUMBER = re.compile(r"#?[0-9]{1,18}")
_FIRST_DAY, _LAST_DAY = datetime(1970, 1, 2, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)
LONGEST_TEXT = 50_000  # characters of a past message
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

    @property
    def beside(self) -> str:
        """What was given, where it stands beside what we made of it: not where the two are the same."""
        return "" if self.given in (self.value, "") or self.kind == ChannelKind.EMAIL else self.given


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
    customer: int | None = None  # our own number
    whose: list[Address] = field(
        default_factory=list
    )  # an address of the customer that is meant, and no new one
    more: dict[str, Any] = field(default_factory=dict)  # of tickets, companies, history: by target

    @property
    def known_by(self) -> list[Address]:
        """Every address by which the row names its customer."""
        return [*self.whose, *self.addresses]


# What a row cannot do without, beside whose it is.
_NEEDED = {
    "tickets": ("subject",),
    "history": ("at", "channel", "text"),
    "surveys": ("question", "score", "at"),
}


# --- What columns are


def guess_mapping(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    own: Sequence[tuple[str, str]] = (),
    noun: str = "customers",
) -> list[str]:
    """A target for each column, from its name and what stands in it; `own` are (slug, label) of fields of our own."""
    by_word = {words_of(text): f"{OWN}{slug}" for slug, label in own for text in (label, slug)}
    roles = guess(headers, rows)
    found: list[str] = []
    for header, role in zip(headers, roles, strict=True):
        target = _target(words_of(header), role, by_word, noun)
        found.append(target if target not in found or target in _MANY else LEFT_OUT)
    if "handle" in found and "network" not in found:
        found = [LEFT_OUT if one == "handle" else one for one in found]
    return [LEFT_OUT if one == "network" and "handle" not in found else one for one in found]


def _target(name: str, role: Role, by_word: dict[str, str], noun: str) -> str:
    if name in by_word:
        return by_word[name]
    if noun != "customers":
        return _target_of(noun, name, role)
    for target, pattern in _BY_NAME:
        if pattern.search(name):
            return target
    network = next((_NETWORK_WORDS[word] for word in name.split("_") if word in _NETWORK_WORDS), None)
    if network:
        return f"{HANDLE}{network}"
    return "handle" if role == Role.HANDLE else _BY_ROLE.get(role, LEFT_OUT)


def _target_of(noun: str, name: str, role: Role) -> str:
    """Addresses first, for `customer e-mail` names a customer by his address."""
    known, found = TARGETS_OF[noun], _BY_ROLE.get(role, LEFT_OUT)
    if noun == "identities" and any(pattern.search(name) for _, pattern in _CALLED[noun]):
        found = LEFT_OUT  # what stands in it is how the customer is known, and no new address
    if found in ("email", "phone") and found in known and not re.search(r"owner|agent|assignee", name):
        return found
    network = next((_NETWORK_WORDS[word] for word in name.split("_") if word in _NETWORK_WORDS), None)
    if network and f"{HANDLE}{network}" in known:
        return f"{HANDLE}{network}"
    for target, pattern in _CALLED[noun]:
        if pattern.search(name):
            return target
    return "handle" if role == Role.HANDLE and "handle" in known else LEFT_OUT


def problem_of(
    mapping: Sequence[str], headers: Sequence[str], own: Sequence[str], noun: str = "customers"
) -> str:
    """Why a mapping cannot be used, or nothing."""
    if len(mapping) != len(headers):
        return f"There are {len(headers)} columns and {len(mapping)} of them are mapped."
    known = {LEFT_OUT, *TARGETS_OF[noun], *(f"{OWN}{slug}" for slug in own)}
    if unknown := [one for one in mapping if one not in known]:
        return f"There is no field {unknown[0][:60]!r}."
    twice = [one for one, count in Counter(mapping).items() if one and count > 1 and one not in _MANY]
    if twice:
        return f"Two columns are the {_label(twice[0], noun)}."
    if missing := _missing({one.split(":")[0] for one in mapping}, noun):
        return missing
    if ("handle" in mapping) != ("network" in mapping):
        return "A handle needs its network, and a network its handle."
    return ""


def _missing(there: set[str], noun: str) -> str:
    """What a file of this noun cannot do without."""
    whose = there & {"customer", "email", "phone", "handle"}
    if noun == "customers":
        who = there & _NAMING
        return (
            "" if who else "No column says who it is: a name, an e-mail address, a phone number or a handle."
        )
    if noun == "companies":
        return "" if "name" in there else "No column is the company's name."
    if noun == "identities":
        enough = "customer" in there and whose - {"customer"}
        return "" if enough else "One column says whose it is (the customer), others are the addresses."
    if not whose:
        return "No column says whose it is: the customer, an e-mail address, a phone number or a handle."
    if noun == "tickets":
        if "subject" not in there:
            return "No column is the subject."
        known_again = there & {"reference", "opened_at"}
        return (
            ""
            if known_again
            else "A ticket is known again by its number there, or by when it was opened: name one."
        )
    lacking = [_label(one, noun) for one in _NEEDED[noun] if one not in there]
    return f"No column says {lacking[0]}." if lacking else ""


def month_first(rows: Sequence[Sequence[str]], mapping: Sequence[str]) -> bool:
    """Whether the dates of a file have the month before the day, as far as its first rows tell."""
    places = [place for place, target in enumerate(mapping) if target in ("at", "opened_at", "solved_at")]
    return month_comes_first([row[place] for row in rows for place in places])


def _label(target: str, noun: str) -> str:
    return TARGETS_OF[noun].get(target, target.removeprefix(OWN)).lower()


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

    def __init__(
        self,
        headers: Sequence[str],
        mapping: Sequence[str],
        region: str = "",
        noun: str = "customers",
        month_first: bool = False,
    ):
        self._headers = headers
        self._region = region or None
        self._noun = noun
        self._month_first = month_first
        self._columns = [
            (place, target, _READERS.get(target.split(":")[0]))
            for place, target in enumerate(mapping)
            if target
        ]

    def read(self, cells: Sequence[str]) -> Said:
        """One row."""
        said, parts, errors = Said(), _Parts(self._region, self._month_first), []
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
        if not errors and (gap := _gap(said, self._noun)):
            errors.append(gap)
        if errors:
            raise BadRowError("; ".join(errors)[:1000])
        return said


def _gap(said: Said, noun: str) -> str:
    """What a row lacks, or nothing."""
    if noun == "customers":
        return "" if said.name or said.addresses else "nothing says who it is: neither a name nor an address"
    if noun == "companies":
        return "" if said.name else "the company has no name"
    if noun == "identities":
        if said.customer is None and not said.whose:
            return "nothing says whose it is"
        return "" if said.addresses else "there is no address in it"
    if said.customer is None and not said.known_by:
        return "nothing says whose it is"
    if lacking := [name for name in _NEEDED[noun] if said.more.get(name) in (None, "")]:
        return f"{_label(lacking[0], noun)}: is empty"
    if noun == "tickets" and not said.more.get("reference") and not said.more.get("opened_at"):
        return "it has neither a number nor a time of opening"
    return ""


def plain(cell: str) -> str:
    """A cell without blanks around it, and without the sign that kept a spreadsheet from taking it for a formula."""
    text = cell.strip()
    return text[1:].strip() if _QUOTED.match(text) else text


class _Parts:
    """What becomes whole only with another cell of the row."""

    def __init__(self, region: str | None, month_first: bool = False):
        self.region = region
        self.month_first = month_first
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


def _read_customer(said: Said, parts: _Parts, text: str, target: str) -> None:
    """Our number, or one of his addresses: mail, telephone, `x:@anna`."""
    if _OUR_NUMBER.fullmatch(text):
        said.customer = int(text.lstrip("#"))
    elif _MAIL.fullmatch(text) and len(text) <= 255:
        said.whose.append(Address(ChannelKind.EMAIL.value, text.lower(), text))
    elif re.fullmatch(r"(\+|00)[\d\s()./-]{5,30}", text):
        said.whose.append(Address(ChannelKind.PHONE.value, _e164(text, parts.region), text[:60]))
    elif (found := re.fullmatch(r"(\w+)\s*[:/ ]\s*(@?\S+)", text)) and words_of(found[1]) in _NETWORK_WORDS:
        said.whose.append(_handle(_NETWORK_WORDS[words_of(found[1])], found[2]))
    else:
        raise BadRowError(
            f"{_shown(text)} is neither our number nor an address such as anna@example.com or x:@anna"
        )


def _read_words(longest: int) -> Reader:
    def read(said: Said, parts: _Parts, text: str, target: str) -> None:
        if len(text) > longest:
            raise BadRowError(f"is longer than {longest:,} characters")
        said.more[target] = text

    return read


def _read_one_of(words: dict[str, str]) -> Reader:
    def read(said: Said, parts: _Parts, text: str, target: str) -> None:
        found = words.get(words_of(text))
        if found is None:
            raise BadRowError(f"{_shown(text)} is none of {', '.join(sorted(set(words.values())))}")
        said.more[target] = found

    return read


def _read_instant(said: Said, parts: _Parts, text: str, target: str) -> None:
    said.more[target] = instant(text, parts.month_first)


def _read_score(said: Said, parts: _Parts, text: str, target: str) -> None:
    word = text.casefold()
    if word in _YES_NO:
        said.more[target] = _YES_NO[word]
    elif re.fullmatch(r"\d{1,2}([.,]0+)?", text):
        said.more[target] = int(re.split(r"[.,]", text)[0])
    else:
        raise BadRowError(f"{_shown(text)} is no answer such as 4, or yes")


def _read_domain(said: Said, parts: _Parts, text: str, target: str) -> None:
    name = re.sub(r"^(https?://)?(www\.)?", "", text.strip().lower()).split("/")[0].rstrip(".")
    if len(name) > 253 or not re.fullmatch(r"[^\s@/]+\.[^\s@/.]{2,}", name):
        raise BadRowError(f"{_shown(text)} is no domain such as example.com")
    said.more[target] = name


def instant(text: str, month_first: bool = False) -> datetime:
    """A time as files write it; without a zone it is UTC, without a time of day its day begins. BadRowError when it is none."""
    found = (
        _seconds(text)
        if text.isascii() and text.isdecimal() and len(text) in (10, 13)
        else _written(text, month_first)
    )
    if found is None or not _FIRST_DAY <= found <= _LAST_DAY:
        raise BadRowError(f"{_shown(text)} is no time such as 2024-01-31 14:05")
    return found


def _seconds(text: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(text) / (1000 if len(text) == 13 else 1))


def _written(text: str, month_first: bool) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        if re.match(r"\d{4}-\d\d-\d\d", text) and not _is_day(text[:10]):
            return None  # the form says that the month stands in the middle
    clock = _CLOCK.search(text)
    day = read_date(text[: clock.start()].rstrip(" T,") if clock else text, month_first)
    if day is None or not day.day:
        return None
    try:
        at = datetime.combine(datetime(day.year, day.month, day.day), _time_of(clock), UTC)
        return at - _offset(clock[5]) if clock and clock[5] else at
    except (ValueError, OverflowError):
        return None


def _is_day(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _time_of(clock: re.Match[str] | None) -> time:
    if clock is None:
        return time()
    hour, half = int(clock[1]), (clock[4] or "").lower()
    hour = hour % 12 + (12 if half == "pm" else 0) if half else hour
    return time(hour, int(clock[2]), int(clock[3] or 0))


def _offset(zone: str) -> timedelta:
    if zone.upper() in ("Z", "UTC"):
        return timedelta()
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))


def _shown(text: str) -> str:
    return f"“{text[:40]}{'…' if len(text) > 40 else ''}”"


_READERS: dict[str, Reader] = {
    "name": _read_name, "given": _read_given, "surname": _read_surname, "email": _read_emails, "phone": _read_phones,
    "handle": _read_handle, "network": _read_network, "company": _read_company, "language": _read_language,
    "value": _read_value, "vip": _read_vip, "note": _read_note, "tags": _read_tags, "customer": _read_customer,
    "trust": _read_one_of(_TRUST_WORDS), "domain": _read_domain, "parent": _read_words(LONGEST_NAME),
    "owner": _read_words(255), "reference": _read_words(100), "subject": _read_words(200),
    "status": _read_one_of(_STATUS_WORDS), "priority": _read_one_of(_PRIORITY_WORDS), "topic": _read_words(30),
    "kind": _read_one_of(_KIND_WORDS), "brand": _read_words(100), "team": _read_words(100), "opened_at": _read_instant,
    "solved_at": _read_instant, "at": _read_instant, "channel": _read_one_of(_CHANNEL_WORDS),
    "direction": _read_one_of(_DIRECTION_WORDS), "text": _read_words(LONGEST_TEXT), "title": _read_words(200),
    "author": _read_words(100), "ticket": _read_words(100), "question": _read_one_of(_QUESTION_WORDS), "score": _read_score,
    "comment": _read_words(LONGEST_NOTE),
}  # fmt: skip
