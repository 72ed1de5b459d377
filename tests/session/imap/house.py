"""A server with mailboxes, and clients that understand where an IMAP answer ends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from mailserver.address import Address
from mailserver.config import load
from mailserver.interfaces import INBOX, Account, Delivery
from mailserver.service import MailServer
from mailserver.session.imap import login
from mailserver.store import credentials, directory
from mailserver.store.contents import Incoming
from mailserver.store.database import Database
from mailserver.testing import Line
from tests.serving import PATIENCE, ServerCase, reactor

LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
SMALL = b"From: bob@example.org\r\nTo: alice@example.org\r\nSubject: %d\r\n\r\nbody %d\r\n"


@dataclass(frozen=True)
class Heard:
    """All that was said up to the tagged end of a command, each response whole, with its literals, without CRLF."""

    lines: list[bytes]
    end: bytes

    def __contains__(self, line: bytes) -> bool:
        return line in self.lines

    def of(self, word: bytes) -> list[bytes]:
        """The untagged responses that have this word."""
        return [each for each in self.lines if re.search(rb"^\* (\d+ )?" + re.escape(word) + rb"\b", each)]

    @property
    def is_ok(self) -> bool:
        return self.end.startswith(b"OK")


class Peer:
    """An IMAP client; `line` is what it talks over."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._number = 0

    async def octets(self, count: int) -> bytes:
        """Exactly so many."""
        while len(self.line.heard) < count:
            await self._more()
        found, self.line.heard = self.line.heard[:count], self.line.heard[count:]
        return found

    async def _more(self) -> None:
        if self.line.is_closed:
            raise ConnectionError("(closed)")
        self.line._news = Deferred()
        await self.line._news.addTimeout(PATIENCE, reactor)

    async def response(self) -> bytes:
        """One, with its literals."""
        found = b""
        while True:
            while (end := self.line.heard.find(b"\r\n")) < 0:
                await self._more()
            found += await self.octets(end + 2)
            marker = LITERAL.search(found)
            if marker is None:
                return found[:-2]
            found += await self.octets(int(marker[1]))

    def say(self, command: str | bytes) -> bytes:
        """Send a command; its tag."""
        self._number += 1
        tag = b"t%d" % self._number
        self.line.say(tag + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return tag

    async def until(self, tag: bytes) -> Heard:
        """All responses to the end of a command."""
        lines = []
        while True:
            found = await self.response()
            if found.startswith(tag + b" "):
                return Heard(lines, found[len(tag) + 1 :])
            lines.append(found)

    async def ask(self, command: str | bytes) -> Heard:
        """A command and what it comes to."""
        return await self.until(self.say(command))

    async def ok(self, command: str | bytes) -> Heard:
        """One that has to succeed."""
        heard = await self.ask(command)
        assert heard.is_ok, (command, heard)
        return heard


class ImapCase(ServerCase):
    """alice and bob can log in; both have the password "secret"."""

    def setUp(self) -> None:
        self.patch(login, "FAILURE_WAIT", 0.02)

    def configure(self, extra: str = "", services: str = "smtp imap", name: str = "mx") -> Path:
        path = super().configure(extra, services, name)
        database = Database(load(path).database, path.parent / "data")
        database.open(migrate=True)
        with database.transaction() as connection:
            if load(path).database is not None:
                directory.add_domain(connection, "example.org", 0.0)
                for local in ("alice", "bob"):
                    directory.add_account(connection, Address(local, "example.org"), 0.0)
            for local in ("alice", "bob"):
                account = directory.find_account(connection, f"{local}@example.org")
                assert account is not None
                directory.set_credentials(connection, account.id, credentials.derive("secret"))
        database.close()
        return path

    async def serve(self, extra: str = "", services: str = "smtp imap") -> MailServer:
        return self.start(self.configure(extra, services))

    def where(self, server: MailServer, service: str = "imap") -> Any:
        [found] = [each.port.getHost() for each in server.listeners if each.service == service]
        return found

    async def account(self, server: MailServer, local: str = "alice") -> Account:
        account = await server.directory.account(Address(local, "example.org"))
        assert account is not None
        return account

    def store(self, server: MailServer) -> Any:
        assert server.rooms is not None
        return next(iter(server.rooms.stores.values()))

    async def fill(self, server: MailServer, *messages: bytes, local: str = "alice", name: str = INBOX) -> None:
        """Deliver messages to a mailbox."""
        account = await self.account(server, local)
        for each in messages:
            id = server.world.new_id()
            incoming = Incoming(server.database.contents, f"{id:x}", server.world.in_thread)
            await incoming.write(each)
            content = await incoming.finish()
            await self.store(server).deliver(Delivery(id, id, account, name, b"", content, 1_700_000_000.0))

    async def numbered(self, server: MailServer, numbers: Iterable[int]) -> None:
        """Small messages with a number."""
        await self.fill(server, *(SMALL % (number, number) for number in numbers))

    async def peer(self, server: MailServer) -> Peer:
        """One that has heard the greeting."""
        where = self.where(server)
        peer = Peer(await self.over_tcp(TCP4ClientEndpoint(reactor, where.host, where.port)))
        await peer.response()
        return peer

    async def log_in(self, server: MailServer, local: str = "alice", *commands: str) -> Peer:
        """One that has logged in, and said these commands."""
        peer = await self.peer(server)
        for each in (f"LOGIN {local}@example.org secret", *commands):
            await peer.ok(each)
        return peer
