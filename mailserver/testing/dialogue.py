"""Conversations as a postmaster reads them: what the client says behind C:, what it hears behind S:."""

# mypy: allow-untyped-calls

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

PATIENCE = 15.0         # seconds for a line that is expected


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor


class Line(Protocol):
    """A peer that says what it is told to and keeps what it hears."""

    transport: Any

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
        """Send these octets as they are."""
        self.transport.write(octets)

    async def line(self) -> str:
        """The next line, without its end; "(closed)" when there will be none."""
        while b"\r\n" not in self.heard:
            if self.is_closed:
                return "(closed)"
            self._news = Deferred()
            await self._news.addTimeout(PATIENCE, _reactor())
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
        """Begin TLS, whatever the certificate."""
        from twisted.internet.ssl import CertificateOptions

        self.transport.startTLS(CertificateOptions(verify=False))
        await deferLater(_reactor(), 0, lambda: None)

    def close(self) -> None:
        """Hang up."""
        self.transport.loseConnection()


class DialogueTestCase(TestCase):
    """Plays scripts, and files of `dialogues`."""

    dialogues = Path()

    def over_memory(self, protocol: Any) -> Line:
        """A line to a protocol, which may come from any factory, without a socket (so without TLS)."""
        line = Line()
        ours, theirs = _End(), _End()
        ours.other, theirs.other = theirs, ours
        ours.protocol, theirs.protocol = line, protocol
        self.addCleanup(self._hang_up, line)
        line.makeConnection(ours)
        protocol.makeConnection(theirs)
        return line

    async def over_tcp(self, endpoint: Any) -> Line:
        """A line to whoever listens where a client endpoint leads."""
        line: Line = await connectProtocol(endpoint, Line())
        self.addCleanup(self._hang_up, line)
        return line

    async def _hang_up(self, line: Line) -> None:
        if not line.is_closed:
            line.transport.abortConnection()
            await line.closed

    async def play(self, line: Line, script: str) -> None:
        """Say what stands behind C:, hear what stands behind S:.

        In what is said, ``\\r`` and other escapes are read as Python reads them; a line ends with CRLF unless it
        ends with a lone backslash.  In what is heard, ``*`` is anything, and a line ``...`` is any lines of a reply
        until the one that is expected next; ``(tls)`` starts TLS, ``(closed)`` is the end.  Empty lines and those
        that begin with # are passed over.
        """
        passes_over = False
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
            elif who == "S" and what == "...":
                passes_over = True
            elif who == "S":
                expected = re.compile(".*".join(map(re.escape, what.split("*"))))
                try:
                    heard = await line.line()
                    while passes_over and expected.fullmatch(heard) is None and heard[3:4] == "-":
                        heard = await line.line()
                except TimeoutError:
                    self.fail(f"line {number}: heard nothing, but {line.heard!r}, where {what!r} was expected")
                passes_over = False
                if expected.fullmatch(heard) is None:
                    self.fail(f"line {number}: heard {heard!r} where {what!r} was expected")
            else:
                self.fail(f"line {number}: {text!r} is neither C: nor S:")

    async def play_file(self, line: Line, name: str) -> None:
        """Play a file."""
        await self.play(line, (self.dialogues / name).read_text("utf-8"))


class _End(StringTransport):
    """One end of a line in memory; what is written arrives at the other end in the reactor's next round."""

    other: _End
    protocol: Any
    is_open = True

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))

    def write(self, data: bytes) -> None:
        if self.is_open and not self.disconnecting:
            _reactor().callLater(0, self.other.arrive, bytes(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def arrive(self, data: bytes) -> None:
        if self.is_open:
            self.protocol.dataReceived(data)

    def loseConnection(self) -> None:
        if self.is_open and not self.disconnecting:
            self.disconnecting = True
            _reactor().callLater(0, self.end)

    def abortConnection(self) -> None:
        self.loseConnection()

    def end(self) -> None:
        for each in (self, self.other):
            if each.is_open:
                each.is_open = False
                each.protocol.connectionLost(Failure(ConnectionDone()))

    def startTLS(self, *args: Any) -> None:
        raise AssertionError("TLS needs a line over TCP")
