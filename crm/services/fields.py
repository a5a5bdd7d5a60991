"""Fields of our own: what may stand in them, checked the same way for pages, API and import."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from crm.choices import FieldKind
from crm.errors import InvalidInput
from crm.models import CustomField

LONGEST = 1_000  # characters of a text


def of(noun: str) -> dict[str, CustomField]:
    """The fields of a noun by slug; restricted ones lie elsewhere (`disclosure`)."""
    return {one.slug: one for one in CustomField.objects.filter(noun=noun, retired=False, restricted=False)}


def shown(noun: str, kept: dict) -> list[tuple[str, str]]:
    """What a row has in fields of our own, as pages say it: label and value in words. No statement for a row without any."""
    if not kept:
        return []
    known = CustomField.objects.filter(noun=noun, retired=False, restricted=False, slug__in=kept)
    return [(one.label, _worded(kept[one.slug])) for one in known.order_by("place", "label")]


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def merged(noun: str, stored: dict, given: dict, known: dict[str, CustomField] | None = None) -> dict:
    """What is stored with what is given over it; None takes a field away. Refuses by field what does not fit.

    `known` are the noun's fields where many rows are asked about.
    """
    if not isinstance(given, dict):
        raise InvalidInput("Fields are an object.", errors={"fields": "is not an object"})
    known = of(noun) if known is None else known
    errors, result = {}, dict(stored)
    for slug, value in given.items():
        if slug not in known:
            errors[f"fields.{slug}"[:80]] = "is not one of the fields"
        elif value is None:
            result.pop(slug, None)
        else:
            try:
                result[slug] = fitted(known[slug], value)
            except ValueError as error:
                errors[f"fields.{slug}"] = str(error)
    if errors:
        raise InvalidInput("The fields cannot be used.", errors=errors)
    return result


def fitted(field: CustomField, value: Any) -> Any:
    """A value in the form in which the field keeps it; ValueError with a sentence when it does not fit."""
    match field.kind:
        case FieldKind.TEXT:
            return _text(value)
        case FieldKind.NUMBER:
            return _number(value)
        case FieldKind.DATE:
            return _date(value)
        case FieldKind.BOOLEAN:
            return _boolean(value)
        case FieldKind.CHOICE:
            return _choice(field, value)
        case FieldKind.MULTI_CHOICE:
            return _choices(field, value)
        case _:
            return _link(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or "\x00" in value:
        raise ValueError(f"is not a text of at most {LONGEST} characters")
    return value.strip()


def _number(value: Any) -> float | int:
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError as error:
            raise ValueError("is not a number") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError("is not a number")
    return int(value) if float(value).is_integer() else value


def _date(value: Any) -> str:
    try:
        return date.fromisoformat(str(value).strip()).isoformat()
    except ValueError as error:
        raise ValueError("is not a date such as 2026-01-31") from error


def _boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("is neither true nor false")
    return found


def _choice(field: CustomField, value: Any) -> str:
    if value not in field.choices:
        raise ValueError(f"is not one of {', '.join(map(str, field.choices))}"[:300])
    return value


def _choices(field: CustomField, value: Any) -> list[str]:
    given: Iterable[Any] = [one.strip() for one in value.split(",")] if isinstance(value, str) else value
    if not isinstance(given, list):
        raise ValueError("is not a list")
    return sorted({_choice(field, one) for one in given})


def _link(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError("is not an address")
    try:
        parts = urlsplit(value.strip())
    except ValueError as error:
        raise ValueError("is not an address") from error
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("is not an address that begins with http:// or https://")
    return value.strip()
