"""A small site over TLS for people's own mail programs: alice and bob have accounts, carol writes from outside."""

from __future__ import annotations

import imaplib
import os
import smtplib
import ssl
import time
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.store import credentials, directory
from mailserver.store.database import Database
from tests.cli.commands import command, free_base
from tests.cli.running import Running
from tests.net.certificates import Authority

HOST, PASSWORD = "mx.example.org", "secret"
SITE = """
hostname = "mx.example.org"
data = "data"
[tls]
certificate = "{certificate}"
key = "{key}"
[outbound]
enabled = false
[[listen]]
service = "smtp"
endpoint = "tcp:{smtp}:interface=127.0.0.1"
[[listen]]
service = "submission"
endpoint = "tcp:{submission}:interface=127.0.0.1"
[[listen]]
service = "imap"
endpoint = "tcp:{imap}:interface=127.0.0.1"
tls = "implicit"
"""



def letter(subject: str, text: str, local: str = "alice") -> EmailMessage:
    """By carol."""
    message = EmailMessage()
    message["From"], message["To"] = "Carol <carol@example.net>", f"{local}@example.org"
    message["Subject"] = subject
    message.set_content(text)
    return message


class SiteCase(SynchronousTestCase):
    """The certificate is by an authority that each program has to trust first.

    Pictures of the screen are left in the folder that MAILSERVER_PICTURES names, or in the test's own.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.pictures = Path(os.environ.get("MAILSERVER_PICTURES") or self.folder)
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(self.folder)
        self.serve()

    def serve(self) -> None:
        """Start a server for alice and bob.  `prepare` may change it before it starts."""
        pair = self.authority.pair(HOST)
        base = free_base((25, 587, 993))
        self.smtp, self.submission, self.imap = base + 25, base + 587, base + 993
        self.config = self.folder / "mailserver.toml"
        self.config.write_text(SITE.format(
            certificate=pair.certificate.name, key=pair.key.name, smtp=self.smtp, submission=self.submission,
            imap=self.imap,
        ))
        database = Database(None, self.folder / "data")
        database.open(migrate=True)
        with database.transaction() as connection:
            directory.add_domain(connection, "example.org", 0.0)
            for local in ("alice", "bob"):
                account = directory.add_account(connection, Address(local, "example.org"), 0.0)
                directory.set_credentials(connection, account.id, credentials.derive(PASSWORD))
        database.close()
        self.prepare()
        server = Running("run", "--config", str(self.config))
        self.addCleanup(server.stop)
        server.wait_for("imap on ")

    def prepare(self) -> None:
        """What an operator does before the server starts."""

    def operate(self, *words: str) -> str:
        """What one of the operator's commands says, which has to succeed."""
        said = command(*words, "--config", str(self.config))
        self.assertEqual(said.code, 0, said.err)
        return said.out

    def arrive(self, subject: str, text: str, local: str = "alice") -> None:
        """A message from outside, for alice if for nobody else."""
        with smtplib.SMTP("127.0.0.1", self.smtp, "client.example.net", timeout=30) as client:
            client.send_message(letter(subject, text, local))

    def client(self, local: str = "alice") -> imaplib.IMAP4_SSL:
        """Python's, logged in."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.check_hostname = False          # imaplib would look for 127.0.0.1
        client = imaplib.IMAP4_SSL("127.0.0.1", self.imap, ssl_context=context, timeout=30)
        client.login(f"{local}@example.org", PASSWORD)
        return client

    def there(self, mailbox: str, local: str = "alice") -> list[tuple[str, set[str], Message]]:
        """What the server has in a mailbox: subjects, flags, messages, as another client reads them."""
        with self.client(local) as client:
            self.assertEqual(client.select(f'"{mailbox}"', readonly=True)[0], "OK", mailbox)
            _, fetched = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
        found = []
        for each in fetched:
            if isinstance(each, tuple):
                message = message_from_bytes(each[1])
                flags = {flag.decode() for flag in imaplib.ParseFlags(each[0])} - {"\\Recent"}
                found.append((str(make_header(decode_header(message["Subject"]))), flags, message))
        return found

    def has(self, mailbox: str, *expected: tuple[str, set[str]], local: str = "alice") -> None:
        """These subjects and flags are there, once the program has told the server what it shows already."""
        self.comes_to(lambda: [(subject, flags) for subject, flags, _ in self.there(mailbox, local)], [*expected])

    def comes_to(self, question: Callable[[], Any], expected: Any) -> None:
        """What is asked for is as expected before long."""
        until = time.monotonic() + 10.0
        while (found := question()) != expected and time.monotonic() < until:
            time.sleep(0.2)
        self.assertEqual(found, expected)
