"""What passes between a connection and the session that talks over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from mailserver.envelope import Client, Tls


class Then(Enum):
    """What follows an answer."""

    GO_ON = 1
    START_TLS = 2       # negotiate TLS; octets that are buffered already mean: drop the connection
    CLOSE = 3
    LINGER = 4          # close, but read on for a moment, so that a peer in mid-sentence hears the answer


class Over(Exception):
    """A stream raises it behind its last piece: these were the last words, and the connection ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Octets to send, then a stream of more (sent as fast as the peer reads), then what follows."""

    data: bytes
    then: Then = Then.GO_ON
    stream: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What a session tells an operator of itself."""

    id: int                 # of the session, as `mailserver.ident` spells it; 0: it has none
    client: Client          # as far as it is known
    doing: str              # how far the conversation has come, in a word


class Talker(Protocol):
    """A session as its connection sees it: it is given octets and gives answers, and never sees a socket."""

    def greeting(self) -> Coroutine[Any, Any, Answer]:
        """What is said first."""

    def spoke_first(self) -> None:
        """Octets of the peer were there before it could have heard the greeting."""

    def receive(self, data: bytes) -> None:
        """Octets came; keep them.  Never raises."""

    def next(self) -> Coroutine[Any, Any, Answer | None]:
        """Answer the next command; None: more octets are needed first."""

    @property
    def buffered(self) -> int:
        """How many octets are kept and not yet used."""

    @property
    def patience(self) -> float:
        """Seconds of silence that the protocol grants the peer now, however few the configuration does."""

    def hurry(self) -> None:
        """The server wants to end this conversation: an answer that only waits for something new ends now."""

    def tls_started(self, tls: Tls) -> None:
        """TLS is on: whatever was known of the peer before is forgotten."""

    def timed_out(self) -> bytes:
        """Last words to a peer that is too slow."""

    def stopping(self) -> bytes:
        """Last words when the server stops."""

    def dismissed(self) -> bytes:
        """Last words when an operator ends the connection."""

    def about(self) -> About:
        """For an operator."""

    def too_many(self) -> bytes:
        """All that a peer hears who has too many connections."""

    def failed(self) -> bytes:
        """Last words after an error that nobody foresaw; the failure has just been logged."""

    def lost(self) -> None:
        """The connection is gone; free what was held."""


@runtime_checkable
class Speaker(Protocol):
    """A talker that may have something to say when nothing was asked."""

    def woken_by(self, wake: Callable[[], None]) -> None:
        """Whenever it has, it is to call this; then it is asked for its `next` answer, though no octets came."""
