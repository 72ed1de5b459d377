"""Lines out of octets: where the next one ends, and throwing away what was refused (RFC 7888 4)."""

from __future__ import annotations

import re

from mailserver.imap.error import ImapError
from mailserver.imap.literal import LONGEST_MARKER, announced

_BARE: re.Pattern[bytes] = re.compile(rb"\0|\r(?!\n|\Z)|(?<!\r)\n")


class Broken(Exception):
    """The line holds what no line may, from here on."""

    def __init__(self, place: int, text: str) -> None:
        super().__init__(text)
        self.place = place


def line_end(buffer: bytearray, start: int, seen: int, limit: int) -> int:
    """Where the CRLF of the line from `start` begins, or -1 when it is not here yet.

    `seen`: up to here nothing of interest is known to be.  `limit`: the CRLF has to end there.  Raises `Broken`.
    """
    looked = max(start, seen - 1)           # the last that was seen may be a CR whose LF is still to come
    end = buffer.find(b"\n", looked, limit)
    bare = _BARE.search(buffer, looked, end + 1 if end >= 0 else limit)
    if bare is not None or end == start:    # where a literal ends with CR, that is none of ours
        raise Broken(start if bare is None else bare.start(), "there is a NUL, or a line end that is not CRLF")
    if end >= 0:
        return end - 1
    if len(buffer) >= limit:
        raise Broken(limit, "that is too long")
    return -1


class Swallower:
    """Throws away the rest of a command: the rest of its line, and the literals that do not wait, with their lines.

    `left` octets of a literal come first.
    """

    __slots__ = ("_left", "_most", "_swallowed")

    def __init__(self, left: int, most: int) -> None:
        self._left = left
        self._most = most
        self._swallowed = left

    def swallow(self, buffer: bytearray) -> bool:
        """Take what has come; whether the end of the command was there.  Raises a fatal `ImapError`."""
        while True:
            if self._swallowed > self._most:
                self._give_up()
            if self._left:
                taken = min(self._left, len(buffer))
                del buffer[:taken]
                self._left -= taken
                if self._left:
                    return False
            end = buffer.find(b"\r\n")
            if end < 0:
                # A CR may belong to the line end that is looked for, and the line's end may announce a literal.
                if self._swallowed + len(buffer) > self._most + 1:
                    self._give_up()
                dropped = max(0, len(buffer) - LONGEST_MARKER - 1)
                del buffer[:dropped]
                self._swallowed += dropped
                return False
            self._swallowed += end
            marker = announced(bytes(buffer[max(0, end - LONGEST_MARKER) : end]))
            if self._swallowed > self._most:
                self._give_up()
            del buffer[: end + 2]
            if marker is None or marker.waits:
                return True
            self._swallowed += marker.size
            self._left = marker.size

    def _give_up(self) -> None:
        raise ImapError("that is far too much", code="TOOBIG", fatal=True)
