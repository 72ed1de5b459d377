"""Reports about our mail: whatever they say, they are read or they are none."""

from __future__ import annotations

from mailserver.feedback.classify import classify_words
from mailserver.feedback.kinds import Kind
from mailserver.feedback.parse import MOST_RECIPIENTS, parse

WORDS = (
    b"Content-Type: multipart/report; boundary=b\r\n\r\n", b"\r\n--b\r\n", b"--b--\r\n", b"\r\n\r\n", b"\r\n",
    b"Content-Type: message/delivery-status\r\n\r\n", b"Content-Type: message/feedback-report\r\n\r\n",
    b"Content-Type: text/rfc822-headers\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n", b"Final-Recipient: rfc822; bob@example.com\r\n",
    b"Final-Recipient: utf-8; b\\x{110000}\\x{F6}@example.com\r\n", b"Action: failed\r\n", b"Status: 5.1.1\r\n",
    b"Diagnostic-Code: smtp; 550 5.1.1 No\r\n", b"Feedback-Type: abuse\r\n", b"Original-Rcpt-To: <bob@example.com>\r\n",
    b"Received: by a with b id c; d\r\n", b"X-Failed-Recipients: bob@example.com\r\n",
    b"Hi. This is the qmail-send\r\n",
    b"<bob@example.com>:\r\n", b"--- Below this line is a copy\r\n", b"=3D", b"UmVwb3J0", b" ", b"\t", b"\0", b"\xff",
)


def run(octets: bytes) -> None:
    """Nothing raises, and all that comes out is within bounds."""
    found = parse(octets)
    if found is None:
        return
    assert len(found.recipients) <= MOST_RECIPIENTS
    for text in (found.reporter, found.envelope_id, found.sender, found.message_id):
        assert len(text) <= 2000
    for told in found.recipients:
        assert not told.recipient or ("@" in told.recipient and len(told.recipient) <= 320)
        assert len(told.text) <= 1000
        assert isinstance(classify_words(told.code, told.status, told.text), Kind)
