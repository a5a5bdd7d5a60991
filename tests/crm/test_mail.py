"""A mailbox over real IMAP and SMTP: fetched once and left alone, answered in the thread, never in a loop with a machine."""

import email
import email.policy
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from django.test import Client
from django.utils import timezone

from crm.connectors import mail
from crm.errors import DeliveryError
from crm.models import Customer, Delivery, Interaction, Message, Poll, Ticket
from crm.services import deliveries, messages, polls
from tests import factories
from tests.mailservers import PASSWORD, USER, Mailbox, Postbox

pytestmark = pytest.mark.django_db(transaction=True)
OURS = "care@example.com"


@pytest.fixture
def mailbox(tmp_path):
    running = Mailbox(tmp_path / "imap.log")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def postbox():
    running = Postbox()
    yield running
    running.stop()


@pytest.fixture
def channel(mailbox, postbox):
    postbox.taken.clear()
    options = {
        "address": OURS, "imap_host": "127.0.0.1", "imap_port": mailbox.port, "imap_security": "none", "user": USER,
        "smtp_host": "127.0.0.1", "smtp_port": postbox.port, "smtp_security": "none",
    }  # fmt: skip
    made = factories.make_channel(
        "email", slug="care", connector="mail", name="Care", token=PASSWORD, options=options
    )
    polls.switch(made, on=True, by=factories.make_user(role="administrator"))
    polls.fetch(made.pk)  # begins: what lay there before is not ours
    return made


def letter(number: int, text: str = "Where is my parcel?", **headers: str) -> bytes:
    made = EmailMessage()
    made["From"] = headers.pop("From", "Anna Berg <anna@example.org>")
    made["To"] = OURS
    made["Subject"] = headers.pop("Subject", "My parcel")
    made["Message-ID"] = headers.pop("Message_ID", f"<{number}@example.org>")
    made["Date"] = format_datetime(timezone.now())
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


def look(channel) -> int:
    """Fetch at once, then take what came to its end."""
    Poll.objects.update(due_at=timezone.now())
    fresh = polls.fetch(channel.pk)
    while deliveries.process():
        pass
    return fresh


def test_a_mailbox_begins_with_what_comes_from_now_on_and_is_left_as_it_is(channel, mailbox):
    before = [set(one) - {"\\Recent"} for one in mailbox.flags()]
    assert Delivery.objects.count() == 0 and mailbox.uids()
    mailbox.put(letter(1))
    assert look(channel) == 1
    assert look(channel) == 0
    assert Interaction.objects.get().identity.value == "anna@example.org"
    assert Ticket.objects.get().subject == "My parcel"
    after = [set(one) - {"\\Recent"} for one in mailbox.flags()]
    assert after == [*before, set()]


def test_a_dry_run_says_what_lies_there_and_changes_nothing(channel):
    health = polls.probe(channel)
    assert health.good and "4 mails lie in INBOX" in health.findings[0]
    assert "takes mails from us" in health.findings[-1]
    channel.token = "wrong"
    health = polls.probe(channel)
    assert not health.good and "does not let us in" in health.findings[0]
    assert "wrong" not in " ".join(health.findings)


def test_an_answer_goes_into_the_thread_and_what_comes_back_joins_it(channel, mailbox, postbox):
    mailbox.put(letter(1))
    look(channel)
    contact = Interaction.objects.get()
    agent = factories.make_user(alias="Kim")
    message = messages.reply(contact, by=agent, text="It is on its way. Grüße")
    messages.deliver(message.pk)
    message.refresh_from_db()
    assert (message.state, message.error) == ("sent", "")
    sent = email.message_from_bytes(postbox.taken[-1])
    assert sent["To"] == "anna@example.org" and sent["Subject"] == "Re: My parcel"
    assert sent["In-Reply-To"] == "<1@example.org>" and sent["References"] == "<1@example.org>"
    assert "Kim" in sent["From"] and OURS in sent["From"]
    assert "Grüße" in sent.get_payload(decode=True).decode()
    ours = sent["Message-ID"]
    mailbox.put(
        letter(
            2,
            "No, it is not.\n\nOn Monday, Kim wrote:\n> It is on its way.",
            In_Reply_To=ours,
            References=ours,
        )
    )
    look(channel)
    assert Ticket.objects.count() == 1 and Customer.objects.count() == 1
    assert contact.messages.order_by("pk").last().text == "No, it is not."


def test_a_reply_by_another_sender_is_never_taken_for_the_customers(channel, mailbox):
    mailbox.put(letter(1))
    look(channel)
    mailbox.put(letter(2, "Pay to me", From="Anna Berg <mallory@evil.test>", In_Reply_To="<1@example.org>"))
    look(channel)
    assert [one.messages.count() for one in Interaction.objects.order_by("pk")] == [1, 1]
    assert Ticket.objects.count() == 2


def test_our_own_address_in_from_is_not_a_word_of_ours(channel, mailbox):
    mailbox.put(
        letter(1), letter(2, "We refund you 500", From=f"Care <{OURS}>", In_Reply_To="<1@example.org>")
    )
    look(channel)
    assert not Message.objects.filter(direction="outbound").exists()
    assert Ticket.objects.count() == 1 and Message.objects.get().text == "Where is my parcel?"


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Precedence": "bulk"},
        {"Subject": "Out of Office: back on Monday"},
        {"Subject": "Automatische Antwort: Ihr Paket"},
        {
            "From": "Mail Delivery System <MAILER-DAEMON@mx.example.org>",
            "Subject": "Undelivered Mail Returned to Sender",
        },
        {"List_Id": "<news.example.org>"},
        {"Return_Path": "<>", "Subject": "Delivery Status Notification (Failure)"},
    ],
)
def test_machines_open_nothing_and_make_no_customer(channel, mailbox, headers):
    mailbox.put(letter(7, **headers))
    assert look(channel) == 1
    assert (Ticket.objects.count(), Customer.objects.count()) == (0, 0)
    assert Delivery.objects.get().outcome == "ignored"


def test_what_came_back_has_failed(channel, mailbox, postbox):
    mailbox.put(letter(1))
    look(channel)
    message = messages.reply(Interaction.objects.get(), by=factories.make_user(), text="Hello")
    messages.deliver(message.pk)
    sent = email.message_from_bytes(postbox.taken[-1])
    report = (
        "From: MAILER-DAEMON@mx.example.org\r\nTo: care@example.com\r\nSubject: Undelivered\r\nMessage-ID: <b1@mx>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; anna@example.org\r\nAction: failed\r\n"
        "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"Message-ID: {sent['Message-ID']}\r\nSubject: x\r\n\r\n--b--\r\n"
    )
    mailbox.put(report.encode())
    look(channel)
    message.refresh_from_db()
    assert message.state == "failed" and "550 no such user" in message.error
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize(("to", "state"), [("nobody", "failed"), ("full", "queued"), ("cut", "unknown")])
def test_refused_put_off_and_broken_off_are_told_apart(channel, mailbox, to, state):
    mailbox.put(letter(1, From=f"<{to}@example.org>"))
    look(channel)
    message = messages.reply(Interaction.objects.get(), by=factories.make_user(), text="Hello")
    messages.deliver(message.pk)
    message.refresh_from_db()
    assert message.state == state, message.error


def test_a_bad_mail_waits_in_the_quarantine_and_holds_up_nobody(channel, mailbox):
    mailbox.put(letter(1), b"Subject: who?\r\n\r\nno sender\r\n", letter(2, From="Bob <bob@example.org>"))
    assert look(channel) == 2
    assert Delivery.objects.filter(state="done").count() == 2
    bad = Delivery.objects.get(state="quarantined")
    assert "nobody's address" in bad.error and bytes(bad.raw).endswith(b"no sender\r\n")


def test_of_a_mail_too_large_only_its_head_is_fetched(channel, mailbox, monkeypatch):
    monkeypatch.setattr(mail, "LARGEST", 500)
    mailbox.put(letter(1, "x" * 5000), letter(2))
    look(channel)
    bad = Delivery.objects.get(state="quarantined")
    assert "octets" in bad.error and len(bytes(bad.raw)) < 1000
    assert Delivery.objects.get(state="done").external_id == "2@example.org"


def test_a_card_number_in_a_mail_is_masked_in_its_bytes_too(channel, mailbox):
    mailbox.put(
        letter(1, "My card is 4111 1111 1111 1111, please help. Grüße", Subject="Card 4111111111111111")
    )
    look(channel)
    assert "4111 1111" not in Message.objects.get().text
    raw = bytes(Delivery.objects.get().raw)
    again = mail.parse(raw)
    assert "1111 1111" not in again.text and "11111111" not in again.title and "Grüße" in again.text


def test_a_file_is_had_by_who_may_read_the_message_and_is_never_shown_in_place(channel, mailbox):
    made = email.message_from_bytes(letter(1), policy=email.policy.default)
    made.add_attachment(
        b"<script>alert(1)</script>", maintype="text", subtype="html", filename="bill\u202e.html"
    )
    mailbox.put(made.as_bytes())
    look(channel)
    message = Message.objects.get()
    assert message.media[0]["size"] == 25
    client = Client()
    client.force_login(factories.make_user(role="supervisor"))
    answer = client.get(f"/messages/{message.pk}/files/0/")
    assert (
        answer.content == b"<script>alert(1)</script>"
        and answer["Content-Type"] == "application/octet-stream"
    )
    assert (
        answer["Content-Disposition"].startswith("attachment")
        and "sandbox" in answer["Content-Security-Policy"]
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"/messages/{message.pk}/files/1/").status_code == 404
    Delivery.objects.update(raw=b"")
    assert client.get(f"/messages/{message.pk}/files/0/").status_code == 404


def test_a_mailbox_that_is_away_is_tried_again_within_a_minute(channel, mailbox, tmp_path):
    mailbox.stop()
    assert look(channel) == 0
    poll = Poll.objects.get()
    assert poll.failures == 1 and poll.error and (poll.due_at - timezone.now()).total_seconds() < 61
    assert polls.fetch(channel.pk) == 0 and Poll.objects.get().failures == 1  # not before its time


def test_only_whose_turn_it_is_writes(channel, mailbox, monkeypatch):
    """Another one took over while we were fetching: neither items nor cursor of ours are kept, and nothing is lost."""
    mailbox.put(letter(1))
    whole = mail.fetch

    def slow(channel, cursor):
        found = whole(channel, cursor)
        Poll.objects.update(turn=99)
        return found

    cursor = Poll.objects.get().cursor
    monkeypatch.setattr(mail, "fetch", slow)
    assert look(channel) == 0 and Delivery.objects.count() == 0
    assert Poll.objects.get().cursor == cursor
    monkeypatch.undo()
    assert look(channel) == 1


def test_numbered_anew_a_mailbox_doubles_nothing(channel, mailbox):
    mailbox.put(letter(1), letter(2))
    look(channel)
    Poll.objects.update(cursor={"validity": 1, "uid": 5})
    look(channel)
    assert Delivery.objects.filter(external_id__in=["1@example.org", "2@example.org"]).count() == 2
    assert Ticket.objects.count() == 2


def test_a_channel_without_options_says_so(db):
    bare = factories.make_channel("email", slug="bare", connector="mail", options={})
    with pytest.raises(DeliveryError):
        mail.fetch(bare, {})
    assert not polls.probe(bare).good
