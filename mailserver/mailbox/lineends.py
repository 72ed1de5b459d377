"""Files of other programs end their lines with LF; on the wire a line ends with CRLF."""

from __future__ import annotations

import re

_BARE = re.compile(rb"(?<!\r)\n")


class LineEnds:
    """Gives each bare LF its CR, in pieces."""

    __slots__ = ("_after_cr",)

    def __init__(self) -> None:
        self._after_cr = False          # the piece before ended with CR

    def feed(self, octets: bytes) -> bytes:
        """These octets as they are sent."""
        if not octets:
            return b""
        head = b""
        if self._after_cr and octets[0] == 0x0A:
            head, octets = b"\n", octets[1:]
        self._after_cr = octets.endswith(b"\r")
        return head + _BARE.sub(b"\r\n", octets)
