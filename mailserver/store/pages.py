"""The index of a piece of a mailbox, as octets: which of its messages have which words.

A message is its place among those of the piece.  Words are kept in pages, those that most messages have in the first;
a page has its words, each behind a line end, and for each a list of places (two octets each), or a bit for each message
where that is shorter.  Words that as many messages have stand together, so that nothing need be written of where a list
begins.  A set of messages is a number with an octet, 0 or 1, for each.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import compress, groupby

FIRST_PAGE = 32             # words; each other page has twice as many ...
LARGEST_PAGE = 2048         # ... up to this: whoever looks for one word reads the lists of its whole page
MOST_MESSAGES = 0xFFFF      # of a piece
ENOUGH = 16                 # lists of bits that are read before it is asked whether more are needed

_DIGITS = bytes.maketrans(b"01", b"\0\1")
_AS_DIGITS = bytes.maketrans(b"\0\1", b"01")


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
        lists = _Lists(self.size, self.lists)
        bits, few = 0, []
        wanted = _bits_of(most.to_bytes(self.size, "little")) if most else 0
        # Those that most messages have come first, and those are written in bits.
        for count, number in enumerate(self._numbers(pattern), 1):
            octets, is_bits = lists.of(number)
            if not is_bits:
                few.append(octets)
                continue
            bits |= int.from_bytes(octets, "little")
            if wanted and not count % ENOUGH and bits & wanted == wanted:
                return most
        marks = _marks(bits, self.size)
        for place in array_of(b"".join(few)):
            marks[place] = 1
        return int.from_bytes(marks, "little")

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

    def all(self, after: int = 0) -> Iterator[tuple[bytes, bytes]]:
        """Each word, and the places of those who have it, two octets each; `after` is added to each of these."""
        words = iter(self.words[1:-1].split(b"\n"))
        for octets, length in _Lists(self.size, self.lists).runs():
            if 2 * length <= (self.size + 7) // 8:
                octets = _moved(octets, after)
                for at, word in zip(range(0, len(octets), 2 * length), words, strict=False):
                    yield word, octets[at : at + 2 * length]
                continue
            each = (self.size + 7) // 8
            for at, word in zip(range(0, len(octets), each), words, strict=False):
                marks = _marks(int.from_bytes(octets[at : at + each], "little"), self.size)
                yield word, octets_of(array("H", compress(range(after, after + self.size), marks)))


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

    def of(self, number: int) -> tuple[bytes, bool]:
        """That of one word, and whether it is one of bits."""
        while number >= self._ends[self._run][0]:
            self._run += 1
        _, first, at, length = self._ends[self._run]
        each = _octets(length, self._size)
        at += (number - first) * each
        return self._octets[at : at + each], 2 * length > (self._size + 7) // 8

    def runs(self) -> Iterator[tuple[bytes, int]]:
        """Those of all words that as many messages have, and how many."""
        for behind, first, at, length in self._ends:
            yield self._octets[at : at + (behind - first) * _octets(length, self._size)], length


def _octets(length: int, size: int) -> int:
    return min(2 * length, (size + 7) // 8)


def pages(size: int, words: Mapping[bytes, bytes]) -> Iterator[Page]:
    """All words of `size` messages, and for each the places of those who have it, two octets each, in order."""
    lengths = dict(zip(words, map(len, words.values()), strict=True))
    ordered = sorted(words)
    ordered.sort(key=lengths.__getitem__, reverse=True)
    bits = (size + 7) // 8
    start, most = 0, FIRST_PAGE
    while start < len(ordered):
        some = ordered[start : start + most]
        heads = array("I")
        lists: list[bytes] = []
        for length, same in groupby(some, lengths.__getitem__):
            before = len(lists)
            lists += map(words.__getitem__, same)
            heads.extend((len(lists) - before, length // 2))
            if length > bits:
                lists[before:] = [_in_bits(each, size) for each in lists[before:]]
        head = (len(heads) // 2).to_bytes(4, "little") + _bytes(heads)
        yield Page(size, b"\n%b\n" % b"\n".join(some), head + b"".join(lists))
        start += most
        most = min(2 * most, LARGEST_PAGE)


def _in_bits(places: bytes, size: int) -> bytes:
    marks = bytearray(size)
    for place in array_of(places):
        marks[place] = 1
    return _bits_of(marks).to_bytes((size + 7) // 8, "little")


def _bits_of(marks: bytes | bytearray) -> int:
    """A bit for each octet; the first is the least."""
    return int(marks[::-1].translate(_AS_DIGITS) or b"0", 2)


def _marks(bits: int, size: int) -> bytearray:
    """An octet for each bit."""
    return bytearray(format(bits, f"0{size}b").encode("ascii")[::-1].translate(_DIGITS)) if size else bytearray()


def _moved(places: bytes, after: int) -> bytes:
    """All of them by so many further on: as one number, for none grows out of its two octets."""
    if not after:
        return places
    number = int.from_bytes(places, "little")
    number += int.from_bytes(after.to_bytes(2, "little") * (len(places) // 2), "little")
    return number.to_bytes(len(places), "little")


def array_of(places: bytes) -> array[int]:
    """Places as numbers."""
    return _array("H", places)


def octets_of(places: array[int]) -> bytes:
    """The same, two octets each."""
    return _bytes(places)


def _array(code: str, octets: bytes) -> array[int]:
    found: array[int] = array(code, octets)
    if sys.byteorder != "little":
        found.byteswap()
    return found


def _bytes(numbers: array[int]) -> bytes:
    if sys.byteorder != "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
