"""The fields that we write above a message, with whatever peers said of themselves in them."""

from __future__ import annotations

import re

from mailserver.envelope import Client, Envelope, Origin, Tls
from mailserver.received import delivered_to, mail_date, received, return_path
from mailserver.smtp.commands import Hello, Mail, Rcpt
from mailserver.smtp.lines import SmtpError
from mailserver.smtp.syntax import parse_command
from tests.fuzz.choices import Choices, split

WORDS = (
    b"EHLO client.example.net\n", b"MAIL FROM:<a@example.net>\n", b"RCPT TO:<bob@example.org>\n", b"EHLO ",
    b"[192.0.2.1]", b"(", b")", b";", b"<", b">", b'"', b"\\", b"\x1b]0;", b"\r", b"${run{x}}", b"%n",
    b"{0.__class__}", b"\t",
)
FIELD = re.compile(rb"[!-9;-~]+: [^\r\n\0]*\r\n(?:\t[^\r\n\0]+\r\n)*")
ADDRESSES = ("192.0.2.1", "2001:db8::1", "")


def run(octets: bytes) -> None:
    """Each is one field and stays one, whatever stands in it."""
    choices, said = split(octets)
    choose = Choices(choices)
    address, service = ADDRESSES[choose.below(3)], ("smtp", "submission", "lmtp")[choose.below(3)]
    hello, sender, recipients = "", None, []
    for line in said.split(b"\n"):
        try:
            command = parse_command(line)
        except SmtpError:
            continue
        if isinstance(command, Hello):
            hello = command.name
        elif isinstance(command, Mail):
            sender = command.sender
        elif isinstance(command, Rcpt):
            recipients.append(command.recipient)
    tls = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", hello) if choose.below(2) else None
    login = sender if address and choose.below(4) == 3 else None
    client = Client(address, 50000, service, hello, bool(choose.below(2)), tls, login)
    envelope = Envelope(1, Origin.ARRIVAL, sender, tuple(recipients))
    for field in (
        received(client, envelope, "mx.example.org", mail_date(choose.below(256) * 1e7)), return_path(sender),
        *(delivered_to(each) for each in recipients),
    ):
        assert FIELD.fullmatch(field), field
