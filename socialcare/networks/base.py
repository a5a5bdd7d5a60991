"""What connectors of networks share: requests of a channel, and answers as the sender's next step."""

import email.utils
import time
from typing import Any

from crm import fetch
from crm.errors import DeliveryError
from crm.models import Channel

LONGEST_WAIT = 3600.0  # s, whatever Retry-After says
# Certainly not posted, and it may go better later. A gateway's 502 and 504 say nothing about what stood behind it.
LATER = {408, 425, 429, 500, 503}
UNCLEAR = {502, 504}


def call(
    channel: Channel, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any
) -> fetch.Answer:
    """One request to the channel's network with its token. Raises DeliveryError when no answer came."""
    if not channel.base_url:
        raise DeliveryError(f"{channel.name} has no address of its network.", permanent=True)
    try:
        return fetch.request(
            method,
            channel.base_url.rstrip("/") + path,
            base_url=channel.base_url,
            headers={"Authorization": f"Bearer {channel.token}", **(headers or {})},
            **arguments,
        )
    except fetch.FetchError as error:
        raise DeliveryError(
            f"{channel.name}: {error}", permanent=error.refused, unclear=error.sent
        ) from error


def expect(channel: Channel, answer: fetch.Answer) -> dict:
    """The object in a good answer. Raises DeliveryError saying whether to stop, to wait, or that nobody knows."""
    found = _said(channel, answer)
    if not isinstance(found, dict):
        raise _unreadable(channel)
    return found


def expect_list(channel: Channel, answer: fetch.Answer) -> list[dict]:
    """The objects in a good answer that is a list. Raises DeliveryError."""
    found = _said(channel, answer)
    if not isinstance(found, list):
        raise _unreadable(channel)
    return [one for one in found if isinstance(one, dict)]


def _unreadable(channel: Channel) -> DeliveryError:
    return DeliveryError(f"{channel.name} said something we cannot read.", permanent=False, unclear=True)


def _said(channel: Channel, answer: fetch.Answer) -> Any:
    if answer.status in LATER:
        raise DeliveryError(
            f"{channel.name} answered {answer.status}.", permanent=False, retry_after=retry_after(answer)
        )
    if answer.status in UNCLEAR:
        raise DeliveryError(f"{channel.name} answered {answer.status}.", permanent=False, unclear=True)
    if not 200 <= answer.status < 300:
        raise DeliveryError(
            f"{channel.name} refused it with {answer.status}{_reason(answer)}.", permanent=True
        )
    try:
        return answer.json()
    except ValueError as error:
        raise _unreadable(channel) from error


def post_id(channel: Channel, data: dict) -> str:
    """The id that the network gave to our post; without one nobody knows whether there is a post."""
    found = data.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= 255 or "\x00" in found:
        raise DeliveryError(f"{channel.name} did not name the post.", permanent=False, unclear=True)
    return found


def retry_after(answer: fetch.Answer) -> float | None:
    """Seconds that the network asks us to wait: a number or a date."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(said).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(moment - time.time(), 0.0), LONGEST_WAIT)


def _reason(answer: fetch.Answer) -> str:
    """What a refusal says about itself, if it says it in a readable way."""
    try:
        data = answer.json()
    except ValueError:
        return ""
    detail = (
        (data.get("detail") or data.get("message") or data.get("error")) if isinstance(data, dict) else None
    )
    clean = "".join(sign for sign in detail if sign.isprintable()) if isinstance(detail, str) else ""
    return f": {clean[:200]}" if clean else ""
