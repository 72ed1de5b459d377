"""Line ends of a content that comes without dots (BDAT): strict, or made so."""

from __future__ import annotations

import re

_ALL_OTHERS = bytes(each for each in range(256) if each not in b"\r\n\0")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def are_strict(block: bytes) -> bool:
    """Whether every line of whole lines ends with CRLF, and no NUL is among them.

    What is left of it without all other octets must be as many pairs as stand there side by side.
    """
    return len(block.translate(None, _ALL_OTHERS)) == 2 * block.count(b"\r\n")


def normalised(block: bytes) -> bytes:
    """Every bare CR and LF as CRLF."""
    return _BARE.sub(b"\r\n", block)


class LineEnds:
    """Looks at a content piece by piece, in whatever pieces it comes.

    `is_strict` turns False at the first bare CR, bare LF or NUL.  With `normalises`, a bare CR or LF becomes CRLF
    instead, and only a NUL does that.
    """

    __slots__ = ("_held", "_normalises", "is_strict")

    def __init__(self, normalises: bool = False) -> None:
        self._normalises = normalises
        self._held = b""            # a CR whose LF may still come
        self.is_strict = True

    def feed(self, octets: bytes, ends: bool = False) -> bytes:
        """The octets to keep; `ends`: no more will come."""
        block = self._held + octets
        self._held = b""
        if not ends and block.endswith(b"\r"):
            block, self._held = block[:-1], b"\r"
        if not are_strict(block):
            if self._normalises:
                block = normalised(block)
            self.is_strict = self.is_strict and are_strict(block)
        return block
