"""Content into octets for DATA: dots before dots (RFC 5321 4.5.2), and no line end that is not CRLF."""

from __future__ import annotations

import re

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def canonical(octets: bytes) -> bytes:
    """Content whose every line end is CRLF."""
    pairs = octets.count(b"\r\n")
    if octets.count(b"\n") != pairs or octets.count(b"\r") != pairs:
        return _BARE.sub(b"\r\n", octets)
    return octets


class Stuffer:
    """Takes content in pieces and gives what is sent.

    A bare CR or LF, which some server could take for a line end, becomes CRLF, so that nothing which was
    stored here can end the content or say a command there.
    """

    __slots__ = ("_held", "_tail")

    def __init__(self) -> None:
        self._tail = b"\r\n"        # the last two octets that were given
        self._held = b""            # a CR whose LF may still come

    def feed(self, octets: bytes) -> bytes:
        """The octets to send for these."""
        block = self._held + octets
        self._held = b""
        if block.endswith(b"\r"):
            block, self._held = block[:-1], b"\r"
        if not block:
            return b""
        return self._stuff(block)

    def end(self) -> bytes:
        """The octets that end the content."""
        rest = self._stuff(self._held) if self._held else b""
        self._held = b""
        return rest + (b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n")

    def _stuff(self, block: bytes) -> bytes:
        block = canonical(block)
        if self._tail == b"\r\n" and block.startswith(b"."):
            block = b"." + block
        if b"\r\n." in block:
            block = block.replace(b"\r\n.", b"\r\n..")
        self._tail = (self._tail + block)[-2:]
        return block
