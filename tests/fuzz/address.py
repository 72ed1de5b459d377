"""Addresses, and the commands that they stand in."""

from __future__ import annotations

from mailserver.address import LONGEST_DOMAIN, Address, domain_key
from mailserver.errors import BadAddress
from mailserver.smtp import client
from tests.fuzz.choices import split

WORDS = (
    b"alice@example.org", b'"a@b"@example.org', b"postmaster", b"@[192.0.2.1]", b"@[IPv6:::1]", b"@[IPv6:",
    b"@[IPv6:fe80::1%x]", b"\\", b'"', b"@", b".", b"..", b"%", b"!", b"xn--", b"\xe3\x80\x82", b"\xc3\xbc",
    b"@xn--bcher-kva.example", b"\xef\xbd\xa1", b"\xc2\x9b", b"\xe2\x80\xa8", b"-", b"@example.org.",
)


def run(octets: bytes) -> None:
    """It is an address or none; as it is written it is read again as the same, and it writes no line of its own."""
    _, said = split(octets)
    text = said.decode("utf-8", "surrogateescape")
    assert domain_key(text) == domain_key(domain_key(text)) or not text.isascii(), text
    try:
        address = Address.parse(text)
    except BadAddress as error:
        assert str(error)
        return
    written = str(address)
    assert Address.parse(written) == address, (text, written)
    assert all(" " <= each != "\x7f" for each in written), written
    assert len(address.domain.encode()) <= LONGEST_DOMAIN
    assert address.key == Address.parse(written).key
    for command in (client.rcpt(address), client.mail(address, 1, "8BITMIME", {"SIZE": "", "8BITMIME": ""})):
        assert command.endswith(b"\r\n") and command.count(b"\n") == command.count(b"\r") == 1 and b"\0" not in command
