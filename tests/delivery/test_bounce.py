"""What is sent back to who sent what could not be delivered."""

from __future__ import annotations

import email
from email.message import Message
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.delivery.bounce import MOST_HEADER, failure_report, is_reportable
from mailserver.delivery.result import DEFERRED, FAILED, Result, by_error, by_reply
from mailserver.errors import TemporaryFailure
from mailserver.reply import Reply
from tests.store.cases import NOW, make_entry

REPLY = Reply(550, "1.1", "No such user here\nask somebody else")


def report(*failed: Any, header: bytes = b"Subject: hello\r\n") -> tuple[bytes, list[Message]]:
    octets = failure_report(failed, header, "mx.example.org", NOW, "BOUNDARY")
    message = email.message_from_bytes(octets)
    assert not message.defects, message.defects
    return octets, message.get_payload()                    # type: ignore[return-value]


class ReportTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A multipart/report of three parts, to the sender, by the postmaster, automatic."""
        octets, parts = report((make_entry(1, 1, "bob@example.com"), by_reply(REPLY, "mx.example.com:25")))
        message = email.message_from_bytes(octets)
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "delivery-status")
        self.assertEqual(message["To"], "<alice@example.net>")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        for name in ("From", "Date", "Message-ID", "Subject", "MIME-Version"):
            self.assertEqual(len(message.get_all(name, [])), 1, name)
        self.assertEqual(
            [part.get_content_type() for part in parts],
            ["text/plain", "message/delivery-status", "text/rfc822-headers"],
        )
        for line in octets.split(b"\r\n"):
            self.assertNotIn(b"\n", line)
            self.assertLess(len(line), 998)

    def test_fields(self) -> None:
        """RFC 3464 2.2 and 2.3, with the remote's words."""
        _, parts = report((make_entry(1, 1, "bob@example.com"), by_reply(REPLY, "mx.example.com:25")))
        whole, recipient = parts[1].get_payload()           # type: ignore[misc]
        self.assertEqual(whole["Reporting-MTA"], "dns; mx.example.org")
        self.assertEqual(whole["Arrival-Date"], "Fri, 15 Jan 2027 08:00:00 +0000")
        self.assertEqual(
            dict(recipient.items()),
            {
                "Final-Recipient": "rfc822; bob@example.com", "Action": "failed", "Status": "5.1.1",
                "Remote-MTA": "dns; mx.example.com",
                "Diagnostic-Code": "smtp; 550 5.1.1 No such user here / ask somebody else",
                "Last-Attempt-Date": "Fri, 15 Jan 2027 08:00:00 +0000",
            },
        )
        text = parts[0].get_payload()
        self.assertIn("  <bob@example.com>", text)
        self.assertIn("mx.example.com:25 said: 550 5.1.1 No such user here / ask somebody else", text)

    def test_several(self) -> None:
        """Each has its fields; a forwarded one is known by the address that the sender wrote."""
        forwarded = make_entry(2, 1, "eve@example.net", recipient=Address.parse("sales@example.org"))
        words = "given up after 5 days: connection refused by 192.0.2.1:25"
        given_up = Result(FAILED, words, None, "mx:25", "192.0.2.1", given_up=True)
        _, parts = report((make_entry(1, 1), by_reply(REPLY)), (forwarded, given_up))
        _, first, second = parts[1].get_payload()           # type: ignore[misc]
        self.assertNotIn("Original-Recipient", first)
        self.assertNotIn("Remote-MTA", first)
        self.assertEqual(second["Original-Recipient"], "rfc822; sales@example.org")
        self.assertEqual(second["Final-Recipient"], "rfc822; eve@example.net")
        self.assertEqual(second["Status"], "4.4.7")
        self.assertIn("x-mailserver; given up after 5 days: connection refused", second["Diagnostic-Code"])
        text = parts[0].get_payload()
        self.assertIn("  <sales@example.org>", text)
        self.assertIn("given up after 5 days: connection refused by 192.0.2.1:25", text.replace("\r\n    ", " "))
        self.assertNotIn("mx:25 said", text)

    def test_hostile_words(self) -> None:
        """What a remote says is not a field, a boundary or a line that is too long."""
        reply = Reply(550, "", "x\nFinal-Recipient: rfc822; a@b\n--BOUNDARY--\n" + "y" * 4000 + " \u65e5\u672c")
        octets, parts = report((make_entry(1, 1), by_reply(reply, "mx:25")))
        self.assertEqual(len(parts), 3)
        self.assertEqual(len(parts[1].get_payload()), 2)
        self.assertLess(max(map(len, octets.split(b"\r\n"))), 998)
        self.assertTrue(parts[1].as_bytes().isascii())

    def test_hostile_header(self) -> None:
        """Only its beginning, in whole lines, and nothing that would end our part."""
        lines = b"".join(b"X-%d: %s\r\n" % (number, b"z" * 50) for number in range(2000))
        _, parts = report((make_entry(1, 1), by_reply(REPLY)), header=b"A: b\r\n--BOUNDARY--\r\n" + lines)
        self.assertEqual(len(parts), 3)
        sent_back = parts[2].get_payload(decode=True)
        self.assertLess(len(sent_back), MOST_HEADER + 100)
        self.assertTrue(sent_back.rstrip(b"\r\n").endswith(b"zzz"))
        _, parts = report((make_entry(1, 1), by_reply(REPLY)), header=b"X: " + b"z" * 100_000)
        self.assertEqual(parts[2].get_payload(decode=True).strip(), b"")

    def test_beyond_ascii(self) -> None:
        """As RFC 6533 3 writes it in a field."""
        entry = make_entry(1, 1, "j\u00f6rg@example.com")
        octets, parts = report((entry, by_reply(REPLY)))
        self.assertEqual(parts[1].get_payload()[1]["Final-Recipient"], r"utf-8; j\x{F6}rg@example.com")
        self.assertIn("<j\u00f6rg@example.com>".encode(), octets)

    def test_who_is_told(self) -> None:
        """Never the null reverse-path (RFC 5321 4.5.5)."""
        self.assertFalse(is_reportable(None))
        self.assertTrue(is_reportable(Address.parse("a@b.example")))


class ResultTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        for code, kind in ((250, "delivered"), (354, "deferred"), (451, "deferred"), (550, "failed")):
            self.assertEqual(by_reply(Reply(code, "", "x")).kind, kind)

    def test_words_are_bounded(self) -> None:
        self.assertEqual(len(by_reply(Reply(451, "", "x" * 30_000)).words), 1000)

    def test_errors(self) -> None:
        """A temporary one waits, with its reply if there was one."""
        result = by_error(TemporaryFailure("connection refused by 192.0.2.1:25"), "mx:25", "192.0.2.1")
        self.assertEqual((result.kind, result.status, result.host), (DEFERRED, "4.0.0", "mx:25"))
