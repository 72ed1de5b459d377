"""The TRANSACTION state of POP3 (RFC 1939 5): what is answered of an open maildrop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from mailserver.net.answer import Answer
from mailserver.pop3 import phrases
from mailserver.pop3.languages import Voice, said
from mailserver.pop3.wire import Command
from mailserver.session.maildrop import Maildrop

MOST_JOINED = 64 * 1024     # octets of answers that may go out together, before it is seen whether the peer reads


class Transaction:
    """Answers each command but those that may come in any state."""

    def __init__(self, drop: Maildrop, voice: Voice) -> None:
        self.drop = drop
        self.is_streaming = False   # in the middle of a message
        self._voice = voice
        self._unpaced = 0           # octets answered since the last stream

    def may_answer(self, number: int) -> bool:
        """Whether the answer to RETR is at hand, and may go out before it is seen whether the peer reads."""
        size = self.drop.size_at_hand(number)
        return size is not None and self._unpaced + size <= MOST_JOINED

    def at_hand(self, number: int) -> bytes:
        """The answer to a RETR that `may_answer` has seen."""
        octets = self.drop.at_hand(number)
        self._unpaced += len(octets)
        return octets

    async def answer(self, command: Command) -> Answer:
        """Raises `Pop3Error` for what cannot be, and `NotFound` for a message that somebody took away."""
        verb, drop, ok = command.verb, self.drop, self._voice.ok
        match verb:
            case "STAT":
                return Answer(said(f"+OK {drop.count} {drop.octets}"))
            case "LIST" | "UIDL" if command.argument:
                return Answer(said(f"+OK {drop.line(verb, command.number)}"))
            case "LIST" | "UIDL":
                head = ok(phrases.MESSAGES_AND_OCTETS, drop.count, drop.octets)
                return self._paced(head + drop.listing(verb))
            case "RETR":
                return self._message(await drop.read(command.number))
            case "TOP":
                return self._message(await drop.read(command.number, command.lines))
            case "DELE":
                drop.mark(command.number)
                return Answer(ok(phrases.MARKED, command.number))
            case "RSET":
                drop.unmark()
                return Answer(ok())
            case "NOOP":
                return Answer(ok())
        raise AssertionError(verb)

    def _message(self, response: bytes | tuple[bytes, AsyncIterator[bytes]]) -> Answer:
        if isinstance(response, bytes):
            return self._paced(response)
        head, pieces = response
        self._unpaced = 0
        return Answer(head, stream=self._streamed(pieces))

    def _paced(self, octets: bytes) -> Answer:
        """A long answer: after so many octets one goes as a stream, which waits for a peer that does not read."""
        self._unpaced += len(octets)
        if self._unpaced <= MOST_JOINED:
            return Answer(octets)
        self._unpaced = 0
        return Answer(b"", stream=_once(octets))

    async def _streamed(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.is_streaming = True
        try:
            async for piece in pieces:
                yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        self.is_streaming = False


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
