"""A message's octets, in memory or mapped from a file, and the few things that are done to both alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import mmap

Octets: TypeAlias = "bytes | mmap.mmap"

_PIECE = 1 << 20


def line_ends(octets: Octets, start: int, end: int) -> int:
    """How many LF there are between two offsets; a map is copied piece by piece, never whole."""
    if isinstance(octets, bytes):
        return octets.count(b"\n", start, end)
    return sum(octets[at : min(at + _PIECE, end)].count(b"\n") for at in range(start, end, _PIECE))
