"""What a run decides, out of the first line of its octets."""

from __future__ import annotations

from collections.abc import Iterator

SIZES = (0, 1, 2, 3, 5, 17, 100, 1000)      # octets of a read; 0: all that is left


class Choices:
    """Decisions read from octets, round and round; without octets each is the first of what can be decided."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets.strip(b"\r") or b"\0"
        self._next = 0

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        octet = self._octets[self._next % len(self._octets)]
        self._next += 1
        return octet % count

    def cut(self, octets: bytes) -> Iterator[bytes]:
        """The octets in pieces, as reads may give them."""
        start = 0
        while start < len(octets):
            size = SIZES[self.below(len(SIZES))] or len(octets)
            yield octets[start : start + size]
            start += size


def split(octets: bytes) -> tuple[bytes, bytes]:
    """The line that makes the choices, and what is said."""
    choices, _, said = octets.partition(b"\n")
    return choices, said
