"""No wire's work grows faster than what is said to it."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.errors import BadAddress
from mailserver.header import remove_fields
from mailserver.imap.commands.table import PARSERS, State
from mailserver.imap.error import ImapError
from mailserver.imap.limits import Limits
from mailserver.imap.names import read
from mailserver.imap.numbers import parse
from mailserver.imap.patterns import Pattern
from mailserver.imap.reader import Reader
from mailserver.pop3 import multiline
from mailserver.smtp.dots import Unstuffer
from mailserver.smtp.lines import SmtpError
from mailserver.smtp.sevenbit import Conversion, NotConvertible, Survey, converted
from mailserver.smtp.stuffing import Stuffer
from mailserver.smtp.syntax import parse_command
from mailserver.tlsrpt.parts import report_in
from mailserver.tlsrpt.reading import BadReport, read_report
from tests.fuzz import imap, pop3, smtp_client, smtp_server
from tests.fuzz.choices import Choices
from tests.fuzz.growth import MOST, grows

PARTS = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
DEEP = b"".join(PARTS.replace(b"=b", b"=b%d" % n) + b"--b%d\r\n" % n for n in range(50)) + b"\r\n\xff"
MESSAGE = b"EHLO x\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\n"


def command(line: bytes) -> None:
    """A command, whatever it is; longer than any that a wire lets through."""
    try:
        parse_command(line)
    except SmtpError:
        pass


def address(octets: bytes) -> None:
    try:
        Address.parse(octets.decode("latin-1"))
    except BadAddress:
        pass


def session(octets: bytes) -> None:
    """A whole session's octets in one piece, with room for a content of any size."""
    played = smtp_server.Session(Choices(b""))
    played.wire = type(played.wire)(1 << 30)
    played.most = 1 << 30
    played.hear([octets])


def unstuffed(octets: bytes) -> None:
    """In pieces as they come from a socket."""
    unstuffer = Unstuffer()
    for start in range(0, len(octets), 1460):
        unstuffer.feed(octets[start : start + 1460])


def stuffed(octets: bytes) -> None:
    stuffer = Stuffer()
    for start in range(0, len(octets), 1460):
        stuffer.feed(octets[start : start + 1460])


def retrieved(octets: bytes) -> None:
    stuffer, top = multiline.Stuffer(), multiline.Top(10**9)
    for start in range(0, len(octets), 1460):
        stuffer.feed(octets[start : start + 1460])
        top.feed(octets[start : start + 1460])


def reported(octets: bytes) -> None:
    """A report, in a mail and alone."""
    for work in (report_in, read_report):
        try:
            work(octets)
        except BadReport:
            pass


def seven(octets: bytes, binary: bool = False) -> None:
    """For a server that takes nothing beyond ASCII."""
    try:
        converted(octets, False, binary)
    except NotConvertible:
        pass


def seven_of_binary(octets: bytes) -> None:
    seven(octets, True)


def seven_in_pieces(octets: bytes) -> None:
    """As a large one is read, twice; what is made of it is sent at once."""
    survey = Survey()
    for start in range(0, len(octets), 1460):
        survey.feed(octets[start : start + 1460])
    try:
        plan = survey.end()
    except NotConvertible:
        return
    if plan is not None:
        conversion = Conversion(plan)
        for start in range(0, len(octets), 1460):
            conversion.feed(octets[start : start + 1460])
        conversion.end()


def used(work: Callable[[bytes], object], octets: bytes) -> tuple[int, int]:
    """How many calls it made, and how many octets of memory it had at once."""
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work(octets)
    finally:
        sys.setprofile(None)
    tracemalloc.start()
    try:
        work(octets)
        return calls, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def imap_command(octets: bytes) -> None:
    """The rest of a command behind its name, longer than any that a wire lets through."""
    name, _, arguments = octets.partition(b"|")
    try:
        PARSERS[name.decode()](Reader(arguments))
    except ImapError:
        pass


def imap_session(octets: bytes) -> None:
    """In pieces as they come from a socket, with room for commands of any size."""
    played = imap.Session(Choices(b""))
    played.wire = type(played.wire)(Limits(1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30))
    played.wire.state = State.SELECTED
    for start in range(0, len(octets), 1460):
        played.wire.receive(octets[start : start + 1460])
        try:
            while (event := played.wire.next()) is not None:
                played.meet(event)
        except ImapError:
            pass


def imap_name(octets: bytes) -> None:
    for utf8 in (True, False):
        try:
            read(octets, utf8)
        except ImapError:
            pass


def imap_set(octets: bytes) -> None:
    try:
        parse(octets).pick(range(1, 1000))
    except ImapError:
        pass


class GrowthTests(SynchronousTestCase):
    def check(self, work: Callable[[bytes], object], *patterns: bytes, head: bytes = b"") -> None:
        for pattern in patterns:
            times = grows(work, pattern, head)
            self.assertLess(times, MOST, f"{work.__name__} of {head[:40]!r} and many {pattern!r}")

    def test_tls_reports(self) -> None:
        head = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        self.check(reported, b"--x\r\n\r\na\r\n", b"--x\r\n" + head, b"\r\n--", head=head)
        self.check(reported, b"Content-Type: a;\r\n ", b";boundary", b"\r\n\t", head=b"Content-Type: multipart/x")
        self.check(reported, b"[", b"{},", b'"\\u0041",', b"9", head=b'{"policies":[')

    def test_what_is_quadratic_is_noticed(self) -> None:
        """However cheap each step of it is."""
        self.assertGreater(grows(lambda said: [said[place:] for place in range(0, len(said), 64)], b"x"), MOST)

    def test_commands(self) -> None:
        self.check(command, b"<", b'"', b"\\", b"@a,", b" A", head=b"MAIL FROM:<")
        self.check(command, b" X=1", b"=", b" ", head=b"RCPT TO:<a@b.org>")
        self.check(command, b" ", b"A", head=b"AUTH PLAIN ")
        self.check(command, b"+41", b"a", b"+", head=b"MAIL FROM:<> ENVID=")
        self.check(command, b"\\x{41}", b"a", b"\\", head=b"RCPT TO:<a@b.org> ORCPT=utf-8;")
        self.check(command, b"a:", b"a:b,", b".", head=b"MAIL FROM:<> SOLICIT=a:")
        self.check(command, b" NAME=x", b"+41", head=b"XCLIENT ADDR=")
        self.check(command, b"A", b" ", b"\xff")

    def test_addresses(self) -> None:
        self.check(address, b"a", b"a.", b"a@", b"\\\\", b"-", b"\xe9")
        self.check(address, b"a.", b"a", b"-", b"xn--", b"\xe9.", head=b"x@")
        self.check(address, b"a", b"\\", b" ", head=b'"')

    def test_sessions(self) -> None:
        self.check(session, b"NOOP\r\n", b"RSET\r\n", b"\r\n", b"MAIL FROM:<a@b.org>\r\nRSET\r\n", head=b"EHLO x\r\n")
        self.check(session, b"RCPT TO:<c@d.org>\r\n", b"RCPT TO:<\r\n", head=MESSAGE)
        self.check(session, b"x", b".", b"\r\n.", b"\r\n..\r\n", b"\n", b"\r", b"x\r\n", head=MESSAGE + b"DATA\r\n")
        self.check(session, b"BDAT 1\r\nx", b"BDAT 0\r\n", b"BDAT 2\r\n\r\n", head=MESSAGE)
        self.check(session, b"x", b"\r\n", b"\n", head=MESSAGE + b"BDAT 100000000 LAST\r\n")
        self.check(session, b"DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.org>\r\n", head=MESSAGE)

    def test_contents(self) -> None:
        for work in (unstuffed, stuffed, retrieved):
            self.check(work, b"x", b".", b"\r\n.", b"\r\n..", b"\n", b"\r", b"\r\n", b"\0")

    def test_less_than_8_bits(self) -> None:
        """In whatever they consist, and in pieces of which each ends somewhere."""
        for work in (seven, seven_of_binary, seven_in_pieces):
            self.check(work, b"\xff", b"\xff\r\n", b"\n", b"\r", b"=\xff", head=b"Subject: x\r\n\r\n\xff")
            self.check(work, b"\r\n x", b";a=b", b'"', b"\\x", head=b"X: \xff\r\nContent-Type: multipart/mixed")
            self.check(work, b"--b\r\n\r\n\xff\r\n", b"--b\r\n", b"\r\n--", b"\r\n--b--", head=PARTS)
            self.check(work, b"Content-Type: message/rfc822\r\n\r\n", PARTS + b"--b\r\n")
            self.check(work, b"\r\n--b", b"\r\n--b49\r\n\r\n\xff", head=DEEP)

    def test_memory_for_less_than_8_bits(self) -> None:
        """Twice the octets, at most three times the calls and the memory; in pieces no more memory."""
        for head, pattern in (
            (b"Subject: x\r\n\r\n", b"\xff\r\n"), (b"Subject: x\r\n\r\n\xff", b"\n"), (PARTS, b"--b\r\n\r\n\xff\r\n"),
            (b"X: \xff\r\nContent-Type: a", b"\r\n x"), (DEEP, b"\r\n--b"),
        ):
            for work in (seven, seven_of_binary, seven_in_pieces):
                (calls, once), (more_calls, twice) = (
                    used(work, head + pattern * (count // len(pattern))) for count in (25_000, 50_000)
                )
                self.assertLess(more_calls, 3 * calls + 100, (work.__name__, pattern))
                self.assertLess(twice, 3 * once + 20_000, (work.__name__, pattern))
                if work is seven_in_pieces:
                    self.assertLess(twice, once + 20_000, pattern)

    def test_pop3(self) -> None:
        self.check(lambda said: pop3.play([said], Choices(b"")), b"NOOP\r\n", b"\r\n", b"RETR 1\r\n", b"XYZZY\r\n")
        self.check(lambda said: pop3.play([said], Choices(b"")), b"AUTH PLAIN\r\nAA\r\n", b"x" * 300 + b"\r\n")

    def test_imap_commands(self) -> None:
        self.check(imap_command, b"(", b"NOT ", b"OR ", b"OR ALL ", b"ALL ", b'FROM "x" ', b'"', head=b"SEARCH| ")
        self.check(imap_command, b"FLAGS ", b"BODY[", b"1.", b'"\\"', b'"\\\\', head=b"FETCH| 1 (")
        self.check(imap_command, b"1,", b"9", b":", b"*,", b"3:1,", head=b"FETCH| 1,")
        self.check(imap_command, b"x ", b'"x" ', b'"\\\\" ', b"{1}\r\nx ", head=b'LIST| "" (')
        self.check(imap_command, b"\\Seen ", b"x", b"x ", head=b"STORE| 1 FLAGS (")
        self.check(imap_command, b'"a" "b" ', b'"a', b"\\", head=b"ID| (")

    def test_imap_sessions(self) -> None:
        self.check(imap_session, b"a NOOP\r\n", b"\r\n", b"a X {3+}\r\nabc\r\n", b"a IDLE\r\nDONE\r\n", b"x")
        self.check(imap_session, b"{1+}\r\nx", b"{0+}\r\n", b"{3+}\r\nabc ", b"{", b"\r", b"x", head=b"a SEARCH ")
        self.check(imap_session, b"x", b" {3+}\r\nabc", b"\r\n", b"{", head=b"a APPEND x {3+}\r\nabc")
        self.check(imap_session, b"x", b"\0", b"\r\n", head=b"a APPEND x {1000000000}\r\n")

    def test_imap_words(self) -> None:
        self.check(imap_name, b"x", b"/", b"&-", b"&APw-", b"&", b"a&", b"\xcc\x88", b"\xff")
        self.check(imap_set, b"1,", b"1:*,", b"5:4294967295,", b"*", b":")
        self.check(lambda said: Pattern("*%" * 400 + "x").matches(said.decode()), b"a", b"a/", b"/")

    def test_replies(self) -> None:
        self.check(lambda said: smtp_client.read([said]), b"250 x\r\n", b"250-x\r\n250 y\r\n", b"\n")

    def test_headers(self) -> None:
        removals = [("X-Old", None), ("Subject", 3)]
        for pattern in (b"X: 1\r\n", b"X-Old: 1\r\n", b"x", b" x", b"\r\n ", b"\r", b"\n", b"\r\r\n", b":", b"x\r"):
            self.check(lambda header: remove_fields(header, removals), pattern)
