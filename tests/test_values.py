"""Replies, ids, contents and the lines we add: values without a world."""

from twisted.trial.unittest import SynchronousTestCase

from mailserver import ident
from mailserver.address import Address
from mailserver.content import LARGE, Content
from mailserver.envelope import Client, Envelope, Origin, Tls
from mailserver.received import mail_date, protocol, received
from mailserver.reply import NO_SUCH_USER, Reply


class ReplyTests(SynchronousTestCase):
    def test_encoded(self) -> None:
        """Code, enhanced status, text."""
        self.assertEqual(NO_SUCH_USER.encode(), b"550 5.1.1 No such user here\r\n")

    def test_several_lines(self) -> None:
        """All lines but the last have a hyphen (RFC 5321 4.2.1), and each the status (RFC 2034 4)."""
        self.assertEqual(Reply(250, "0.0", "a\nb").encode(), b"250-2.0.0 a\r\n250 2.0.0 b\r\n")

    def test_nothing_is_injected(self) -> None:
        """A text from elsewhere makes no line of its own, and no terminal blinks."""
        encoded = Reply(550, "7.1", "no\r250 2.0.0 yes\x1b]0;owned\x07").encode()
        self.assertEqual(encoded.count(b"\r\n"), 1)
        self.assertEqual(encoded, b"550 5.7.1 no?250 2.0.0 yes?]0;owned?\r\n")

    def test_length(self) -> None:
        """A reply line has at most 512 octets (RFC 5321 4.5.3.1.5)."""
        self.assertLessEqual(len(Reply(550, "7.1", "x" * 2000).encode()), 512)


class IdentTests(SynchronousTestCase):
    def test_spelling(self) -> None:
        """What is spelt is read, in any case, with the letters that people mistake."""
        number = ident.Ids(lambda: 1_800_000_000.0, 77)()
        self.assertEqual(ident.read(ident.spell(number)), number)
        self.assertEqual(ident.read(ident.spell(number).lower().replace("0", "o")), number)
        self.assertEqual(len(ident.spell(number)), 13)

    def test_never_twice(self) -> None:
        """A clock that stands still, or jumps back, does no harm."""
        times = iter([5.0, 5.0, 4.0, 5.0])
        ids = ident.Ids(lambda: next(times), 1)
        made = [ids() for _ in range(4)]
        self.assertEqual(sorted(set(made)), made)

    def test_time(self) -> None:
        """An id tells when it was made."""
        self.assertEqual(ident.seconds(ident.Ids(lambda: 12.5, 3)()), 12.5)

    def test_no_id(self) -> None:
        """Everything else is a ValueError."""
        for text in ("", "x", "0" * 14, "ZZZZZZZZZZZZZ", "0000000000U00", "é" * 13, "../../etc/pas"):
            self.assertRaises(ValueError, ident.read, text)


class ContentTests(SynchronousTestCase):
    def test_header(self) -> None:
        """The header ends at the first empty line."""
        for octets, header in (
            (b"A: b\r\n\r\nbody\r\n\r\n", b"A: b\r\n"),
            (b"\r\nbody", b""),
            (b"A: b\r\n", b"A: b\r\n"),
            (b"", b""),
        ):
            self.assertEqual(Content.of(octets).header, header)

    def test_fields(self) -> None:
        """Fields are found in any case, folded, in order, and not in the body."""
        content = Content.of(b"To: a\r\nRECEIVED: x\r\n y\r\nX-Received: no\r\nReceived : z\r\n\r\nReceived: b\r\n")
        self.assertEqual(list(content.fields("Received")), [b"x\r\n y", b"z"])

    def test_large(self) -> None:
        """What is large is read from its file, in bounded pieces."""
        octets = bytes(range(256)) * 2048
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(octets)
        content = Content(len(octets), octets[:LARGE], path)
        self.assertEqual(b"".join(content.chunks()), octets)
        self.assertEqual(b"".join(content.chunks(300_000)), octets[300_000:])
        self.assertEqual(content.read(LARGE - 5, 10), octets[LARGE - 5 : LARGE + 5])
        self.assertTrue(content.is_large)


class ReceivedTests(SynchronousTestCase):
    envelope = Envelope(1 << 40, Origin.ARRIVAL, None, (Address("b", "example.org"),))

    def test_arrival(self) -> None:
        """RFC 5321 4.4: from, by, with, id, for, date."""
        client = Client("192.0.2.1", 25, hello="mx.example.net", extended=True, tls=Tls("TLSv1.3", "TLS_AES_128"))
        self.assertEqual(
            received(client, self.envelope, "mx.example.org", mail_date(0)),
            b"Received: from mx.example.net ([192.0.2.1])\r\n"
            b"\tby mx.example.org with ESMTPS id 0000100000000\r\n"
            b"\tfor <b@example.org>\r\n"
            b"\ttls TLS_AES_128 (TLSv1.3); Thu, 1 Jan 1970 00:00:00 +0000\r\n",
        )

    def test_submission_hides_its_client(self) -> None:
        """Where somebody sits who logged in is nobody's business."""
        client = Client("192.0.2.1", hello="laptop", extended=True, login=Address("a", "example.org"))
        self.assertNotIn(b"192.0.2.1", received(client, self.envelope, "mx", mail_date(0)))
        self.assertNotIn(b"laptop", received(client, self.envelope, "mx", mail_date(0)))

    def test_hostile_hello(self) -> None:
        """What a peer calls itself writes no header of its own."""
        client = Client("2001:db8::1", hello="x)\r\nBcc: y;(é", extended=True)
        line = received(client, self.envelope, "mx", mail_date(0))
        self.assertIn(b"from x???Bcc:?y??? ([IPv6:2001:db8::1])", line)

    def test_protocols(self) -> None:
        """RFC 3848's keywords."""
        tls, login = Tls("TLSv1.3", "x"), Address("a", "b")
        for client, keyword in (
            (Client("192.0.2.1"), "SMTP"),
            (Client("192.0.2.1", extended=True), "ESMTP"),
            (Client("192.0.2.1", extended=True, tls=tls, login=login), "ESMTPSA"),
            (Client("192.0.2.1", service="lmtp", extended=True, tls=tls), "LMTPS"),
        ):
            self.assertEqual(protocol(client), keyword)
