"""What goes to a server that takes no octets beyond ASCII, or nothing binary."""

from __future__ import annotations

import email
from email.message import Message

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.smtp.sevenbit import MOST_PARTS, Conversion, NotConvertible, Plan, Survey, changed, converted
from tests.smtp.test_stuffing import cut

TEXT = "grüße".encode()
MULTIPART = b"MIME-Version: 1.0\nContent-Type: multipart/%b; boundary=b\nContent-Transfer-Encoding: 8bit\n\n"


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\n", b"\r\n")


def seven(octets: bytes) -> bytes:
    """What is sent for lines that end with LF here."""
    found = converted(crlf(octets))
    assert found is not None and found[1] == "7BIT"
    return found[0].replace(b"\r\n", b"\n")


def refusal(octets: bytes, **how: bool) -> str:
    try:
        converted(octets if how else crlf(octets), **how)
    except NotConvertible as error:
        return str(error)
    return ""


def plan_of(*pieces: bytes, eight: bool = False, binary: bool = False) -> Plan | None:
    survey = Survey(eight, binary)
    for each in pieces:
        survey.feed(each)
    return survey.end()


def payloads(octets: bytes) -> list[tuple[str, bytes]]:
    """Type and octets of each leaf, as the standard library decodes them."""
    found = []
    for part in email.message_from_bytes(octets).walk():
        assert isinstance(part, Message)
        if not part.is_multipart():
            found.append((part.get_content_type(), part.get_payload(decode=True)))
    return found


class SevenBitTests(SynchronousTestCase):
    """Before and after."""

    def test_nothing_to_do(self) -> None:
        self.assertIsNone(converted(b"Subject: x\r\n\r\nx\r\n"))
        self.assertIsNone(plan_of(b"Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n"))
        self.assertIsNone(plan_of(b""))

    def test_no_mime(self) -> None:
        """RFC 1428: MIME is said, and that nobody knows the characters."""
        self.assertEqual(
            seven(b"Subject: x\n\n" + TEXT + b"\n.\n\nFrom = \n"),
            b"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n"
            b"Content-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe\n=2E\n\nFrom =3D=20\n",
        )

    def test_text(self) -> None:
        """The label is changed where it stands; what was there twice stands there once."""
        self.assertEqual(
            seven(
                b"MIME-Version: 1.0\nContent-Transfer-encoding:\n 8bit\nContent-Type: text/html; charset=utf-8\n"
                b"Content-Transfer-Encoding: 7bit\nX: y\n\n" + TEXT
            ),
            b"MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/html; charset=utf-8\n"
            b"X: y\n\ngr=C3=BC=C3=9Fe=\n",
        )

    def test_others(self) -> None:
        self.assertEqual(
            seven(b"MIME-Version: 1.0\nContent-Type: image/png\n\n" + TEXT + b"\n"),
            b"MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nZ3LDvMOfZQ0K\n",
        )

    def test_parts(self) -> None:
        """Only those that need it; what stands beside them is read by nobody, and has no octets beyond ASCII."""
        self.assertEqual(
            seven(
                MULTIPART % b"mixed" + b"pre \xff\n--b\n\nplain\n--b\nContent-Type: text/plain\n\n" + TEXT
                + b"\n--b  \nContent-Type: a/b\n\n" + TEXT + b"\n\n--b\nContent-Type: a/b\n\n--b--\npost \xff\n"
            ),
            MULTIPART.replace(b"8bit", b"7bit") % b"mixed" + b"pre ?\n--b\n\nplain\n--b\nContent-Type: text/plain\n"
            b"Content-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe\n--b  \nContent-Type: a/b\n"
            b"Content-Transfer-Encoding: base64\n\nZ3LDvMOfZQ0K\n--b\nContent-Type: a/b\n\n--b--\npost ?\n",
        )

    def test_messages_inside(self) -> None:
        """They may not be encoded, but what is in them may; a digest consists of them."""
        for head, type in ((b"digest", b""), (b"mixed", b"Content-Type: message/rfc822\n")):
            self.assertEqual(
                seven(MULTIPART % head + b"--b\n" + type + b"\nSubject: y\n\n" + TEXT + b"\n--b--\n"),
                MULTIPART.replace(b"8bit", b"7bit") % head + b"--b\n" + type + b"\nSubject: y\nMIME-Version: 1.0\n"
                b"Content-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n"
                b"gr=C3=BC=C3=9Fe\n--b--\n",
            )

    def test_global_messages(self) -> None:
        """RFC 6532 3.7: these may be encoded as a whole, and their header fields need it."""
        inside = "Subject: grüße\n\ngrüße\n".encode()
        found = seven(MULTIPART % b"mixed" + b"--b\nContent-Type: message/global\n\n" + inside + b"\n--b--\n")
        self.assertIn(b"message/global\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDog", found)

    def test_lying_encodings(self) -> None:
        """Octets that should not be there, in what is encoded already."""
        for encoding, body, becomes in (
            (b"quoted-printable", b"=C3\xbc=\nx", b"=C3=BC=\nx"), (b"base64", b"Z3\xffLD\n", b"Z3LD\n"),
        ):
            head = b"MIME-Version: 1.0\nContent-Transfer-Encoding: %b\n\n" % encoding
            self.assertEqual(seven(head + body), head + becomes)

    def test_bare_line_ends(self) -> None:
        """They would be sent as CRLF, so that is what they are."""
        found = converted(b"Content-Type: multipart/mixed; boundary=b\r\n\n--b\n\n" + TEXT + b"\r--b--")
        assert found is not None
        self.assertTrue(found[0].endswith(b"\r\n\r\ngr=C3=BC=C3=9Fe\r\n--b--"), found)

    def test_cannot(self) -> None:
        eight = b"--b\n\n" + TEXT + b"\n--b--\n"
        for octets, why in (
            (MULTIPART % b"signed" + eight, "a part of it is signed"),
            (MULTIPART % b"encrypted" + eight, "a part of it is encrypted"),
            (MULTIPART.replace(b"=b", b"=") % b"mixed" + eight, "a multipart has no boundary"),
            (MULTIPART.replace(b"=b", b"=c") % b"mixed" + eight, "the parts of a multipart cannot be found"),
            (MULTIPART.replace(b"8bit", b"base64") % b"mixed" + eight, "a part that has parts is encoded as a whole"),
            (b"Content-Type: message/partial\n\n" + TEXT, "a part of type message/partial may not be encoded"),
            (b"Content-Type: (a) b/c\n\n" + TEXT, "the Content-Type of a part cannot be understood"),
            (b"Content-Type: a/b;" + b"x" * 20000 + b"\n\n" + TEXT, "the Content-Type of a part is too long"),
            (b"Content-Transfer-Encoding: x-uuencode\n\n" + TEXT, "the encoding of a part cannot be understood"),
            (b"Subject: \xff\n\nx", "a header field has octets beyond ASCII"),
        ):
            self.assertEqual(refusal(octets), why)

    def test_signed_without_need(self) -> None:
        """A signature beside the part that changes stays good."""
        signed = b"Content-Type: multipart/signed; boundary=c\n\n--c\nContent-Type: a/b\n\nx\n--c\n\ny\n--c--\n"
        found = seven(MULTIPART % b"mixed" + b"--b\n" + signed + b"--b\n\n" + TEXT + b"\n--b--\n")
        self.assertIn(signed, found)


class BinaryTests(SynchronousTestCase):
    """For a server that takes octets beyond ASCII, but nothing that is no lines."""

    HEAD = b"MIME-Version: 1.0\r\nContent-Type: %b\r\nContent-Transfer-Encoding: binary\r\n\r\n"

    def test_raw(self) -> None:
        for type in (b"text/plain", b"a/b"):
            for body in (b"a\rb", b"a\n", b"\0", b"\xff\r", b"\r"):
                for eight in (False, True):
                    found = converted(self.HEAD % type + body, eight, True)
                    assert found is not None and found[1] == "7BIT"
                    self.assertEqual(payloads(found[0]), [(type.decode(), body)])
                    self.assertIn(b"base64", found[0])

    def test_lines(self) -> None:
        """What is lines after all is only called so; lines that are too long are made shorter."""
        for body, eight, label, is_called in (
            (b"x\r\n", True, "7BIT", b"7bit"), (TEXT + b"\r\n", True, "8BITMIME", b"8bit"),
            (TEXT + b"\r\n", False, "7BIT", b"quoted-printable"), (b"x" * 999, True, "7BIT", b"quoted-printable"),
            (b"x" * 998 + b"\r\n", False, "7BIT", b"7bit"),
        ):
            found = converted(self.HEAD % b"text/plain" + body, eight, True)
            assert found is not None
            self.assertEqual((found[1], payloads(found[0])), (label, [("text/plain", body)]))
            self.assertIn(b"Encoding: %b\r\n" % is_called, found[0])

    def test_no_delimiters_but_crlf(self) -> None:
        """A line that looks like one in a picture is none."""
        body = b"\n--b\n\xff\r--b--\r"
        head = b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        content = head + b"--b\r\nContent-Type: a/b\r\n\r\n" + body + b"\r\n--b--\r\n"
        found = converted(content, True, True)
        assert found is not None
        self.assertEqual(payloads(found[0]), [("a/b", body)])
        self.assertIn(b"Content-Transfer-Encoding: 8bit\r\n", found[0])

    def test_signed(self) -> None:
        content = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\0\r\n--b--\r\n"
        self.assertEqual(refusal(content, eight=True, binary=True), "a part of it is signed")
        self.assertEqual(refusal(content.replace(b"\0", b"\xff"), eight=True, binary=True), "")


HOSTILE = (
    b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n",
    b"--b\r\n\r\n", b"--b--\r\n", b"\r\n--b", b"\r\n--", b"--", b"x: y\r\n", b" \r\n", b";boundary=", b"x",
    b"\xff", b"\r", b"-",
)


class HostileTests(SynchronousTestCase):
    def test_wide(self) -> None:
        """A million parts: nothing is kept of those that stay; of too many that change it is said that they do."""
        head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        self.assertIsNone(plan_of(head, *[b"--b\r\n\r\nx\r\n" * 10_000] * 100))
        plan = plan_of(head, *[b"--b\r\n\r\n\xff\r\n" * 1000] * (MOST_PARTS // 1000 - 1))
        assert plan is not None
        self.assertLess(len(plan.changes), MOST_PARTS)
        with self.assertRaisesRegex(NotConvertible, "more than 100000 parts"):
            plan_of(head, *[b"--b\r\n\r\n\xff\r\n" * 1000] * (MOST_PARTS // 1000 + 1))

    def test_deep(self) -> None:
        """A hundred thousand multiparts, or messages, inside of each other."""
        multiparts = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(100_000)]
        self.assertIsNone(plan_of(*multiparts, b"\r\nx\r\n"))
        with self.assertRaisesRegex(NotConvertible, "more than 50 multiparts"):
            plan_of(*multiparts, b"\r\n\xff\r\n")
        messages = b"Content-Type: message/rfc822\r\n\r\n"
        self.assertIsNone(plan_of(messages * 100_000, b"\r\nx\r\n"))
        plan = plan_of(messages * 90_000, b"\r\n\xff\r\n")
        assert plan is not None
        self.assertTrue(b"".join(changed([messages * 90_000, b"\r\n\xff\r\n"], plan)).endswith(b"\r\n\r\n=FF\r\n"))

    def test_little_is_kept(self) -> None:
        """Whatever is said without end."""
        head = b"Content-Type: multipart/mixed; boundary=b\r\nContent-Type: x"
        for each in HOSTILE:
            for start in (head, head + b"\r\n\r\n", head + b"\r\n\r\n--b\r\n", b"\r\n"):
                survey, conversion = Survey(binary=True), Conversion(Plan(b"\4" * 200_000, True, "7BIT"))
                for machine in (survey, conversion):
                    machine.feed(start)
                    for _ in range(30):
                        machine.feed(each * (50_000 // len(each)))
                    self.assertLess(len(machine._block) - machine._at, 5000, (start, each))


WORDS = (
    b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n--c\r\n", b"\r\n--c--\r\n", b"\r\n\r\n", b"\r\n", b"x", b"=",
    b" ", b".", TEXT, b"\xff\xfe", b"Content-Type: text/plain\r\n", b"Content-Type: application/octet-stream\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b'Content-Type: multipart/x; boundary="c"\r\n\r\n',
    b"Content-Type: message/rfc822\r\n\r\n", b"Content-Transfer-Encoding: 8bit\r\n", b"x" * 80, b"-",
)
LEAF = st.tuples(
    st.sampled_from([b"text/plain; charset=utf-8", b"text/html", b"a/b", b"application/pkcs7-mime"]),
    st.lists(st.one_of(st.sampled_from([b"\r\n", b"=", b" ", b"--", b"\t"]), st.binary(max_size=90))).map(b"".join),
)


def tidy(body: bytes) -> bytes:
    return body.replace(b"\0", b"0").replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


@st.composite
def messages(draw: st.DrawFn, depth: int = 3, is_part: bool = False) -> bytes:
    """Well-formed ones, of every kind."""
    kind = draw(st.sampled_from(["leaf", "multipart", "message"])) if depth else "leaf"
    head = b"" if is_part else b"MIME-Version: 1.0\r\nSubject: x\r\n"
    if kind == "leaf":
        type, body = draw(LEAF)
        return head + b"Content-Type: %b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" % type + tidy(body)
    if kind == "message":
        return head + b"Content-Type: message/rfc822\r\n\r\n" + draw(messages(depth - 1))
    parts = draw(st.lists(messages(depth - 1, True), min_size=1, max_size=3))
    mark = b"=_%d" % depth
    body = b"".join(b"--%b\r\n%b\r\n" % (mark, part) for part in parts)
    return head + b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n%b--%b--\r\n' % (mark, body, mark)


class AnyTests(SynchronousTestCase):
    @settings(max_examples=300, deadline=None)
    @given(messages())
    def test_the_same_to_a_reader(self, content: bytes) -> None:
        """The standard library decodes the same before and after."""
        found = converted(content)
        if found is None:
            self.assertTrue(content.isascii())
            return
        self.assertTrue(found[0].isascii())
        self.assertEqual(
            [(type, octets) for type, octets in payloads(found[0])],
            [(type, octets) for type, octets in payloads(content)],
        )
        self.assertLessEqual(max(map(len, found[0].split(b"\r\n"))), max(78, *map(len, content.split(b"\r\n"))))
        self.assertIsNone(converted(found[0]))

    def test_every_cut(self) -> None:
        """The same octets wherever the content was cut."""
        content = crlf(
            MULTIPART % b"mixed" + b"pre\xff\n--\n--b\n\n" + TEXT + b"\n\n--b \nContent-Type: message/rfc822\n\n--b\n"
            b"Content-Type: multipart/mixed; boundary=c\n\n-\n\n--c\n\n--c--\n--x\n--b\nContent-Type: a/b\n\n--b"
            + TEXT + b"\n--b--\n-"
        )
        whole = converted(content)
        assert whole is not None
        for first in range(len(content) + 1):
            for second in (first, first + 1, first + 2, first + 50):
                pieces = content[:first], content[first:second], content[second:]
                plan = plan_of(*pieces)
                assert plan is not None
                self.assertEqual(b"".join(changed(pieces, plan)), whole[0])

    @settings(max_examples=500, deadline=None)
    @given(st.lists(st.sampled_from(WORDS), max_size=30).map(b"".join), st.lists(st.integers(0, 500), max_size=6))
    def test_any_order(self, content: bytes, places: list[int]) -> None:
        """However odd it is and however it is cut: 7 bits or a reason, and never both."""
        for eight, binary in ((False, False), (False, True), (True, True)):
            try:
                plan = plan_of(content, eight=eight, binary=binary)
            except NotConvertible as error:
                with self.assertRaisesRegex(NotConvertible, str(error)):
                    plan_of(*cut(content, places), eight=eight, binary=binary)
                continue
            self.assertEqual(plan_of(*cut(content, places), eight=eight, binary=binary), plan)
            if plan is None:
                self.assertTrue(eight or content.isascii())
                continue
            sent = b"".join(changed([content], plan))
            self.assertEqual(b"".join(changed(cut(content, places), plan)), sent)
            self.assertTrue(eight or sent.isascii(), sent)

    def test_long_lines(self) -> None:
        """Cut at the same places however they come."""
        content = b"X: y\r\n\r\n" + TEXT + b"y = " * 20_000 + b"\r\n" + b"z" * 4097
        whole = converted(content)
        assert whole is not None
        self.assertEqual(payloads(whole[0]), [("text/plain", content[8:])])
        for size in (1, 4095, 4096, 4097, 5000):
            pieces = [content[at : at + size] for at in range(0, len(content), size)]
            plan = plan_of(*pieces)
            assert plan is not None
            self.assertEqual(b"".join(changed(pieces, plan)), whole[0])
