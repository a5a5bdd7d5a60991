"""A mailbox: fetched over IMAP and left as it is, answered over SMTP.

Where both are reached stands in the channel's `options` (see `Box`), the password in its token. An administrator set the hosts,
so they are reached whatever their address is.
"""

import imaplib
import re
import secrets
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Any

from imap_tools import BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError, MailboxLoginError

from crm.choices import MailSecurity
from crm.connectors.base import Account, Capabilities, Fetched, Health
from crm.connectors.mail_reading import CUT, LARGEST, file, parse, rewritten
from crm.errors import DeliveryError
from crm.models import Channel, Message, ThreadRef

__all__ = ["CAN", "fetch", "file", "look_up", "parse", "probe", "rewritten", "send", "whoami"]

CAN = Capabilities(media=20, fetched=True, proven=False)

AT_ONCE = 50  # mails of one look
OCTETS_AT_ONCE = 30_000_000
SECONDS = 20.0  # for each answer of the other side
BACK_DAYS = 30  # at most so far back begins a mailbox that is new to us

_UID = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_CAME = re.compile(rb'INTERNALDATE "([^"]{1,60})"')
_VALIDITY = re.compile(rb"(\d+)")
TROUBLE = (OSError, imaplib.IMAP4.error, ImapToolsError, ssl.SSLError, UnicodeError)


@dataclass(frozen=True, slots=True)
class Box:
    """`options` of a mailbox: where it is, who we are there, and from when on its mails are ours to answer."""

    address: str
    imap_host: str
    imap_port: int = 993
    imap_security: str = "tls"
    smtp_host: str = ""
    smtp_port: int = 465
    smtp_security: str = "tls"
    user: str = ""
    folder: str = "INBOX"
    since_days: int = 0  # of the past; 0: only what comes from now on

    @classmethod
    def of(cls, channel: Channel) -> "Box":
        """Raises DeliveryError for options that are none."""
        try:
            box = cls(**channel.options)
        except TypeError as error:
            raise DeliveryError(f"{channel.name} is not set up: {error}.", permanent=True) from error
        if not box.address or not box.imap_host:
            raise DeliveryError(f"{channel.name} has no mailbox yet.", permanent=True)
        return box

    @property
    def login(self) -> str:
        """Who we are there."""
        return self.user or self.address


# --- In


def fetch(channel: Channel, cursor: dict[str, Any]) -> Fetched:
    """Mails since the cursor (`validity`, `uid` of the last one), oldest first. Nothing is marked, moved or deleted."""
    box = Box.of(channel)
    with _opened(channel, box) as mailbox:
        validity = _validity(mailbox)
        if cursor.get("validity") != validity:
            # A mailbox that is new to us, or numbered anew: what came before is not ours to answer.
            last = _before(mailbox, box, first=not cursor)
            cursor = {"validity": validity, "uid": last}
        uids = [uid for uid in _uids(mailbox, f"UID {cursor['uid'] + 1}:*") if uid > cursor["uid"]][
            : AT_ONCE + 1
        ]
        raws, last = _bodies(mailbox, uids[:AT_ONCE], cursor["uid"])
        return Fetched(raws, {"validity": validity, "uid": last}, more=bool(uids) and last < uids[-1])


def whoami(channel: Channel) -> Account:
    """The mailbox's own address: a mail under it is never a customer's."""
    box = Box.of(channel)
    return Account(box.address.lower(), name=channel.name)


def probe(channel: Channel) -> Health:
    """Whether both servers answer and let us in, and what lies in the box: a dry run of the first look."""
    box = Box.of(channel)
    findings, good = [], True
    try:
        with _opened(channel, box) as mailbox:
            held = _uids(mailbox, "ALL")
            recent = _uids(mailbox, f"SINCE {_imap_day(datetime.now(UTC) - timedelta(days=BACK_DAYS))}")
            findings.append(f"{box.imap_host} lets us in: {len(held)} mails lie in {box.folder}.")
            findings.append(
                f"{len(recent)} of them came in the last {BACK_DAYS} days. None of them is answered or changed."
            )
    except DeliveryError as error:
        findings.append(error.detail)
        good = False
    if box.smtp_host:
        try:
            with _sender(channel, box):
                findings.append(f"{box.smtp_host} takes mails from us.")
        except DeliveryError as error:
            findings.append(error.detail)
            good = False
    return Health(good, findings)


@contextmanager
def _opened(channel: Channel, box: Box) -> Iterator[BaseMailBox]:
    kinds = {
        MailSecurity.TLS: MailBox,
        MailSecurity.STARTTLS: MailBoxStartTls,
        MailSecurity.NONE: MailBoxUnencrypted,
    }
    mailbox = None
    try:
        mailbox = kinds[MailSecurity(box.imap_security)](box.imap_host, box.imap_port, timeout=SECONDS)
        enter = mailbox.login if (box.login + channel.token).isascii() else mailbox.login_utf8
        enter(box.login, channel.token, None)
        mailbox.folder.set(box.folder, readonly=True)
        yield mailbox
    except MailboxLoginError as error:
        raise DeliveryError(f"{box.imap_host} does not let us in: {_said(error)}", permanent=True) from error
    except ValueError as error:
        raise DeliveryError(f"{box.imap_security} is no way to reach a mailbox.", permanent=True) from error
    except TROUBLE as error:
        raise DeliveryError(f"{box.imap_host}: {_said(error)}", permanent=False) from error
    finally:
        if mailbox is not None:
            _hang_up(mailbox)


def _hang_up(mailbox: BaseMailBox) -> None:
    try:
        mailbox.logout()
    except (*TROUBLE, AttributeError):
        mailbox.client.shutdown()


def _said(error: BaseException) -> str:
    """An error in words, without what we sent."""
    words = getattr(error, "command_result", None) or error
    return " ".join(str(words).split())[:300] or type(error).__name__


def _validity(mailbox: BaseMailBox) -> int:
    """The number that says whether UIDs mean what they meant (RFC 3501, 2.3.1.1)."""
    found = mailbox.client.response("UIDVALIDITY")[1]
    number = _VALIDITY.search(found[0] or b"") if found and found[0] else None
    return int(number[1]) if number else 0


def _uids(mailbox: BaseMailBox, which: str) -> list[int]:
    return sorted(int(one) for one in mailbox.uids(which, charset=None))


def _before(mailbox: BaseMailBox, box: Box, *, first: bool) -> int:
    """The last UID of what is not ours to take, when a mailbox begins or was numbered anew."""
    held = _uids(mailbox, "ALL")
    days = box.since_days if first else 1  # numbered anew: what is known comes again and is one delivery
    if days:
        since = datetime.now(UTC) - timedelta(days=min(days, BACK_DAYS))
        if wanted := _uids(mailbox, f"SINCE {_imap_day(since)}"):
            return wanted[0] - 1
    return held[-1] if held else 0


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _imap_day(moment: datetime) -> str:
    return f"{moment.day:02}-{_MONTHS[moment.month - 1]}-{moment.year}"


def _bodies(mailbox: BaseMailBox, uids: list[int], last: int) -> tuple[list[bytes], int]:
    """The mails of these UIDs, as many as one look may carry, and the last that was read; of one too large only its head."""
    raws, octets = [], 0
    sizes = _sizes(mailbox, uids)
    for uid in uids:
        size = sizes.get(uid, 0)
        if raws and octets + size > OCTETS_AT_ONCE:
            break
        if (raw := _one(mailbox, uid, size)) is not None:
            raws.append(raw)
            octets += len(raw)
        last = uid
    return raws, last


def _sizes(mailbox: BaseMailBox, uids: list[int]) -> dict[int, int]:
    if not uids:
        return {}
    sizes = {}
    for line in _fetched(mailbox, ",".join(map(str, uids)), "(RFC822.SIZE)"):
        head = line[0] if isinstance(line, tuple) else line
        if (uid := _UID.search(head)) and (size := _SIZE.search(head)):
            sizes[int(uid[1])] = int(size[1])
    return sizes


def _one(mailbox: BaseMailBox, uid: int, size: int) -> bytes | None:
    """One mail below a line that says when it came, as each server on its way wrote one; None when it is gone again."""
    what = "BODY.PEEK[]" if size <= LARGEST else "BODY.PEEK[HEADER]"
    for line in _fetched(mailbox, str(uid), f"(INTERNALDATE {what})"):
        if isinstance(line, tuple):
            came = _CAME.search(line[0])
            trace = f"Received: by earshot; {_rfc_5322(came[1].decode())}\r\n" if came else ""
            cut = f"{CUT}: {size}\r\n" if size > LARGEST else ""
            return (trace + cut).encode() + line[1]
    return None


def _fetched(mailbox: BaseMailBox, uids: str, what: str) -> list:
    status, found = mailbox.client.uid("FETCH", uids, what)
    if status != "OK":
        raise imaplib.IMAP4.error(f"FETCH answered {status}")
    return [line for line in found if line]


def _rfc_5322(came: str) -> str:
    """`17-Jul-1996 02:44:25 -0700`, as IMAP says it, as mails say it."""
    return format_datetime(datetime.strptime(came.strip(), "%d-%b-%Y %H:%M:%S %z"))


# --- Out


def send(channel: Channel, message: Message) -> str:
    """Answer by mail, below the mail that is answered; returns the id of ours. Raises DeliveryError."""
    box = Box.of(channel)
    if not box.smtp_host:
        raise DeliveryError(f"{channel.name} has no server that takes its answers.", permanent=True)
    mail = written(channel, box, message)
    with _sender(channel, box) as server:
        refusal = _sent(server, mail)
    if refusal:
        raise refusal
    return str(mail["Message-ID"])[1:-1]


def look_up(channel: Channel, key: str) -> str | None:
    """SMTP keeps nothing that could be asked: what is unclear a person decides."""
    return None


def written(channel: Channel, box: Box, message: Message) -> EmailMessage:
    """The mail of an answer: to the address it came from, in its thread, under our own name for it."""
    to = message.interaction.identity.value if message.interaction else ""
    if "@" not in to:
        raise DeliveryError(f"{channel.name}: there is no address to answer to.", permanent=True)
    mail = EmailMessage()
    mail["From"] = formataddr(
        (
            f"{message.author_name}, {channel.brand.name}" if message.author_name else channel.brand.name,
            box.address,
        )
    )
    mail["To"] = to
    mail["Subject"] = _answering(_last_title(message))
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = (
        f"<{(message.idempotency_key or str(message.pk))[:40]}.{message.pk}@{box.address.rpartition('@')[2]}>"
    )
    if message.in_reply_to and not message.in_reply_to.startswith("sha256:"):
        mail["In-Reply-To"] = f"<{message.in_reply_to}>"
        chain = [one for one in (_begun(message), message.in_reply_to) if one]
        mail["References"] = " ".join(f"<{one}>" for one in dict.fromkeys(chain))
    mail.set_content(message.text)
    return mail


def _last_title(message: Message) -> str:
    said = Message.objects.filter(interaction_id=message.interaction_id, direction="inbound").exclude(
        title=""
    )
    newest = said.order_by("-at", "-id").values_list("title", flat=True).first()
    return newest or (message.interaction.ticket.subject if message.interaction else "") or "Your message"


def _answering(title: str) -> str:
    line = " ".join(title.split())[:200]
    return line if line[:3].lower() == "re:" else f"Re: {line}"


def _begun(message: Message) -> str:
    """The mail with which the conversation began."""
    refs = ThreadRef.objects.filter(
        channel_id=message.channel_id, thread=message.thread, external_id__startswith="c:"
    )
    first = refs.order_by("pk").values_list("external_id", flat=True).first()
    return first[2:] if first and not first.startswith("c:sha256:") else ""


@contextmanager
def _sender(channel: Channel, box: Box) -> Iterator[smtplib.SMTP]:
    """A server that will take a mail of ours. Whatever fails until then, nothing was sent."""
    server: smtplib.SMTP | None = None
    try:
        kind = smtplib.SMTP_SSL if box.smtp_security == MailSecurity.TLS else smtplib.SMTP
        server = kind(box.smtp_host, box.smtp_port, timeout=SECONDS)
        if box.smtp_security == MailSecurity.STARTTLS:
            server.starttls(context=ssl.create_default_context())
        server.ehlo_or_helo_if_needed()
        if channel.token and server.has_extn("auth"):
            server.login(box.login, channel.token)
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(f"{box.smtp_host} does not let us in: {_said(error)}", permanent=True) from error
    except (smtplib.SMTPException, OSError, ssl.SSLError) as error:
        raise DeliveryError(f"{box.smtp_host}: {_said(error)}", permanent=False) from error
    try:
        yield server
    finally:
        server.close()


def _sent(server: smtplib.SMTP, mail: EmailMessage) -> DeliveryError | None:
    """What became of it: taken (None), refused, to be tried again, or nobody knows."""
    try:
        server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        return _refused(code, words)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error)
    except (smtplib.SMTPServerDisconnected, TimeoutError, OSError) as error:
        # It was on its way: the server may have taken it.
        return DeliveryError(
            f"the line broke while it was sent: {_said(error)}", permanent=False, unclear=True
        )
    return None


def _refused(code: int, words: bytes | str) -> DeliveryError:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return DeliveryError(f"refused with {code} {' '.join(said.split())[:200]}", permanent=code >= 500)


# --- Tried out


def round_trip(channel: Channel, seconds: float = 20.0) -> Health:
    """A mail from us to us, and whether it is there within some seconds."""
    box = Box.of(channel)
    if not box.smtp_host:
        return Health(False, ["No server is named that takes mails from us."])
    trial = EmailMessage()
    trial["From"] = trial["To"] = box.address
    trial["Subject"] = "Earshot can be heard"
    trial["Date"] = format_datetime(datetime.now(UTC))
    trial["Message-ID"] = f"<trial.{secrets.token_hex(12)}@{box.address.rpartition('@')[2]}>"
    trial["Auto-Submitted"] = "auto-generated"
    trial.set_content(
        "This mail tries out whether what is sent from here arrives here. Nobody need answer it."
    )
    with _sender(channel, box) as server:
        refusal = _sent(server, trial)
    if refusal:
        raise refusal
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with _opened(channel, box) as mailbox:
            if mailbox.uids(f'HEADER Message-ID "{trial["Message-ID"]}"', charset=None):
                return Health(True, [f"A mail to {box.address} left and arrived."])
        time.sleep(1.0)
    return Health(False, [f"A mail to {box.address} left, but was not there {seconds:.0f} seconds later."])
