"""The servers whose mailboxes are read: each with a port for IMAP, one for POP3, some users, and a mailbox to fill."""

from __future__ import annotations

import os
import socket
import time
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from benchmarks.imap import Imap
from benchmarks.larder import Larder, Unavailable
from benchmarks.mails import Mail
from benchmarks.ours import Ours
from benchmarks.peer import DOMAIN, PATIENCE, Peer, Program, free_port, make_maildirs, said_version
from mailserver.config import SERVICES
from mailserver.store import credentials, directory
from mailserver.store.database import Database

PASSWORD = "secret"
USERS = 10                  # the first has the mailbox that is read
FIRST_ID = 62_000           # of those to whom the Maildirs belong: what the kernel grants each is not shared
AT_ONCE = 500               # messages of a MULTIAPPEND that fills a mailbox


class Mailboxes(Peer):
    """A server of mailboxes; `imap_port` speaks IMAP with STARTTLS, `pop3_port` POP3."""

    def __init__(self, folder: Path, users: int, larder: Larder) -> None:
        super().__init__(folder, users, larder)
        self.imap_port = free_port()
        self.pop3_port = free_port()

    @property
    def user(self) -> str:
        """Whose mailbox is read."""
        return self.addresses[0]

    @abstractmethod
    def fill(self, mails: Iterable[Mail]) -> None:
        """Lay these into the first user's INBOX, while it runs."""

    @abstractmethod
    def forget(self) -> None:
        """While it is stopped: whatever it has worked out of the mail and would have to work out again is gone."""

    @abstractmethod
    def run(self) -> None:
        """Start it again."""

    def session(self, user: str | None = None, mailbox: bytes | None = b"INBOX") -> Imap:
        """An IMAP session that has logged in, and selected."""
        session = Imap(self.imap_port)
        session.log_in(user or self.user, PASSWORD)
        if mailbox is not None:
            session.do(b"SELECT " + mailbox)
        return session


CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
mail_location = maildir:{folder}/mailboxes/%n
mail_max_userip_connections = 2000
first_valid_uid = 1
default_process_limit = 3000
default_client_limit = 10000
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  process_limit = 3000
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


class DovecotMailboxes(Program, Mailboxes):
    """Debian's, which is installed and whose daemon does not run: this is another, with files of its own."""

    name = "Dovecot"
    settings = "Maildir, fsync as it is; process_limit 3000, mail_max_userip_connections 2000"
    program: ClassVar[str] = "/usr/sbin/dovecot"

    @classmethod
    def version(cls, larder: Larder) -> str:
        for part in (cls.program, "/usr/lib/dovecot/imap", "/usr/lib/dovecot/pop3"):
            if not os.access(part, os.X_OK):
                raise Unavailable(f"{part} is missing: apt install dovecot-imapd dovecot-pop3d")
        if os.geteuid() != 0:
            raise Unavailable("only root can give each of its users a user of the system")
        return said_version(cls.program, "--version").partition(" ")[0]

    def owner(self, name: str) -> int:
        """The user and group of the system whose a Maildir is."""
        return FIRST_ID + self.names.index(name)

    def start(self) -> None:
        self.port = self.imap_port
        self.mailboxes.mkdir(parents=True)
        for name in self.names:
            make_maildirs(self.mailboxes, [name])
            for each in (self.mailboxes / name, *(self.mailboxes / name).iterdir()):
                os.chown(each, self.owner(name), self.owner(name))
        (self.folder / "run").mkdir()
        (self.folder / "users").write_text("".join(
            f"{name}@{DOMAIN}:{{plain}}{PASSWORD}:{self.owner(name)}:{self.owner(name)}::{self.mailboxes / name}::\n"
            for name in self.names
        ))
        certificate, key = self.certificate()
        (self.folder / "dovecot.conf").write_text(CONFIGURATION.format(
            folder=self.folder, certificate=certificate, key=key, imap=self.imap_port, pop3=self.pop3_port,
        ))
        self.run()

    def prepare(self) -> list[str]:
        return [self.program, "-F", "-c", str(self.folder / "dovecot.conf")]

    def run(self) -> None:
        self.begin()
        greeted(self.imap_port, self.name, self.folder / "dovecot.log")

    def fill(self, mails: Iterable[Mail]) -> None:
        """As its own delivery lays them: the sizes in the names, LF for CRLF, the date of receipt as the file's."""
        name = self.names[0]
        current, owner = self.mailboxes / name / "cur", self.owner(name)
        letters = {"\\Answered": "R", "\\Flagged": "F", "\\Seen": "S"}
        for number, mail in enumerate(mails):
            octets = mail.octets.replace(b"\r\n", b"\n")
            flags = "".join(sorted(letters[flag] for flag in mail.flags))
            file = current / f"{mail.received}.M{number}P1.mx,S={len(octets)},W={len(mail.octets)}:2,{flags}"
            file.write_bytes(octets)
            os.chown(file, owner, owner)
            os.utime(file, (mail.received, mail.received))

    def forget(self) -> None:
        for file in self.mailboxes.rglob("dovecot*"):
            if file.is_file():
                file.unlink()


class OursMailboxes(Ours, Mailboxes):
    """As ``mailserver init`` makes it, with listeners for IMAP and POP3 on free ports; SQLite with fsync."""

    @classmethod
    def version(cls, larder: Larder) -> str:
        if "imap" not in SERVICES:
            raise Unavailable("it speaks no IMAP yet")
        return super().version(larder)

    def configuration(self, text: str) -> str:
        listeners = "".join(
            f'[[listen]]\nservice = "{service}"\nendpoint = "tcp:{port}:interface=127.0.0.1"\ntls = "starttls"\n\n'
            for service, port in (("imap", self.imap_port), ("pop3", self.pop3_port))
        )
        there = text.index("[[listen]]")
        return text[:there] + listeners + text[there:]

    def prepare(self) -> None:
        super().prepare()
        database = Database(None, self.folder / "data")
        database.open()
        derived = credentials.derive(PASSWORD)
        with database.transaction() as connection:
            for account in directory.accounts(connection):
                directory.set_credentials(connection, account.id, derived)
        database.close()

    def fill(self, mails: Iterable[Mail]) -> None:
        session = self.session(mailbox=None)
        gathered: list[tuple[bytes, bytes]] = []
        for mail in mails:
            gathered.append((mail.options, mail.octets))
            if len(gathered) == AT_ONCE:
                session.append(b"INBOX", gathered)
                gathered = []
        if gathered:
            session.append(b"INBOX", gathered)
        session.close()

    def forget(self) -> None:
        """All that it has worked out it keeps with the mail."""


def greeted(port: int, name: str, log: Path) -> None:
    """Wait until a server of IMAP greets."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                if peer.recv(1000).startswith(b"* OK"):
                    return
        except OSError:
            pass
        if time.monotonic() > until:
            said = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
            raise AssertionError(f"{name}: nothing greets on port {port}; it said:\n{said}")
        time.sleep(0.05)


MAILBOXES: tuple[type[Mailboxes], ...] = (OursMailboxes, DovecotMailboxes)
