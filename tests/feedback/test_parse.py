"""Reports, read: as the RFCs write them, and as some servers do."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.compose import compose
from mailserver.delivery.reports.original import Original
from mailserver.delivery.result import by_reply
from mailserver.feedback.classify import classify_words
from mailserver.feedback.kinds import Kind
from mailserver.feedback.parse import parse
from mailserver.feedback.told import Feedback, Sort, Told
from mailserver.ident import spell
from mailserver.reply import Reply
from mailserver.wishes import Wishes
from tests.store.cases import NOW, make_entry

CORPUS = Path(__file__).parent.parent / "corpus" / "feedback"
ID = "0D34H7V8M2W0E"


def read(name: str) -> Feedback:
    found = parse((CORPUS / name).read_bytes())
    assert found is not None, name
    return found


class ParseTests(SynchronousTestCase):
    def test_delivery_status(self) -> None:
        """RFC 3464: of each recipient its action, and which message of ours it was."""
        found = read("dsn")
        self.assertEqual(
            found.recipients,
            (
                Told(Sort.BOUNCE, "bob@example.com", "robert@example.com", "5.1.1", 550,
                     "550 5.1.1 <bob@example.com>: User unknown"),
                Told(Sort.DELAY, "carol@example.com", "", "4.4.1", 0, ""),
            ),
        )
        self.assertEqual((found.reporter, found.envelope_id, found.sender), ("mx.example.com", ID, "alice@example.org"))
        self.assertEqual(found.received, (("mx.example.com", "4cYx1"), ("us.example.org", ID)))
        self.assertEqual(found.message_id, f"<{ID}@us.example.org>")

    def test_beyond_ascii(self) -> None:
        """RFC 6533, and in base64 on top of it."""
        [told] = read("global").recipients
        self.assertEqual((told.recipient, told.status), ("j\u00f6rg@example.com", "5.2.2"))

    def test_complaint(self) -> None:
        """RFC 5965: who complained, and under which reverse-path it had gone."""
        found = read("complaint")
        self.assertEqual(found.recipients, (Told(Sort.COMPLAINT, "bob@example.com", text="abuse"),))
        self.assertEqual(found.sender, "news+aaaaaaaaaa=0d34h7v8m2w0e=bob=example.com@example.org")
        self.assertEqual(found.received, (("us.example.org", ID),))
        praise = parse((CORPUS / "complaint").read_bytes().replace(b"abuse\r\nUser", b"not-spam\r\nUser"))
        assert praise is not None
        self.assertEqual(praise.recipients[0].sort, Sort.OTHER)

    def test_unwritten(self) -> None:
        """Those that no RFC describes."""
        for name, status, kind in (("qmail", "5.1.1", Kind.GONE), ("exim", "5.2.2", Kind.FULL),
                                   ("exchange", "5.1.1", Kind.GONE)):
            told = read(name).recipients[0]
            self.assertEqual((told.sort, told.recipient, told.status), (Sort.BOUNCE, "bob@example.com", status), name)
            self.assertEqual(classify_words(told.code, told.status, told.text), kind, name)
        for name in ("qmail", "exim"):
            self.assertIn(("us.example.org", ID), read(name).received, name)
        self.assertEqual([told.recipient for told in read("exim").recipients], ["bob@example.com", "carol@example.net"])

    def test_without_fields(self) -> None:
        """Some leave the fields empty: whose mail failed stands in the header, and the original comes back."""
        found = read("workspace")
        told = Told(Sort.BOUNCE, "bob@example.com", "", "5.7.1", 550, "550 5.7.1 Not now")
        self.assertEqual(found.recipients, (told,))
        self.assertEqual(found.received, (("us.example.org", ID),))

    def test_hotmail(self) -> None:
        """Its complaints are the mail itself, with one field more."""
        found = read("hotmail")
        self.assertEqual(found.recipients, (Told(Sort.COMPLAINT, "bob@example.com", text="abuse"),))
        self.assertEqual(found.received, (("us.example.org", ID),))

    def test_no_report(self) -> None:
        """Mail of people, answers of programs, and nothing at all."""
        for octets in (
            b"", b"\r\n", b"Subject: x\r\n\r\nHi. What is this?\r\n",
            b"From: bob@example.com\r\n\r\nYour letter did not reach all of us\r\n",
            b"Auto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\nI am away.\r\n",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        ):
            self.assertIsNone(parse(octets), octets)

    def test_our_own(self) -> None:
        """What we write, we read."""
        for action, sort in (
            (Action.FAILED, Sort.BOUNCE), (Action.DELAYED, Sort.DELAY), (Action.RELAYED, Sort.DELIVERED),
        ):
            for target in ("bob@example.com", "j\u00f6rg@example.com"):
                entry = make_entry(1, 77, target, wishes=Wishes(envid="E1", orcpt="rfc822;Robert@example.com"))
                header = f"Received: by us.example.org id {spell(77)}; x\r\nSubject: x\r\n".encode()
                result = by_reply(Reply(550, "1.1", "No such user"), "mx.example.com:25")
                found = parse(
                    compose(action, [(entry, result)], Original(header, None, 1), "us.example.org", NOW, "B.1")
                )
                assert found is not None
                [told] = found.recipients
                self.assertEqual((told.sort, told.recipient, told.original), (sort, target, "Robert@example.com"))
                self.assertEqual((found.envelope_id, found.received), ("E1", (("us.example.org", spell(77)),)))

    @given(some.binary(max_size=2000))
    def test_anything(self, octets: bytes) -> None:
        parse(octets)

    def test_hostile(self) -> None:
        """A great deal of anything is read in little time."""
        start = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
        start += b"Content-Type: message/delivery-status\r\n\r\n"
        size = 4 * 1024 * 1024
        for octets in (
            start + b"\n\t" * (size // 2), start + b"\n \n" * (size // 3),
            start + b"Final-Recipient: rfc822; a@b\r\n" * 40_000,
            start + b"Action: failed\r\nFinal-Recipient: rfc822; a@b\r\n\r\n" * 40_000,
            b"A" * size, b"A: " + b"\n " * (size // 2),
            b"X-Failed-Recipients: " + b"a@" * 60_000 + b"\r\n\r\n" + b"<a@b>:\n" * 10_000,
            b"Hi. This is the \n\n" + b"<" * size, b"\n\n" + b"a@b\n" * (size // 4), start + b"\n--b" * (size // 4),
            start[:-4] + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"=" * size,
            b"Content-Type: multipart/report; " + b"boundary =" * 20_000 + b"\r\n\r\n",
            start + b"\n--b\nContent-Type: message/rfc822\n\nReceived: " + b"by a id" * 60_000,
        ):
            begun = time.process_time()
            parse(octets)
            self.assertLess(time.process_time() - begun, 1.0, octets[:100])


class AddressTests(SynchronousTestCase):
    def test_control_characters(self) -> None:
        """Words are one printable line, as they are kept, shown and told: PostgreSQL takes no NUL."""
        dsn = (
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
            b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            b"Reporting-MTA: dns;mx=00=1B[2J.example\r\n\r\nFinal-Recipient: rfc822;bob@example.com\r\n"
            b"Action: failed\r\nDiagnostic-Code: %s\r\n\r\n--x--\r\n"
        )
        for words in (b"smtp; 550=00no=1B]0;x=C2=9B such user", b"utf-8; 550\\x{00}no\\x{1B}]0;x\\x{9B} such user"):
            found = parse(dsn % words)
            assert found is not None
            [told] = found.recipients
            self.assertRegex(told.text, "550.no.*such user")
            self.assertTrue(told.text.isprintable(), told.text)
            self.assertTrue(found.reporter.isprintable(), found.reporter)
        qmail = b"Subject: failure notice\r\n\r\nHi. This is the qmail-send program at x.\r\n\r\n"
        found = parse(qmail + b"<bob@example.com>:\r\n550\0no\x1b\r\n")
        assert found is not None
        self.assertEqual([each.text for each in found.recipients], ["550 no"])

    def test_only_addresses(self) -> None:
        """What is none is nobody: no names of systems, no lists, no control characters."""
        long = "rfc822; " + "a" * 400 + "@b"
        for written in ("rfc822; bob", "x400; /C=de/", "rfc822; a@b c@d", "rfc822; a\x1b@b", long):
            octets = (CORPUS / "dsn").read_bytes().replace(
                b"rfc822; bob@example.com", written.encode()
            ).replace(b"rfc822;robert@example.com", written.encode())
            found = parse(octets)
            assert found is not None
            self.assertEqual([told.recipient for told in found.recipients], ["carol@example.com"], written)
        self.assertEqual(str(Address.parse(read("dsn").recipients[0].recipient)), "bob@example.com")
