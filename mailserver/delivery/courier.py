"""One connection to another server: what is said, in which order, and how long is waited for each answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailserver.address import Address
from mailserver.errors import TemporaryFailure
from mailserver.reply import Reply
from mailserver.smtp import client
from mailserver.smtp.client import NotSmtp, ReplyReader
from mailserver.smtp.stuffing import Stuffer

# RFC 5321 4.5.3.2, in seconds
GREETING = 300.0
COMMAND = 300.0
DATA = 120.0
BLOCK = 180.0
FINAL = 600.0
HANDSHAKE = 60.0


class Unusable(TemporaryFailure):
    """This host cannot be talked to now; another one may."""


class TlsFailed(Unusable):
    """The handshake failed; the same host may be tried in the clear, where that is allowed."""


@implementer(IHandshakeListener, IPushProducer)
class Courier(Protocol):
    """Speaks SMTP, or LMTP, to one host; every method raises `Unusable` when the connection is no good any more."""

    transport: Any

    def __init__(self, clock: Any, hostname: str, lmtp: bool = False) -> None:
        self._clock = clock
        self._hostname = hostname
        self._lmtp = lmtp
        self._replies = ReplyReader()
        self._waiting: Deferred[None] | None = None
        self._writable: Deferred[None] | None = None
        self._handshake: Deferred[None] | None = None
        self._lost: str | None = None
        self.offered: Mapping[str, str] = {}
        self.tls = ""

    # -- the transport's side

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self._replies.receive(data)
        if self._replies.buffered > 2 * client.LONGEST_LINE and self._waiting is None:
            # Octets that nobody asked for, without end.
            self._lost = "the server talks without being asked"
            self.transport.abortConnection()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._lost is None:
            self._lost = "the connection was closed by the server"
        self._wake()
        self.resumeProducing()
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.errback(TlsFailed(f"the TLS handshake failed: {reason.getErrorMessage()}"))

    def handshakeCompleted(self) -> None:
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.callback(None)

    def pauseProducing(self) -> None:
        if self._writable is None:
            self._writable = Deferred()

    def resumeProducing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.callback(None)

    def stopProducing(self) -> None:
        """`connectionLost` follows."""

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    # -- the conversation

    async def reply(self, patience: float) -> Reply:
        """The next reply, within `patience` seconds."""
        until = self._clock.seconds() + patience
        while True:
            try:
                reply = self._replies.next()
            except NotSmtp as error:
                self.abort()
                raise Unusable(str(error)) from None
            if reply is not None:
                return reply
            if self._lost is not None:
                raise Unusable(self._lost)
            await self._patiently("_waiting", until - self._clock.seconds(), patience)

    async def _patiently(self, name: str, seconds: float, patience: float) -> None:
        waiting: Deferred[None] = getattr(self, name) or Deferred()
        setattr(self, name, waiting)
        try:
            await waiting.addTimeout(max(0.0, seconds), self._clock)
        except DeferredTimeout:
            setattr(self, name, None)
            self.abort()
            raise Unusable(f"no answer within {patience:g} s") from None

    def _say(self, octets: bytes) -> None:
        if self._lost is None:
            self.transport.write(octets)

    async def begin(self) -> None:
        """Greeting and EHLO, or HELO where that is all they know; raises `Unusable` unless they let us in."""
        greeting = await self.reply(GREETING)
        if greeting.code != 220:
            raise Unusable(f"greeted with {greeting}")
        await self._hello()

    async def _hello(self) -> None:
        self._say(client.hello("LHLO" if self._lmtp else "EHLO", self._hostname))
        reply = await self.reply(COMMAND)
        if reply.severity == 2:
            self.offered = client.extensions(reply)
            return
        self.offered = {}
        if reply.severity == 5 and not self._lmtp:
            self._say(client.hello("HELO", self._hostname))
            reply = await self.reply(COMMAND)
        if reply.severity != 2:
            raise Unusable(f"did not accept our greeting: {reply}")

    async def start_tls(self, context: Any, already: bool = False) -> None:
        """STARTTLS, or TLS at once where it is implied; everything known before is forgotten (RFC 3207 4.2)."""
        if not already:
            self._say(b"STARTTLS\r\n")
            reply = await self.reply(COMMAND)
            if reply.code != 220:
                raise TlsFailed(f"STARTTLS was refused: {reply}")
            if self._replies.buffered:
                # Said in clear, to be taken for something said inside TLS.
                self.abort()
                raise Unusable("the server said more than its answer to STARTTLS")
        self._replies = ReplyReader()
        handshake: Deferred[None] = Deferred()
        self._handshake = handshake
        self.transport.startTLS(context)
        try:
            await handshake.addTimeout(HANDSHAKE, self._clock)
        except DeferredTimeout:
            self._handshake = None
            self.abort()
            raise TlsFailed(f"no TLS handshake within {HANDSHAKE:g} s") from None
        handle = self.transport.getHandle()
        self.tls = f"{handle.get_protocol_version_name()} {handle.get_cipher_name()}"
        if not already:
            await self._hello()

    async def log_in(self, login: str, password: str) -> None:
        """AUTH PLAIN, else LOGIN, inside TLS only; raises `Unusable` when it is not accepted."""
        mechanisms = self.offered.get("AUTH", "").upper().split()
        if not self.tls:
            raise Unusable("the server offers no TLS, so the login is not sent")
        if "PLAIN" in mechanisms:
            self._say(client.auth_plain(login, password))
            reply = await self.reply(COMMAND)
        elif "LOGIN" in mechanisms:
            self._say(b"AUTH LOGIN\r\n")
            reply = await self.reply(COMMAND)
            for text in (login, password):
                if reply.code == 334:
                    self._say(client.base64_line(text))
                    reply = await self.reply(COMMAND)
        else:
            raise Unusable("the server offers no way to log in that we have")
        if reply.code != 235:
            raise Unusable(f"the login was not accepted: {reply}")

    async def transact(
        self,
        sender: Address | None,
        recipients: Sequence[Address],
        size: int,
        body: str,
        content: Callable[[], AsyncIterator[bytes]],
        may_send: Callable[[], Awaitable[bool]],
    ) -> list[Reply]:
        """One message to some recipients; the last word of the server about each.

        `may_send` is asked before the final dot: whoever has lost the right to send hangs up instead.
        """
        mail = client.mail(sender, size, body, self.offered)
        rcpts = [client.rcpt(each) for each in recipients]
        pipelining = "PIPELINING" in self.offered
        if pipelining:
            # Up to DATA in one go (RFC 2920); nobody is asked for content before all have answered.
            self._say(mail + b"".join(rcpts))
        else:
            self._say(mail)
        begun = await self.reply(COMMAND)
        if begun.severity != 2 and not pipelining:
            return await self._reset([begun] * len(recipients))
        answers = []
        for rcpt in rcpts:
            if not pipelining:
                self._say(rcpt)
            answers.append(await self.reply(COMMAND))
        if begun.severity != 2:
            return await self._reset([begun] * len(recipients))
        taken = [number for number, reply in enumerate(answers) if reply.severity == 2]
        if not taken:
            return await self._reset(answers)
        self._say(b"DATA\r\n")
        go_ahead = await self.reply(DATA)
        if go_ahead.code != 354:
            if go_ahead.severity == 2:
                # It thinks that it has a message; whatever it is, this connection is no good.
                self.abort()
                raise Unusable(f"answered DATA with {go_ahead}")
            return await self._reset([go_ahead if n in taken else answers[n] for n in range(len(answers))])
        await self._send(content(), may_send)
        for number in taken if self._lmtp else taken[:1]:
            answers[number] = await self.reply(FINAL)
        if not self._lmtp:
            for number in taken:
                answers[number] = answers[taken[0]]
        return answers

    async def _send(self, content: AsyncIterator[bytes], may_send: Callable[[], Awaitable[bool]]) -> None:
        stuffer = Stuffer()
        try:
            async for octets in content:
                self._say(stuffer.feed(octets))
                if self._writable is not None:
                    await self._patiently("_writable", BLOCK, BLOCK)
                if self._lost is not None:
                    raise Unusable(self._lost)
        except BaseException:
            self.abort()                    # without its final dot a content is nothing
            raise
        finally:
            if isinstance(content, AsyncGenerator):
                await content.aclose()
        if not await may_send():
            self.abort()
            raise Unusable("another server has taken this entry over")
        self._say(stuffer.end())

    async def _reset(self, answers: list[Reply]) -> list[Reply]:
        self._say(b"RSET\r\n")
        await self.reply(COMMAND)
        return answers

    def quit(self) -> None:
        """Say goodbye, and do not wait for the answer."""
        if self._lost is None:
            self._say(b"QUIT\r\n")
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """End it now."""
        if self._lost is None:
            self._lost = "the connection was closed by us"
        self.transport.abortConnection()
