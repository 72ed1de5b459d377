"""The server's side of POP3: command lines, and what may be said when (RFC 1939, RFC 2449, RFC 6856)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from mailserver.errors import MailserverError
from mailserver.pop3 import phrases
from mailserver.pop3.phrases import Phrase

LONGEST_LINE = 255          # octets with CRLF, RFC 2449 4
LONGEST_AUTH = 12288        # octets of an AUTH command and its responses, as RFC 4954 4 has it
MOST_SWALLOWED = 64 * 1024  # octets of one line that are read at all


class Pop3Error(MailserverError):
    """The peer broke the language; the phrase is what it hears behind ``-ERR``.  After a fatal one nothing follows."""

    def __init__(self, phrase: Phrase, *values: object, fatal: bool = False) -> None:
        super().__init__(phrase.text("en", *values))
        self.phrase = phrase
        self.values = values
        self.fatal = fatal


class State(Enum):
    """RFC 1939 3: what a session may do."""

    AUTHORIZATION = 1
    TRANSACTION = 2
    EXCHANGE = 3            # in the middle of an AUTH


@dataclass(frozen=True, slots=True)
class Command:
    """A verb in upper case, its arguments as text, and as numbers where they have to be."""

    verb: str
    argument: str = field(default="", repr=False)
    number: int = 0
    lines: int = 0


_BEFORE, _ANY, _INSIDE = (
    (State.AUTHORIZATION,), (State.AUTHORIZATION, State.TRANSACTION), (State.TRANSACTION,)
)
# verb -> the states in which it may come
_ALLOWED: dict[str, tuple[State, ...]] = {
    "CAPA": _ANY, "QUIT": _ANY, "LANG": _ANY,
    "STLS": _BEFORE, "UTF8": _BEFORE, "USER": _BEFORE, "PASS": _BEFORE, "AUTH": _BEFORE,
    "NOOP": _INSIDE, "STAT": _INSIDE, "LIST": _INSIDE, "UIDL": _INSIDE, "RETR": _INSIDE, "TOP": _INSIDE,
    "DELE": _INSIDE, "RSET": _INSIDE,
}

_RETR = re.compile(rb"RETR ([0-9]{1,10})\r\n")
LONGEST_RETR = 17           # octets
_NUMBER = re.compile(r"[0-9]{1,10}")


class ServerWire:
    """Give it octets with `receive`, take commands with `next`; the session sets `state`.

    However the octets are cut into pieces, the commands and the errors are the same.
    """

    __slots__ = ("_buffer", "_swallowed", "state")

    def __init__(self) -> None:
        self.state = State.AUTHORIZATION
        self._buffer = bytearray()
        self._swallowed = 0         # octets of a line that is too long; its end is still to come

    @property
    def buffered(self) -> int:
        """Octets that came and were not used yet."""
        return len(self._buffer)

    def receive(self, octets: bytes) -> None:
        """Keep octets of the peer."""
        self._buffer += octets

    def restart(self) -> None:
        """As if the peer had just connected (TLS has started)."""
        self.state = State.AUTHORIZATION
        self._buffer.clear()
        self._swallowed = 0

    def next(self) -> Command | bytes | None:
        """The next command, or a line of an AUTH exchange; None when more octets are needed.

        Raises `Pop3Error` for whatever is no command or may not come now.
        """
        line = self._line()
        if line is None:
            return None
        if b"\0" in line or b"\r" in line:
            raise Pop3Error(phrases.CONTROL_CHARACTER)
        if self.state is State.EXCHANGE:
            return line
        spelled, _, rest = line.partition(b" ")
        verb = spelled.upper().decode("latin-1")
        states = _ALLOWED.get(verb)
        if states is None:
            raise Pop3Error(phrases.UNKNOWN_COMMAND)
        if self.state not in states:
            raise Pop3Error(phrases.LOG_IN_FIRST if self.state is State.AUTHORIZATION else phrases.LOGGED_IN)
        try:
            argument = rest.decode("utf-8")
        except UnicodeDecodeError:
            raise Pop3Error(phrases.NOT_UTF8) from None
        return _command(verb, argument)

    def next_retr(self, may_come: Callable[[int], bool]) -> int | None:
        """The number of the next command if that is a RETR that is whole, and of one that `may_come`; else None."""
        found = _RETR.match(bytes(self._buffer[:LONGEST_RETR]))
        if found is None or self._swallowed or self.state is not State.TRANSACTION or not may_come(int(found[1])):
            return None
        del self._buffer[: found.end()]
        return int(found[1])

    def _line(self) -> bytes | None:
        """The next line without its end; a bare LF ends one too."""
        buffer = self._buffer
        if self._swallowed and not self._swallow():
            return None
        is_auth = self.state is State.EXCHANGE or buffer[:5].upper() == b"AUTH "
        limit = LONGEST_AUTH if is_auth else LONGEST_LINE
        end = buffer.find(b"\n", 0, limit)
        if end >= 0:
            line = bytes(buffer[:end]).removesuffix(b"\r")
            del buffer[: end + 1]
            return line
        if len(buffer) >= limit:
            del buffer[:limit]
            self._swallowed = limit
            raise Pop3Error(phrases.LINE_TOO_LONG)
        return None

    def _swallow(self) -> bool:
        """Drop the rest of a line that was too long; whether its end has come."""
        buffer = self._buffer
        left = MOST_SWALLOWED - self._swallowed
        end = buffer.find(b"\n", 0, left)
        if end >= 0:
            del buffer[: end + 1]
            self._swallowed = 0
            return True
        if len(buffer) >= left:
            buffer.clear()
            self._swallowed = MOST_SWALLOWED            # whatever comes now is the same error
            raise Pop3Error(phrases.LINE_WITHOUT_END, fatal=True)
        self._swallowed += len(buffer)
        buffer.clear()
        return False


def _command(verb: str, argument: str) -> Command:
    if verb == "PASS":
        return Command(verb, argument)              # spaces belong to the password
    argument = argument.strip(" ")
    if verb in ("USER", "AUTH", "LANG"):
        if verb == "USER" and not argument:
            raise Pop3Error(phrases.NAME_NEEDED)
        return Command(verb, argument)
    words = [word for word in argument.split(" ") if word]
    if verb in ("RETR", "DELE"):
        return Command(verb, argument, *_numbers(words, 1))
    if verb == "TOP":
        return Command(verb, argument, *_numbers(words, 2))
    if verb in ("LIST", "UIDL") and words:
        return Command(verb, argument, *_numbers(words, 1))
    if words:
        raise Pop3Error(phrases.NO_ARGUMENT, verb)
    return Command(verb)


def _numbers(words: list[str], count: int) -> list[int]:
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise Pop3Error(phrases.NUMBER_NEEDED if count == 1 else phrases.NUMBERS_NEEDED)
    return [int(word) for word in words]
