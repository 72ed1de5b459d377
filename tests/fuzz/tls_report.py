"""TLS reports of strangers, in a mail or alone."""

from __future__ import annotations

from mailserver.tlsrpt.parts import report_in
from mailserver.tlsrpt.reading import LONGEST, BadReport, read_report
from mailserver.tlsrpt.record import endpoints, is_mail, is_web
from mailserver.tlsrpt.report import write
from tests.fuzz.choices import Choices, split

WORDS = (
    b"Content-Type: multipart/report; boundary=x\r\n", b"Content-Type: application/tlsrpt+json\r\n", b"\r\n--x\r\n",
    b"Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n", b"\r\n", b"\r\n--x--\r\n",
    b'{"policies":[{"policy":{"policy-type":"sts","policy-string":', b'"summary":{"total-failure-session-count":',
    b"1e9", b'"failure-details":[{"result-type":"certificate-expired","failed-session-count":3}]', b"}]}", b"[", b"{",
    b",", b'"',
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b'\\ud800', b"v=TLSRPTv1;", b"rua=mailto:a@b.example", b",https://x/",
    b'"start-datetime":"2016-04-01T00:00:00Z"', b"\xff", b"\0",
)


def run(octets: bytes) -> None:
    """A report whose texts are short and that is read again as it was, or a `BadReport`."""
    choices, message = split(octets)
    try:
        report = read_report(message if Choices(choices).below(2) else report_in(message))
    except BadReport:
        report = None
    if report is not None:
        assert len(report.organization) <= LONGEST and report.begin >= 0
        assert read_report(write(report)) == report, report
    for each in endpoints([message.decode("utf-8", "replace")]):
        assert is_mail(each) or is_web(each), each
