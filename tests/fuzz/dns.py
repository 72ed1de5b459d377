"""What name servers answer, over UDP and over TCP."""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mailserver.errors import TemporaryFailure
from mailserver.net.nameserver import Server, _Datagrams, _Stream
from mailserver.net.resolver import LONGEST, MOST_ALIASES, read
from tests.fuzz.choices import Choices, split

WORDS = (
    b"\x81\x80\0\x01\0\x01\0\0\0\0", b"\x81\x83\0\x01\0\0\0\x01\0\0", b"\x83\x80", b"\x07example\x03org\0",
    b"\0\x0f\0\x01", b"\0\x01\0\x01", b"\0\x05\0\x01", b"\0\x06\0\x01", b"\xc0\x0c",
    b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01", b"\0\x1c", b"\0\x10", b"\xff\xff", b"\0\x29",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\0", b"\0\x04",
)
TYPES = ("MX", "A", "AAAA", "TXT", "PTR", "TLSA", "CNAME")
ID = b"\x12\x34"


def run(octets: bytes) -> None:
    """It is an answer to the question or none; an answer is good for a bounded time, and nothing else is raised."""
    choices, said = split(octets)
    choose = Choices(choices)
    name, type = dns.name.from_text("example.org."), dns.rdatatype.from_text(TYPES[choose.below(len(TYPES))])
    asked = dns.message.make_query(name, type, use_edns=0)
    asked.id = int.from_bytes(ID, "big")
    # A header of 12 octets whose id is ours; behind it, mostly, our question.
    wire = ID + said[:10]
    if choose.below(4) < 3:
        wire += name.to_wire() + type.to_bytes(2, "big") + b"\0\x01"
    wire += said[10:]
    datagrams = _Datagrams(asked, Server("192.0.2.53"))
    datagrams.datagramReceived(wire, None)
    stream = _Stream(asked)
    stream.makeConnection(StringTransport())
    for piece in choose.cut((len(wire).to_bytes(2, "big") if choose.below(8) < 7 else b"") + wire):
        stream.dataReceived(piece)
    for reply in (datagrams.reply, stream.reply):
        results: list[Any] = []
        reply.addBoth(results.append)
        for result in results:
            if isinstance(result, Failure):
                assert result.check(TemporaryFailure), result
            else:
                _read(result, (name, int(type)))


def _read(reply: dns.message.Message, question: tuple[dns.name.Name, int]) -> None:
    try:
        answer, ttl = read(reply, question)
    except (TemporaryFailure, dns.exception.DNSException):
        return
    assert 0 <= ttl <= LONGEST
    assert answer.exists or not answer.records
    assert len(reply.answer) or not answer.records or reply.errors
    assert MOST_ALIASES > 0 and all(int(each.rdtype) == question[1] for each in answer.records)
