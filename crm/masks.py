"""Numbers that nobody needs to read are masked before anything else sees them: cards, accounts, and addresses if so set. Pure.

A card number is told from an order number by its first digits, its length and its check digit; an account number by its
country's length and its two check digits.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

CARD, IBAN, EMAIL, PHONE = "card", "iban", "email", "phone"
KINDS = (CARD, IBAN, EMAIL, PHONE)
DOT = "•"

_DIGIT, _AT = re.compile(r"[0-9]"), re.compile("@")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}(?!\w)")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?!\w)")
_PHONE = re.compile(r"(?<![\w+])(?:\+|00)\d(?:[ ()/.-]{0,2}\d){7,14}(?!\w)")
# Beginnings of card numbers with the lengths that go with them.
_ISSUERS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"30[0-5]|309|3[689]"), {14, 16, 19}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16, 17, 18, 19}),
    (re.compile(r"6(?:011|4[4-9]|5|2)"), {16, 17, 18, 19}),
    (re.compile(r"50|5[6-9]|6[0137-9]"), {13, 14, 15, 16, 17, 18, 19}),
)
# Lengths of account numbers by country, of the IBAN registry.
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24,
    "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29,
    "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22,
    "VG": 24, "XK": 20,
}  # fmt: skip


@dataclass(slots=True)
class Masked:
    """A text without what was masked, and each piece as it was and as it stands now."""

    text: str
    pieces: list[tuple[str, str]] = field(default_factory=list)


def mask(text: str, kinds: Collection[str]) -> Masked:
    """Mask what is to be masked; the end of a number stays, so that people can tell two apart."""
    masked = Masked(text)
    for kind, needs, pattern, change in _HOW:
        if kind in kinds and needs.search(masked.text) and pattern.search(masked.text):
            masked.text = pattern.sub(
                lambda found, change=change: _kept(masked, found[0], change), masked.text
            )
    return masked


def _kept(masked: Masked, piece: str, change) -> str:
    instead = change(piece)
    if instead != piece:
        masked.pieces.append((piece, instead))
    return instead


def _card(piece: str) -> str:
    digits = re.sub(r"\D", "", piece)
    return _dotted(piece, 0, 4) if is_card(digits) else piece


def _iban(piece: str) -> str:
    # The end of the match may be the next word: the country says how long the number is.
    length = _IBAN_LENGTHS.get(piece[:2].upper(), 0)
    ends = [place for place, sign in enumerate(piece, 1) if sign != " "]
    if not 0 < length <= len(ends):
        return piece
    number, rest = piece[: ends[length - 1]], piece[ends[length - 1] :]
    if rest[:1].isalnum() or not is_iban(number.replace(" ", "").upper()):
        return piece
    return _dotted(number, 2, 4) + rest


def _email(piece: str) -> str:
    name, _, house = piece.partition("@")
    return f"{name[0]}{DOT * 3}@{house}"


def _phone(piece: str) -> str:
    return _dotted(piece, 0, 2)


def _dotted(piece: str, first: int, last: int) -> str:
    """Letters and digits become dots, but so many at the beginning and at the end."""
    places = [place for place, sign in enumerate(piece) if sign.isalnum()]
    hidden = set(places[first : len(places) - last])
    return "".join(DOT if place in hidden else sign for place, sign in enumerate(piece))


# Kind, what every such piece holds (quickly looked for), how it looks, and what becomes of it.
_HOW = (
    (CARD, _DIGIT, _CARD, _card), (IBAN, _DIGIT, _IBAN, _iban), (EMAIL, _AT, _EMAIL, _email), (PHONE, _DIGIT, _PHONE, _phone),
)  # fmt: skip


def is_card(digits: str) -> bool:
    """Whether digits can be a payment card: its issuer's beginning and length, and the check digit (Luhn)."""
    if not any(beginning.match(digits) and len(digits) in lengths for beginning, lengths in _ISSUERS):
        return False
    doubled = [
        int(one) if place % 2 == 0 else sum(divmod(2 * int(one), 10))
        for place, one in enumerate(digits[::-1])
    ]
    return sum(doubled) % 10 == 0


def is_iban(number: str) -> bool:
    """Whether this is an account number: its country's length and the check digits (ISO 7064, mod 97)."""
    if not number.isascii() or not number.isalnum() or _IBAN_LENGTHS.get(number[:2]) != len(number):
        return False
    turned = number[4:] + number[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1
