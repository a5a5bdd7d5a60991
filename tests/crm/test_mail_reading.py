"""What a mail says, whatever program wrote it: real mails of two public collections, and mails made to hurt."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.connectors import mail_reading
from crm.connectors.items import MAX_TEXT, Rejected

MAILS = Path(__file__).resolve().parents[3] / "shared" / "data" / "emails_raw"
given_mails = pytest.mark.skipif(
    not MAILS.is_dir(), reason=f"{MAILS.name}: the mails given to developers are not here"
)


def read(raw: bytes):
    try:
        return mail_reading.parse(raw)
    except Rejected as refused:
        return refused


def said(body: str, **headers: str) -> str:
    head = "".join(
        f"{name.replace('_', '-')}: {value}\r\n"
        for name, value in {"From": "a@example.org", **headers}.items()
    )
    return mail_reading.parse(f"{head}\r\n{body}".encode()).text


@given_mails
def test_no_mail_is_too_odd_to_be_read_or_refused():
    found = [read(path.read_bytes()) for path in sorted(MAILS.rglob("*")) if path.suffix in (".txt", ".eml")]
    assert len(found) > 55
    assert sum(not isinstance(one, Rejected) for one in found) > 40
    for one in found:
        if isinstance(one, Rejected):
            assert "author.id" in one.errors


@given_mails
@pytest.mark.parametrize(
    "name",
    [
        "aol",
        "apple_mail",
        "apple_mail_2",
        "comcast",
        "gmail",
        "hotmail",
        "iphone",
        "outlook",
        "sparrow",
        "yahoo",
    ],
)
def test_only_what_is_new_is_taken_of_an_answer(name):
    raw = (MAILS / "talon" / "standard_replies" / f"{name}.eml").read_bytes()
    assert mail_reading.parse(raw).text == "Hello"


@given_mails
def test_delivery_reports_are_told_from_letters():
    reports = ["msg_16.txt", "msg_25.txt"]
    for path in sorted((MAILS / "cpython").glob("*.txt")):
        one = read(path.read_bytes())
        if not isinstance(one, Rejected):
            assert (one.automatic == "bounce") is (path.name in reports), path.name


@pytest.mark.parametrize(
    "body",
    [
        "Yes please.\n\nOn 3 May 2024, at 10:02, Care <care@example.com> wrote:\n> Shall we?",
        "Yes please.\n\nOn Fri, May 3, 2024 at 10:02 AM Care Team\n<care@example.com> wrote:\n\n> Shall we?",
        "Yes please.\n\nAm 03.05.2024 um 10:02 schrieb Care <care@example.com>:\n> Sollen wir?",
        "Yes please.\n\nLe ven. 3 mai 2024 à 10:02, Care <care@example.com> a écrit :\n> On y va ?",
        "Yes please.\n\nEl vie, 3 may 2024, 10:02, Care <care@example.com> escribió:\n> ¿Vamos?",
        "Yes please.\n\n-----Original Message-----\nFrom: Care\nSent: Friday\nTo: me\nSubject: x\n\nShall we?",
        "Yes please.\n\nVon: Care <care@example.com>\nGesendet: Freitag\nAn: mich\nBetreff: x\n\nSollen wir?",
        "Yes please.\n\n-- \nAnna Berg\nBerlin",
        "Yes please.\n\nSent from my iPhone",
        "> Shall we?\nYes please.",
    ],
)
def test_quotes_and_signatures_are_cut(body):
    assert said(body) == "Yes please."


def test_words_that_only_look_like_a_quote_stay():
    body = "On Monday I wrote you already: nothing came.\nFrom: my point of view this is bad.\nPlease help."
    assert said(body) == body


def test_of_html_the_words_are_taken_and_nothing_else():
    html = (
        "<html><head><title>no</title><style>p{}</style></head><body><p>Hello &amp; <b>good</b> day</p>"
        "<script>alert(1)</script><div>Second<br>line</div><blockquote>the quote</blockquote></body></html>"
    )
    text = said(html, Content_Type="text/html; charset=utf-8", In_Reply_To="<1@x>")
    assert text.split("\n") == ["Hello & good day", "Second", "line"]
    assert "the quote" in said(html, Content_Type="text/html; charset=utf-8")


def test_a_time_before_or_after_all_servers_is_not_believed():
    received = "by mx.example.org; Fri, 03 May 2024 10:00:00 +0000"
    for date in ("Fri, 03 May 2030 10:00:00 +0000", "not a date", ""):
        one = mail_reading.parse(f"From: a@b.c\r\nReceived: {received}\r\nDate: {date}\r\n\r\nx".encode())
        assert one.created_at.isoformat() == "2024-05-03T10:00:00+00:00"


def test_files_are_named_and_can_be_had():
    raw = (
        b'From: a@b.c\r\nContent-Type: multipart/mixed; boundary="q"\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\nSee.\r\n'
        b'--q\r\nContent-Type: application/pdf; name="bill.pdf"\r\nContent-Disposition: attachment; filename="bill.pdf"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--q--\r\n"
    )
    one = mail_reading.parse(raw)
    assert one.media == [{"file": 0, "type": "application/pdf", "alt": "bill.pdf", "size": 5}]
    assert mail_reading.file(raw, 0) == ("bill.pdf", b"hello")


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=2_000),
    st.sampled_from([b"", b"From: a@b.c\r\n", b"From: =?utf-8?b?w6?= <a@b.c>\r\nSubject: =?x?q?=00?=\r\n"]),
)
def test_no_bytes_make_it_stumble(body, head):
    one = read(head + body)
    if not isinstance(one, Rejected):
        assert "\x00" not in one.text + one.title + one.name + one.id and len(one.text) <= MAX_TEXT
        assert one.created_at.tzinfo is not None and 0 < len(one.id) <= 255


def test_every_pattern_runs_on_re2():
    patterns = {
        name: one
        for name, one in vars(mail_reading).items()
        if hasattr(one, "search") and hasattr(one, "pattern")
    }
    assert len(patterns) > 10
    assert {type(one).__module__ for one in patterns.values()} == {"re2"}
