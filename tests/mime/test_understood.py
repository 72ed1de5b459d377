"""Whole messages, understood once."""

from __future__ import annotations

import email
import email.policy
import mmap
import tempfile
from email.message import EmailMessage, Message

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.part import Kind, Part
from mailserver.mime.structure import parse
from mailserver.mime.transfer import decoded
from mailserver.mime.understood import understand
from tests.mime.letters import RFC_9051, crlf

TEXTS = some.text(some.sampled_from("ab \n-=雨é<>&"), max_size=200)
LEAVES = some.one_of(some.tuples(some.just("text"), TEXTS), some.tuples(some.just("file"), some.binary(max_size=200)))
TREES = some.recursive(
    LEAVES,
    lambda inner: some.one_of(
        some.tuples(some.just("multipart"), some.lists(inner, min_size=1, max_size=4)),
        some.tuples(some.just("message"), inner),
    ),
    max_leaves=8,
)


def built(tree: tuple[str, object]) -> EmailMessage:
    """As Python writes it."""
    kind, content = tree
    message = EmailMessage()
    if kind == "text":
        message.set_content(content)
    elif kind == "file":
        message.set_content(content, maintype="application", subtype="octet-stream", filename="雨.bin")
    elif kind == "message":
        assert isinstance(content, tuple)
        inner = built(content)
        inner["Subject"] = "inner"
        message.set_content(inner)
    else:
        assert isinstance(content, list)
        message.make_mixed()
        for each in content:
            message.attach(built(each))
    return message


def as_python(message: Message) -> object:
    """Types and what the leaves say, as Python reads them."""
    if message.is_multipart():
        return [message.get_content_type(), *map(as_python, message.get_payload())]     # type: ignore[arg-type]
    return [message.get_content_type(), message.get_payload(decode=True), message.get_filename()]


def as_we(octets: bytes, part: Part) -> object:
    if part.kind is not Kind.LEAF:
        return [f"{part.type}/{part.subtype}", *(as_we(octets, each) for each in part.parts)]
    said = b"".join(decoded(octets, part.body, part.end, part.encoding) or ())
    return [f"{part.type}/{part.subtype}", said, part.file_name]


class OracleTests(SynchronousTestCase):
    """What Python's email package writes and reads."""

    @settings(deadline=None, max_examples=150)
    @given(TREES)
    def test_as_python(self, tree: tuple[str, object]) -> None:
        octets = built(tree).as_bytes(policy=email.policy.SMTP)
        theirs = email.message_from_bytes(octets, policy=email.policy.compat32.clone(linesep="\r\n"))
        self.assertEqual(as_we(octets, parse(octets)), as_python(theirs))

    def test_rfc_9051(self) -> None:
        self.assertEqual(as_we(RFC_9051, parse(RFC_9051)), as_python(email.message_from_bytes(RFC_9051)))


class UnderstoodTests(SynchronousTestCase):
    def test_everything(self) -> None:
        """What a listing shows, and what it is sorted by."""
        found = understand(crlf(
            "From: =?utf-8?B?5bGx55Sw?= <Taro@example.jp>\nTo: Us: bob@example.org;, c@d\nCc: \"D, E\" <d@e>\n"
            "Subject: Re: [list] =?iso-2022-jp?B?GyRCMnE1RBsoQg==?=\nDate: Tue, 24 Nov 2026 18:00:00 +0900\n"
            "Message-ID: <1@a>\nIn-Reply-To: <3@a>\nReferences: <2@a>\n <3@a>\n\nHello\n"
        ))
        self.assertEqual(
            (found.subject, found.base_subject, found.is_reply), ("Re: [list] 会議", "会議", True)
        )
        self.assertEqual((found.sent, found.message_id, found.references), (1795510800, "1@a", ("2@a", "3@a")))
        self.assertEqual((found.sort_from, found.sort_to, found.sort_cc), ("TARO", "BOB", "D"))
        self.assertEqual((found.display_from, found.display_to), ("山田", "BOB@EXAMPLE.ORG"))
        self.assertEqual((found.preview, found.has_attachment), ("Hello", False))
        self.assertEqual(found.body, b'("text" "plain" NIL NIL NIL "7bit" 7 1)')
        self.assertTrue(found.envelope.startswith(b'("Tue, 24 Nov 2026 18:00:00 +0900" "Re: [list] =?iso-2022-jp?B?'))

    def test_nothing(self) -> None:
        found = understand(b"")
        self.assertEqual((found.sent, found.message_id, found.subject, found.preview), (None, None, "", ""))
        self.assertEqual((found.header_size, found.references, found.has_attachment), (0, (), False))

    def test_attachments(self) -> None:
        """Files and messages; not the picture that a page shows, nor a text in two forms."""
        mixed = "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n--x\n"
        for header, expected in (
            ("Content-Type: application/pdf; name=a.pdf", True), ("Content-Disposition: attachment", True),
            ("Content-Type: message/rfc822", True), ("Content-Type: application/octet-stream", True),
            ("Content-Type: image/png\nContent-Disposition: inline\nContent-ID: <a>", False),
            ("Content-Type: image/png; name=a.png", True), ("Content-Type: text/html", False),
            ("Content-Type: application/pkcs7-signature\nContent-Disposition: attachment; filename=smime.p7s", False),
        ):
            self.assertIs(understand(crlf(mixed + header + "\n\nx\n--x--\n")).has_attachment, expected, header)

    def test_mapped(self) -> None:
        """A large content is a file, and is not read into memory."""
        with tempfile.TemporaryFile() as file:
            file.write(RFC_9051)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                self.assertEqual(understand(mapped), understand(RFC_9051))

    @settings(deadline=None)
    @given(some.binary(max_size=500))
    def test_any_octets(self, octets: bytes) -> None:
        """Even those that are no message; tests/fuzz has worse."""
        self.assertEqual(understand(octets).root.end, len(octets))
