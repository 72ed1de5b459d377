"""Sets of message numbers: read, never expanded, found by halving, written short."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.error import ImapError
from mailserver.imap.numbers import HIGHEST, MOST_RANGES, SAVED, STAR, SequenceSet, parse, spell

ENDS = some.one_of(some.integers(1, 30), some.just(STAR))
SETS = some.lists(some.tuples(ENDS, ENDS), min_size=1, max_size=8)


def written(ranges: list[tuple[int, int]]) -> bytes:
    return b",".join(
        b":".join(b"*" if end == STAR else b"%d" % end for end in (each if each[0] != each[1] else each[:1]))
        for each in ranges
    )


def meant(ranges: list[tuple[int, int]], last: int) -> set[int]:
    """By the words of RFC 9051: both ends are numbers in use, in any order, and all between them."""
    members: set[int] = set()
    for each in ranges:
        if last == 0 and STAR in each:
            continue
        ends = [last if end == STAR else end for end in each]
        members |= set(range(min(ends), max(ends) + 1))
    return members


class SetTests(SynchronousTestCase):
    def test_read(self) -> None:
        """In order, joined where they touch; `*` stays what it is."""
        for octets, ranges in (
            (b"1", ((1, 1),)), (b"3:1", ((1, 3),)), (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, STAR))),
            (b"*", ((STAR, STAR),)), (b"*:4", ((4, STAR),)), (b"5,1:4,6", ((1, 6),)),
            (b"1:4294967295", ((1, HIGHEST),)),
            (b"7:*,3:*,5:*", ((3, STAR), (7, STAR))), (b"007", ((7, 7),)),
        ):
            self.assertEqual(parse(octets), SequenceSet(ranges), octets)
        self.assertEqual(parse(b"$"), SAVED)

    def test_none(self) -> None:
        for octets in (
            b"", b"0", b"1:0", b"4294967296", b"1:4294967296", b"99999999999999999999", b"-1", b"1,", b",1", b"1:",
            b":1", b"1:2:3", b"**", b"$,1", b"1 2", b"a", b"1;2", b"\xb2",
        ):
            self.assertRaises(ImapError, parse, octets)

    def test_many(self) -> None:
        """As many ranges as fit; one more is refused, before they are looked at."""
        self.assertEqual(len(parse(b",".join(b"%d" % (2 * n + 1) for n in range(MOST_RANGES))).ranges), MOST_RANGES)
        self.assertRaises(ImapError, parse, b",".join([b"1"] * (MOST_RANGES + 1)))

    def test_everything(self) -> None:
        """1:4294967295 costs what is there, not what it says."""
        uids = array("I", range(10, 100010, 10))
        for octets in (b"1:4294967295", b"1:*", b"*:1", b"1:4294967295,5:*"):
            [found] = parse(octets).within(uids)
            self.assertEqual((found.start, found.stop), (0, 10000))
        self.assertEqual(parse(b"4294967295").within(uids), [])
        self.assertEqual(parse(b"1:4294967295").up_to(10), [range(10)])

    def test_last(self) -> None:
        """`*` is the highest in use, where a number beyond it stands too; of nothing, nothing."""
        self.assertEqual(parse(b"5:*").pick([1, 2, 3]), [3])
        self.assertEqual(parse(b"*").pick([1, 2, 3]), [3])
        self.assertEqual(parse(b"*,1:*").pick([]), [])
        self.assertEqual(parse(b"559:*").up_to(3), [range(2, 3)])

    def test_in_use(self) -> None:
        for octets, count, fits in (
            (b"1:3", 3, True), (b"1:4", 3, False), (b"*", 3, True), (b"9:*", 3, True), (b"*", 0, False),
            (b"1", 0, False),
        ):
            self.assertEqual(parse(octets).reaches(count), fits, octets)

    @given(SETS, some.sets(some.integers(1, 32)).map(sorted))
    def test_any(self, ranges: list[tuple[int, int]], uids: list[int]) -> None:
        """The members are those of RFC 9051, each once and ascending."""
        read = parse(written(ranges))
        members = meant(ranges, uids[-1] if uids else 0)
        self.assertEqual(read.pick(uids), [uid for uid in uids if uid in members])
        self.assertEqual(read.pick(array("I", uids)), [uid for uid in uids if uid in members])
        count = len(uids)
        found = [index + 1 for each in read.up_to(count) for index in each]
        self.assertEqual(found, [number for number in range(1, count + 1) if number in meant(ranges, count)])


class WritingTests(SynchronousTestCase):
    def test_written(self) -> None:
        for numbers, octets in (
            ([], b""), ([5], b"5"), ([1, 2, 3, 7], b"1:3,7"), ([1, 3, 5], b"1,3,5"), ([4, 4, 5], b"4:5"),
            ([HIGHEST - 1, HIGHEST], b"4294967294:4294967295"), ([3, 2, 1], b"3,2,1"),
        ):
            self.assertEqual(spell(numbers), octets)

    @given(some.sets(some.integers(1, 60), min_size=1).map(sorted))
    def test_read_again(self, numbers: list[int]) -> None:
        self.assertEqual(parse(spell(numbers)).pick(range(1, 100)), numbers)
