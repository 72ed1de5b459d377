"""The server's side of an SMTP or LMTP conversation: octets in, commands out."""

from __future__ import annotations

from mailserver.reply import BAD_SEQUENCE, BARE_LINE_END, LINE_TOO_LONG, TOO_BIG, UNKNOWN_COMMAND, Reply
from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Chunk,
    Command,
    Data,
    EndOfContent,
    Hello,
    parse_auth_response,
    parse_command,
)
from mailserver.smtp.dots import Unstuffer
from mailserver.smtp.lines import AUTH_LINE, COMMAND_LINE, SmtpError, take_line
from mailserver.smtp.phases import FOLLOWS, Phase

MOST_SWALLOWED = 64 * 1024      # octets of one line that are thrown away before the peer is given up
MOST_EXCESS = 4                 # times the largest content that are swallowed before the peer is given up
OTHER_PROTOCOLS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"DELETE ", b"PRI ")
TLS_RECORD = b"\x16\x03"        # the first octets of a ClientHello (RFC 8446 5.1)

_NOT_SMTP = Reply(500, "5.2", "This is a mail server; that was not SMTP")


class ServerWire:
    """Give it octets with `receive`, take commands with `next`, and tell it with `advance` which succeeded.

    `most_content` is the largest content in octets; what is beyond is swallowed and reported at its end.
    """

    __slots__ = ("_buffer", "_content", "_lmtp", "_most_content", "_size", "_swallowed", "phase")

    def __init__(self, most_content: int, lmtp: bool = False) -> None:
        self.phase = Phase.NEW
        self._most_content = most_content
        self._lmtp = lmtp
        self._buffer = bytearray()
        self._content: Unstuffer | None = None
        self._size = 0
        self._swallowed = 0             # of a line that is too long; 0: none is

    @property
    def buffered(self) -> int:
        """Octets that came and were not used yet."""
        return len(self._buffer)

    def receive(self, octets: bytes) -> None:
        """Keep octets of the peer."""
        self._buffer += octets

    def next(self) -> Command | None:
        """The next command, or None when more octets are needed.

        Raises `SmtpError` for whatever is no command or may not come now; unless it is fatal, what
        follows it can be read.
        """
        if self.phase is Phase.CONTENT:
            return self._next_of_content()
        if not self._buffer:
            return None
        if self.phase is Phase.AUTHENTICATING:
            try:
                line = self._line(AUTH_LINE)
                return None if line is None else parse_auth_response(line)
            except SmtpError:
                self.phase = Phase.GREETED
                raise
        line = self._line(AUTH_LINE if self._buffer[:5].upper() == b"AUTH " else COMMAND_LINE)
        if line is None:
            return None
        command = parse_command(line)
        if isinstance(command, Hello) and (command.verb == "LHLO") != self._lmtp:
            # RFC 2033 4.1: LMTP has LHLO and neither EHLO nor HELO.
            raise SmtpError(UNKNOWN_COMMAND)
        if (self.phase, type(command)) not in FOLLOWS:
            raise SmtpError(BAD_SEQUENCE)
        return command

    def advance(self, command: Command, challenged: bool = False) -> None:
        """`command` succeeded; `challenged`: an AUTH that goes on with the peer's next line."""
        if challenged:
            self.phase = Phase.AUTHENTICATING
            return
        self.phase = FOLLOWS[self.phase, type(command)]
        if isinstance(command, Data):
            self._content = Unstuffer()
            self._size = 0

    def refuse(self, command: Command) -> None:
        """`command` failed: the phase stays, but for an authentication or a content, which are over."""
        if isinstance(command, (Auth, AuthResponse, EndOfContent)):
            self.phase = Phase.GREETED

    def restart(self) -> None:
        """As if the peer had just connected (TLS has started)."""
        self.phase = Phase.NEW
        self._content = None
        self._buffer.clear()

    def _line(self, limit: int) -> bytes | None:
        buffer = self._buffer
        if self._swallowed:
            end = buffer.find(b"\r\n")
            if end < 0:
                # A CR at the very end may belong to the line end that is looked for.
                count = len(buffer) - buffer.endswith(b"\r")
                self._swallowed += count
                del buffer[:count]
                if self._swallowed > MOST_SWALLOWED:
                    raise SmtpError(LINE_TOO_LONG, fatal=True)
                return None
            del buffer[: end + 2]
            self._swallowed = 0
            if not buffer:
                return None
        if self.phase is Phase.NEW and (buffer.startswith(TLS_RECORD) or buffer.startswith(OTHER_PROTOCOLS)):
            raise SmtpError(_NOT_SMTP, fatal=True)
        try:
            return take_line(buffer, limit)
        except SmtpError as error:
            if not error.fatal:
                # A CR at the cut may be the first half of the line end that is looked for.
                self._swallowed = limit - (buffer[limit - 1] == 13)
                del buffer[: self._swallowed]
            raise

    def _next_of_content(self) -> Command | None:
        if not self._buffer or self._content is None:
            return None
        octets = bytes(self._buffer)
        self._buffer.clear()
        block, ended = self._content.feed(octets)
        self._size += len(block)
        fits = self._size <= self._most_content
        kept = block if fits and self._content.is_strict else b""
        if ended:
            self._buffer += self._content.rest
            fault = None if self._content.is_strict else BARE_LINE_END
            self._content = None
            return EndOfContent(kept, self._size, fault if fits else TOO_BIG)
        if self._size > MOST_EXCESS * self._most_content:
            raise SmtpError(TOO_BIG, fatal=True)
        return Chunk(kept)
