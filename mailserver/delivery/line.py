"""A connection to another server, on which something is said and the answer is awaited, but not for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailserver.errors import TemporaryFailure
from mailserver.net.transport import start_tls, write_now
from mailserver.reply import Reply
from mailserver.smtp.client import LARGEST, NotSmtp, ReplyReader

# RFC 5321 4.5.3.2, in seconds
COMMAND = 300.0
BLOCK = 180.0

HANDSHAKE = 60.0
LEAVING = 10.0          # for the answer to QUIT, and for the connection to end


class Unusable(TemporaryFailure):
    """This host cannot be talked to now, another one may; `reply` is what it said last, if that was the reason."""

    def __init__(self, words: str, reply: Reply | None = None) -> None:
        super().__init__(words)
        self.reply = reply


class TlsFailed(Unusable):
    """TLS could not be had; the same host may be tried in the clear, where that is allowed."""


class Unanswered(Unusable):
    """All was sent and the answer did not come: perhaps they have it.  No other host is tried before the next time."""


@implementer(IHandshakeListener, IPushProducer)
class Line(Protocol):
    """Every method raises `Unusable` when the connection is no good any more; `gone` fires when it has ended."""

    transport: Any

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._replies = ReplyReader()
        self._waiting: Deferred[None] | None = None         # for octets of the server
        self._writable: Deferred[None] | None = None        # for room in the transport
        self._handshake: Deferred[None] | None = None
        self._leaving: Any = None
        self._until = 0.0                                   # when what we wait for is late
        self._patience = 0.0
        self._watch: Any = None                             # the timer that looks whether it is
        self._lost: str | None = None                       # why nothing more can be said
        self.tls = ""                                       # version and cipher
        self.gone: Deferred[None] = Deferred()

    # -- the transport's side

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        if self._leaving is not None:
            self.transport.loseConnection()
            return
        if self._lost is not None:
            return
        self._replies.receive(data)
        if self._waiting is None and self._replies.buffered > LARGEST:
            # Octets that nobody asked for, without end.
            self.abort("the server talks without being asked")
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for timer in (self._leaving, self._watch):
            if timer is not None and timer.active():
                timer.cancel()
        if self._lost is None:
            self._lost = "the connection was closed by the server"
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.errback(TlsFailed(f"the TLS handshake failed: {reason.getErrorMessage()}"))
        self._wake()
        self.resumeProducing()
        self.gone.callback(None)

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

    # -- saying and hearing

    async def reply(self, patience: float) -> Reply:
        """The next reply, within `patience` seconds however it trickles in."""
        reply = self._next()
        if reply is not None:
            return reply
        self._until, self._patience = self._clock.seconds() + patience, patience
        while True:
            if self._lost is not None:
                raise Unusable(self._lost)
            waiting = self._waiting = Deferred()
            if self._watch is None:
                # One timer for many answers: most of them come long before it fires.
                self._watch = self._clock.callLater(patience, self._look)
            elif self._watch.getTime() > self._until:
                self._watch.reset(patience)
            await waiting
            reply = self._next()
            if reply is not None:
                return reply

    def _look(self) -> None:
        self._watch = None
        if self._waiting is None or self._lost is not None:
            return
        left = self._until - self._clock.seconds()
        if left > 0:
            self._watch = self._clock.callLater(left, self._look)
            return
        self.abort(f"no answer within {self._patience:g} s")
        self._wake()

    def _next(self) -> Reply | None:
        try:
            return self._replies.next()
        except NotSmtp as error:
            self.abort()
            raise Unusable(str(error)) from None

    async def answer(self, patience: float = COMMAND) -> Reply:
        """The reply to a command; 421 is the server's goodbye whatever it answers (RFC 5321 3.8)."""
        reply = await self.reply(patience)
        if reply.code == 421:
            self.abort()
            raise Unusable(str(reply), reply)
        return reply

    async def ask(self, command: bytes) -> Reply:
        """Say a command and hear its reply."""
        self.say(command)
        return await self.answer()

    def say(self, octets: bytes) -> None:
        """Say something, when all that was said before has been answered."""
        if self._replies.buffered:
            # Every later answer would be taken for another command's.
            self._unasked()
        if self._lost is not None:
            raise Unusable(self._lost)
        write_now(self.transport, octets)

    def has_said_more(self) -> bool:
        """Whether there is a reply to nothing that was said; a goodbye (421) is none.  Either way it is the end."""
        if not self._replies.buffered:
            return False
        reply = self._next()
        self.abort()
        return reply is None or reply.code != 421

    def _unasked(self) -> None:
        reply = self._next()
        self.abort()
        if reply is not None and reply.severity in (4, 5):
            raise Unusable(str(reply), reply)
        raise Unusable("the server answered what it was not asked")

    async def start_tls(self, context: Any) -> None:
        """Go on inside TLS; what was heard before is forgotten.  Raises `TlsFailed`."""
        if self._replies.buffered:
            # Said in clear, to be taken for something said inside TLS.
            self.abort()
            raise Unusable("the server said more than its answer to STARTTLS")
        if self._lost is not None:
            raise TlsFailed(self._lost)
        self._replies = ReplyReader()
        handshake: Deferred[None] = Deferred()
        self._handshake = handshake
        start_tls(self.transport, context)
        try:
            await handshake.addTimeout(HANDSHAKE, self._clock)
        except DeferredTimeout:
            self._handshake = None
            self.abort()
            raise TlsFailed(f"no TLS handshake within {HANDSHAKE:g} s") from None
        handle = self.transport.getHandle()
        self.tls = f"{handle.get_protocol_version_name()} {handle.get_cipher_name()}"

    async def room(self) -> None:
        """Wait until the transport takes more."""
        if self._writable is None:
            return
        try:
            await self._writable.addTimeout(BLOCK, self._clock)
        except DeferredTimeout:
            self._writable = None
            self.abort()
            raise Unusable(f"the server takes nothing for {BLOCK:g} s") from None

    @property
    def is_good(self) -> bool:
        """Whether something more may be said: it is open, and nothing was said to us that we did not ask for."""
        return self._lost is None and not self._replies.buffered

    # -- the end

    def quit(self) -> None:
        """Say goodbye; nobody needs to wait for the answer."""
        if self._lost is not None:
            return
        self._lost = "the connection was closed by us"
        self._leaving = self._clock.callLater(LEAVING, self.transport.abortConnection)
        self.transport.write(b"QUIT\r\n")
        self.transport.unregisterProducer()

    def abort(self, why: str = "the connection was closed by us") -> None:
        """End it now."""
        if self._lost is None:
            self._lost = why
        self.transport.abortConnection()
