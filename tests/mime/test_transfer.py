"""Encodings, whole and broken, and cut anywhere."""

from __future__ import annotations

import base64
import binascii
import quopri

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.transfer import LONGEST_LINE, decoded, decoder

ODD = some.lists(
    some.sampled_from([
        b"=", b"=3D", b"=\r\n", b"= \r\n", b"=C3=A9", b"\r\n", b"\n", b" ", b"\t", b"A", b"aGVsbG8=", b"\xff",
        b"=4", b"!",
    ]),
    max_size=30,
).map(b"".join)


def read(octets: bytes, encoding: str) -> bytes:
    pieces = decoded(octets, 0, len(octets), encoding)
    assert pieces is not None
    return b"".join(pieces)


def fed(octets: bytes, encoding: str, size: int) -> bytes:
    """The same in pieces."""
    machine = decoder(encoding)
    assert machine is not None
    done = [machine.feed(octets[at : at + size]) for at in range(0, len(octets), size)]
    return b"".join((*done, machine.end()))


class TransferTests(SynchronousTestCase):
    def test_base64(self) -> None:
        for octets, expected in (
            (b"aGVsbG8=", b"hello"), (b"aGVs\r\nbG8=\r\n", b"hello"), (b"aGVsbG8", b"hello"),
            (b"a G-V*s b\xffG8=", b"hello"),
            (b"aGVsbG8=aGVsbG8=", b"hellohello"), (b"aGVsbG8====\r\n--\r\naGk=", b"hellohi"), (b"aGVsb", b"hel"),
            (b"", b""), (b"=", b""), (b"A", b""), (b"====A====", b""), (b"!!!!", b""),
        ):
            self.assertEqual(read(octets, "base64"), expected, octets)

    def test_quoted_printable(self) -> None:
        for octets, expected in (
            (b"a=3Db=\r\nc", b"a=bc"), (b"a= \t\r\nc", b"ac"), (b"a  \r\nb\t\n", b"a\r\nb\n"),
            (b"=e3=81=82", "あ".encode()),
            (b"=", b""), (b"a=ZZb", b"a=ZZb"), (b"\xe9", b"\xe9"), (b"", b""),
        ):
            self.assertEqual(read(octets, "quoted-printable"), expected, octets)

    def test_uuencode(self) -> None:
        octets = b"hello, world" * 20
        lines = [binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45)]
        sent = b"begin 644 a.txt\r\n" + b"".join(each.replace(b"\n", b"\r\n") for each in lines) + b"`\r\nend\r\n"
        for name in ("x-uuencode", "uuencode", "x-uue"):
            self.assertEqual(read(sent, name), octets)
        self.assertEqual(read(b"\xff\xff\r\n!\r\n~~~~\r\n", "x-uuencode"), b"\0")

    def test_unknown(self) -> None:
        self.assertIsNone(decoded(b"x", 0, 1, "x-zip"))
        self.assertEqual([read(b"x", each) for each in ("", "7bit", "8bit", "binary")], [b"x"] * 4)

    def test_range(self) -> None:
        """Nothing beside it is read."""
        self.assertEqual(b"".join(decoded(b"XXaGk=YY", 2, 6, "base64") or ()), b"hi")

    def test_long_line(self) -> None:
        """Of quoted-printable: it is cut, and no code is cut with it."""
        octets = b"=3D" * LONGEST_LINE
        for size in (1000, 4096, 65536):
            self.assertEqual(fed(octets, "quoted-printable", size), b"=" * LONGEST_LINE)

    @settings(deadline=None)
    @given(some.binary(max_size=300), some.integers(1, 50))
    def test_round_trip(self, octets: bytes, size: int) -> None:
        self.assertEqual(fed(base64.encodebytes(octets), "base64", size), octets)
        text = octets.replace(b"\r", b"").replace(b"\n", b"")
        self.assertEqual(fed(quopri.encodestring(text, quotetabs=True), "quoted-printable", size), text)

    @settings(deadline=None, max_examples=300)
    @given(ODD, some.integers(1, 7), some.sampled_from(["base64", "quoted-printable", "x-uuencode"]))
    def test_pieces(self, octets: bytes, size: int, encoding: str) -> None:
        """Wherever it is cut, it says the same."""
        self.assertEqual(fed(octets, encoding, size), fed(octets, encoding, 10**6))
