"""The mail that carries a report (RFC 8460 5.3), and the name of the file in it (5.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from mailserver.address import Address
from mailserver.received import mail_date
from mailserver.tlsrpt.report import Report

WIDTH = 76          # characters of a line of base64 (RFC 2045 6.8)


def file_name(report: Report, submitter: str, domain: str) -> str:
    """What a report that is packed by gzip is called; the last word of its id makes it unique."""
    unique = re.sub("[^0-9A-Za-z]", "", report.id.partition("@")[0].rpartition(".")[2])
    return f"{submitter}!{domain}!{report.begin}!{report.end}!{unique}.json.gz"


def letter(
    report: Report,
    packed: bytes,
    submitter: str,
    domain: str,
    sender: str,
    recipients: Sequence[Address],
    now: float,
    boundary: str,
) -> bytes:
    """A whole message; `packed` is the report's JSON in gzip, `submitter` the name of who sends it.

    "TLS-Required: No" (RFC 8689 3) sees to it that what is reported does not hinder the report (RFC 8460 3).
    """
    sessions = sum(each.successful + each.failed for each in report.sections)
    failed = sum(each.failed for each in report.sections)
    lines = [
        f"From: <{sender}>",
        f"To: {', '.join(f'<{each}>' for each in recipients)}",
        f"Date: {mail_date(now)}",
        f"Message-ID: <{boundary}@{submitter}>",
        f"Subject: Report Domain: {domain}",
        f"\tSubmitter: {submitter}",
        f"\tReport-ID: <{report.id}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {submitter}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",               # RFC 3834 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a report of {submitter} about TLS on the way to {domain} (RFC 8460).",
        "",
        f"From {mail_date(report.begin)} to {mail_date(report.end)}",
        f"there were {sessions} sessions, of which {failed} failed.",
        "",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f'\tfilename="{file_name(report, submitter, domain)}"',
        "",
    ]
    text = base64.b64encode(packed).decode("ascii")
    lines += [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)]
    return ("\r\n".join(lines) + f"\r\n--{boundary}--\r\n").encode()
