"""Messages on the wire: what a client makes of them is what was stored, however they were cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.pop3.multiline import Stuffer, Top

OCTETS = some.text("\r\n.ax\0\xff", max_size=40).map(lambda text: text.encode("latin-1"))
SEAMS = some.sampled_from([b"\r\n", b".", b"\n", b"\r", b"", b"\r\n.\r\n"])
PIECES = some.lists(some.one_of(OCTETS, SEAMS), max_size=12)


def stuffed(pieces: list[bytes]) -> bytes:
    stuffer = Stuffer()
    return b"".join(stuffer.feed(piece) for piece in pieces) + stuffer.end()


def top(pieces: list[bytes], lines: int) -> bytes:
    machine = Top(lines)
    return b"".join(machine.feed(piece) for piece in pieces)


class StufferTests(SynchronousTestCase):
    def test_dots(self) -> None:
        self.assertEqual(stuffed([b".a\r\n..\r\nb.\r\n.\r\n"]), b"..a\r\n...\r\nb.\r\n..\r\n.\r\n")

    def test_final_line_end(self) -> None:
        """It is there once, whether the message has it or not."""
        for message in (b"a", b"a\r\n", b"a\r", b"a\n", b""):
            self.assertTrue((b"\r\n" + stuffed([message])).endswith(b"\r\n.\r\n"))
        self.assertEqual((stuffed([b"a"]), stuffed([b"a\r\n"]), stuffed([])), (b"a\r\n.\r\n", b"a\r\n.\r\n", b".\r\n"))

    def test_dot_at_the_end_of_a_piece(self) -> None:
        """A dot is doubled once, not again with the next piece."""
        self.assertEqual(stuffed([b"a\r\n.", b"b\r\n"]), b"a\r\n..b\r\n.\r\n")
        self.assertEqual(stuffed([b"a\r\n", b".b\r\n"]), b"a\r\n..b\r\n.\r\n")

    @settings(deadline=None, max_examples=300)
    @given(PIECES)
    def test_round_trip(self, pieces: list[bytes]) -> None:
        """A client that reads lines, and one that takes a bare LF for a line end, both find the end where it is."""
        message = b"".join(pieces)
        sent = stuffed(pieces)
        self.assertEqual(sent, stuffed([message]))
        lines = sent.split(b"\n")
        self.assertEqual(lines[-2:], [b".\r", b""])
        self.assertFalse({b".", b".\r"} & set(lines[:-2]))
        read = b"\n".join(line[1:] if line.startswith(b".") else line for line in lines[:-2])
        expected = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
        self.assertEqual(read + (b"\n" if len(lines) > 2 else b""), expected)


class TopTests(SynchronousTestCase):
    MESSAGE = b"A: b\r\nC: d\r\n\r\none\r\ntwo\r\nthree\r\n"

    def test_lines(self) -> None:
        """The header, the empty line, and so many lines of the body."""
        self.assertEqual(top([self.MESSAGE], 0), b"A: b\r\nC: d\r\n\r\n")
        self.assertEqual(top([self.MESSAGE], 2), b"A: b\r\nC: d\r\n\r\none\r\ntwo\r\n")
        for lines in (3, 4, 10**9):
            self.assertEqual(top([self.MESSAGE], lines), self.MESSAGE)

    def test_odd_messages(self) -> None:
        """No body, no header, nothing."""
        self.assertEqual(top([b"A: b\r\n"], 5), b"A: b\r\n")
        self.assertEqual(top([b"\r\nbody\r\nmore\r\n"], 1), b"\r\nbody\r\n")
        self.assertEqual(top([], 1), b"")

    def test_done(self) -> None:
        """A message of gigabytes need not be read for its header."""
        machine = Top(1)
        self.assertEqual((machine.feed(b"A: b\r\n\r\none\r"), machine.is_done), (b"A: b\r\n\r\none\r", False))
        self.assertEqual((machine.feed(b"\ntwo"), machine.is_done), (b"\n", True))
        self.assertEqual(machine.feed(b"more"), b"")

    @settings(deadline=None, max_examples=300)
    @given(PIECES, some.integers(0, 4))
    def test_any_pieces(self, pieces: list[bytes], lines: int) -> None:
        self.assertEqual(top(pieces, lines), top([b"".join(pieces)], lines))
