"""Answers, in octets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap import dates, flags, responses
from mailserver.imap.error import ImapError
from mailserver.imap.fetched import CLOSING, Rows, begun, item, opening
from mailserver.imap.flags import Flags
from mailserver.imap.found import Node, Outcome, esearch, search, thread
from mailserver.imap.listings import counted, listed, namespaces, quota, quota_roots, separator
from mailserver.imap.reader import Reader
from mailserver.imap.strings import LONGEST_QUOTED, astring, literal, literal8, mailbox, nstring, string


class StringTests(SynchronousTestCase):
    def test_strings(self) -> None:
        """In quotes where that can be."""
        for octets, utf8, written in (
            (b"", False, b'""'), (b"a b", False, b'"a b"'), (b'a"b\\', False, b'"a\\"b\\\\"'),
            (b"NIL", False, b'"NIL"'),
            (b"a\r\nb", False, b"{4}\r\na\r\nb"), (b"a\0b", False, b"{2}\r\nab"),
            ("ü".encode(), False, b"{2}\r\n\xc3\xbc"), ("ü".encode(), True, b'"\xc3\xbc"'),
            (b"\xff", True, b"{1}\r\n\xff"),
            (b"x" * (LONGEST_QUOTED + 1), False, b"{1025}\r\n" + b"x" * (LONGEST_QUOTED + 1)), (b"\t", False, b'"\t"'),
            (b"\x7f", False, b'"\x7f"'),
        ):
            self.assertEqual(string(octets, utf8), written)
        self.assertEqual(nstring(None), b"NIL")
        self.assertEqual(literal8(b"a\0"), b"~{2}\r\na\0")
        self.assertEqual(literal(b""), b"{0}\r\n")

    def test_atoms(self) -> None:
        for octets, written in (
            (b"INBOX", b"INBOX"), (b"a]b", b"a]b"), (b"nil", b'"nil"'), (b"a b", b'"a b"'), (b"a%", b'"a%"'),
            (b"a{", b'"a{"'),
        ):
            self.assertEqual(astring(octets), written)
        self.assertEqual(mailbox("日本語"), b"&ZeVnLIqe-")
        self.assertEqual(mailbox("日本語", utf8=True), '"日本語"'.encode())

    @given(some.binary(max_size=40), some.booleans())
    def test_read_again(self, octets: bytes, utf8: bool) -> None:
        """What is written is one string, and the same."""
        written = astring(octets, utf8)
        reader = Reader(written)
        self.assertEqual(reader.astring(), octets.replace(b"\0", b""))
        self.assertTrue(reader.ended)


class LineTests(SynchronousTestCase):
    def test_status(self) -> None:
        self.assertEqual(responses.status("OK", "done", tag="a1"), b"a1 OK done\r\n")
        self.assertEqual(responses.status("NO", "full", "OVERQUOTA", "a1"), b"a1 NO [OVERQUOTA] full\r\n")
        self.assertEqual(responses.status("BYE", ""), b"* BYE .\r\n")

    def test_no_line_of_its_own(self) -> None:
        """Whatever stands in a text: one line, no code, no escape."""
        self.assertEqual(responses.status("OK", "a\r\n* BYE\x1b[0m\0ü"), b"* OK a??* BYE?[0m??\r\n")
        self.assertEqual(responses.status("OK", "[ALERT] x"), b"* OK - [ALERT] x\r\n")
        self.assertEqual(responses.continuation("a\nb"), b"+ a?b\r\n")
        self.assertLess(len(responses.status("OK", "x" * 10_000)), 600)

    def test_failures(self) -> None:
        self.assertEqual(responses.failure(ImapError("no", "NO", "CANNOT", "a")), b"a NO [CANNOT] no\r\n")
        self.assertEqual(responses.failure(ImapError("no")), b"* BAD no\r\n")
        self.assertEqual(
            responses.failure(ImapError("no", code="TOOBIG", tag="a", fatal=True)), b"* BYE [TOOBIG] no\r\n"
        )

    def test_untagged(self) -> None:
        for written, octets in (
            (responses.capability(["IMAP4rev2", "IDLE"]), b"* CAPABILITY IMAP4rev2 IDLE\r\n"),
            (responses.enabled([]), b"* ENABLED\r\n"), (responses.enabled(["CONDSTORE"]), b"* ENABLED CONDSTORE\r\n"),
            (responses.identity([("name", "x"), ("os", None)]), b'* ID ("name" "x" "os" NIL)\r\n'),
            (responses.identity([]), b"* ID NIL\r\n"), (responses.exists(3), b"* 3 EXISTS\r\n"),
            (responses.recent(0), b"* 0 RECENT\r\n"), (responses.expunged(7), b"* 7 EXPUNGE\r\n"),
            (responses.flags(Flags(17, ("$Junk",))), b"* FLAGS (\\Seen \\Draft $Junk)\r\n"),
            (responses.permanent_flags(Flags(1), True), b"* OK [PERMANENTFLAGS (\\Seen \\*)] these stay\r\n"),
            (responses.vanished([300, 301, 405], True), b"* VANISHED (EARLIER) 300:301,405\r\n"),
            (responses.vanished([]), b""), (responses.challenge(b"\0x"), b"+ AHg=\r\n"),
            (responses.challenge(b""), b"+ \r\n"),
        ):
            self.assertEqual(written, octets)

    def test_mailboxes(self) -> None:
        for written, octets in (
            (listed("a b", ["\\HasNoChildren", "\\Sent"]), b'* LIST (\\HasNoChildren \\Sent) "/" "a b"\r\n'),
            (listed("日本語", verb=b"LSUB"), b'* LSUB () "/" &ZeVnLIqe-\r\n'),
            (listed("a", child_info=["SUBSCRIBED"]), b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED"))\r\n'),
            (listed("a", old_name="b c"), b'* LIST () "/" a ("OLDNAME" ("b c"))\r\n'),
            (separator(), b'* LIST (\\Noselect) "/" ""\r\n'),
            (counted("a", {"MESSAGES": 231, "MAILBOXID": "F2"}), b"* STATUS a (MESSAGES 231 MAILBOXID (F2))\r\n"),
            (namespaces(), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
            (namespaces(others=["Users/"], shared=["a/", "b/"]),
             b'* NAMESPACE (("" "/")) (("Users/" "/")) (("a/" "/")("b/" "/"))\r\n'),
            (quota("", {"STORAGE": (10, 512)}), b'* QUOTA "" (STORAGE 10 512)\r\n'),
            (quota_roots("INBOX", [""]), b'* QUOTAROOT INBOX ""\r\n'),
        ):
            self.assertEqual(written, octets)


class FoundTests(SynchronousTestCase):
    def test_esearch(self) -> None:
        """RFC 4731 3.1's and RFC 9394's examples."""
        for written, octets in (
            (esearch("A282", False, Outcome(2, 3, 5)), b'* ESEARCH (TAG "A282") MIN 2 MAX 3 COUNT 5\r\n'),
            (esearch("A", True, Outcome(all=[2, 10, 11])), b'* ESEARCH (TAG "A") UID ALL 2,10:11\r\n'),
            (esearch("A", True, Outcome(all=[], count=0)), b'* ESEARCH (TAG "A") UID COUNT 0\r\n'),
            (esearch("A", True, Outcome(partial=((-1, -9), []))), b'* ESEARCH (TAG "A") UID PARTIAL (-1:-9 NIL)\r\n'),
            (esearch("A", False, Outcome(all=[3, 1, 2], modseq=9)), b'* ESEARCH (TAG "A") ALL 3,1:2 MODSEQ 9\r\n'),
        ):
            self.assertEqual(written, octets)

    def test_search(self) -> None:
        self.assertEqual(search([]), b"* SEARCH\r\n")
        self.assertEqual(search([2, 5], 917), b"* SEARCH 2 5 (MODSEQ 917)\r\n")
        self.assertEqual(search([5, 2], verb=b"SORT"), b"* SORT 5 2\r\n")

    def test_thread(self) -> None:
        """RFC 5256 4's example."""
        self.assertEqual(
            thread([
                Node(2), Node(3, [Node(6, [Node(4, [Node(23)]), Node(44, [Node(7, [Node(96)])])])]),
                Node(0, [Node(3), Node(5)]),
            ]),
            b"* THREAD (2)(3 6 (4 23)(44 7 96))((3)(5))\r\n",
        )
        self.assertEqual(thread([]), b"* THREAD\r\n")

    def test_long_thread(self) -> None:
        """A hundred thousand answers, each to the one before."""
        node = Node(100_000)
        for number in range(99_999, 0, -1):
            node = Node(number, (node,) if number % 2 else (node, Node(7)))
        written = thread([node])
        self.assertEqual((written.count(b"("), written.count(b")")), (99_999, 99_999))


class RowTests(SynchronousTestCase):
    def test_line(self) -> None:
        rows = Rows([b"UID", b"FLAGS", b"MODSEQ", b"BODY[HEADER.FIELDS (A%B)]", b"BINARY.SIZE[1]", b"EMAILID"])
        self.assertEqual(
            rows.line(3, 17, flags.spell(1), 99, literal(b"x"), 5, b"M1"),
            b"* 3 FETCH (UID 17 FLAGS (\\Seen) MODSEQ (99) BODY[HEADER.FIELDS (A%B)] {1}\r\nx BINARY.SIZE[1] 5"
            b" EMAILID (M1))\r\n",
        )

    def test_lines(self) -> None:
        """Many at once are the same as one by one; columns of different lengths are a mistake."""
        rows = Rows([b"UID", b"INTERNALDATE"])
        moments = [dates.spell_date_time(86_400 * n) for n in range(3)]
        self.assertEqual(
            rows.lines(range(1, 4), [7, 8, 9], moments),
            b"".join(rows.line(n, n + 6, moments[n - 1]) for n in range(1, 4)),
        )
        self.assertRaises(ValueError, rows.lines, [1, 2], [1], [b"", b""])

    def test_in_pieces(self) -> None:
        self.assertEqual(
            opening(5) + item(b"UID", b"9") + b" " + begun(b"BODY[]", 3) + b"abc" + CLOSING,
            b"* 5 FETCH (UID 9 BODY[] {3}\r\nabc)\r\n",
        )
        self.assertEqual(begun(b"BINARY[1]", 3, is_binary=True), b"BINARY[1] ~{3}\r\n")
