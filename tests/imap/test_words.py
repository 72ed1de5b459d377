"""Flags and dates, read and written."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver import interfaces
from mailserver.imap import flags
from mailserver.imap.dates import EARLIEST, LATEST, read_date, read_date_time, spell_date_time
from mailserver.imap.error import ImapError
from mailserver.imap.flags import LONGEST_KEYWORD, MOST_KEYWORDS, Flags, collect


class FlagTests(SynchronousTestCase):
    def test_bits(self) -> None:
        """The same as those of the stores."""
        for name, bit in flags.SYSTEM.items():
            self.assertEqual(getattr(interfaces, name[1:].upper()), bit)

    def test_collected(self) -> None:
        """System flags have no case; nor have keywords, but the first spelling stays, and known ones have theirs."""
        self.assertEqual(collect(["\\seen", "\\DRAFT"]), Flags(17))
        self.assertEqual(collect(["Work", "$JUNK", "work", "\\Seen"]), Flags(1, ("Work", "$Junk")))
        self.assertEqual(collect([]), flags.NONE)

    def test_refused(self) -> None:
        for word in (
            "\\Recent", "\\recent", "\\*", "\\Foo", "\\", "", "a b", "a(b", "ü", 'a"', "x" * (LONGEST_KEYWORD + 1),
        ):
            self.assertRaises(ImapError, collect, [word])
        collect(f"k{number}" for number in range(MOST_KEYWORDS))
        self.assertRaises(ImapError, collect, (f"k{number}" for number in range(MOST_KEYWORDS + 1)))

    def test_written(self) -> None:
        self.assertEqual(flags.spell(0), b"()")
        self.assertEqual(flags.spell(31), b"(\\Seen \\Answered \\Flagged \\Deleted \\Draft)")
        self.assertEqual(flags.spell(1, ("$Junk", "a")), b"(\\Seen $Junk a)")
        self.assertEqual(flags.spell(4, recent=True), b"(\\Flagged \\Recent)")


class DateTests(SynchronousTestCase):
    def test_dates(self) -> None:
        self.assertEqual(read_date(b"1-Feb-1994"), date(1994, 2, 1))
        self.assertEqual(read_date(b"29-FEB-2000"), date(2000, 2, 29))
        for octets in (b"29-Feb-1900", b"0-Jan-2000", b"1-Foo-2000", b"1-Feb-94", b"1-2-1994", b"", b"1-Feb-0000",
                       b" 1-Feb-1994", b"1-Feb-1994 "):
            self.assertRaises(ImapError, read_date, octets)

    def test_moments(self) -> None:
        """RFC 9051's, with and without the space of a day of one digit."""
        for octets, seconds in (
            (b"17-Jul-1996 02:44:25 -0700", 837596665), (b" 1-Jan-1970 00:00:00 +0000", 0),
            (b"1-Jan-1970 01:00:00 +0100", 0), (b"31-Dec-1969 23:59:59 +0000", -1),
            (b"30-Jun-2015 23:59:60 +0000", 1435708800), (b"01-Jan-0001 00:00:00 +0000", EARLIEST),
        ):
            self.assertEqual(read_date_time(octets), seconds)
        for octets in (
            b"17-Jul-1996 24:44:25 -0700", b"17-Jul-1996 02:60:25 -0700", b"17-Jul-1996 02:44:61 -0700",
            b"17-Jul-1996 02:44:25 -2400", b"17-Jul-1996 02:44:25 +0060", b"17-Jul-1996 02:44:25", b"17-Jul-1996",
            b"17-Jul-1996 02:44:25 GMT", b"00-Jul-1996 02:44:25 +0000", b"", b"31-Feb-1996 00:00:00 +0000",
            b"01-Jan-0001 00:00:00 +9999", b"01-Jan-0000 00:00:00 +0000",
        ):
            self.assertRaises(ImapError, read_date_time, octets)

    def test_written(self) -> None:
        self.assertEqual(spell_date_time(837596665.9), b'"17-Jul-1996 09:44:25 +0000"')
        self.assertEqual(spell_date_time(0), b'" 1-Jan-1970 00:00:00 +0000"')
        self.assertEqual(spell_date_time(-1), b'"31-Dec-1969 23:59:59 +0000"')
        for far in (1e300, -1e300, LATEST + 1):
            self.assertEqual(len(spell_date_time(far)), 28)

    @given(some.integers(EARLIEST, LATEST))
    def test_there_and_back(self, seconds: int) -> None:
        written = spell_date_time(seconds)
        self.assertEqual(read_date_time(written.strip(b'"')), seconds)
        self.assertEqual(read_date(written[1:12].strip()).toordinal(), 1 + (seconds - EARLIEST) // 86400)
