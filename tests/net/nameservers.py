"""A real name server on loopback, over UDP and TCP, that says what the test tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

reactor: Any = installed_reactor
Behaviour = Callable[[dns.message.Message, dns.message.Message], list[bytes]]


class NameServer(DatagramProtocol):
    """Knows `records`: (name, type) -> lines of zone file; what it has no line for does not exist.

    `odd` makes what is sent over UDP out of a question and its right answer: none, another one, several.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.ttl = 300
        self.minimum = 60
        self.odd: Behaviour | None = None
        self.asked: list[tuple[str, str, str]] = []         # (udp or tcp, name in small letters, type)
        self.questions: list[dns.message.Message] = []
        self.peers: list[Any] = []
        self.flags = dns.flags.QR | dns.flags.RD | dns.flags.RA

    @classmethod
    def listen(cls) -> NameServer:
        """Take a port that is free for both."""
        for _ in range(50):
            server = cls()
            server.udp = reactor.listenUDP(0, server, interface="127.0.0.1")
            factory = Factory.forProtocol(_Stream)
            factory.server = server         # type: ignore[attr-defined]
            server.port = server.udp.getHost().port
            try:
                server.tcp = reactor.listenTCP(server.port, factory, interface="127.0.0.1")
            except CannotListenError:
                server.udp.stopListening()
                continue
            return server
        raise AssertionError("there is no port for both")

    async def stop(self) -> None:
        await maybeDeferred(self.udp.stopListening)
        await maybeDeferred(self.tcp.stopListening)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def know(self, name: str, type: str, *lines: str) -> None:
        self.records[name, type] = list(lines)

    def answer(self, question: dns.message.Message, way: str) -> dns.message.Message:
        asked = question.question[0]
        name, type = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        self.asked.append((way, name, type))
        self.questions.append(question)
        reply = dns.message.make_response(question)
        reply.flags = self.flags
        owner = asked.name
        for _ in range(20):
            if (name, type) in self.records:
                if self.records[name, type]:
                    reply.answer.append(dns.rrset.from_text(owner, self.ttl, "IN", type, *self.records[name, type]))
                    return reply
                break
            if (name, "CNAME") not in self.records:
                break
            reply.answer.append(dns.rrset.from_text(owner, self.ttl, "IN", "CNAME", *self.records[name, "CNAME"]))
            owner = reply.answer[-1][0].target
            name = owner.to_text(omit_final_dot=True).lower()
        if not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority.append(
            dns.rrset.from_text("example.", 900, "IN", "SOA", f"ns.example. root.example. 1 2 3 4 {self.minimum}")
        )
        return reply

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.peers.append(addr)
        question = dns.message.from_wire(datagram)
        reply = self.answer(question, "udp")
        for wire in [reply.to_wire(max_size=65535)] if self.odd is None else self.odd(question, reply):
            self.transport.write(wire, addr)


class _Stream(Protocol):
    def __init__(self) -> None:
        self.buffer = b""

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        length = int.from_bytes(self.buffer[:2], "big")
        if len(self.buffer) < 2 + length:
            return
        reply = self.factory.server.answer(dns.message.from_wire(self.buffer[2 : 2 + length]), "tcp")
        wire = reply.to_wire(max_size=65535)
        octets = len(wire).to_bytes(2, "big") + wire
        # In pieces, as a network may bring it.
        self.transport.write(octets[:1])
        reactor.callLater(0.01, self.transport.write, octets[1:7])
        reactor.callLater(0.02, self.transport.write, octets[7:])
