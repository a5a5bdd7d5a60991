"""A mail as it came, read: who wrote, to what, and what is his own; never fails on what a mail program can write.

What is cut (quotes and signatures) stays in the raw bytes. Patterns run on RE2: strangers write these texts.
"""

import email
import email.message
import email.utils
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import decode_header
from email.message import Message
from hashlib import sha256
from typing import cast

import re2
from imap_tools.message import MailMessage
from imap_tools.utils import decode_value, parse_email_addresses

from crm import markup
from crm.choices import Audience, ItemKind
from crm.connectors.items import MAX_ID, MAX_NAME, MAX_TEXT, Item, Rejected

CUT = "X-Earshot-Cut"  # the whole mail was too large to be fetched: its size in octets
LARGEST = 25_000_000  # octets of a mail that is fetched
BODY_READ = 500_000  # characters of a body that are looked at
LONGEST_INTRODUCTION = 400  # characters, of the line that introduces a quote

# "On Monday, Anna wrote:" and its like, in the languages that we are asked in.
_WROTE = re2.compile(
    r"(?i)^[\s>*_]*(?:"
    r"(?:on|am|le|el|il|op|em|den|dne|w dniu|w|no dia)\b.{0,300}\b(?:wrote|schrieb|a écrit|escribió|ha scritto|scrisse|schreef|"
    r"escreveu|skrev|napsal|napisał)(?:\(a\))?\b.{0,120}:|"
    r".{0,300}\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev)(?: am .{0,60})?\s?:|"
    r"\d{4}[-/.].{0,100}<\S{1,120}@\S{1,120}>:?"
    r")[\s*_]*$"
)
_RULE = re2.compile(
    r"(?i)^[\s>]*(?:-{2,}\s?.{0,20}(?:original|ursprüngliche|origine|mensaje|messaggio|oorspronkelijk|forwarded|"
    r"weitergeleitete|reply).{0,40}-{2,}|_{20,}|-{10,}\s?original message.{0,20})\s*$"
)
_HEAD = re2.compile(r"(?i)^[\s>*]*(?:from|von|de|da|van|från|fra|od)\s?:\*?\s.{1,300}$")
_HEAD_NEXT = re2.compile(
    r"(?i)^[\s>*]*(?:sent|date|to|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviado|para|asunto|inviato|a|"
    r"oggetto|verzonden|aan|onderwerp|assunto|skickat|till|ämne)\s?:"
)
_SIGNED = re2.compile(
    r"(?i)^(?:--|—|__)\s*$|^(?:sent from my |sent via |von meinem .{1,40} gesendet|gesendet von |envoyé de mon |"
    r"enviado desde |inviato da |verzonden vanaf |get outlook for ).{0,80}$"
)
_LINES = re2.compile(r"\n{3,}")

_BOUNCE_SENDER = re2.compile(r"(?i)^(?:mailer-daemon|postmaster|mail-daemon|mdaemon)@")
_BOUNCE_SUBJECT = re2.compile(
    r"(?i)^(?:undeliver(?:able|ed)|returned mail|mail delivery (?:failed|failure|system)|delivery (?:status notification|failure|"
    r"report)|failure notice|unzustellbar|nicht zugestellt|message non distribuable|non remis|warning: could not send)"
)
_AWAY_SUBJECT = re2.compile(
    r"(?i)^(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|automatische antwort|abwesenheits|"
    r"abwesend|réponse automatique|respuesta automática|risposta automatica|automatisch antwoord|resposta automática|"
    r"autosvar|vacation)"
)
_IDS = re2.compile(r"<([^<>\s]{1,998})>")
_STATUS = re2.compile(r"(?im)^\s*(?:status|diagnostic-code)\s*:\s*(.{1,500})$")
_PERMANENT = re2.compile(r"\b5\.\d{1,3}\.\d{1,3}\b|\b5\d\d\b")


def parse(raw: bytes) -> Item:
    """One mail. Raises Rejected when nobody can be made out who wrote it, or when only its head was fetched."""
    mail = MailMessage.from_bytes(raw)
    message = mail.obj
    own_id = _own_id(message, raw)
    if size := message.get(CUT):
        raise Rejected({"size": f"is {size} octets; at most {LARGEST} are fetched"}, own_id)
    name, address = _author(message)
    if not address:
        raise Rejected({"author.id": "nobody's address stands in From"}, own_id)
    parents = _ids(message, "In-Reply-To") or _ids(message, "References")[-1:]
    chain = _ids(message, "References") or parents
    body = _clean(_body(mail), MAX_TEXT)
    item = Item(
        id=own_id,
        kind=str(ItemKind.EMAIL),
        title=_clean(_subject(message), MAX_NAME),
        text=_own_words(body) or body,
        created_at=_written(message),
        author_id=address[:MAX_ID],
        name=name,
        email=address[:320],
        in_reply_to=parents[0] if parents else "",
        # A mail without references begins its own conversation: mail programs know what belongs together.
        conversation=chain[0] if chain else own_id,
        audience=Audience.PRIVATE,
        media=_files(mail),
    )
    if automatic := _automatic(message, address, item.title):
        item.extra["automatic"] = automatic
        if automatic == "bounce":
            item.extra["bounced"] = _bounced(message, parents)
    return item


def rewritten(raw: bytes, pieces: list[tuple[str, str]]) -> bytes:
    """The mail with other words in the place of some, in its subject and its texts; files stay as they are."""
    message = email.message_from_bytes(raw)
    subject = _subject(message)
    if subject and (changed := _replaced(subject, pieces)) != subject:
        message.replace_header("Subject", changed)
    for part in _texts(message):
        said = decode_value(cast("bytes", part.get_payload(decode=True) or b""), part.get_content_charset())
        if (changed := _replaced(said, pieces)) != said:
            del part["Content-Transfer-Encoding"]
            part.set_payload(changed, "utf-8")
    return message.as_bytes()


def file(raw: bytes, place: int) -> tuple[str, bytes]:
    """Name and octets of one of the files of a mail; IndexError when there is none at that place."""
    one = MailMessage.from_bytes(raw).attachments[place]
    return _clean(one.filename, 255), one.payload


def _replaced(text: str, pieces: list[tuple[str, str]]) -> str:
    for piece, instead in pieces:
        text = text.replace(piece, instead)
    return text


# --- Who, what, when


def _own_id(message: Message, raw: bytes) -> str:
    """The mail's own name; where it has none, or one that is too long, a name drawn from its bytes."""
    ids = _ids(message, "Message-ID")
    return ids[0] if ids else "sha256:" + sha256(raw).hexdigest()


def _ids(message: Message, header: str) -> list[str]:
    found = _IDS.findall(" ".join(str(one) for one in message.get_all(header, [])).replace("\x00", ""))
    return [
        one if len(one) <= MAX_ID else "sha256:" + sha256(one.encode("utf-8", "replace")).hexdigest()
        for one in found
    ]


def _author(message: Message) -> tuple[str, str]:
    """Name as given and address in lower case; empty where there is no usable address."""
    for header in ("From", "Sender", "Reply-To"):
        for one in parse_email_addresses(str(message.get(header, "") or "").replace("\x00", "")):
            address = _clean(one.email, 320).lower()
            if "@" in address[1:-1] and not any(sign.isspace() for sign in address):
                return _clean(one.name, MAX_NAME), address
    return "", ""


def _subject(message: Message) -> str:
    raw = message.get("Subject")
    if raw is None:
        return ""
    try:
        return "".join(decode_value(*part) for part in decode_header(raw))
    except (ValueError, email.errors.HeaderParseError, LookupError):  # an encoded word that is none
        return str(raw)


def _written(message: Message) -> datetime:
    """When it was written: what it says itself, unless no server can have received it by then."""
    received = next(
        filter(None, (_time(str(one).rpartition(";")[2]) for one in message.get_all("Received", []))), None
    )
    said = _time(str(message.get("Date", "")))
    if said is None or (received is not None and said > received + timedelta(hours=1)):
        said = received or said
    return said or datetime.fromtimestamp(0, UTC) + timedelta(days=366 * 2)


def _time(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text.strip())
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found if 1970 < found.astimezone(UTC).year < 2200 else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _clean(text: str, longest: int) -> str:
    """Without what PostgreSQL cannot keep, and no longer than we keep."""
    kept = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return kept.replace("\r\n", "\n").replace("\r", "\n").strip()[:longest]


# --- The words


def _texts(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if part.get_content_maintype() == "text" and not part.get_filename():
            yield part


def _body(mail: MailMessage) -> str:
    """The plain text, or what an HTML mail says."""
    text = mail.text[:BODY_READ]
    return text if text.strip() else markup.plain(mail.html[:BODY_READ], quotes="In-Reply-To" not in mail.obj)


def _own_words(text: str) -> str:
    """What the writer added: up to the quote of what he answers, without quoted lines and without his signature."""
    kept: list[str] = []
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if _begins_quote(lines, place) or _SIGNED.match(line):
            break
        if not line.lstrip().startswith(">"):
            kept.append(line)
    return _LINES.sub("\n\n", "\n".join(kept)).strip()


def _begins_quote(lines: list[str], place: int) -> bool:
    line = lines[place][:LONGEST_INTRODUCTION]
    if not line.strip():
        return False
    if _RULE.match(line) or _WROTE.match(line):
        return True
    following = [one for one in lines[place + 1 : place + 4] if one.strip()]
    # Mail programs break the introduction where their lines end.
    if (
        following
        and len(line) < 100
        and _WROTE.match(f"{line.rstrip()} {following[0].strip()[:200]}")
        and _opens(line)
    ):
        return True
    return bool(_HEAD.match(line)) and any(_HEAD_NEXT.match(one[:LONGEST_INTRODUCTION]) for one in following)


_OPENS = re2.compile(r"(?i)^[\s>*]*(?:on|am|le|el|il|op|em|den|dne|w dniu|no dia)\s.{0,100}(?:\d|,)")


def _opens(line: str) -> bool:
    return bool(_OPENS.match(line))


def _files(mail: MailMessage) -> list[dict]:
    """Name, type and size of what hangs on it; the octets stay in the mail."""
    found = []
    for place, one in enumerate(mail.attachments[:100]):
        found.append(
            {
                "file": place,
                "type": _clean(one.content_type, 100),
                "alt": _clean(one.filename, 255),
                "size": one.size,
            }
        )
    return found


# --- Machines


def _automatic(message: Message, address: str, subject: str) -> str:
    """Which machine wrote it, or nothing (RFC 3834, RFC 3464, and what programs do that keep to neither)."""
    report = str(message.get_param("report-type", "") or "").lower()
    if message.get_content_type() == "multipart/report" and report in (
        "delivery-status",
        "disposition-notification",
    ):
        return "bounce" if report == "delivery-status" else "auto_reply"
    empty_path = str(message.get("Return-Path", "x")).strip() == "<>"
    if _BOUNCE_SENDER.match(address) or message.get("X-Failed-Recipients"):
        return "bounce"
    if empty_path and _BOUNCE_SUBJECT.match(subject):
        return "bounce"
    submitted = str(message.get("Auto-Submitted", "no")).strip().lower()
    if not submitted.startswith("no") or message.get("X-Autoreply") or message.get("X-Autorespond"):
        return "auto_reply"
    precedence = str(message.get("Precedence", "")).strip().lower()
    if precedence == "auto_reply" or _AWAY_SUBJECT.match(subject):
        return "auto_reply"
    if precedence in ("bulk", "junk", "list") or message.get("List-Id"):
        return "list"
    return "auto_reply" if empty_path else ""


def _bounced(message: Message, parents: list[str]) -> dict:
    """Which of our mails came back, as far as it says so, why, and whether for good."""
    ids, reasons = list(parents), []
    for part in message.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            reasons += _STATUS.findall(part.as_string()[:20_000])
        elif kind in ("message/rfc822", "text/rfc822-headers"):
            ids += _original(part)
    why = _clean("; ".join(dict.fromkeys(one.strip() for one in reasons)), 500)
    return {"messages": ids[:10], "reason": why, "permanent": not reasons or bool(_PERMANENT.search(why))}


def _original(part: Message) -> list[str]:
    inner = part.get_payload()
    if isinstance(inner, list):
        return [
            one for message in inner if isinstance(message, Message) for one in _ids(message, "Message-ID")
        ]
    return _ids(email.message_from_string(str(inner)[:50_000]), "Message-ID")
