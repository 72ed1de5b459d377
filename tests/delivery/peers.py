"""A mail server on loopback that does what a test tells it, well or badly; it shares no line with ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.protocol import Factory, Protocol

from mailserver.net.tls import KeyPair, server_tls

reactor: Any = installed_reactor

CLOSE = "close"         # the end of the connection instead of a reply
SILENCE = "silence"     # nothing instead of a reply
Reply = bytes | str | Callable[["Talk"], "bytes | str"]


class Peer(Factory):
    """Says `replies` to what begins like their keys, the longest first; the rest is what a good server says.

    The keys are "" (the greeting), commands as they come, and "." (the end of the content, by BDAT too).  A refusal of
    "BDAT" is said before the chunk has come; a peer that does not `swallow` takes the chunk for commands then.
    """

    def __init__(self, tls: KeyPair | None = None, implicit: bool = False, lmtp: bool = False) -> None:
        self.extensions = ["PIPELINING", "SIZE 10000000", "8BITMIME"]
        self.replies: dict[str, Reply] = {}
        self.tls = tls
        self.implicit = implicit
        self.lmtp = lmtp
        self.swallow = True
        self.heard: list[str] = []                                  # commands
        self.messages: list[tuple[str, list[str], bytes]] = []      # of which the end was heard
        self.talks: list[Talk] = []
        self.most = 0                                               # connections at a time
        self._waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def buildProtocol(self, addr: Any) -> Talk:
        return Talk(self)

    def listen(self, port: int = 0, interface: str = "127.0.0.1") -> int:
        """Take a port; returns its number."""
        self.listening = reactor.listenTCP(port, self, interface=interface)
        self.port: int = self.listening.getHost().port
        return self.port

    async def stop(self) -> None:
        await maybeDeferred(self.listening.stopListening)
        for talk in list(self.talks):
            talk.transport.abortConnection()
        await gatherResults([talk.gone for talk in self.talks])

    @property
    def endpoint(self) -> str:
        return f"{'lmtp' if self.lmtp else 'tls' if self.implicit else 'tcp'}:127.0.0.1:{self.port}"

    def verbs(self) -> list[str]:
        return [each.partition(" ")[0] for each in self.heard]

    async def until(self, question: Callable[[], Any]) -> Any:
        """What a question answers once that is something."""
        if answer := question():
            return answer
        waiting: Deferred[Any] = Deferred()
        self._waiting.append((question, waiting))
        return await waiting.addTimeout(10, reactor)

    def news(self) -> None:
        for pair in list(self._waiting):
            if answer := pair[0]():
                self._waiting.remove(pair)
                pair[1].callback(answer)


class Talk(Protocol):
    """One connection to a `Peer`."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.gone: Deferred[None] = Deferred()
        self.buffer = b""
        self.in_content = False
        self.chunk = 0                  # octets that are left of one
        self.chunks: list[bytes] = []
        self.is_refused = False         # what comes of this message
        self.is_secure = False
        self.is_over = False
        self.sender = ""
        self.recipients: list[str] = []

    def connectionMade(self) -> None:
        self.peer.talks.append(self)
        self.peer.most = max(self.peer.most, sum(not talk.gone.called for talk in self.peer.talks))
        if self.peer.implicit:
            self.secure()
        self.answer("", b"220 peer.example ESMTP\r\n")
        self.peer.news()

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(None)
        self.peer.news()

    def secure(self) -> None:
        assert self.peer.tls is not None
        self.transport.startTLS(server_tls(self.peer.tls))
        self.is_secure = True

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        for line in self.lines():
            self.command(line)
        self.peer.news()

    def lines(self) -> Iterator[str]:
        while not self.is_over:
            if self.chunk:
                if not self.buffer:
                    return
                self.chunks.append(self.buffer[: self.chunk])
                self.buffer = self.buffer[self.chunk :]
                self.chunk -= len(self.chunks[-1])
                if not self.chunk and not self.is_refused:
                    self.peer.messages.append((self.sender, self.recipients, b"".join(self.chunks)))
                    yield "."
            elif self.in_content:
                whole, end, rest = (b"\r\n" + self.buffer).partition(b"\r\n.\r\n")
                if not end:
                    return
                self.buffer, self.in_content = rest, False
                content = (whole + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
                self.peer.messages.append((self.sender, self.recipients, content))
                yield "."
            else:
                line, end, rest = self.buffer.partition(b"\r\n")
                if not end:
                    return
                self.buffer = rest
                self.peer.heard.append(line.decode())
                yield line.decode()

    def command(self, line: str) -> None:
        verb = line.partition(" ")[0].upper()
        if verb in ("EHLO", "LHLO"):
            words = ["peer.example", *self.peer.extensions]
            if self.peer.tls is not None and not self.is_secure:
                words.append("STARTTLS")
            self.answer(line, b"".join(b"250-%s\r\n" % each.encode() for each in words) + b"250 HELP\r\n")
        elif verb == "MAIL":
            self.sender, self.recipients = line.partition("<")[2].partition(">")[0], []
            self.answer(line, b"250 2.1.0 Ok\r\n")
        elif verb == "RCPT":
            said = self.answer(line, b"250 2.1.5 Ok\r\n")
            if said.startswith(b"2"):
                self.recipients.append(line.partition("<")[2].rpartition(">")[0])
        elif verb == "DATA":
            said = self.answer(line, b"354 Go on\r\n" if self.recipients else b"503 5.5.1 No recipients\r\n")
            self.in_content = said.startswith(b"354")
        elif verb == "BDAT":
            # One chunk for all, as our side sends it: RFC 3030 has more.
            self.is_refused = self.answer(line, b"").startswith((b"4", b"5"))
            self.chunks = []
            if self.peer.swallow or not self.is_refused:
                self.chunk = int(line.split()[1])
        elif verb == ".":
            times = len(self.recipients) if self.peer.lmtp else 1
            self.answer(line, b"250 2.0.0 Taken\r\n" * times)
        elif verb == "STARTTLS":
            if self.answer(line, b"220 2.0.0 Go\r\n").startswith(b"220"):
                self.secure()
        elif verb == "QUIT":
            self.answer(line, b"221 2.0.0 Bye\r\n")
            self.transport.loseConnection()
        else:
            self.answer(line, b"250 2.0.0 Ok\r\n" if verb in ("HELO", "RSET") else b"500 5.5.1 What?\r\n")

    def answer(self, line: str, usual: bytes) -> bytes:
        """Say what the test wants said, else what is usual; returns what was said."""
        reply: Any = usual
        for start in sorted(self.peer.replies, key=len, reverse=True):
            if line.startswith(start) and bool(line) == bool(start):
                reply = self.peer.replies[start]
                break
        if callable(reply):
            reply = reply(self)
        if reply == CLOSE:
            self.is_over = True         # what was pipelined behind it is not answered either
            self.transport.loseConnection()
            return b""
        if reply == SILENCE:
            return b""
        assert isinstance(reply, bytes)
        self.transport.write(reply)
        return reply
