"""The PROXY protocol's header, in both versions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from mailserver.net.proxy import LONGEST_V2, SIGNATURE, Header, NotProxy, Source
from tests.fuzz.choices import Choices, split

WORDS = (
    b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", b"PROXY TCP6 2001:db8::7 ::1 65535 25\r\n", b"PROXY UNKNOWN\r\n",
    b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN ", b"fe80::1%eth0", b"::ffff:192.0.2.7", b"%", b" ", b"\r\n", b"\r",
    b"\n", b"\0", SIGNATURE + b"\x21\x11\0\x0c", SIGNATURE + b"\x21\x21\0\x24", SIGNATURE + b"\x20\0\0\0", SIGNATURE,
    b"\x21\x31", b"\xff\xff", b"EHLO x\r\n", b"\x16\x03\x01",
)


def read(pieces: Iterable[bytes]) -> tuple[Source | None, bytes] | str | None:
    """Who is behind and what came after the header; the words of a refusal; None where more must come."""
    header = Header()
    kept = 0
    rest = b""
    for piece in pieces:
        if header.is_whole:
            rest += piece
            continue
        kept += len(piece)
        try:
            header.feed(piece)
        except NotProxy as error:
            return str(error)
        assert header.is_whole or kept < 16 + LONGEST_V2, "it does not end"
    return (header.source, header.rest + rest) if header.is_whole else None


def run(octets: bytes) -> None:
    """The same whatever the cuts, of bounded length; an address is one, and is written as nothing else."""
    choices, said = split(octets)
    whole = read([said])
    cut = read(Choices(choices).cut(said))
    if isinstance(whole, str) and isinstance(cut, str):
        return                  # what is wrong first hangs on how much has come
    assert whole == cut, (whole, cut)
    if not isinstance(whole, tuple):
        return
    source, rest = whole
    assert said.endswith(rest)
    if source is not None:
        assert str(ipaddress.ip_address(source.address)) == source.address and "%" not in source.address, source
        assert 0 <= source.port < 65536
