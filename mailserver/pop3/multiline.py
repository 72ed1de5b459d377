"""Messages as multi-line responses (RFC 1939 3), in pieces and never whole."""

from __future__ import annotations

END = b".\r\n"


class Stuffer:
    """Dots before dots, and an end.

    A dot behind a bare LF gets one too: a client that takes such a LF for a line end must not see the end of the
    response in the middle of a message.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"            # the last two octets; in the beginning a line begins

    def feed(self, octets: bytes) -> bytes:
        """What is sent for these octets."""
        if not octets:
            return b""
        sent = octets.replace(b"\n.", b"\n..") if b"\n." in octets else octets
        if octets[0] == 0x2E and self._last[-1] == 0x0A:
            sent = b"." + sent
        self._last = octets[-2:] if len(octets) > 1 else self._last[-1:] + octets
        return sent

    def end(self) -> bytes:
        """What ends the response, with the CRLF that a message without one at its end lacks."""
        return END if self._last == b"\r\n" else b"\r\n" + END


class Top:
    """The header, the empty line and the first `lines` lines of the body (RFC 1939 7, TOP)."""

    __slots__ = ("_last", "_lines", "is_done")

    def __init__(self, lines: int) -> None:
        self.is_done = False            # nothing more of the message is needed
        self._lines = lines
        self._last: bytes | None = b"\r\n"      # up to three octets of the header so far; None: inside the body

    def feed(self, octets: bytes) -> bytes:
        """As much of these octets as belongs to the top."""
        if self.is_done:
            return b""
        start = 0
        if self._last is not None:
            seen = self._last + octets
            end = seen.find(b"\r\n\r\n")
            if end < 0:
                self._last = seen[-3:]
                return octets
            start = end + 4 - len(self._last)
            self._last = None
        body = octets[start:]
        if not self._lines:
            self.is_done = True
            return octets[:start]
        ends = body.count(b"\n")
        if ends < self._lines:
            self._lines -= ends
            return octets
        self.is_done = True
        rest = body.split(b"\n", self._lines)[-1]
        return octets[: len(octets) - len(rest)]
