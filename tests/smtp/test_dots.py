"""The end of the content, and nothing else that looks like it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.smtp.dots import Unstuffer
from mailserver.smtp.lineends import are_strict

octets = [b"\r\n", b".", b"..", b"\r", b"\n", b"a", b"\0", b"text", b"\x85", b"\x0b"]
pieces = st.lists(st.sampled_from(octets), max_size=30)


def unstuff(*chunks: bytes) -> tuple[bytes, bool, bytes, bool]:
    """Content, whether it ended, what stood behind the end, whether its line ends were strict."""
    unstuffer = Unstuffer()
    taken = b""
    for number, chunk in enumerate(chunks):
        block, ended = unstuffer.feed(chunk)
        taken += block
        if ended:
            return taken, True, unstuffer.rest + b"".join(chunks[number + 1:]), unstuffer.is_strict
    return taken, False, b"", unstuffer.is_strict


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """Octets in pieces, cut at these places."""
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(edges)]


class UnstuffTests(SynchronousTestCase):
    def test_strict(self) -> None:
        """A CR and an LF that do not stand side by side are two bare ones, however many of each there are."""
        for content in (b"a\rb\nc", b"a\nb\rc", b"\r\r\n\n", b"\n\r", b"a\0", b"\r", b"\n", b"\0\0", b"a\r\n\n\rb"):
            self.assertFalse(are_strict(content), content)
            self.assertFalse(unstuff(content + b"\r\n.\r\n")[3], content)
        for content in (b"", b"a", b"\r\n", b"a\r\n\r\nb"):
            self.assertTrue(are_strict(content), content)

    def test_whole(self) -> None:
        """The dot that was put before a dot is taken away."""
        self.assertEqual(unstuff(b"a\r\n..b\r\n.\r\nQUIT\r\n"), (b"a\r\n.b\r\n", True, b"QUIT\r\n", True))

    def test_empty(self) -> None:
        """A dot at once is an empty message."""
        self.assertEqual(unstuff(b".\r\n"), (b"", True, b"", True))

    def test_first_line(self) -> None:
        """The first line may begin with a dot, too."""
        self.assertEqual(unstuff(b"..x\r\n.\r\n"), (b".x\r\n", True, b"", True))

    def test_every_cut(self) -> None:
        """The real end, split at each octet."""
        octets = b"..a\r\n...b\r\n\r\n.c\r\n.\r\nRSET\r\n"
        for first in range(len(octets)):
            for second in range(first, len(octets)):
                self.assertEqual(
                    unstuff(octets[:first], octets[first:second], octets[second:]),
                    (b".a\r\n..b\r\n\r\nc\r\n", True, b"RSET\r\n", True),
                )

    def test_no_other_end(self) -> None:
        """Whatever else was ever taken for the end of data is none, and is noticed."""
        for fake in (
            b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n",
            b"\r\n\0.\r\n", b"\r\n.\0\r\n",
        ):
            taken, ended, _, strict = unstuff(b"a" + fake + b"MAIL FROM:<x@y>\r\nb\r\n")
            self.assertFalse(ended, fake)
            self.assertFalse(strict, fake)
            self.assertIn(b"MAIL", taken)

    def test_other_line_ends(self) -> None:
        """What Python takes for a line end is only an octet here."""
        for octet in (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"):
            taken, ended, _, strict = unstuff(b"a" + octet + b"." + octet + b"b\r\n.\r\n")
            self.assertEqual((taken, ended, strict), (b"a" + octet + b"." + octet + b"b\r\n", True, True))

    @given(pieces, st.lists(st.integers(0, 200), max_size=6))
    def test_chunking(self, parts: list[bytes], places: list[int]) -> None:
        """In whatever pieces the octets come, the same comes out."""
        octets = b"".join(parts) + b"\r\n.\r\nNOOP\r\n"
        whole = unstuff(octets)
        self.assertEqual(unstuff(*cut(octets, places)), whole)
        self.assertTrue(whole[1])

    @given(st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"text . text"]), max_size=12))
    def test_stuffed(self, lines: list[bytes]) -> None:
        """Content that is stuffed line by line comes back as it was."""
        content = b"".join(line + b"\r\n" for line in lines)
        stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
        self.assertEqual(unstuff(stuffed + b".\r\n"), (content, True, b"", True))
