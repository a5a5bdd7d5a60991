"""Mail servers that we did not write, on loopback: pymap for IMAP, aiosmtpd for SMTP."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.controller import Controller
from imap_tools import MailBoxUnencrypted

USER, PASSWORD = "demouser", "demopass"
HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Mailbox:
    """An IMAP server with one mailbox; it holds a few mails from the beginning, as mailboxes do."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        command = [
            os.path.join(os.path.dirname(sys.executable), "pymap"),
            "--host",
            HOST,
            "--port",
            str(self.port),
            "--no-tls",
        ]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "dict", "--demo-data", "--demo-user", USER, "--demo-password", PASSWORD],
                stdout=out,
                stderr=out,
            )
        for _ in range(200):
            with suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(log.read_text())

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)

    def opened(self) -> MailBoxUnencrypted:
        """A session of somebody else's in the mailbox."""
        return MailBoxUnencrypted(HOST, self.port, timeout=10).login(USER, PASSWORD, "INBOX")

    def put(self, *mails: bytes) -> None:
        """Mails that came."""
        with self.opened() as box:
            for mail in mails:
                box.append(mail, "INBOX", dt=datetime.now(UTC))

    def uids(self) -> list[str]:
        """What lies in it."""
        with self.opened() as box:
            return box.uids("ALL", charset=None)

    def flags(self) -> list[tuple[str, ...]]:
        """How the mails in it are marked."""
        with self.opened() as box:
            return [mail.flags for mail in box.fetch(mark_seen=False)]


class Postbox:
    """An SMTP server that keeps what it takes; it refuses `nobody@`, puts off `full@`, and hangs up at `cut@`."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.controller = Controller(self, hostname=HOST, port=free_port())
        self.controller.start()
        self.port = self.controller.port

    def stop(self) -> None:
        """End it."""
        self.controller.stop()

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802 - aiosmtpd's name
        """Whom it knows."""
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        if address.startswith("full@"):
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        self.taken.append(envelope.content)
        if any(address.startswith("cut@") for address in envelope.rcpt_tos):
            server.transport.abort()
        return "250 OK"
