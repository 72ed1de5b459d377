"""What leaves this house: whatever was stored, nothing in it can end the content or say a command there."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.smtp.dots import Unstuffer
from mailserver.smtp.stuffing import Stuffer

octets = [b"\r\n", b".", b"..", b"\r", b"\n", b"a", b"\0", b"text", b"\x85", b"\x0b", b"\r\n.\r\n"]
contents = st.lists(st.sampled_from(octets), max_size=30).map(b"".join)


def stuff(*chunks: bytes) -> bytes:
    stuffer = Stuffer()
    return b"".join([*map(stuffer.feed, chunks), stuffer.end()])


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(edges)]


def plainly(content: bytes) -> bytes:
    """What a content is once its line ends are CRLF and its last line has one."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    whole = b"\r\n".join(lines)
    return whole if whole.endswith(b"\r\n") or not whole else whole + b"\r\n"


class StuffTests(SynchronousTestCase):
    def test_whole(self) -> None:
        self.assertEqual(stuff(b"a\r\n.b\r\n..c\r\n"), b"a\r\n..b\r\n...c\r\n.\r\n")

    def test_empty(self) -> None:
        """An empty content is a lone dot."""
        self.assertEqual(stuff(), b".\r\n")
        self.assertEqual(stuff(b"", b""), b".\r\n")

    def test_first_line(self) -> None:
        self.assertEqual(stuff(b".", b"x"), b"..x\r\n.\r\n")

    def test_last_line(self) -> None:
        """A content that does not end with a line end gets one."""
        self.assertEqual(stuff(b"x"), b"x\r\n.\r\n")
        self.assertEqual(stuff(b"x\r"), b"x\r\n.\r\n")
        self.assertEqual(stuff(b"x\n"), b"x\r\n.\r\n")

    def test_every_cut(self) -> None:
        """The same octets wherever the content was cut."""
        content = b".a\r\n..b\r\n\r\n.c\r.\n.d\r\n.\r\nQUIT\r\n"
        whole = stuff(content)
        for first in range(len(content) + 1):
            for second in range(first, len(content) + 1):
                self.assertEqual(stuff(content[:first], content[first:second], content[second:]), whole)

    def test_nothing_is_smuggled(self) -> None:
        """Each spelling of an end that some server has taken for one."""
        for end in (
            b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r",
            b"\r\n.\r\n", b"\n.\r", b"\r\n\r.\r\n",
        ):
            sent = stuff(b"before" + end + b"MAIL FROM:<x@y>\r\n")
            self.assertTrue(sent.endswith(b"\r\n.\r\n"), end)
            inside = sent[:-3]
            self.assertNotIn(b"\r\n.\r\n", inside, end)
            without = inside.replace(b"\r\n", b"")
            self.assertNotIn(b"\r", without, end)
            self.assertNotIn(b"\n", without, end)
            self.assertIn(b"\r\n..\r\n", inside, end)

    @given(contents, st.lists(st.integers(0, 200), max_size=6), st.lists(st.integers(0, 200), max_size=6))
    def test_there_and_back(self, content: bytes, here: list[int], there: list[int]) -> None:
        """However both sides cut it, the other one reads what was stored, with its line ends made CRLF."""
        sent = stuff(*cut(content, here))
        unstuffer = Unstuffer()
        taken, ended = b"", False
        for chunk in cut(sent, there):
            self.assertFalse(ended and chunk)
            block, ended = unstuffer.feed(chunk) if not ended else (b"", ended)
            taken += block
        self.assertTrue(ended)
        self.assertEqual(unstuffer.rest, b"")
        self.assertEqual(taken, plainly(content))
        if b"\0" not in content:
            self.assertTrue(unstuffer.is_strict)
