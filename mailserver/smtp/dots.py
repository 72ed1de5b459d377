"""Content out of octets: the end found, the dots taken away (RFC 5321 4.5.2), by scanning and not line by line."""

from __future__ import annotations

from mailserver.smtp.lineends import are_strict, normalised

END = b"\r\n.\r\n"
DOT_LINE = b"\r\n."


class Unstuffer:
    """Takes the octets behind DATA piece by piece, in whatever pieces they come.

    The only end is exactly CRLF "." CRLF.  `is_strict` turns False at the first bare CR, bare LF or NUL; the
    octets still come out, and whoever takes them decides.  With `normalises`, a bare CR or LF becomes CRLF, once
    the dots are away: it neither ends a content nor begins a line whose dot is taken.
    """

    __slots__ = ("_held", "_normalises", "_virtual", "is_strict", "rest")

    def __init__(self, normalises: bool = False) -> None:
        self._normalises = normalises
        self._held = b"\r\n"        # content begins as if behind a line end: a lone dot is an empty message
        self._virtual = 2           # octets at the front that nobody sent
        self.is_strict = True
        self.rest = b""             # what stands behind the end, once it is reached

    def feed(self, octets: bytes) -> tuple[bytes, bool]:
        """The content in these octets, and whether its end was reached; then the rest is in `rest`."""
        block = self._held + octets
        # Neither an end nor a dot to take away without this, so one search serves both; in base64 there is no dot at
        # all, which is found out fifty times as quickly.
        has_dots = b"." in block and DOT_LINE in block
        end = block.find(END) if has_dots else -1
        ended = end >= 0
        if ended:
            self.rest = block[end + len(END):]
            block = block[: end + 2]
            self._held = b""
        else:
            keep = _beginning_of_end(block)
            if keep:
                self._held = block[-keep:]
                block = block[:-keep]
            else:
                self._held = b""
        # The tail that is held back always keeps a CR and its LF together.
        is_strict = are_strict(block)
        if has_dots:
            block = block.replace(DOT_LINE, b"\r\n")
        if not is_strict:
            if self._normalises:
                block = normalised(block)
            self.is_strict = self.is_strict and are_strict(block)
        if self._virtual and block:
            block, self._virtual = block[self._virtual:], 0
        return block, ended


def _beginning_of_end(block: bytes) -> int:
    """How many octets at the tail of `block` could be the beginning of the end."""
    for count in range(min(len(END) - 1, len(block)), 0, -1):
        if block.endswith(END[:count]):
            return count
    return 0
