"""What BODY[...] and BINARY[...] mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.section import BadSection, Section, UnknownEncoding, What, binary, find, ranges
from mailserver.mime.stored import dump, load
from mailserver.mime.structure import parse
from tests.mime.letters import RFC_9051, crlf

BAD = (
    b"0", b"1.0", b".1", b"1.", b"1..2", b"x", b"1.x", b"MIME", b"1HEADER", b"HEADER.", b"HEADER.1", b"TEXT.MIME",
    b"HEADER.FIELDS", b"HEADER.FIELDS ()", b"HEADER.FIELDS (a", b"HEADER.FIELDS a", b"1.1.1.", b"-1", b"01",
    b"9" * 20, b"1." * 10**5 + b"1", b"HEADER.FIELDS (" + b"a " * 10**5 + b")", b"\0", b" ", b"[]",
)


class SectionTests(SynchronousTestCase):
    def fetch(self, message: bytes, section: bytes) -> bytes | None:
        """By the structure as it was stored."""
        found = ranges(message, load(dump(parse(message))), Section.parse(section))
        return None if found is None else b"".join(message[each.start : each.end] for each in found)

    def test_parse(self) -> None:
        self.assertEqual(Section.parse(b""), Section())
        self.assertEqual(Section.parse(b"1.2.3"), Section((1, 2, 3)))
        self.assertEqual(Section.parse(b"1.mime"), Section((1,), What.MIME))
        self.assertEqual(Section.parse(b"Text"), Section((), What.TEXT))
        names = frozenset((b"to", b"x y"))
        self.assertEqual(Section.parse(b'4.2.HEADER.FIELDS (To "X y")'), Section((4, 2), What.FIELDS, names))
        self.assertEqual(Section.parse(b"header.fields.not (TO)").what, What.OTHER_FIELDS)
        for bad in BAD:
            self.assertRaises(BadSection, Section.parse, bad)

    def test_rfc(self) -> None:
        """The message whose sections RFC 9051 numbers."""
        for section, expected in (
            (b"1", b"first"), (b"2", b"second"), (b"3.1", b"three one"), (b"3.2", b"three two"), (b"4.1", b"four one"),
            (b"4.2.1", b"four two one"), (b"4.2.2.1", b"four two two one"), (b"4.2.2.2", b"four two two two"),
            (b"4.1.MIME", b"Content-Type: image/gif\r\nContent-ID: <four-one>\r\n\r\n"), (b"3.1.MIME", b"\r\n"),
            (b"4.2.HEADER", b"Subject: four two\r\nContent-Type: multipart/mixed; boundary=four\r\n\r\n"),
            (b"3.HEADER.FIELDS (FROM)", b"From: b@example.org\r\n\r\n"),
            (b"HEADER.FIELDS.NOT (Content-Type FROM)", b"Subject: all\r\n\r\n"), (b"HEADER.FIELDS (X)", b"\r\n"),
        ):
            self.assertEqual(self.fetch(RFC_9051, section), expected, section)
        for absent in (
            b"5", b"1.1", b"1.2", b"3.3", b"4.1.1", b"1.HEADER", b"1.TEXT", b"4.HEADER", b"4.2.3", b"999999999",
        ):
            self.assertIsNone(self.fetch(RFC_9051, absent), absent)
        header, text = self.fetch(RFC_9051, b"HEADER"), self.fetch(RFC_9051, b"TEXT")
        self.assertEqual((header or b"") + (text or b""), RFC_9051)
        self.assertEqual(self.fetch(RFC_9051, b""), RFC_9051)
        nested = self.fetch(RFC_9051, b"3")
        self.assertEqual((self.fetch(RFC_9051, b"3.HEADER") or b"") + (self.fetch(RFC_9051, b"3.TEXT") or b""), nested)
        self.assertTrue(nested is not None and nested.startswith(b"Subject: three\r\n"))

    def test_single(self) -> None:
        """Part 1 of a message without parts is its body."""
        message = crlf("Subject: x\n\nhello\n")
        self.assertEqual(self.fetch(message, b"1"), b"hello\r\n")
        self.assertEqual(self.fetch(message, b"1.MIME"), b"Subject: x\r\n\r\n")
        for absent in (b"2", b"1.1", b"1.TEXT", b"1.HEADER", b"1.1.MIME"):
            self.assertIsNone(self.fetch(message, absent), absent)

    def test_message_in_a_message(self) -> None:
        """Without a multipart around it, and in it."""
        message = crlf("Subject: x\nContent-Type: message/rfc822\n\nSubject: y\n\nhello\n")
        for section, expected in (
            (b"HEADER.FIELDS (subject)", b"Subject: x\r\n\r\n"), (b"1.HEADER", b"Subject: y\r\n\r\n"),
            (b"1", b"Subject: y\r\n\r\nhello\r\n"), (b"1.1", b"hello\r\n"), (b"1.TEXT", b"hello\r\n"), (b"1.1.1", None),
            (b"1.1.MIME", b"Subject: y\r\n\r\n"), (b"1.2", None),
        ):
            self.assertEqual(self.fetch(message, section), expected, section)

    def test_fields_as_they_came(self) -> None:
        """Duplicates, case, folding, in their order."""
        message = b"TO: a\r\nX: b\r\nto:c,\r\n\td\r\nFrom: e\r\nto : f\r\n\r\nbody"
        self.assertEqual(self.fetch(message, b"HEADER.FIELDS (To)"), b"TO: a\r\nto:c,\r\n\td\r\nto : f\r\n\r\n")
        self.assertEqual(self.fetch(message, b"HEADER.FIELDS.NOT (To)"), b"X: b\r\nFrom: e\r\n\r\n")

    def test_no_empty_line(self) -> None:
        """Where there is none, none is sent; a bare LF is one."""
        self.assertEqual(self.fetch(b"To: a\r\n", b"HEADER.FIELDS (to)"), b"To: a\r\n")
        self.assertEqual(self.fetch(b"To: a\n\nb", b"HEADER.FIELDS (x)"), b"\n")
        self.assertEqual(self.fetch(b"\r\nb", b"HEADER.FIELDS (x)"), b"\r\n")
        self.assertEqual(self.fetch(b"", b"HEADER.FIELDS (x)"), b"")

    @given(some.text("0123456789. ()aHEADERFIELDSNOTextMIME\"\\", max_size=30))
    def test_nothing_else_is_raised(self, text: str) -> None:
        try:
            section = Section.parse(text.encode())
        except BadSection:
            return
        ranges(RFC_9051, parse(RFC_9051), section)


class BinaryTests(SynchronousTestCase):
    MESSAGE = crlf(
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\naGVsbG8A\n"
        "--x\nContent-Transfer-Encoding: quoted-printable\n\na=3Db=\nc\n"
        "--x\nContent-Transfer-Encoding: x-zip\n\n?\n--x--\n"
    )

    def test_decoded(self) -> None:
        root = parse(self.MESSAGE)
        for path, expected in (((1,), b"hello\0"), ((2,), b"a=bc"), ((), self.MESSAGE)):
            found = binary(self.MESSAGE, root, path)
            assert found is not None and not isinstance(found, UnknownEncoding)
            self.assertEqual(b"".join(found), expected)

    def test_not_decoded(self) -> None:
        root = parse(self.MESSAGE)
        self.assertEqual(binary(self.MESSAGE, root, (3,)), UnknownEncoding("x-zip"))
        self.assertIsNone(binary(self.MESSAGE, root, (4,)))
        self.assertEqual(find(root, (2,)), root.parts[1])
