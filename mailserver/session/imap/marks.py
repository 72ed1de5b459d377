"""Which messages of a mailbox: one number with an octet, 0 or 1, for each, so that ``&`` is done for all at once."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import compress
from typing import TypeAlias

Marks: TypeAlias = int

_OCTETS = 8                 # of a flags' number


def of_ranges(ranges: Iterable[range], size: int) -> Marks:
    """The messages that stand at these places, out of `size`."""
    octets = bytearray(size)
    for each in ranges:
        octets[each.start : each.stop] = b"\1" * len(each)
    return int.from_bytes(octets, "little")


def of_bools(bools: Iterable[bool]) -> Marks:
    """One for each message, in order."""
    return int.from_bytes(bytes(bools), "little")


def of_bit(flags: array[int], bit: int) -> Marks:
    """The messages whose flags (typecode Q) have this bit, the lowest of which is 0."""
    octet, bit = divmod(bit, 8)
    octets = flags.tobytes()[octet if sys.byteorder == "little" else _OCTETS - 1 - octet :: _OCTETS]
    return int.from_bytes(octets.translate(_table(bit)), "little")


def places(marks: Marks, size: int) -> list[int]:
    """Where the messages stand, in ascending order."""
    return list(compress(range(size), marks.to_bytes(size, "little")))


def runs(places: Sequence[int]) -> list[range]:
    """Ascending places as ranges."""
    found: list[range] = []
    start = before = -2
    for place in places:
        if place != before + 1:
            if start >= 0:
                found.append(range(start, before + 1))
            start = place
        before = place
    if start >= 0:
        found.append(range(start, before + 1))
    return found


@lru_cache(8)
def _table(bit: int) -> bytes:
    return bytes(octet >> bit & 1 for octet in range(256))
