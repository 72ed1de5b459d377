"""Search programs as trees: what they mean, and that none is deep or large."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.commands import keys
from mailserver.imap.commands.keys import (
    Addressed,
    All,
    And,
    Dated,
    HasFlag,
    HasKeyword,
    Header,
    InBody,
    InText,
    Key,
    Larger,
    ModSeq,
    Moment,
    Not,
    Numbers,
    Or,
    Recent,
    Uids,
    When,
)
from mailserver.imap.commands.program import DEEPEST, MOST_KEYS, PARSERS, PLAIN, read_program
from mailserver.imap.commands.search import Results, Search, Sort, Thread, UnknownCharset
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import SAVED
from mailserver.imap.numbers import parse as numbers
from mailserver.imap.reader import Reader
from tests.imap.heard import command, refused

SEEN, FLAGGED, DELETED = HasFlag(1), HasFlag(4), HasFlag(8)


def key(program: bytes) -> Key:
    search = command(b"SEARCH " + program)
    assert isinstance(search, Search)
    return search.key


def depth(tree: Key) -> int:
    if isinstance(tree, Not):
        return 1 + depth(tree.key)
    return 1 + max(map(depth, tree.keys)) if isinstance(tree, (And, Or)) else 1


class KeyTests(SynchronousTestCase):
    def test_rfc(self) -> None:
        """RFC 9051 6.4.4's examples."""
        self.assertEqual(
            key(b'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"'),
            And((FLAGGED, Dated(Moment.RECEIVED, When.SINCE, date(1994, 2, 1)), Not(Addressed("From", "Smith")))),
        )
        self.assertEqual(key(b'TEXT "string not in mailbox"'), InText("string not in mailbox"))
        self.assertEqual(
            key('CHARSET UTF-8 TEXT {12+}\r\nпривет'.encode()), InText("привет"),
        )

    def test_flags(self) -> None:
        self.assertEqual(key(b"SEEN UNDELETED"), And((SEEN, Not(DELETED))))
        self.assertEqual(key(b"KEYWORD $FORWARDED UNKEYWORD x"), And((HasKeyword("$Forwarded"), Not(HasKeyword("x")))))
        self.assertEqual(key(b"NEW"), And((Recent(), Not(SEEN))))
        self.assertEqual(key(b"OLD"), Not(Recent()))
        self.assertTrue(refused(b"SEARCH KEYWORD \\Seen").startswith("BAD"))

    def test_arguments(self) -> None:
        self.assertEqual(key(b'HEADER "X-Spam" ""'), Header("X-Spam", ""))
        self.assertEqual(key(b"LARGER 5 SENTBEFORE \"1-Feb-1994\""), And((
            Larger(5), Dated(Moment.SENT, When.BEFORE, date(1994, 2, 1))
        )))
        self.assertEqual(key(b"SAVEDON 1-Feb-1994"), Dated(Moment.SAVED, When.ON, date(1994, 2, 1)))
        self.assertEqual(key(b"OLDER 60"), keys.Older(60))
        self.assertEqual(key(b"YOUNGER 60 SMALLER 7"), And((keys.Younger(60), keys.Smaller(7))))
        self.assertEqual(key(b'MODSEQ "/flags/\\\\draft" all 620162338'), ModSeq(620162338))
        self.assertEqual(key(b"MODSEQ 0"), ModSeq(0))
        self.assertEqual(key(b"EMAILID M6d THREADID T64"), And((keys.EmailId("M6d"), keys.ThreadId("T64"))))
        self.assertEqual(key(b"SAVEDATESUPPORTED"), keys.SaveDateSupported())
        self.assertEqual(key(b"SUBJECT x BODY y"), And((Addressed("Subject", "x"), InBody("y"))))

    def test_numbers(self) -> None:
        self.assertEqual(key(b"2:4 UID 5,*"), And((Numbers(numbers(b"2:4")), Uids(numbers(b"5,*")))))
        self.assertEqual(key(b"$ UID $"), And((Numbers(SAVED), Uids(SAVED))))
        self.assertEqual(key(b"*"), Numbers(numbers(b"*")))

    def test_brackets(self) -> None:
        """Or and And take each other in, where they say the same."""
        self.assertEqual(key(b"OR SEEN (FLAGGED DELETED)"), Or((SEEN, And((FLAGGED, DELETED)))))
        self.assertEqual(key(b"(SEEN (FLAGGED)) DELETED"), And((SEEN, FLAGGED, DELETED)))
        self.assertEqual(key(b"OR OR SEEN FLAGGED OR DELETED ALL"), Or((SEEN, FLAGGED, DELETED, All())))
        self.assertEqual(key(b"NOT NOT NOT SEEN"), Not(SEEN))
        self.assertEqual(key(b"NOT UNSEEN"), SEEN)
        self.assertEqual(key(b"NOT (SEEN FLAGGED)"), Not(And((SEEN, FLAGGED))))
        self.assertEqual(key(b"((ALL))"), All())

    def test_bad(self) -> None:
        for program in (
            b"", b"(", b")", b"()", b"(ALL", b"ALL)", b"OR ALL", b"OR", b"NOT", b"NOT )", b"X", b"ALL  ALL",
            b"OR (ALL) ",
            b"FROM", b"FROM ", b"FROM (", b"BEFORE x", b"BEFORE 31-Feb-2000", b"LARGER x", b"LARGER -1", b"UID",
            b"UID x",
            b"MODSEQ", b"MODSEQ x", b'MODSEQ "/flags/x" some 1', b"OLDER 0", b"0", b"1:", b"HEADER a", b'FROM "\xff"',
            b"CHARSET UTF-8", b"KEYWORD", b"ALL(ALL)", b"(ALL)(ALL)", b"$ $1", b"\xb2",
            b"FROM {9+}\r\nx",
        ):
            self.assertTrue(refused(b"SEARCH " + program.replace(b"{9+}\r\nx", b"(")).startswith("BAD"), program)

    def test_charsets(self) -> None:
        """What a client may write in, and no codec that is none."""
        for charset, octets in (
            (b"ISO-2022-JP", "日本".encode("iso2022_jp")), (b"shift_jis", "日本".encode("cp932")),
            (b"EUC-JP", "日本".encode("euc_jp")), (b"utf-8", "日本".encode()),
        ):
            literal = b"{%d+}\r\n" % len(octets) + octets
            self.assertEqual(key(b"CHARSET " + charset + b" SUBJECT " + literal), Addressed("Subject", "日本"))
        for charset in (b"idna", b"unicode_escape", b"zlib_codec", b"utf-7", b"punycode", b"undefined", b"\xff"):
            self.assertEqual(command(b'SEARCH CHARSET "' + charset + b'" ALL'), UnknownCharset())
            saved = command(b'UID SEARCH RETURN (SAVE) CHARSET "' + charset + b'" TEXT ?')
            self.assertEqual(saved, UnknownCharset(Results(frozenset({"SAVE"}))))
        self.assertTrue(refused(b'SEARCH CHARSET US-ASCII SUBJECT "\xc3\xbc"').startswith("BAD"))


class LimitTests(SynchronousTestCase):
    def test_not(self) -> None:
        """Ten thousand NOT are too many; as many as may be are one or none."""
        self.assertEqual(refused(b"SEARCH " + b"NOT " * 10_000 + b"ALL"), "BAD too many search keys")
        self.assertEqual(key(b"NOT " * (MOST_KEYS - 1) + b"ALL"), Not(All()))
        self.assertEqual(key(b"NOT " * (MOST_KEYS - 2) + b"ALL"), All())

    def test_or(self) -> None:
        """Clients search for many addresses so."""
        count = MOST_KEYS // 2
        self.assertEqual(key(b"OR ALL " * (count - 1) + b"ALL"), Or((All(),) * count))
        self.assertEqual(key(b"OR " * (count - 1) + b"ALL " * (count - 1) + b"ALL"), Or((All(),) * count))

    def test_deep(self) -> None:
        """What is deep in earnest is refused; what is so only in writing is not deep."""
        for opening, closing in ((b"NOT (SEEN ", b")"), (b"OR SEEN (FLAGGED ", b")"), (b"OR SEEN NOT ", b"")):
            for count in (DEEPEST // 2 - 2, DEEPEST):
                program = opening * count + b"DELETED" + closing * count
                if count == DEEPEST:
                    self.assertEqual(refused(b"SEARCH " + program), "BAD search keys are nested too deeply")
                else:
                    self.assertLessEqual(depth(key(program)), DEEPEST)
        self.assertEqual(key(b"(" * 500 + b"SEEN" + b")" * 500), SEEN)
        self.assertEqual(refused(b"SEARCH " + b"(" * 100_000), "BAD too many search keys")

    @settings(deadline=None)
    @given(some.lists(some.sampled_from([b"NOT ", b"OR ", b"(", b")", b" ", b"SEEN", b"ALL ", b"1"]), max_size=80))
    def test_any(self, words: list[bytes]) -> None:
        """A tree that is not deep, or an error."""
        try:
            tree = read_program(Reader(b"".join(words)))
        except ImapError:
            return
        self.assertLessEqual(depth(tree), DEEPEST + 3)

    def test_each(self) -> None:
        """Every key without an argument, and with one that it may not like."""
        for word in (*PLAIN, *PARSERS):
            for argument in (b"", b" ", b" x", b" 1", b" (", b' "', b" 1-Feb-1994", b" x y", b" \xff"):
                try:
                    read_program(Reader(word.encode() + argument))
                except ImapError:
                    pass


class CommandTests(SynchronousTestCase):
    def test_results(self) -> None:
        """RFC 4731's, RFC 5182's and RFC 9394's; nothing is ALL."""
        for words, results in (
            (b"(MIN COUNT)", Results(frozenset({"MIN", "COUNT"}))), (b"()", Results(frozenset({"ALL"}))),
            (b"(SAVE)", Results(frozenset({"SAVE"}))), (b"(PARTIAL -1:-100)", Results(frozenset(), (-1, -100))),
            (b"(all max PARTIAL 1:5)", None), (b"(X)", None), (b"(PARTIAL)", None),
        ):
            line = b"UID SEARCH RETURN " + words + b" CHARSET UTF-8 ALL"
            if results is None:
                self.assertTrue(refused(line).startswith("BAD"))
            else:
                self.assertEqual(command(line), Search(All(), True, results))
        self.assertEqual(command(b"SEARCH ALL"), Search(All()))

    def test_sort(self) -> None:
        """RFC 5256's example, and RFC 5267's."""
        self.assertEqual(
            command(b"SORT (SUBJECT REVERSE DATE) UTF-8 ALL"), Sort((("SUBJECT", False), ("DATE", True)), All())
        )
        self.assertEqual(
            command(b"UID SORT RETURN (COUNT) (DISPLAYFROM) US-ASCII UNSEEN"),
            Sort((("DISPLAYFROM", False),), Not(SEEN), True, Results(frozenset({"COUNT"}))),
        )
        for line in (
            b"SORT () UTF-8 ALL", b"SORT (X) UTF-8 ALL", b"SORT (REVERSE) UTF-8 ALL",
            b"SORT DATE UTF-8 ALL",
            b"SORT (DATE) UTF-8", b"SORT (" + b" ".join([b"DATE"] * 19) + b") UTF-8 ALL",
        ):
            self.assertNotEqual(refused(line), "", line)
        self.assertEqual(command(b"SORT (DATE) ALL"), UnknownCharset())

    def test_thread(self) -> None:
        self.assertEqual(
            command(b"THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000"),
            Thread("ORDEREDSUBJECT", Dated(Moment.RECEIVED, When.SINCE, date(2000, 3, 5))),
        )
        self.assertEqual(command(b"uid thread references utf-8 all"), Thread("REFERENCES", All(), True))
        self.assertTrue(refused(b"THREAD X UTF-8 ALL").startswith("BAD"))
