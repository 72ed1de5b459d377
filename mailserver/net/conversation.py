"""One connection: octets to a session and answers back, with timers, back-pressure and TLS."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailserver.envelope import Tls
from mailserver.net.answer import About, Answer, Over, Speaker, Talker, Then
from mailserver.net.begun import Done, Rest, all_of, begin
from mailserver.net.conversations import Conversations
from mailserver.net.transport import has_octets, start_tls, write_now

log = Logger()

MOST_BUFFERED = 64 * 1024       # octets that may wait for a session before the transport stops reading
MOST_JOINED = 64 * 1024         # octets of answers that are joined into one write
LINGER = 2.0                    # seconds in which a refused peer may finish its sentence
HANDSHAKE = 30.0                # seconds for a TLS handshake


@implementer(IHandshakeListener, IPushProducer, IHalfCloseableProtocol)
class Conversation(Protocol):
    """Asks its `Talker` for the answers, one command at a time, in the order in which they came.

    The replies to all commands of one read go out in one write.  While the session waits for something,
    the transport may go on reading up to `MOST_BUFFERED`; while the peer does not read, nothing more is
    answered.
    """

    transport: Any

    def __init__(self, talker: Talker, address: str, house: Conversations, tls: Any, implicit_tls: bool) -> None:
        self._talker = talker
        self.address = address
        self._house = house
        self._tls = tls                     # a pyOpenSSL context factory, or None
        self._implicit_tls = implicit_tls
        self._is_answering = False
        self._entered = False
        self._closing = False               # nothing more is answered
        self._last_words: Callable[[], bytes] | None = None     # we end it: say so after this answer
        self._ended = False                 # the peer says no more: close after its last answer
        self._is_woken = False              # the session has something to say that nobody asked for
        self._owed: float | None = None     # the deadline before that was said: the peer has not spoken since
        self._handshaking = False
        self._reading = True
        self._writable: Deferred[None] | None = None
        self.began = 0.0
        self.counted: tuple[str, ...] = ()      # what the house counts it under
        self.deadline: float | None = None  # on the house's clock; None: we are the slow one

    # -- the transport's side

    def connectionMade(self) -> None:
        self.began = self._house.clock.seconds()
        if not self._house.enter(self):
            self._closing = True
            self.transport.write(self._talker.too_many())
            self.transport.loseConnection()
            return
        self._entered = True
        if isinstance(self._talker, Speaker):
            self._talker.woken_by(self.wake)
        # What is sent in pieces is not to wait until the peer has acknowledged the piece before (40 ms).
        no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if no_delay is not None:
            no_delay(True)
        self.transport.registerProducer(self, True)
        if self._implicit_tls:
            self._start_tls()
        else:
            if has_octets(self.transport):
                self._talker.spoke_first()
            self._answer(greet=True)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self._talker.receive(data)
        self._owed = None
        if not self._is_answering:
            self._answer()
        elif self._reading and self._talker.buffered > MOST_BUFFERED:
            self._reading = False
            self.transport.pauseProducing()

    def wake(self) -> None:
        """The session has something to say, though nothing was asked; between two answers it may."""
        if self._closing or self._handshaking:
            return
        if self._is_answering:
            self._is_woken = True
            return
        self._owed = self.deadline          # to hear is not to speak: the peer's time goes on
        self._answer()

    def handshakeCompleted(self) -> None:
        self._handshaking = False
        self._talker.tls_started(_agreed(self.transport))
        if self._implicit_tls:
            self._implicit_tls = False
            self._answer(greet=True)
        else:
            self._wait_for_peer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closing = True
        if self._entered:
            self._entered = False
            self._house.leave(self)
        self.resumeProducing()
        self._talker.lost()

    def readConnectionLost(self) -> None:
        # The peer says no more.  What it asked for is still answered; then there is nobody to talk to.
        if not self._is_answering:
            self._close()
        else:
            self._ended = True

    def writeConnectionLost(self) -> None:
        """Our own half-close; the rest of what the peer says is thrown away."""

    def pauseProducing(self) -> None:
        if self._writable is None:
            self._writable = Deferred()

    def resumeProducing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.callback(None)

    def stopProducing(self) -> None:
        """The transport is going; `connectionLost` follows."""

    # -- the house's side

    def too_slow(self) -> None:
        """The deadline has passed."""
        if self._closing or self._handshaking or self._writable is not None:
            self.transport.abortConnection()
            return
        write_now(self.transport, self._talker.timed_out())
        self._close(Then.LINGER)

    def stop(self) -> None:
        """The server stops: finish the command that is being answered, then say so and go."""
        self._end(self._talker.stopping)

    def dismiss(self) -> None:
        """An operator ends it: the same, in other words."""
        self._end(self._talker.dismissed)

    def _end(self, last_words: Callable[[], bytes]) -> None:
        if self._is_answering:
            self._last_words = last_words
            self._talker.hurry()
        elif self._handshaking or self._closing:
            self.transport.abortConnection()
        else:
            self.transport.write(last_words())
            self._close()

    def about(self) -> About:
        """For an operator."""
        about = self._talker.about()
        return replace(about, doing="TLS handshake") if self._handshaking else about

    def abort(self) -> None:
        """End it now."""
        self.transport.abortConnection()

    # -- answering

    def _answer(self, greet: bool = False) -> None:
        self.deadline = None
        self._is_answering = True
        try:
            first = begin(self._talker.greeting() if greet else self._talker.next())
            if self._is_all(first):
                self._answered()
                return
            begun = begin(self._converse(first))
        except Exception:
            self._broke(Failure())  # type: ignore[no-untyped-call]
            return
        if isinstance(begun, Done):
            self._answered()
            return
        rest: Deferred[None] = Deferred.fromCoroutine(all_of(begun))
        rest.addCallbacks(self._answered, self._broke)

    def _is_all(self, first: Done[Answer | None] | Rest[Answer | None]) -> bool:
        """Send one command's answer where that is all there is to do, as for who does not pipeline.

        It spares a coroutine for each command (a twentieth of a message's time).
        """
        if not isinstance(first, Done):
            return False
        answer = first.value
        if answer is None:
            return True
        if (
            answer.then is not Then.GO_ON or answer.stream is not None
            or self._closing or self._writable is not None or self._talker.buffered
        ):
            return False
        if answer.data:
            write_now(self.transport, answer.data)
        return True

    def _broke(self, failure: Failure) -> None:
        self._is_answering = False
        log.failure("conversation with {address} broke", failure=failure, address=self.address)
        if not self._closing:
            self.transport.write(self._talker.failed())
            self._close()

    def _answered(self, _: object = None) -> None:
        self._is_answering = False
        if self._closing or self._handshaking:
            return
        if self._last_words is not None:
            self.transport.write(self._last_words())
            self._close()
            return
        if self._ended:
            self._close()
            return
        self._wait_for_peer()
        if self._owed is not None:
            self.deadline, self._owed = self._owed, None
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()
        if self._is_woken:
            self._is_woken = False
            self._house.clock.callLater(0, self.wake)

    def _wait_for_peer(self) -> None:
        self.deadline = self._house.clock.seconds() + max(self._house.idle, self._talker.patience)

    async def _converse(self, begun: Done[Answer | None] | Rest[Answer | None]) -> None:
        """Answer whatever has come; its first command has begun.  Ends when more octets are needed, or for good."""
        joined: list[bytes] = []
        size = answered = 0
        talker, turns = self._talker, self._house.turns
        while True:
            answer: Answer | None
            if isinstance(begun, Done):
                answer = begun.value
            else:
                self._flush(joined)         # whoever sent these commands hears of them meanwhile
                answer = await begun
            if self._closing:
                return
            if answer is None:
                self._flush(joined)
                return
            joined.append(answer.data)
            size += len(answer.data)
            if size > MOST_JOINED:
                self._flush(joined)         # so that a peer that does not read is noticed
                size = 0
            if answer.stream is not None:
                self._flush(joined)
                await self._send(answer.stream)
                if self._closing:
                    return
            if answer.then is not Then.GO_ON:
                self._flush(joined)
                if answer.then is Then.START_TLS:
                    self._start_tls()
                else:
                    self._close(answer.then)
                return
            if self._writable is not None:
                self._flush(joined)
                await self._drained()
            if self._last_words is not None:
                self._flush(joined)
                return
            if not talker.buffered:
                self._flush(joined)
                return
            answered += 1
            if turns.is_over(answered):
                self._flush(joined)
                await turns.next()
                answered = 0
                if self._closing or self._last_words is not None:
                    return
            begun = begin(talker.next())

    async def _send(self, stream: AsyncIterator[bytes]) -> None:
        """All of a stream, as fast as the peer reads it."""
        try:
            async for piece in stream:
                if self._closing:
                    return
                write_now(self.transport, piece)
                if self._writable is not None:
                    await self._drained()
        except Over:
            if not self._closing:
                self._close(Then.LINGER)
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    def _flush(self, joined: list[bytes]) -> None:
        if joined:
            write_now(self.transport, b"".join(joined))
            joined.clear()

    async def _drained(self) -> None:
        """Until the peer has read; it has as long as for a command of its own."""
        self._wait_for_peer()
        while self._writable is not None and not self._closing:
            await self._writable
        self.deadline = None

    # -- transitions

    def _start_tls(self) -> None:
        if self._talker.buffered or self._tls is None:
            # What came in clear behind STARTTLS would be taken for something said inside TLS.
            self._closing = True
            self.transport.abortConnection()
            return
        if self._ended:             # a handshake needs both
            self._close()
            return
        self._handshaking = True
        self.deadline = self._house.clock.seconds() + HANDSHAKE
        start_tls(self.transport, self._tls)

    def _close(self, how: Then = Then.CLOSE) -> None:
        self._closing = True
        self.deadline = self._house.clock.seconds() + LINGER
        self.transport.unregisterProducer()     # a transport that has a producer waits for it
        if how is Then.LINGER and isinstance(self.transport, tcp.Connection) and not self.transport.TLS:
            self.transport.loseWriteConnection()  # type: ignore[no-untyped-call]
        else:
            self.transport.loseConnection()


def _agreed(transport: Any) -> Tls:
    connection = transport.getHandle()
    name = connection.get_servername()
    return Tls(
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "",
        name.decode("ascii", "replace") if name else None,
    )
