"""A mailbox as a POP3 session sees it (RFC 1939 4, 5): numbered, unchanging, with marks for what goes at QUIT."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from mailserver.errors import NotFound
from mailserver.interfaces import Message
from mailserver.pop3 import phrases
from mailserver.pop3.languages import Voice
from mailserver.pop3.multiline import END, Stuffer, Top
from mailserver.pop3.surrogate import needs_utf8, surrogate
from mailserver.pop3.wire import Pop3Error

SMALL = 64 * 1024           # octets up to which a message is answered from memory
READ_AHEAD = 256 * 1024     # octets kept of the messages that will be asked for next
MOST_AHEAD = 256            # messages
LONGEST_HEADER = 256 * 1024     # octets that are looked at before a message is sent


class Maildrop:
    """The messages of one locked mailbox, numbered from 1.

    Whoever takes one message after the other gets several of them by one question to the store.
    `utf8` says what happens to one with UTF-8 in its header (RFC 6856 2.1): "send", "refuse", or "downgrade".
    """

    def __init__(self, mailbox: Any, messages: Sequence[Message], voice: Voice, utf8: str) -> None:
        self._mailbox = mailbox                     # IMailbox
        self._messages = messages
        self._voice = voice
        self._utf8 = utf8
        self._deleted: set[int] = set()             # numbers
        self.count = len(messages)                  # of what is not marked
        self.octets = sum(each.size for each in messages)
        self._listings: dict[str, bytes] = {}
        self._ahead: Mapping[int, bytes] = {}
        self._last = 0                              # the number that was read last

    @property
    def marked(self) -> list[int]:
        """The UIDs of what goes at QUIT."""
        return [self._messages[number - 1].uid for number in sorted(self._deleted)]

    async def remove_marked(self) -> None:
        """The UPDATE state (RFC 1939 6): all of them, or an error and none."""
        await self._mailbox.remove(self.marked)

    def mark(self, number: int) -> None:
        """DELE; raises `Pop3Error` when there is no such message."""
        message = self._pick(number)
        self._deleted.add(number)
        self.count -= 1
        self.octets -= message.size
        self._listings.clear()

    def unmark(self) -> None:
        """RSET."""
        for number in self._deleted:
            self.count += 1
            self.octets += self._messages[number - 1].size
        self._deleted.clear()
        self._listings.clear()

    def _pick(self, number: int) -> Message:
        if not 1 <= number <= len(self._messages) or number in self._deleted:
            raise Pop3Error(phrases.NO_SUCH_MESSAGE)
        return self._messages[number - 1]

    # -- what is told of them

    def line(self, verb: str, number: int) -> str:
        """What LIST or UIDL tells of one message; raises `Pop3Error`."""
        return f"{number} {self._told(verb)(self._pick(number))}"

    def listing(self, verb: str) -> bytes:
        """The response to LIST or UIDL, without its status line."""
        listed = self._listings.get(verb)
        if listed is None:
            told = self._told(verb)
            lines = [
                f"{number} {told(message)}\r\n"
                for number, message in enumerate(self._messages, 1)
                if number not in self._deleted
            ]
            listed = self._listings[verb] = "".join(lines).encode() + END
        return listed

    def _told(self, verb: str) -> Callable[[Message], str]:
        if verb == "LIST":
            return lambda message: str(message.size)
        # RFC 1939 7: no other message of this mailbox ever has it.
        validity = self._mailbox.uidvalidity
        return lambda message: f"{validity}.{message.uid}"

    # -- reading

    async def read(self, number: int, lines: int | None = None) -> bytes | tuple[bytes, AsyncIterator[bytes]]:
        """The response to RETR, or to TOP with so many `lines`.

        A large message is its status line and a stream of the rest.  Raises `Pop3Error` when there is no such message,
        or it may not be sent as it is, and `NotFound` when somebody took it away behind our back: before anything is
        promised.
        """
        message = self._pick(number)
        top = None if lines is None else Top(lines)
        stuffer = Stuffer()
        if message.size <= SMALL:
            octets = self._suited(await self._small(number, message))
            head = self._head(len(octets), top)
            return b"".join((head, stuffer.feed(top.feed(octets) if top else octets), stuffer.end()))
        pieces = self._mailbox.read(message.uid)
        try:
            first = await _header(pieces)
            suited = self._suited(first)
        except BaseException:
            await _close(pieces)
            raise
        size = message.size + len(suited) - len(first)
        return self._head(size, top), _response(suited, pieces, stuffer, top)

    def size_at_hand(self, number: int) -> int | None:
        """Octets of a message that can be sent as it is, and without a question to the store; None: `read` it."""
        if not 1 <= number <= len(self._messages) or number in self._deleted:
            return None
        octets = self._ahead.get(self._messages[number - 1].uid)
        if octets is None or (self._utf8 != "send" and not octets.isascii()):
            return None
        return len(octets)

    def at_hand(self, number: int) -> bytes:
        """The response to RETR of a message with a `size_at_hand`."""
        octets = self._ahead[self._messages[number - 1].uid]
        self._last = number
        stuffer = Stuffer()
        return b"".join((self._head(len(octets), None), stuffer.feed(octets), stuffer.end()))

    def _suited(self, octets: bytes) -> bytes:
        """A message, or its beginning, as this client may have it; raises `Pop3Error` when it may not."""
        if self._utf8 == "send":
            return octets
        end = octets.find(b"\r\n\r\n")
        header = octets if end < 0 else octets[:end]
        if not needs_utf8(header):
            return octets
        if self._utf8 == "refuse":
            raise Pop3Error(phrases.NEEDS_UTF8)
        return surrogate(header) + octets[len(header):]

    def _head(self, size: int, top: Top | None) -> bytes:
        return self._voice.ok() if top else self._voice.ok(phrases.OCTETS, size)

    async def _small(self, number: int, message: Message) -> bytes:
        follows, self._last = number == self._last + 1, number
        octets = self._ahead.get(message.uid)
        if octets is None:
            self._ahead = await self._mailbox.read_many(self._next(number) if follows else [message.uid])
            octets = self._ahead.get(message.uid)
            if octets is None:
                raise NotFound(f"there is no message {message.uid} in this mailbox")
        return octets

    def _next(self, number: int) -> list[int]:
        """The UIDs of this message and of those that will probably be asked for behind it."""
        uids: list[int] = []
        size = 0
        for at in range(number, min(number + MOST_AHEAD, len(self._messages) + 1)):
            message = self._messages[at - 1]
            size += message.size
            if message.size > SMALL or size > READ_AHEAD:
                break
            if at not in self._deleted:
                uids.append(message.uid)
        return uids


async def _header(pieces: AsyncIterator[bytes]) -> bytes:
    """The first pieces, until the header section has ended; a header that is longer than `LONGEST_HEADER` is cut."""
    header = bytearray()
    async for piece in pieces:
        header += piece
        if len(header) > LONGEST_HEADER or header.find(b"\r\n\r\n", max(0, len(header) - len(piece) - 3)) >= 0:
            break
    return bytes(header)


async def _response(
    first: bytes, rest: AsyncIterator[bytes], stuffer: Stuffer, top: Top | None
) -> AsyncIterator[bytes]:
    try:
        yield stuffer.feed(top.feed(first) if top else first)
        if top is None or not top.is_done:
            async for piece in rest:
                yield stuffer.feed(top.feed(piece) if top else piece)
                if top is not None and top.is_done:
                    break
        yield stuffer.end()
    finally:
        await _close(rest)


async def _close(pieces: AsyncIterator[bytes]) -> None:
    if isinstance(pieces, AsyncGenerator):
        await pieces.aclose()
