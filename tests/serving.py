"""Whole servers inside the test's own reactor, and conversations with them over TCP."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailserver.address import Address
from mailserver.config import load
from mailserver.ident import read
from mailserver.service import MailServer
from mailserver.store import credentials, directory, traces
from mailserver.store.database import Database
from tests.net.certificates import key_pair

reactor: Any = installed_reactor
DIALOGUES = Path(__file__).parent / "dialogues"
PATIENCE = 15.0


class Line(Protocol):
    """A peer that says what it is told to and keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.closed: Deferred[None] = Deferred()
        self.is_closed = False
        self._news: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._wake()

    def connectionLost(self, reason: Any = None) -> None:
        self.is_closed = True
        self._wake()
        self.closed.callback(None)

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.callback(None)

    def say(self, octets: bytes) -> None:
        self.transport.write(octets)

    async def line(self) -> str:
        """The next line, without its end; "(closed)" when there will be none."""
        while b"\r\n" not in self.heard:
            if self.is_closed:
                return "(closed)"
            self._news = Deferred()
            await self._news.addTimeout(PATIENCE, reactor)
        line, _, self.heard = self.heard.partition(b"\r\n")
        return line.decode("utf-8", "replace")

    async def reply(self) -> str:
        """All lines of an SMTP reply, joined by line feeds."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "\n".join(lines)

    async def ask(self, command: str) -> str:
        """Say a command, hear its reply."""
        self.say(command.encode() + b"\r\n")
        return await self.reply()

    async def start_tls(self) -> None:
        self.transport.startTLS(CertificateOptions(verify=False))
        await deferLater(reactor, 0, lambda: None)

    def close(self) -> None:
        self.transport.loseConnection()


class ServerCase(TestCase):
    """`serve` starts a server whose accounts are alice and bob at example.org; each test may start several."""

    timeout = 60

    def configure(self, extra: str = "", services: str = "smtp submission lmtp pop3", name: str = "mx") -> Path:
        """A configuration, a certificate and a directory with two accounts; the path of the file."""
        folder = Path(self.mktemp())
        pair = key_pair(folder, "mx.example.org")
        text = f'hostname = "{name}.example.org"\ndata = "data"\n{textwrap.dedent(extra)}\n'
        if "[tls]" not in text:
            text += f'[tls]\ncertificate = "{pair.certificate.name}"\nkey = "{pair.key.name}"\n'
        for service in services.split():
            text += f'[[listen]]\nservice = "{service}"\nendpoint = "tcp:0:interface=127.0.0.{len(text) % 7 + 1}"\n'
        # Port 0 may be listened on as often as one likes, on different addresses of loopback.
        number = iter(range(1, 200))
        text = re.sub(r"interface=127\.0\.0\.\d", lambda _: f"interface=127.0.0.{next(number)}", text)
        path = folder / "mailserver.toml"
        path.write_text(text, "utf-8")
        database = Database(None, folder / "data")
        database.open(migrate=True)
        with database.transaction() as connection:
            directory.add_domain(connection, "example.org", 0.0)
            for local in ("alice", "bob"):
                account = directory.add_account(connection, Address(local, "example.org"), 0.0)
                if local == "alice":
                    directory.set_credentials(connection, account.id, credentials.derive("secret"))
            directory.add_alias(connection, "sales@example.org", ["alice@example.org"], 0.0, database.contents)
        database.close()
        return path

    async def serve(self, extra: str = "", services: str = "smtp submission lmtp pop3") -> MailServer:
        """A running server; it is stopped at the end of the test."""
        return self.start(self.configure(extra, services))

    def start(self, path: Path) -> MailServer:
        server = MailServer(load(path), reactor)
        server.privilegedStartService()
        server.startService()
        self.addCleanup(self._stop, server)
        return server

    async def _stop(self, server: MailServer) -> None:
        if server.running:
            await server.stopService()

    async def connect(self, server: MailServer, service: str = "smtp") -> Line:
        for listener in server.listeners:
            if listener.service == service:
                where = listener.port.getHost()
                line = await connectProtocol(TCP4ClientEndpoint(reactor, where.host, where.port), Line())
                self.addCleanup(self._hang_up, line)
                return line
        raise AssertionError(f"nobody listens for {service}")

    async def _hang_up(self, line: Line) -> None:
        if not line.is_closed:
            line.transport.abortConnection()
            await line.closed

    async def play(self, line: Line, script: str) -> None:
        """Say what stands behind C:, hear what stands behind S:.

        In what is said, ``\\r`` and other escapes are read as Python reads them; a line ends with CRLF unless it
        ends with a lone backslash.  In what is heard, ``*`` is anything; ``(tls)`` starts TLS, ``(closed)`` is the end.
        """
        for number, text in enumerate(textwrap.dedent(script).strip("\n").split("\n"), 1):
            text = text.strip()
            if not text or text.startswith("#"):
                continue
            who, _, what = text.partition(":")
            what = what.removeprefix(" ")
            if what == "(tls)":
                await line.start_tls()
            elif who == "C":
                said = what.removesuffix("\\") + ("" if what.endswith("\\") else "\\r\\n")
                line.say(said.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1"))
            else:
                heard = await line.line()
                pattern = ".*".join(map(re.escape, what.split("*")))
                self.assertTrue(
                    re.fullmatch(pattern, heard), f"line {number}: heard {heard!r} where {what!r} was expected"
                )

    async def play_file(self, line: Line, name: str) -> None:
        """Play a file of tests/dialogues."""
        await self.play(line, (DIALOGUES / name).read_text("utf-8"))

    async def mailbox(self, server: MailServer, local: str = "bob", name: str = "INBOX") -> list[bytes]:
        """The messages in somebody's mailbox."""
        account = await server.directory.account(Address(local, "example.org"))
        assert account is not None
        store = next(iter(server.rooms.stores.values()))
        try:
            mailbox = await store.open(account, name)
        except LookupError:
            return []
        found = []
        for message in await mailbox.messages():
            found.append(b"".join([octets async for octets in mailbox.read(message.uid)]))
        return found

    async def story(self, server: MailServer, reply: str) -> list[dict[str, Any]]:
        """What the trace knows under the id in a reply."""
        id = re.search(r"\b([0-9A-HJKMNP-TV-Z]{13})\b", reply)
        assert id is not None, reply
        for _ in range(50):
            try:
                return await server.database.read(traces.story, read(id[1]))
            except LookupError:
                await deferLater(reactor, 0.05, lambda: None)
        raise AssertionError(f"no story under {id[1]}")

    async def until(self, question: Any, patience: float = PATIENCE) -> Any:
        """What a coroutine function answers, once that is something."""
        for _ in range(int(patience / 0.05)):
            answer = await question()
            if answer:
                return answer
            await deferLater(reactor, 0.05, lambda: None)
        raise AssertionError("it did not come to that in time")
