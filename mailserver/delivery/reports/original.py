"""What is sent back of the message that a report is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailserver.content import Content
from mailserver.smtp.lineends import are_strict

MOST_WHOLE = 64 * 1024      # octets: what is larger does not come back whole
MOST_HEADER = 16 * 1024
LONGEST_LINE = 998          # octets without its end (RFC 5322 2.1.1)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")


@dataclass(frozen=True, slots=True)
class Original:
    """The message as it came: its header section, all of it when it is small, and its size in octets."""

    header: bytes
    whole: bytes | None
    size: int

    @classmethod
    def of(cls, content: Content) -> Original:
        """From what lies in memory of it."""
        whole = content.beginning if len(content.beginning) == content.size <= MOST_WHOLE else None
        return cls(content.header, whole, content.size)

    def field(self, name: str) -> str:
        """The first field called so, unfolded; "" when there is none."""
        first = next(Content.of(self.header).fields(name), b"")
        return " ".join(first[:1000].decode("utf-8", "replace").split())

    @property
    def message_id(self) -> str:
        """With its brackets; "" when it has none that may be named again."""
        found = _MESSAGE_ID.fullmatch(self.field("Message-ID"))
        return found[0] if found else ""


def returned(original: Original, whole: bool, utf8: bool, boundary: str) -> tuple[str, bytes]:
    """The type of the last part of a report, and its octets: the whole message where that may be, else its header.

    RFC 6533 5.1 and 5.2 have names of their own for what is in UTF-8.
    """
    octets = original.whole if whole else None
    if octets is not None and len(octets) <= MOST_WHOLE and boundary.encode() not in octets and _is_lines(octets):
        return ("message/global" if utf8 else "message/rfc822"), octets
    header = b"".join(_lines(original.header, boundary.encode()))
    return ("message/global-headers" if utf8 else "text/rfc822-headers"), header


def _lines(header: bytes, boundary: bytes) -> Iterator[bytes]:
    """Whole lines only, so many as there is room for, and none that would end our part, or is none."""
    room = MOST_HEADER
    for line in header.split(b"\r\n")[:-1]:
        room -= len(line) + 2
        if room < 0:
            return
        if boundary not in line and _is_lines(line):
            yield line + b"\r\n"


def _is_lines(octets: bytes) -> bool:
    """Whether it may stand in a report, which is 8bit (RFC 2045 2.8); what came as BINARYMIME may be anything."""
    return are_strict(octets) and max(map(len, octets.split(b"\r\n"))) <= LONGEST_LINE


def is_utf8(octets: bytes) -> bool:
    """Whether these are UTF-8, and more than ASCII."""
    if octets.isascii():
        return False
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
