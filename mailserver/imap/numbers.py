"""Sets of message numbers: sequence numbers and UIDs (RFC 9051 9, `sequence-set`)."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailserver.imap.error import ImapError

HIGHEST = 0xFFFFFFFF        # nz-number: 32 bits
STAR = HIGHEST + 1          # stands for `*`, the highest that is in use: above every number
MOST_RANGES = 16384         # in one set

_RANGE: re.Pattern[bytes] = re.compile(rb"([0-9]{1,10}|\*)(?::([0-9]{1,10}|\*))?")


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as they are meant, in order and without overlaps; none is ever expanded.

    A range that ends at `STAR` stands behind the finite ones, of which there are at most two: all of them hold the
    highest number in use, so the one that begins lowest and the one that begins highest say it all.
    `saved` is the set "$": whatever the last search saved (RFC 5182).
    """

    ranges: tuple[tuple[int, int], ...] = ()
    saved: bool = False

    def resolved(self, last: int) -> list[tuple[int, int]]:
        """The ranges with `*` as the highest number in use; 0: there is none, and `*` is nothing."""
        if not self.ranges or self.ranges[-1][1] != STAR:
            return list(self.ranges)
        known = [each for each in self.ranges if each[1] != STAR]
        for low, _ in self.ranges[len(known):]:
            start = last if low == STAR else low
            if last:
                known.append((min(start, last), max(start, last)))
        return merged(known)

    def within(self, numbers: Sequence[int]) -> list[range]:
        """Where the members of ascending numbers (the UIDs of a mailbox) stand: ranges of their indices."""
        found = []
        for low, high in self.resolved(numbers[-1] if numbers else 0):
            start, end = bisect_left(numbers, low), bisect_right(numbers, high)
            if start < end:
                found.append(range(start, end))
        return found

    def pick(self, numbers: Sequence[int]) -> list[int]:
        """The members of ascending numbers, ascending."""
        return [number for each in self.within(numbers) for number in numbers[each.start : each.stop]]

    def up_to(self, count: int) -> list[range]:
        """The same as `within` for the sequence numbers 1 to `count`: ranges of indices, which begin with 0."""
        clipped = [(low, min(high, count)) for low, high in self.resolved(count) if low <= count]
        return [range(low - 1, high) for low, high in clipped]

    def reaches(self, count: int) -> bool:
        """Whether each number that it states is in use, as sequence numbers have to be; `5:*` may state more."""
        return all(high <= count or (high == STAR and count > 0) for _, high in self.ranges)


SAVED = SequenceSet(saved=True)


def parse(octets: bytes) -> SequenceSet:
    """``1,3:5,7:*``; raises `ImapError` for what is none, for 0, and for too many ranges."""
    if octets == b"$":
        return SAVED
    if octets.isdigit() and len(octets) <= 10:
        number = _number(octets)
        return SequenceSet(((number, number),))
    parts = octets.split(b",", MOST_RANGES)
    if len(parts) > MOST_RANGES:
        raise ImapError("too many ranges in one set")
    finite: list[tuple[int, int]] = []
    open_from: list[int] = []
    for part in parts:
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ImapError("that is no set of numbers")
        low = _number(found[1])
        high = low if found[2] is None else _number(found[2])
        if low > high:
            low, high = high, low
        if high == STAR:
            open_from.append(low)
        else:
            finite.append((low, high))
    ranges = merged(finite)
    if open_from:
        ranges += [(low, STAR) for low in sorted({min(open_from), max(open_from)})]
    return SequenceSet(tuple(ranges))


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending ranges of which none touches another."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            if high > joined[-1][1]:
                joined[-1] = joined[-1][0], high
        else:
            joined.append((low, high))
    return joined


def gaps(ranges: Iterable[tuple[int, int]], numbers: Sequence[int]) -> list[tuple[int, int]]:
    """What is in ranges, and not among ascending numbers: ranges again, of which none is expanded."""
    missing = []
    for low, high in ranges:
        for number in numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]:
            if low < number:
                missing.append((low, number - 1))
            low = number + 1
        if low <= high:
            missing.append((low, high))
    return missing


def spell(numbers: Iterable[int]) -> bytes:
    """Ascending numbers as a set, ``1:3,7``; nothing for none."""
    return spell_ranges(_runs(numbers))


def spell_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """Ranges as a set."""
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges)


def _runs(numbers: Iterable[int]) -> Iterable[tuple[int, int]]:
    low = high = 0
    for number in numbers:
        if number == high + 1 and high:
            high = number
        elif number != high:
            if high:
                yield low, high
            low = high = number
    if high:
        yield low, high


def _number(octets: bytes) -> int:
    if octets == b"*":
        return STAR
    number = int(octets)
    if not 0 < number <= HIGHEST:
        raise ImapError("a number of a set is from 1 to 4294967295")
    return number
