"""A mailbox is set up: checked, kept, tried out, and only then fetched. Nothing that lay in it before is answered by itself."""

import re
import secrets
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from crm.choices import ChannelKind, MailSecurity
from crm.connectors import base, mail
from crm.errors import DeliveryError, InvalidInput
from crm.models import Brand, Channel, ChannelAccount, Poll, User
from crm.services import activities

LONGEST_PASSWORD = 500
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[^@\s\x00-\x1f<>\"]{1,64}@[A-Za-z0-9.-]{1,255}")
OPTIONS = (
    "address", "imap_host", "imap_port", "imap_security", "smtp_host", "smtp_port", "smtp_security", "user", "folder",
    "since_days",
)  # fmt: skip


def open_box(given: dict[str, Any], *, by: User) -> Channel:
    """A new mailbox of a brand; it is not fetched before somebody switches it on (`polls.switch`)."""
    errors: dict[str, str] = {}
    name = _line(given, "name", 100, errors)
    brand = Brand.objects.filter(slug=str(given.get("brand") or "").replace("\x00", "")).first()
    if brand is None:
        errors["brand"] = "is the key of a brand"
    options = _options(given, errors)
    password = str(given.get("password") or "")
    if not 0 < len(password) <= LONGEST_PASSWORD or "\x00" in password:
        errors["password"] = "is needed"
    if errors or brand is None:
        raise InvalidInput("This cannot be a mailbox yet.", errors=errors)
    with transaction.atomic():
        channel = Channel.objects.create(
            slug=_slug(name), name=name, kind=ChannelKind.EMAIL, brand=brand, connector="mail", token=password,
            secret=secrets.token_urlsafe(32), options=options,
        )  # fmt: skip
        Poll.objects.create(channel=channel)
        activities.record("channel.opened", by=by, channel=channel.slug, kind="email")
    return channel


def change(channel: Channel, given: dict[str, Any], *, by: User) -> Channel:
    """Where it is reached, and as whom. An empty password keeps the one that is stored."""
    errors: dict[str, str] = {}
    if channel.connector != "mail":
        raise InvalidInput("This channel is not a mailbox.")
    name = _line(given, "name", 100, errors)
    options = _options(given, errors)
    password = str(given.get("password") or "")
    if len(password) > LONGEST_PASSWORD or "\x00" in password:
        errors["password"] = f"is at most {LONGEST_PASSWORD} characters"
    if errors:
        raise InvalidInput("This cannot be a mailbox.", errors=errors)
    moved = [one for one in OPTIONS if channel.options.get(one) != options[one]] + (
        ["password"] if password else []
    )
    with transaction.atomic():
        channel.name, channel.options = name, options
        if password:
            channel.token = password
        channel.save(update_fields=["name", "options", "token"])
        ChannelAccount.objects.get_or_create(
            channel=channel, external_id=options["address"], defaults={"name": name}
        )
        activities.record("channel.changed", by=by, channel=channel.slug, fields=moved)
    return channel


def try_out(channel: Channel, *, by: User) -> base.Health:
    """A mail to ourselves and back: what a guide ends with."""
    if channel.connector != "mail":
        raise InvalidInput("This channel is not a mailbox.")
    try:
        health = mail.round_trip(channel)
    except DeliveryError as error:
        health = base.Health(False, [error.detail])
    activities.record("channel.tried", by=by, channel=channel.slug, good=health.good)
    return health


def _options(given: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    address = str(given.get("address") or "").strip().lower()
    if not _ADDRESS.fullmatch(address):
        errors["address"] = "is an address such as care@example.com"
    options: dict[str, Any] = {"address": address, "user": str(given.get("user") or "").strip()[:200]}
    for way, needed, port in (("imap", True, 993), ("smtp", False, 465)):
        host = str(given.get(f"{way}_host") or "").strip()
        if (host or needed) and not _HOST.fullmatch(host):
            errors[f"{way}_host"] = "is the name of a server"
        options[f"{way}_host"] = host
        options[f"{way}_port"] = _number(given, f"{way}_port", 1, 65_535, port, errors)
        options[f"{way}_security"] = security = str(given.get(f"{way}_security") or "tls")
        if security not in MailSecurity.values:
            errors[f"{way}_security"] = f"is one of {', '.join(MailSecurity.values)}"
    options["folder"] = str(given.get("folder") or "INBOX").strip()[:200]
    options["since_days"] = _number(given, "since_days", 0, mail.BACK_DAYS, 0, errors)
    if any("\x00" in one or "\n" in one or "\r" in one for one in options.values() if isinstance(one, str)):
        errors["folder"] = "holds characters that no server takes"
    return options


def _number(
    given: dict[str, Any], name: str, low: int, high: int, default: int, errors: dict[str, str]
) -> int:
    said = str(given.get(name) if given.get(name) not in (None, "") else default)
    if not (said.isascii() and said.isdecimal() and len(said) < 7 and low <= int(said) <= high):
        errors[name] = f"is a number from {low} to {high}"
        return default
    return int(said)


def _line(given: dict[str, Any], name: str, longest: int, errors: dict[str, str]) -> str:
    said = " ".join(str(given.get(name) or "").split())
    if not 0 < len(said) <= longest or not said.isprintable():
        errors[name] = f"is a line of at most {longest} characters"
    return said


def _slug(name: str) -> str:
    wished = slugify(name)[:40] or "mail"
    wished = wished if any(sign.isalpha() for sign in wished) else f"mail-{wished}"
    taken = set(Channel.objects.filter(slug__startswith=wished).values_list("slug", flat=True))
    return next(
        one for one in [wished, *(f"{wished}-{number}" for number in range(2, 10_000))] if one not in taken
    )
