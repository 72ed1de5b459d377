"""The index of a piece of a mailbox, as octets: which of its messages have which words.

A message is its place among those of the piece.  Words are kept in pages, those that most messages have in the first;
a page has its words, each behind a line end, and for each a list of places (two octets each), or a bit for each message
where that is shorter.  Words that as many messages have stand together, so that nothing need be written of where a list
begins.  A set of messages is a number with an octet, 0 or 1, for each.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

FIRST_PAGE = 256            # words; each other page has twice as many ...
LARGEST_PAGE = 8192         # ... up to this
MOST_MESSAGES = 0xFFFF      # of a piece

_BITS = [bytes(octet >> bit & 1 for bit in range(8)) for octet in range(256)]


@dataclass(frozen=True, slots=True)
class Page:
    """Of `size` messages."""

    size: int
    words: bytes
    lists: bytes

    def having(self, pattern: bytes, most: int = 0) -> int:
        """The messages that have a word in which the pattern is; a line end there is where a word begins or ends.

        With `most`, which is a set too, it may end once all of these are found.
        """
        found = 0
        lists = _Lists(self.size, self.lists)
        for count, number in enumerate(self._numbers(pattern), 1):
            found |= lists.marks(number)
            if most and not count & 15 and found & most == most:
                break
        return found

    def _numbers(self, pattern: bytes) -> Iterator[int]:
        words, number, counted = self.words, -1, 0
        begins = pattern.startswith(b"\n")
        at = words.find(pattern)
        while at >= 0:
            start = at + begins
            number += words.count(b"\n", counted, start)
            counted = start
            yield number
            at = words.find(pattern, words.index(b"\n", start))

    def all(self) -> Iterator[tuple[bytes, Sequence[int]]]:
        """Each word, and who has it."""
        lists = _Lists(self.size, self.lists)
        for number, word in enumerate(self.words[1:-1].split(b"\n")):
            yield word, lists.places(number)


class _Lists:
    """The lists of a page, by the numbers of their words: counted from 0 in the order in which they are asked for."""

    def __init__(self, size: int, octets: bytes) -> None:
        self._size = size
        self._octets = octets
        count = int.from_bytes(octets[:4], "little")
        heads = _array("I", octets[4 : 4 + 8 * count])
        self._ends: list[tuple[int, int, int, int]] = []        # first word behind, first word, where it begins, length
        first, at = 0, 4 + 8 * count
        for words, length in zip(heads[::2], heads[1::2], strict=True):
            self._ends.append((first + words, first, at, length))
            first += words
            at += words * _octets(length, size)
        self._run = 0

    def _of(self, number: int) -> tuple[bytes, bool]:
        while number >= self._ends[self._run][0]:
            self._run += 1
        _, first, at, length = self._ends[self._run]
        each = _octets(length, self._size)
        at += (number - first) * each
        return self._octets[at : at + each], 2 * length > (self._size + 7) // 8

    def marks(self, number: int) -> int:
        octets, is_bits = self._of(number)
        if is_bits:
            return int.from_bytes(b"".join(map(_BITS.__getitem__, octets))[: self._size], "little")
        if len(octets) == 2:
            return 1 << 8 * int.from_bytes(octets, "little")
        marks = bytearray(self._size)
        for place in _array("H", octets):
            marks[place] = 1
        return int.from_bytes(marks, "little")

    def places(self, number: int) -> Sequence[int]:
        octets, is_bits = self._of(number)
        if not is_bits:
            return _array("H", octets)
        marks = b"".join(map(_BITS.__getitem__, octets))
        return [place for place, is_so in enumerate(marks) if is_so]


def _octets(length: int, size: int) -> int:
    return min(2 * length, (size + 7) // 8)


def pages(size: int, words: Mapping[bytes, Sequence[int]]) -> Iterator[Page]:
    """All words of `size` messages."""
    ordered = sorted((-len(places), word) for word, places in words.items())
    start, most = 0, FIRST_PAGE
    while start < len(ordered):
        some = ordered[start : start + most]
        heads = array("I")
        lists: list[bytes] = []
        for length, same in groupby(some, itemgetter(0)):
            before = len(lists)
            lists += [_written(words[word], size) for _, word in same]
            heads.extend((len(lists) - before, -length))
        if sys.byteorder != "little":
            heads.byteswap()
        head = (len(heads) // 2).to_bytes(4, "little") + heads.tobytes()
        yield Page(size, b"\n%b\n" % b"\n".join([word for _, word in some]), head + b"".join(lists))
        start += most
        most = min(2 * most, LARGEST_PAGE)


def _written(places: Sequence[int], size: int) -> bytes:
    if len(places) == 1:
        return places[0].to_bytes(2, "little") if size > 8 else bytes((1 << places[0],))
    bits = (size + 7) // 8
    if 2 * len(places) <= bits:
        return _bytes(array("H", places))
    octets = bytearray(bits)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return bytes(octets)


def _array(code: str, octets: bytes) -> array[int]:
    found: array[int] = array(code, octets)
    if sys.byteorder != "little":
        found.byteswap()
    return found


def _bytes(places: array[int]) -> bytes:
    if sys.byteorder != "little":
        places = places[:]
        places.byteswap()
    return places.tobytes()
