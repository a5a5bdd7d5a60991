"""Variables in the texts of macros: a fixed set, filled by plain substitution. There is no language here that could run.

`{{customer.name}}` stands for a value; `{{customer.name|there}}` says what to write when there is none. A value is put in
as it is and never looked at again, so a customer who calls himself `{{ticket.number}}` is called just that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

VARIABLES = {
    "customer.name": "The customer's name as it is kept.",
    "customer.first_name": "The first word of that name.",
    "customer.handle": "How the customer is called on this channel: @name, address or number.",
    "agent.first_name": "Your first name.",
    "agent.alias": "How customers see you, such as ^KC; your first name when you have none.",
    "ticket.number": "The number that can be read on the phone.",
    "ticket.subject": "What the ticket is about.",
    "ticket.promised_by": "The time that was promised, in UTC.",
    "brand.name": "The brand in whose name the channel speaks.",
    "channel.name": "The channel on which the customer wrote.",
}
LONGEST_FALLBACK = 100
_PIECE = re.compile(r"(?<!\{)\{\{\s*([a-z][a-z_.]*)\s*(?:\|([^{}|]*))?\}\}(?!\})")
_BRACES = re.compile(r"\{\{|\}\}")


@dataclass(slots=True)
class Filled:
    """A text with its values; `missing` names the variables that have neither value nor fallback and stand there still."""

    text: str
    missing: list[str] = field(default_factory=list)


def problem_of(text: str) -> str:
    """Why a text cannot be kept: a variable that there is not, or braces that are none; empty when all is well."""
    for found in _PIECE.finditer(text):
        if found[1] not in VARIABLES:
            return f"{{{{{found[1]}}}}}: there is no such variable; there are {', '.join(VARIABLES)}"
        if len(found[2] or "") > LONGEST_FALLBACK:
            return f"{{{{{found[1]}}}}}: what stands in its place has at most {LONGEST_FALLBACK} characters"
    rest = _PIECE.sub("", text)
    if odd := _BRACES.search(rest):
        near = rest[max(0, odd.start() - 5) : odd.end() + 20].strip()
        return f"“{near}”: braces stand for a variable, as in {{{{customer.name}}}} or {{{{customer.name|there}}}}"
    return ""


def fill(text: str, values: Mapping[str, str]) -> Filled:
    """Put the values in; what is missing keeps its place and is named."""
    missing: list[str] = []

    def one(found: re.Match) -> str:
        value = values.get(found[1], "").strip() or (found[2] or "").strip()
        if not value and found[1] not in missing:
            missing.append(found[1])
        return value or found[0]

    return Filled(_PIECE.sub(one, text), missing)


def unfilled(text: str) -> list[str]:
    """The variables that stand unfilled in a text that somebody is about to send."""
    return sorted({found[1] for found in _PIECE.finditer(text) if found[1] in VARIABLES})
