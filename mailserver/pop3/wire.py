"""The server's side of POP3: command lines, what may be said when, and how messages are sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from mailserver.errors import MailserverError

LONGEST_LINE = 255          # octets with CRLF, RFC 2449 4
LONGEST_AUTH = 12288        # octets of an AUTH command and its responses, as RFC 4954 4 has it
MOST_SWALLOWED = 64 * 1024


class Pop3Error(MailserverError):
    """The peer broke the language; the text is what it hears behind ``-ERR``."""

    def __init__(self, text: str, fatal: bool = False) -> None:
        super().__init__(text)
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


# verb -> the states in which it may come
_ALLOWED: dict[str, tuple[State, ...]] = {
    "CAPA": (State.AUTHORIZATION, State.TRANSACTION),
    "QUIT": (State.AUTHORIZATION, State.TRANSACTION),
    "STLS": (State.AUTHORIZATION,),
    "USER": (State.AUTHORIZATION,),
    "PASS": (State.AUTHORIZATION,),
    "AUTH": (State.AUTHORIZATION,),
    "NOOP": (State.TRANSACTION,),
    "STAT": (State.TRANSACTION,),
    "LIST": (State.TRANSACTION,),
    "UIDL": (State.TRANSACTION,),
    "RETR": (State.TRANSACTION,),
    "TOP": (State.TRANSACTION,),
    "DELE": (State.TRANSACTION,),
    "RSET": (State.TRANSACTION,),
}

_NUMBER = re.compile(r"[0-9]{1,10}")


class ServerWire:
    """Give it octets with `receive`, take commands with `next`; `state` is set by the session."""

    __slots__ = ("_buffer", "_swallowing", "state")

    def __init__(self) -> None:
        self.state = State.AUTHORIZATION
        self._buffer = bytearray()
        self._swallowing = 0

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

    def next(self) -> Command | bytes | None:
        """The next command, or a line of an AUTH exchange; None when more octets are needed.

        Raises `Pop3Error` for whatever is no command or may not come now.
        """
        line = self._line()
        if line is None:
            return None
        if self.state is State.EXCHANGE:
            return line
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise Pop3Error("that is not UTF-8") from None
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        states = _ALLOWED.get(verb)
        if states is None:
            raise Pop3Error("unknown command")
        if self.state not in states:
            raise Pop3Error("log in first" if self.state is State.AUTHORIZATION else "you are logged in already")
        return _command(verb, argument)

    def _line(self) -> bytes | None:
        buffer = self._buffer
        is_auth = self.state is State.EXCHANGE or buffer[:5].upper() == b"AUTH "
        limit = LONGEST_AUTH if is_auth else LONGEST_LINE
        if self._swallowing:
            limit = len(buffer) + 1
        end = buffer.find(b"\n", 0, limit)
        if end < 0:
            if self._swallowing or len(buffer) >= limit:
                first = not self._swallowing
                self._swallowing += len(buffer)
                buffer.clear()
                if first:
                    raise Pop3Error("that line is too long")
                if self._swallowing > MOST_SWALLOWED:
                    raise Pop3Error("that line is too long", fatal=True)
            return None
        line = bytes(buffer[:end]).removesuffix(b"\r")
        del buffer[: end + 1]
        if self._swallowing:
            self._swallowing = 0
            return self._line()
        if b"\0" in line or b"\r" in line:
            raise Pop3Error("there is a control character in that line")
        return line


def _command(verb: str, argument: str) -> Command:
    if verb == "PASS":
        return Command(verb, argument)              # spaces belong to the password
    argument = argument.strip(" ")
    if verb in ("USER", "AUTH"):
        if verb == "USER" and not argument:
            raise Pop3Error("USER needs a name")
        return Command(verb, argument)
    words = argument.split()
    if verb in ("RETR", "DELE"):
        return Command(verb, argument, *_numbers(words, 1))
    if verb == "TOP":
        return Command(verb, argument, *_numbers(words, 2))
    if verb in ("LIST", "UIDL") and words:
        return Command(verb, argument, *_numbers(words, 1))
    if words:
        raise Pop3Error(f"{verb} takes no argument")
    return Command(verb)


def _numbers(words: list[str], count: int) -> list[int]:
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise Pop3Error("a message number is needed" if count == 1 else "a message number and a count are needed")
    return [int(word) for word in words]


class Stuffer:
    """A message in pieces, as a multi-line response (RFC 1939 3): dots before dots, and an end."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, octets: bytes) -> bytes:
        """What is sent for these octets."""
        if not octets:
            return b""
        # Look across the seam: a line may begin with the first octet of a piece.
        block = self._tail + octets
        if b"\n." in block:
            stuffed = block.replace(b"\n.", b"\n..")
            sent = stuffed[len(self._tail):]
        else:
            sent = octets
        self._tail = block[-2:]
        return sent

    def end(self) -> bytes:
        """What ends the response."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"
