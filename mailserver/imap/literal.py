"""Announcements of literals at the end of a line (RFC 9051 4.3, RFC 7888)."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_MARKER = 32         # octets at the end of a line in which one is looked for: `~{`, 20 digits, `+}`, and room

_MARKER: re.Pattern[bytes] = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Marker:
    """``{310}``, ``{310+}``, ``~{310}``: so many octets follow the line; `waits`: the peer sends them when told to."""

    size: int
    waits: bool
    is_binary: bool = False


def announced(tail: bytes) -> Marker | None:
    """What the end of a line announces, of which the last `LONGEST_MARKER` octets without CRLF are given."""
    if not tail.endswith(b"}"):
        return None
    found = _MARKER.search(tail)
    return None if found is None else Marker(int(found[2]), not found[3], bool(found[1]))
