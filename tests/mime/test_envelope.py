"""Envelopes and bodies as a server sends them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.bodystructure import bodies
from mailserver.mime.envelope import envelope
from mailserver.mime.strings import nstring, string, with_utf_8
from mailserver.mime.structure import parse
from tests.mime.imap import read
from tests.mime.letters import RFC_9051, crlf

# RFC 3501 8 and RFC 9051 8.
GRAY = crlf("""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

""")


class EnvelopeTests(SynchronousTestCase):
    def check(self, header: str, expected: bytes) -> None:
        self.assertEqual(envelope(parse(crlf(header)).fields), expected)
        read(expected)

    def test_rfc(self) -> None:
        """The one that RFC 9051 shows."""
        gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
        self.assertEqual(
            envelope(parse(GRAY).fields),
            b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
            + b" ".join([gray] * 3)
            + b' ((NIL NIL "imap" "cac.washington.edu"))'
            b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
            b' NIL NIL "<B27397-0100000@cac.washington.edu>")',
        )

    def test_defaults(self) -> None:
        """Sender and Reply-To that are missing or empty are From; an empty Subject is not a missing one."""
        self.check("", b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")
        self.check(
            "From: a@b\nSender:\nReply-To: ,\nSubject:\n\n",
            b'(NIL "" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)',
        )

    def test_groups(self) -> None:
        self.check(
            "To: Us: a@b, C <@x:c@d>;, e\n\n",
            b'(NIL NIL NIL NIL NIL ((NIL NIL "Us" NIL)(NIL NIL "a" "b")("C" "@x" "c" "d")(NIL NIL NIL NIL)'
            b'(NIL NIL "e" "")) NIL NIL NIL NIL)',
        )

    def test_as_sent(self) -> None:
        """Encoded words stay, folding goes, quotes are escaped."""
        self.check(
            'Subject: =?utf-8?B?5pel?=\n =?utf-8?B?5pys?= "x\\"\n\n',
            b'(NIL "=?utf-8?B?5pel?= =?utf-8?B?5pys?= \\"x\\\\\\"" NIL NIL NIL NIL NIL NIL NIL NIL)',
        )

    def test_utf_8(self) -> None:
        """As a literal, which everybody may be sent; quoted for who has enabled that."""
        self.check(
            'Subject: 雨 "x" {3}\n\n', '(NIL {11}\r\n雨 "x" {3} NIL NIL NIL NIL NIL NIL NIL NIL)'.encode()
        )
        answer = envelope(parse(crlf('Subject: 雨 "x" {3}\nFrom: 雨 <a@b>\n\n')).fields)
        self.assertEqual(
            with_utf_8(answer),
            '(NIL "雨 \\"x\\" {3}" (("雨" NIL "a" "b")) (("雨" NIL "a" "b")) (("雨" NIL "a" "b"))'.encode()
            + b" NIL NIL NIL NIL NIL)",
        )
        # What is no UTF-8 stays a literal, and what only looks like a literal stays what it is.
        for stored in (b"{1}\r\n\xff", b'"{1}"', b"NIL", string(b"x" * 2000), b'"\\"{3}\\\\"'):
            self.assertEqual(with_utf_8(stored), stored)

    def test_strings(self) -> None:
        self.assertEqual((nstring(None), nstring(b""), string(b'a"\\')), (b"NIL", b'""', b'"a\\"\\\\"'))
        self.assertEqual((string(b"\xff\0"), string(b"a\r\nb\0")), (b"{1}\r\n\xff", b'"a  b"'))


class BodyTests(SynchronousTestCase):
    def test_rfc(self) -> None:
        """RFC 9051 8 and 7.5.2: text, and a multipart with an attachment."""
        message = GRAY + b"x\r\n" * 92 + b"y" * (3028 - 3 * 92)
        self.assertEqual(bodies(parse(message))[0], b'("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 3028 92)')
        message = crlf(
            "Content-Type: MULTIPART/MIXED; BOUNDARY=x\n\n--x\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n"
            + "y" * 1149 + "\n" * 4 + "--x\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\n"
            "Content-ID: <960723163407.20117h@cac.washington.edu>\nContent-Description: Compiler diff\n"
            "Content-Transfer-Encoding: BASE64\n\n" + "a\n" * 73 + "z--x\n--x--\n"
        )
        short, full = bodies(parse(message))
        self.assertEqual(
            short,
            b'(("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 1155 3)'
            b'("text" "plain" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>"'
            b' "Compiler diff" "base64" 223 73) "mixed")',
        )
        self.assertEqual(read(full)[2:], [b"mixed", [b"BOUNDARY", b"x"], None, None, None])

    def test_extension(self) -> None:
        full = bodies(parse(crlf(
            "Content-Type: image/png; name*=utf-8''%E9%9B%A8.png\nContent-MD5: x\nContent-Language: en, ja\n"
            "Content-Disposition: attachment; filename=雨.png\nContent-Location: y\n\n"
        )))[1]
        self.assertEqual(
            full,
            "(\"image\" \"png\" (\"name*\" \"utf-8''%E9%9B%A8.png\") NIL NIL \"7bit\" 0 \"x\" "
            "(\"attachment\" (\"filename\" {7}\r\n雨.png)) (\"en\" \"ja\") \"y\")".encode(),
        )

    def test_message(self) -> None:
        """With the envelope and the body of the message in it, and its lines."""
        short, full = bodies(parse(crlf("Content-Type: message/rfc822\n\nSubject: x\nFrom: a@b\n\nhello\n")))
        self.assertEqual(
            short,
            b'("message" "rfc822" NIL NIL NIL "7bit" 32 (NIL "x" ((NIL NIL "a" "b")) ((NIL NIL "a" "b"))'
            b' ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 7 1) 4)',
        )
        self.assertEqual(len(read(full)), 14)

    def test_shapes(self) -> None:
        """Each level is a list; a multipart has its parts, then its subtype."""
        short, full = map(read, bodies(parse(RFC_9051)))
        self.assertEqual(([len(each) for each in short[:3]], short[-1]), ([8, 7, 10], b"mixed"))
        self.assertEqual([len(each) for each in full[:3]], [12, 11, 14])
        self.assertEqual(full[4:], [b"mixed", [b"boundary", b"one"], None, None, None])
