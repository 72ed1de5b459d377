"""Command lines out of octets, with strict line ends."""

from __future__ import annotations

from mailserver.errors import MailserverError
from mailserver.reply import BARE_LINE_END, LINE_TOO_LONG, Reply

COMMAND_LINE = 2048         # octets with CRLF: RFC 5321 4.5.3.1.4 says 512, its extensions add to that
AUTH_LINE = 12288           # octets, RFC 4954 4


class SmtpError(MailserverError):
    """The peer broke the language; `reply` is what it hears, and `fatal` means that nothing more can be read."""

    def __init__(self, reply: Reply, fatal: bool = False) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.fatal = fatal


def take_line(buffer: bytearray, limit: int) -> bytes | None:
    """Remove and return the first line without its CRLF, or None if it is not all here yet.

    `limit` counts the CRLF.  Raises `SmtpError`: for a line that is too long (what is buffered of it is
    gone, `LINE_TOO_LONG`), and, fatally, for a bare CR, LF or NUL (RFC 5321 2.3.8).
    """
    end = buffer.find(b"\r\n", 0, limit)
    if end < 0:
        # A CR may be the first half of a line end that is still to come.
        start = bytes(buffer[:limit]).removesuffix(b"\r")
        if _is_broken(start):
            raise SmtpError(BARE_LINE_END, fatal=True)
        if len(buffer) < limit:
            return None
        raise SmtpError(LINE_TOO_LONG)
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    if _is_broken(line):
        raise SmtpError(BARE_LINE_END, fatal=True)
    return line


def _is_broken(line: bytes) -> bool:
    return b"\n" in line or b"\r" in line or b"\0" in line
