"""FETCH answers: many lines of one shape at once, or one whose values are sent in pieces (RFC 9051 7.5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mailserver.imap.strings import announcement

CLOSING = b")\r\n"          # of a line that `opening` began

# How the values of some are written; all others are octets that are ready to send.
_SHAPES = {
    b"UID": b"%d", b"RFC822.SIZE": b"%d", b"BINARY.SIZE": b"%d", b"MODSEQ": b"(%d)", b"EMAILID": b"(%b)",
    b"THREADID": b"(%b)",
}


class Rows:
    """Lines that all have the same items.

    Numbers (UID, RFC822.SIZE, MODSEQ, BINARY.SIZE) are given as such; everything else as octets that are ready to
    send: what `flags.spell`, `dates.spell_date_time` and `strings` write, or what was stored so (ENVELOPE,
    BODYSTRUCTURE).  Ids are given without their brackets.  With `by_uid` the lines are of UIDs (RFC 9586 3.3): what is
    called a number then is the UID.
    """

    __slots__ = ("_line",)

    def __init__(self, names: Sequence[bytes], by_uid: bool = False) -> None:
        items = b" ".join(
            b"%b %b" % (name.replace(b"%", b"%%"), _SHAPES.get(name.partition(b"[")[0], b"%b")) for name in names
        )
        self._line = b"* %%d %b (%b)\r\n" % (b"UIDFETCH" if by_uid else b"FETCH", items)

    def line(self, number: int, *values: Any) -> bytes:
        """One message's: its sequence number, and a value for each item."""
        return self._line % (number, *values)

    def lines(self, numbers: Iterable[int], *columns: Iterable[Any]) -> bytes:
        """Those of many messages: their sequence numbers, and for each item its values, all in the same order."""
        return b"".join(map(self._line.__mod__, zip(numbers, *columns, strict=True)))


def opening(number: int, by_uid: bool = False) -> bytes:
    """The beginning of a line whose items follow, with spaces between, and then `CLOSING`."""
    return b"* %d UIDFETCH (" % number if by_uid else b"* %d FETCH (" % number


def item(name: bytes, value: bytes) -> bytes:
    """An item that is ready to send."""
    return b"%b %b" % (name, value)


def begun(name: bytes, size: int, is_binary: bool = False) -> bytes:
    """An item whose octets follow, exactly so many."""
    return b"%b %b" % (name, announcement(size, is_binary))
