"""What messages are sorted and threaded by: dates, subjects, ids, people."""

from __future__ import annotations

from email.utils import mktime_tz, parsedate_tz

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime import sorting
from mailserver.mime.dates import sent
from mailserver.mime.references import LONGEST, MOST, ids, message_id, references
from mailserver.mime.subject import base

DATES = (
    "Fri, 21 Nov 1997 09:55:06 -0600", "Tue, 1 Jul 2003 10:52:37 +0200", "Thu, 13 Feb 1969 23:32 -0330",
    "21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "24 Nov 2026 18:00:00 EST",
    "Mon, 29 Feb 2016 00:00:00 +1400", "Tue, 24 Nov 2026 18:00:00 +0900 (JST)", "1 Jan 2000 00:00:00",
    "Sat Jan  1 12:34:56 2000", "Wed, 17-Jul-1996 02:23:25 PDT",
)


class DateTests(SynchronousTestCase):
    def test_as_python(self) -> None:
        for text in DATES:
            parsed = parsedate_tz(text.replace("(comment)", "").replace("   55  :  ", "55:"))
            assert parsed is not None, text
            self.assertEqual(sent(text.encode()), mktime_tz((*parsed[:9], parsed[9] or 0)), text)

    def test_rfc_5256(self) -> None:
        """Midnight where there is no time, UTC where there is no zone that is one."""
        self.assertEqual(sent(b"1 Jan 1970"), 0)
        self.assertEqual(sent(b"1 Jan 1970 00:00:01 XYZ"), 1)
        self.assertEqual(sent(b"1 Jan 1970 00:00:01 A"), 1)
        self.assertEqual(sent(b"2 Jan 1970 00:00:00 +9999"), 86400)
        self.assertEqual((sent(b"1 Jan 70 0:0"), sent(b"1 Jan 100 0:0"), sent(b"1 Jan 49")), (0, 946684800, 2493072000))

    def test_impossible(self) -> None:
        for text in (
            b"", b"x", b"Fri", b"31 Feb 2020 00:00:00", b"0 Jan 2020", b"1 Foo 2020", b"1 Jan 2020 25:00:00",
            b"1 Jan 0000",
            b"1 Jan 2020 00:60:00", b"1 Jan 2020 00:00:61", b"99 Jan 99999 00:00", b"1 Jan", b"2020-01-01T00:00:00Z",
            b"\xff" * 1000, b"1" * 10**6, b"(" * 10**6, b"Mon, " * 10**5,
        ):
            self.assertIsNone(sent(text), text[:40])
        self.assertEqual(sent(b"31 Dec 9999 23:59:60 -2359"), 253402387140)

    @given(some.text("0123456789 :,+-JanDecGMT()", max_size=40))
    def test_nothing_raises(self, text: str) -> None:
        found = sent(text.encode())
        self.assertTrue(found is None or -10**11 < found < 10**12)


class SubjectTests(SynchronousTestCase):
    def test_base(self) -> None:
        """RFC 5256 2.1, step by step."""
        for subject, expected, is_reply in (
            ("hello", "hello", False), ("Re: hello", "hello", True), ("RE : Fwd:FW: hello (fwd) (FWD) ", "hello", True),
            ("[list] Re: [list] hello", "hello", True), ("Re[2]: hello", "hello", True), ("[a] hello", "hello", False),
            ("[a]", "[a]", False), ("[a] [b]", "[b]", False), ("Re: [a]", "[a]", True), ("Re:", "", True),
            ("", "", False),
            ("[fwd: hello]", "hello", True), ("[Fwd: Re: [fwd: [x] hello (fwd)]]", "hello", True),
            ("Reply: x", "Reply: x", False),
            ("a\t  b", "a b", False), ("Fwd hello", "Fwd hello", False), ("(fwd)", "", True), ("[fwd:]", "", True),
            ("Re: 会議の件", "会議の件", True), ("返信: 会議の件", "返信: 会議の件", False),
            ("【重要】会議", "【重要】会議", False),
            ("Ｒｅ：会議", "Ｒｅ：会議", False), ("AW: hallo", "AW: hallo", False), ("[a [b] c", "[a [b] c", False),
        ):
            self.assertEqual(base(subject), (expected, is_reply), subject)

    def test_hostile(self) -> None:
        """Without end, and in no time: only a beginning is looked at."""
        for subject in ("Re: ", "[a]", "[fwd: ", "(fwd)", " ", "[", "]", "re[", "[]"):
            self.assertLessEqual(len(base(subject * 10**5).subject), 1000)


class IdTests(SynchronousTestCase):
    def test_ids(self) -> None:
        self.assertEqual(ids(b"<a@b> <c@d>,\t< e@f > <a@b> text <open"), ("a@b", "c@d", "e@f"))
        self.assertEqual(ids(b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>'), ("01KF8JCEOCBS0045PS@xxx.yyy.com",))
        self.assertEqual(ids(b'<"a b"@c> <"a..b"@c> <"a\\b"@c>'), ('"a b"@c', '"a..b"@c', "ab@c"))
        self.assertEqual(ids("<雨@b>".encode() + b" <\xff@b>"), ("雨@b", "\ufffd@b"))

    def test_own(self) -> None:
        self.assertEqual((message_id({b"message-id": b"<a@b>"}), message_id({b"message-id": b"a@b"})), ("a@b", None))
        self.assertIsNone(message_id({b"message-id": b"<" + b"a" * 10**6 + b">"}))
        self.assertIsNone(message_id({b"message-id": b"<" + b"a" * (LONGEST + 1) + b">"}))

    def test_references(self) -> None:
        """In-Reply-To only where there are none, and of that the first."""
        self.assertEqual(references({b"references": b"<a@b> <c@d>", b"in-reply-to": b"<x@y>"}), ("a@b", "c@d"))
        self.assertEqual(references({b"in-reply-to": b"Your mail of Monday <x@y> <z@y>"}), ("x@y",))
        self.assertEqual(references({}), ())
        many = ids(b" ".join(b"<%d@b>" % each for each in range(10**5)))
        self.assertEqual((len(many), many[0], many[-1]), (MOST, "0@b", "99999@b"))


class KeyTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Alike where case, width and accents' composition differ."""
        self.assertEqual(sorting.key("Hello"), sorting.key("hELLO"))
        self.assertEqual(sorting.key("É"), sorting.key("e\u0301"))
        self.assertEqual(sorting.key("ﾃｽﾄ"), sorting.key("テスト"))
        self.assertLess(len(sorting.key("\ufdfa" * 10**6)), 10**4)

    def test_people(self) -> None:
        first = sorting.first(b"Us: =?utf-8?B?6Zuo?= <Rain@b>, c@d;")
        self.assertEqual((sorting.mailbox(first), sorting.display(first)), ("RAIN", "雨"))
        first = sorting.first(b"rain@b")
        self.assertEqual((sorting.mailbox(first), sorting.display(first)), ("RAIN", "RAIN@B"))
        for nothing in (None, b"", b"undisclosed:;", b"("):
            first = sorting.first(nothing)
            self.assertEqual((sorting.mailbox(first), sorting.display(first)), ("", ""))
