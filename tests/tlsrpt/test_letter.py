"""The mail that carries a report, and finding it again in mails of all sorts."""

from __future__ import annotations

import base64
import gzip
from email import message_from_bytes

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.content import Content
from mailserver.header import tls_is_optional
from mailserver.tlsrpt.letter import file_name, letter
from mailserver.tlsrpt.parts import LARGEST, MOST_LEAVES, report_in
from mailserver.tlsrpt.reading import BadReport, read_report
from mailserver.tlsrpt.report import write
from tests.tlsrpt.test_report import EXAMPLE, REPORT

PACKED = gzip.compress(write(REPORT))
LETTER = letter(
    REPORT, PACKED, "mx.example.org", "example.com", "postmaster@example.org", [Address.parse("tls@example.com")],
    1_728_090_000.0, "edge",
)


class LetterTests(SynchronousTestCase):
    def test_header(self) -> None:
        """RFC 8460 5.3, as an independent reader sees it."""
        message = message_from_bytes(LETTER)
        self.assertEqual(message["TLS-Report-Domain"], "example.com")
        self.assertEqual(message["TLS-Report-Submitter"], "mx.example.org")
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "tlsrpt")
        self.assertEqual(
            message["Subject"].replace("\r\n\t", " "),
            f"Report Domain: example.com Submitter: mx.example.org Report-ID: <{REPORT.id}>",
        )
        text, report = message.get_payload()
        self.assertEqual(text.get_content_type(), "text/plain")
        self.assertEqual(report.get_content_type(), "application/tlsrpt+gzip")
        self.assertEqual(
            report.get_filename(), "mx.example.org!example.com!1728000000!1728086399!1.json.gz"
        )
        self.assertEqual(report.get_payload(decode=True), PACKED)

    def test_goes_without_tls_too(self) -> None:
        """What is reported must not hinder the report (RFC 8460 3)."""
        self.assertTrue(tls_is_optional(Content.of(LETTER)))

    def test_lines(self) -> None:
        lines = LETTER.split(b"\r\n")
        self.assertLess(max(map(len, lines)), 200)
        self.assertFalse(any(b"\n" in each or b"\r" in each for each in lines))

    def test_file_name(self) -> None:
        """No character of an id leads out of a folder."""
        self.assertNotIn("/", file_name(REPORT.__class__("", "", "../x/y", 0, 1, ()), "a", "b"))


class PartsTests(SynchronousTestCase):
    def refused(self, octets: bytes) -> str:
        return str(self.assertRaises(BadReport, report_in, octets))

    def test_ours(self) -> None:
        self.assertEqual(report_in(LETTER), PACKED)

    def test_bare(self) -> None:
        """A mail that is nothing but a report, packed or not."""
        head = b"Subject: x\r\nContent-Type: application/tlsrpt+json\r\n\r\n"
        self.assertEqual(read_report(report_in(head + EXAMPLE)).organization, "Company-X")
        head = b"content-type:application/TLSRPT+gzip\r\ncontent-transfer-encoding: Base64\r\n\r\n"
        self.assertEqual(report_in(head + base64.encodebytes(PACKED)), PACKED)

    def test_inside_of_another(self) -> None:
        """Whoever forwards it puts it one deeper; some call it by a type that says less."""
        inner = LETTER.replace(b"application/tlsrpt+gzip", b"application/octet-stream")
        head = b"Content-Type: multipart/mixed;\r\n boundary=outer\r\n\r\n"
        text = b"old clients\r\n--outer\r\n\r\nhello\r\n--outer\r\n"
        self.assertEqual(report_in(head + text + inner + b"\r\n--outer--\r\n"), PACKED)

    def test_nothing_there(self) -> None:
        for octets in (
            b"", b"\r\n", b"Subject: x\r\n\r\nhello\r\n", b"Content-Type: multipart/report\r\n\r\n--x\r\n",
            b"Content-Type: multipart/report; boundary=x\r\n\r\n--x--\r\n",
            b"Content-Type: multipart/report; boundary=x\r\n\r\n--xy\r\nContent-Type: application/json\r\n\r\n{}",
        ):
            self.refused(octets)

    def test_deep_and_wide(self) -> None:
        """A hundred thousand parts inside of each other, or beside."""
        deep = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 100_000
        self.refused(deep)
        wide = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * 500_000
        self.refused(wide)
        nested = b"".join(
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n" + b"--y\r\n\r\na\r\n" * 45 for _ in range(45)
        )
        self.assertGreater(45 * 45, MOST_LEAVES)
        self.refused(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + nested)
        self.assertIn("larger", self.refused(b"x" * (LARGEST + 1)))
