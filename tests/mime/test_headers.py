"""Fields as they came."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.headers import LONGEST_VALUE, collect, fields, unfolded

HEADER = (
    b"From: a\r\nto : b,\r\n\tc\r\nno field\r\n with more\r\nTO:d\r\nX-Empty:\r\nFrom: e\r\n: x\r\nBare: f\nLast: g"
)
WANTED = frozenset((b"from", b"to", b"x-empty", b"last", b"missing"))


class FieldTests(SynchronousTestCase):
    def test_ranges(self) -> None:
        """Every octet of a field is its own: case, folding, duplicates and white space are kept."""
        found = list(fields(HEADER, 0, len(HEADER)))
        self.assertEqual(
            [HEADER[each.start : each.end] for each in found],
            [
                b"From: a\r\n", b"to : b,\r\n\tc\r\n", b"TO:d\r\n", b"X-Empty:\r\n", b"From: e\r\n", b"Bare: f\n",
                b"Last: g",
            ],
        )
        self.assertEqual([each.name for each in found], [b"from", b"to", b"to", b"x-empty", b"from", b"bare", b"last"])
        self.assertEqual(HEADER[found[1].value : found[1].end], b" b,\r\n\tc\r\n")

    def test_part_of_a_message(self) -> None:
        """Nothing before or behind is looked at."""
        start = HEADER.index(b"TO:")
        self.assertEqual([each.name for each in fields(HEADER, start, start + 6)], [b"to"])
        self.assertEqual(list(fields(HEADER, 0, 0)), [])
        self.assertEqual(len(list(fields(b"A: b\r\n" * 100, 0, 600, most=7))), 7)

    def test_collect(self) -> None:
        """Of lists all, of others the first."""
        self.assertEqual(
            collect(HEADER, 0, len(HEADER), WANTED, 1000),
            {b"from": b"a", b"to": b"b,\tc, d", b"x-empty": b"", b"last": b"g"},
        )

    def test_bounds(self) -> None:
        """What is too long ends at a comma, and all together keep to what there is room for."""
        long = b"To: " + b"a@b.example, " * 100_000 + b"\r\n"
        value = collect(long, 0, len(long), WANTED, 1 << 20)[b"to"]
        self.assertTrue(LONGEST_VALUE - 20 < len(value) <= LONGEST_VALUE)
        self.assertTrue(value.endswith(b"a@b.example"), value[-30:])
        several = b"From: " + b"x" * 90 + b"\r\nTo: " + b"y" * 90 + b"\r\nTo: z\r\n"
        self.assertLessEqual(sum(map(len, collect(several, 0, len(several), WANTED, 100).values())), 100)
        many = b"To: a@b.c\r\n" * 10_000
        self.assertLess(len(collect(many, 0, len(many), WANTED, 1 << 20)[b"to"]), LONGEST_VALUE + 10)

    def test_unfolded(self) -> None:
        """No line end and no NUL is left, whatever stood there."""
        for value, expected in (
            (b" a\r\n b\r\n", b"a b"), (b"a\n\tb", b"a\tb"), (b"a\r\n\r\n b", b"a   b"), (b"a\rb\0c", b"a b c"),
            (b"", b""),
        ):
            self.assertEqual(unfolded(value), expected)
