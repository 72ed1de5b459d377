"""The server's side of an SMTP or LMTP conversation: octets in, commands out."""

from __future__ import annotations

from dataclasses import replace

from mailserver.reply import BAD_SEQUENCE, BARE_LINE_END, LINE_TOO_LONG, NOT_SMTP, TOO_BIG, UNKNOWN_COMMAND, Reply
from mailserver.smtp.commands import (
    Auth,
    AuthResponse,
    Bdat,
    Burl,
    Chunk,
    Command,
    Data,
    EndOfChunk,
    EndOfContent,
    Hello,
    Mail,
)
from mailserver.smtp.dots import Unstuffer
from mailserver.smtp.lineends import LineEnds
from mailserver.smtp.lines import AUTH_LINE, COMMAND_LINE, SmtpError, take_line
from mailserver.smtp.phases import FOLLOWS, Phase
from mailserver.smtp.syntax import parse_auth_response, parse_command

MOST_SWALLOWED = 64 * 1024      # octets of one line that are thrown away before the peer is given up
MOST_EXCESS = 4                 # times the largest content that are swallowed before the peer is given up
LONG_VERBS = (b"AUTH ", b"BURL ")        # whose lines are longer: a response, a URL
PRINTABLE = range(0x20, 0x7F)   # what the first octet of a conversation may be, besides a line end


class ServerWire:
    """Give it octets with `receive`, take commands with `next`, and tell it with `advance` which succeeded.

    `most_content` is the largest content in octets; what is beyond is swallowed and reported at its end.
    `normalises`: a bare CR or LF of a content becomes CRLF instead of being its fault.
    """

    __slots__ = (
        "_binary", "_buffer", "_chunk", "_content", "_last", "_left", "_line_ends", "_lmtp", "_most_content",
        "_refusal", "_size", "_swallowed", "normalises", "phase",
    )

    def __init__(self, most_content: int, lmtp: bool = False) -> None:
        self.phase = Phase.NEW
        self.normalises = False
        self._most_content = most_content
        self._lmtp = lmtp
        self._buffer = bytearray()
        self._content: Unstuffer | None = None      # of DATA
        self._line_ends: LineEnds | None = None     # of BDAT; None: any are right
        self._binary = False            # BODY=BINARYMIME
        self._size = 0                  # of the content so far
        self._chunk = 0                 # octets of this BDAT
        self._left = 0                  # octets of it that are still to come
        self._last = False              # nothing follows this BDAT
        self._refusal: Reply | None = None      # of a BDAT whose octets are only swallowed
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
        if self.phase is Phase.CHUNK:
            return self._next_of_chunk()
        if self._refusal is not None:
            self._swallow(self._refusal)
            return None
        if not self._buffer:
            return None
        if self.phase is Phase.AUTHENTICATING:
            try:
                line = self._line(AUTH_LINE)
                return None if line is None else parse_auth_response(line)
            except SmtpError:
                self.phase = Phase.GREETED
                raise
        line = self._line(AUTH_LINE if bytes(self._buffer[:5]).upper() in LONG_VERBS else COMMAND_LINE)
        if line is None:
            return None
        command = parse_command(line)
        if isinstance(command, Hello) and (command.verb == "LHLO") != self._lmtp:
            # RFC 2033 4.1: LMTP has LHLO and neither EHLO nor HELO.
            raise SmtpError(UNKNOWN_COMMAND)
        if isinstance(command, Bdat):
            return self._begin_chunk(command)
        if (self.phase, type(command)) not in FOLLOWS:
            raise SmtpError(BAD_SEQUENCE)
        return command

    def advance(self, command: Command, challenged: bool = False) -> None:
        """`command` succeeded; `challenged`: an AUTH that goes on with the peer's next line."""
        if challenged:
            self.phase = Phase.AUTHENTICATING
            return
        before, self.phase = self.phase, FOLLOWS[self.phase, type(command)]
        if isinstance(command, Mail):
            self._size = 0
            self._binary = command.body == "BINARYMIME"
        elif isinstance(command, Data):
            self._content = Unstuffer(self.normalises)
        elif isinstance(command, Burl):
            self._chunk = self._left = 0
            self._last = command.last
            if before is Phase.RECIPIENT:
                self._begin_content()

    def refuse(self, command: Command) -> None:
        """`command` failed: the phase stays, but for an authentication or a content, which are over."""
        if isinstance(command, (Auth, AuthResponse, Burl, EndOfChunk, EndOfContent)):
            self.phase = Phase.GREETED

    def restart(self) -> None:
        """As if the peer had just connected (TLS has started)."""
        self.phase = Phase.NEW
        self.normalises = False
        self._content = self._refusal = None
        self._left = self._swallowed = 0
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
        if self.phase is Phase.NEW and buffer[0] not in PRINTABLE and buffer[0] not in b"\r\n":
            raise SmtpError(NOT_SMTP, fatal=True)       # TLS (RFC 8446 5.1), RDP, SOCKS ...
        try:
            return take_line(buffer, limit)
        except SmtpError as error:
            if not error.fatal:
                # A CR at the cut may be the first half of the line end that is looked for.
                self._swallowed = limit - (buffer[limit - 1] == 13)
                del buffer[: self._swallowed]
            raise

    # -- DATA

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
            fault = self._fault(self._content.is_strict)
            self._content = None
            return EndOfContent(kept, self._size, fault)
        if self._size > MOST_EXCESS * self._most_content:
            raise SmtpError(TOO_BIG, fatal=True)
        return Chunk(kept)

    def _fault(self, is_strict: bool) -> Reply | None:
        if self._size > self._most_content:
            return TOO_BIG
        return None if is_strict else BARE_LINE_END

    # -- BURL (RFC 4468 3.2): what the session has found is as if the peer had sent it by BDAT

    def has_room(self, size: int) -> bool:
        """Whether the content may have so many octets more."""
        return self._size + size <= self._most_content

    def found(self, octets: bytes) -> Command:
        """Octets of what the URL of the `Burl` at hand leads to."""
        self._chunk += len(octets)
        return self._of_chunk(octets, False)

    def found_all(self, fault: Reply | None = None) -> Command:
        """That was the end of them, or this is why there are none."""
        command = self._of_chunk(b"", True)
        assert isinstance(command, (EndOfChunk, EndOfContent))
        return command if fault is None else replace(command, fault=fault)

    # -- BDAT (RFC 3030 2): its octets are swallowed even when it is refused

    def _begin_chunk(self, command: Bdat) -> Command | None:
        if self._size + command.size > MOST_EXCESS * self._most_content:
            raise SmtpError(TOO_BIG, fatal=True)
        self._chunk = self._left = command.size
        self._last = command.last
        following = FOLLOWS.get((self.phase, Bdat))
        if following is None:
            self._refusal = BAD_SEQUENCE
            self._swallow(BAD_SEQUENCE)
            return None
        if self.phase is Phase.RECIPIENT:
            self._begin_content()
        self.phase = following
        return self._next_of_chunk()

    def _begin_content(self) -> None:
        self._line_ends = None if self._binary else LineEnds(self.normalises)

    def _next_of_chunk(self) -> Command | None:
        if self._left and not self._buffer:
            return None
        octets = self._take()
        return self._of_chunk(octets, self._left == 0)

    def _of_chunk(self, octets: bytes, ends: bool) -> Command:
        self._size += len(octets)
        line_ends = self._line_ends
        if line_ends is not None:
            octets = line_ends.feed(octets, ends and self._last)
        is_strict = line_ends is None or line_ends.is_strict
        kept = octets if is_strict and self._size <= self._most_content else b""
        if not ends:
            return Chunk(kept)
        fault = self._fault(is_strict)
        if self._last:
            return EndOfContent(kept, self._size, fault)
        return EndOfChunk(kept, self._chunk, fault)

    def _swallow(self, refusal: Reply) -> None:
        """Throw away what has come of it; raises the refusal once that is all."""
        self._take()
        if not self._left:
            self._refusal = None
            raise SmtpError(refusal)

    def _take(self) -> bytes:
        """What has come of this BDAT's octets."""
        octets = bytes(self._buffer[: self._left])
        del self._buffer[: len(octets)]
        self._left -= len(octets)
        return octets
