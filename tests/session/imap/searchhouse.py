"""A server with a mailbox to be searched, and a client that hears what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol

from mailserver.address import Address
from mailserver.config import load
from mailserver.content import Content
from mailserver.imapstore import Appended, Flags
from mailserver.interfaces import INBOX
from mailserver.service import MailServer
from mailserver.store import credentials, directory
from mailserver.store.contents import Incoming
from mailserver.store.database import Database
from tests.postgres import postgres
from tests.serving import PATIENCE, ServerCase, reactor

RECEIVED = 1_700_000_000.0      # 14 November 2023, 22:13:20 UTC


def letter(text: str, flags: int = 0, keywords: Sequence[str] = (), received: float = RECEIVED) -> Appended:
    """A message, written here with bare line ends."""
    return of_octets(text.encode().replace(b"\n", b"\r\n"), flags, keywords, received)


def of_octets(octets: bytes, flags: int = 0, keywords: Sequence[str] = (), received: float = RECEIVED) -> Appended:
    """The same of octets as they are."""
    return Appended(0, Content.of(octets), Flags(flags, keywords), received)


class Client(Protocol):
    """An IMAP client whose every answer has one line a response: no literals come."""

    def connectionMade(self) -> None:
        self._heard = b""
        self._more: Deferred[None] | None = None
        self._number = 0
        self.is_gone = False

    def dataReceived(self, data: bytes) -> None:
        self._heard += data
        self._wake()

    def connectionLost(self, reason: Any = None) -> None:
        self.is_gone = True
        self._wake()

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)

    async def line(self) -> str:
        """The next response."""
        while b"\r\n" not in self._heard:
            if self.is_gone:
                raise ConnectionError("the server has hung up")
            self._more = Deferred()
            await self._more.addTimeout(PATIENCE, reactor)
        line, _, self._heard = self._heard.partition(b"\r\n")
        return line.decode()

    def say(self, command: str | bytes) -> str:
        """Send a command; its tag."""
        self._number += 1
        tag = f"t{self._number}"
        octets = command if isinstance(command, bytes) else command.encode()
        assert self.transport is not None
        self.transport.write(tag.encode() + b" " + octets + b"\r\n")
        return tag

    async def until(self, tag: str) -> list[str]:
        """What is answered, and at the end the tagged response without its tag."""
        heard = []
        while True:
            line = await self.line()
            if line.startswith(f"{tag} "):
                return [*heard, line.removeprefix(f"{tag} ")]
            heard.append(line.replace(f'(TAG "{tag}")', "(TAG)"))

    async def ask(self, command: str | bytes) -> list[str]:
        """A command and its answer."""
        return await self.until(self.say(command))

    async def found(self, command: str | bytes) -> str:
        """The one line that is found, without ``* SEARCH``, ``* ESEARCH (TAG)`` and so on."""
        heard = await self.ask(command)
        assert len(heard) == 2 and heard[1].startswith("OK "), heard
        return heard[0].removeprefix("* ").partition(" ")[2].removeprefix("(TAG)").strip()


class SearchCase(ServerCase):
    """alice has the password "secret"; `filled` gives her a mailbox and a client that has chosen it."""

    timeout = 120
    database = ""               # the URL of PostgreSQL, where that is meant

    async def server(self, extra: str = "") -> MailServer:
        """A server that runs."""
        path = self.configure(f"{self.database}\n{extra}", "imap")
        config = load(path)
        if config.database is not None:
            database = Database(config.database, path.parent / "data")
            database.open(migrate=True)
            with database.transaction() as connection:
                directory.add_domain(connection, "example.org", 0.0)
                account = directory.add_account(connection, Address("alice", "example.org"), 0.0)
                directory.set_credentials(connection, account.id, credentials.derive("secret"))
            database.close()
        return self.start(path)

    async def kept(self, server: MailServer, octets: bytes) -> Appended:
        """A message that is too large to be held."""
        incoming = Incoming(server.database.contents, f"{server.world.new_id():x}", server.world.in_thread)
        await incoming.write(octets)
        return Appended(0, await incoming.finish(), Flags(), RECEIVED)

    async def put(self, server: MailServer, letters: Sequence[Appended]) -> None:
        """Append them to alice's INBOX."""
        account = await server.directory.account(Address("alice", "example.org"))
        assert account is not None and server.rooms is not None
        store: Any = next(iter(server.rooms.stores.values()))
        for start in range(0, len(letters), 500):
            some = [replace(each, id=server.world.new_id()) for each in letters[start : start + 500]]
            await store.append(account, INBOX, some)

    async def client(self, server: MailServer, *commands: str) -> Client:
        """One that has logged in and chosen INBOX, and said this before."""
        [where] = [each.port.getHost() for each in server.listeners if each.service == "imap"]
        client = await connectProtocol(TCP4ClientEndpoint(reactor, where.host, where.port), Client())
        self.addCleanup(client.transport.abortConnection)
        await client.line()
        for each in ("LOGIN alice@example.org secret", *commands, "SELECT INBOX"):
            heard = await client.ask(each)
            self.assertTrue(heard[-1].startswith("OK "), heard)
        return client

    async def filled(self, *letters: Appended, first: str = "") -> Client:
        """A client that looks at these messages."""
        server = await self.server()
        await self.put(server, letters)
        return await self.client(server, *[first] * bool(first))


class OnPostgresql(SearchCase):
    """The same on the other database."""

    def setUp(self) -> None:
        server = postgres()
        name = server.create()
        self.addCleanup(server.drop, name)
        self.database = f'database = "{server.url(name)}"'
