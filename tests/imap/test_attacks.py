"""What somebody tries who means harm: each costs him an answer, and nobody else anything."""

from __future__ import annotations

from array import array

from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.commands.connection import Login, Noop, StartTls
from mailserver.imap.commands.fetch import Fetch
from mailserver.imap.commands.listing import List
from mailserver.imap.commands.mailboxes import Create, Select
from mailserver.imap.commands.table import State
from mailserver.imap.error import ImapError
from mailserver.imap.events import Piece, Request
from mailserver.imap.limits import MEBI, after_login
from mailserver.imap.patterns import Pattern
from mailserver.imap.wire import ServerWire
from tests.imap.heard import command, hear, refused

NEW, IN = State.NOT_AUTHENTICATED, State.SELECTED
NOOP = b"z NOOP\r\n"


def said(octets: bytes, state: State = IN) -> list[str]:
    """Conditions and codes of the errors, and the tags of what was understood."""
    return [
        each.tag if isinstance(each, Request) else " ".join(each[1:3]).strip() if isinstance(each, tuple) else "?"
        for each in hear([octets], state)
    ]


class LiteralTests(SynchronousTestCase):
    def test_four_gigabytes(self) -> None:
        """Refused before they come; nothing is kept for them."""
        for size in (b"4294967296", b"4294967295", b"18446744073709551616", b"9" * 25):
            for line in (b"SELECT ", b"SEARCH SUBJECT ", b"LIST \"\" ", b"STORE 1 FLAGS ", b"LOGIN "):
                state = NEW if line == b"LOGIN " else IN
                self.assertEqual(said(b"a " + line + b"{%b}\r\n" % size + NOOP, state), ["BAD TOOBIG", "z"])
                self.assertEqual(said(b"a " + line + b"{%b+}\r\n" % size + NOOP, state), ["BYE TOOBIG"])
            self.assertEqual(said(b"a APPEND x {%b}\r\n" % size + NOOP), ["NO TOOBIG", "z"])
            self.assertEqual(said(b"a APPEND x {%b+}\r\n" % size + NOOP), ["BYE TOOBIG"])

    def test_negative(self) -> None:
        """No number, so no literal: what follows is the next command."""
        for marker in (b"{-1}", b"{-1+}", b"{+1}", b"{ 1}", b"{0x1}", b"{1-}", b"{1++}", b"{}", b"{\xb2}", b"{1"):
            for line in (b"SELECT ", b"APPEND x ", b"LOGIN "):
                self.assertEqual(
                    said(b"a " + line + marker + b"\r\n" + NOOP, NEW if b"LOGIN" in line else IN), ["BAD", "z"]
                )

    def test_unauthenticated(self) -> None:
        """A stranger has literals for a name and a password, of a few octets, and no others."""
        for line in (b"APPEND x {10}", b"SELECT {10}", b"ID ({10}", b"AUTHENTICATE {10}", b"NOOP {10}", b"XYZZY {10}"):
            self.assertEqual(said(b"a " + line + b"\r\n" + NOOP, NEW)[-1], "z")
            self.assertTrue(said(b"a " + line + b"\r\n" + NOOP, NEW)[0].startswith("BAD"))
        self.assertEqual(said(b"a LOGIN {4097}\r\n" + NOOP, NEW), ["BAD TOOBIG", "z"])
        self.assertEqual(said(b"a LOGIN {4097+}\r\n" + b"x" * 4097 + b" y\r\n" + NOOP, NEW), ["BAD TOOBIG", "z"])
        self.assertEqual(said(b"a LOGIN {100000+}\r\n", NEW), ["BYE TOOBIG"])

    def test_swallowed(self) -> None:
        """200 MiB that nobody wants pass by without being kept."""
        wire = ServerWire(after_login(message=64 * MEBI))
        wire.state = IN
        wire.receive(b"a APPEND x {209715200+}\r\n")
        for _ in range(3200):
            self.assertIsNone(wire.next())
            wire.receive(bytes(65536))
            self.assertLessEqual(wire.buffered, 65536)
        wire.receive(b"\r\n" + NOOP)
        error = self.assertRaises(ImapError, wire.next)
        self.assertEqual((error.tag, error.condition, error.code), ("a", "NO", "TOOBIG"))
        self.assertEqual(wire.next(), Request("z", Noop()))

    def test_many(self) -> None:
        """A hundred thousand empty ones are too much of one command, not too much work."""
        self.assertEqual(said(b"a SEARCH " + b"{0+}\r\n" * 100_000 + b"\r\n" + NOOP)[0].split()[0], "BAD")

    def test_byte_by_byte(self) -> None:
        """Slow senders are kept short too."""
        wire = ServerWire()
        wire.receive(b"a LOGIN {4000+}\r\n")
        for _ in range(3999):
            wire.receive(b"x")
            self.assertIsNone(wire.next())
        wire.receive(b"x y\r\n")
        self.assertEqual(wire.next(), Request("a", Login("x" * 4000, "y")))


class NestingTests(SynchronousTestCase):
    def test_brackets(self) -> None:
        """A million of them, wherever some may be: no recursion, no memory."""
        for line in (
            b"SEARCH ", b"SEARCH NOT ", b"UID SEARCH RETURN ", b"SORT ", b"FETCH 1 ", b"STATUS x ", b'LIST "" ',
            b"LIST ",
            b"STORE 1 FLAGS ", b"ID ", b"SELECT x ", b"SELECT x (QRESYNC ", b"CREATE x ", b"APPEND x ", b"SETQUOTA x ",
        ):
            for count in (1000, 100_000, 1_000_000):
                self.assertEqual(said(b"a " + line + b"(" * count + b"\r\n" + NOOP)[0].split()[0], "BAD")

    def test_not(self) -> None:
        for count in (1000, 10_000, 50_000):
            self.assertEqual(said(b"a SEARCH " + b"NOT " * count + b"ALL\r\n" + NOOP), ["BAD", "z"])
            self.assertEqual(said(b"a SEARCH " + b"OR " * count + b"ALL\r\n" + NOOP), ["BAD", "z"])


class NameTests(SynchronousTestCase):
    def test_wildcards(self) -> None:
        """However many: one walk over a name."""
        for wildcards in ("*%" * 400, "*" * 900, "*a" * 400, "%a*" * 300, "*%*%*%a" * 140):
            found = command(b'LIST "" "' + wildcards.encode() + b'"')
            assert isinstance(found, List)
            for _ in range(100):
                found.matches("a" * 255 + "/" + "a" * 255 + "/b")
        self.assertFalse(Pattern("*a" * 30).matches("a" * 29 + "b" * 900))
        self.assertTrue(refused(b'LIST "" "' + b"*%" * 600 + b'"').startswith("BAD"))

    def test_paths(self) -> None:
        """A name that looks like a path is a name; no store takes it for more."""
        self.assertEqual(command(b"SELECT ../../etc/passwd"), Select("../../etc/passwd"))
        self.assertEqual(command(b'CREATE "..\\\\x"'), Create("..\\x"))
        for name in (b"/etc/passwd", b"a//b", b"a/", b"//"):
            self.assertTrue(refused(b"SELECT " + name).startswith("NO CANNOT"), name)

    def test_octets(self) -> None:
        for name in (b'"a\x00b"', b"{3+}\r\na\0b", b"&AAA-", b"&AAo-", b"&IZ", b"&2AA-", b"&ACo-", b'"a\x1b]0;x\x07"'):
            self.assertTrue(refused(b"SELECT " + name).startswith(("BAD", "NO CANNOT")), name)
        for name in (b'"a\xe2\x80\xa8b"', b'"\xed\xa0\x80"', b'"\xc2\x9bm"', b'"\xff"', b'"\xc0\x80"'):
            self.assertTrue(refused(b"SELECT " + name, utf8=True).startswith(("BAD", "NO CANNOT")), name)


class NumberTests(SynchronousTestCase):
    def test_all(self) -> None:
        """1:4294967295 and beyond, of ten thousand messages."""
        uids = array("I", range(1, 10_001))
        for octets in (b"1:4294967295", b"4294967295:1,2:4294967295", b"1:*,*:1," * 1000 + b"*"):
            found = command(b"UID FETCH " + octets + b" FLAGS")
            assert isinstance(found, Fetch)
            self.assertEqual(found.numbers.within(uids), [range(10_000)])
        for octets in (b"1:4294967296", b"0:5", b"1:99999999999999999999", b"-1:5", b"1:18446744073709551615"):
            self.assertTrue(refused(b"UID FETCH " + octets + b" FLAGS").startswith("BAD"))

    def test_elsewhere(self) -> None:
        """Numbers that no machine word holds."""
        for line in (
            b"FETCH 1 BODY[]<99999999999999999999.1>", b"FETCH 1 BODY[99999999999999999999]",
            b"SEARCH LARGER 9999999999999999999",
            b"STORE 1 (UNCHANGEDSINCE 99999999999999999999) FLAGS a", b"SEARCH MODSEQ " + b"9" * 5000,
            b"SEARCH OLDER 4294967296",
            b"FETCH 1 UID (PARTIAL 1:4294967296)", b"SETQUOTA a (STORAGE 9223372036854775808)",
            b"FETCH 1 BODY[" + b"9" * 5000 + b"]",
            b"REPLACE 4294967296 x {1}",
        ):
            self.assertTrue(refused(line).startswith("BAD"), line)


class TransitionTests(SynchronousTestCase):
    def test_behind_starttls(self) -> None:
        """A whole command, a partial one, a literal, a ClientHello: none is heard inside TLS."""
        for behind in (b"b LOGIN eve x\r\n", b"b LOG", b"b LOGIN {100+}\r\nx", b"\x16\x03\x01\x02\x00", b"\r\n"):
            wire = ServerWire()
            wire.receive(b"a STARTTLS\r\n" + behind)
            self.assertEqual(wire.next(), Request("a", StartTls()))
            self.assertEqual(wire.buffered, len(behind))       # which is why a connection is dropped
            wire.restart()
            wire.receive(NOOP)
            self.assertEqual(wire.next(), Request("z", Noop()))
        self.assertEqual(said(b"a STARTTLS now\r\n" + NOOP, NEW), ["BAD", "z"])
        self.assertEqual(said(b"a STARTTLS\r\n" + NOOP, IN), ["BAD", "z"])

    def test_other_protocols(self) -> None:
        """They are heard out for a few lines, as errors, and a client that speaks TLS at once too."""
        self.assertEqual(set(said(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: y\r\n\r\n", NEW)), {"BAD"})
        self.assertEqual(said(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", NEW), ["BAD"])

    def test_octets(self) -> None:
        """NUL and bare line ends make no second command out of one."""
        for bad in (b"\0", b"\n", b"\r"):
            self.assertEqual(said(b'a LOGIN "x' + bad + b'b DELETE INBOX" y\r\n' + NOOP, NEW), ["BAD", "z"])
            self.assertEqual(said(b'a LOGIN x y' + bad + b'b DELETE INBOX\r\n' + NOOP, NEW), ["BAD", "z"])

    def test_escapes(self) -> None:
        """What is meant for a log, a shell or a terminal is a word like others, or an error with none of it."""
        for word in (b"${run{}}", b"{log_time.__class__}", b"%n%s", b";sh;", b"\x1b]0;x\x07"):
            for event in hear([b"a LOGIN x y " + word + b"\r\n" + word + b" NOOP\r\na " + word + b"\r\n"], NEW):
                assert isinstance(event, (tuple, Request))
                if isinstance(event, tuple):
                    self.assertNotIn(word.decode(), event[3])


class MessageTests(SynchronousTestCase):
    def test_not_kept(self) -> None:
        """Only pieces of a message are ever held, however it is sent."""
        wire = ServerWire()
        wire.state = IN
        wire.receive(b"a APPEND x {30000000+}\r\n")
        self.assertIsNotNone(wire.next())
        wire.grant()
        for _ in range(1000):
            wire.receive(b"x" * 30_000)
            piece = wire.next()
            assert isinstance(piece, Piece)
            self.assertEqual((len(piece.octets), wire.buffered), (30_000, 0))
        self.assertTrue(piece.is_last)

    def test_commands_inside(self) -> None:
        """What is in a message is no command."""
        self.assertEqual(said(b"a APPEND x {18+}\r\n\r\nb DELETE INBOX\r\n\r\n" + NOOP)[-2:], ["a", "z"])
