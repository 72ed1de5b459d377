"""The DNS, by our own transport: UDP, TCP where an answer is cut, several servers, a bounded cache.

dnspython reads and writes the messages; twisted.names has neither EDNS nor the record types that mail needs, and
the system's resolver would take a thread for every question.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.interfaces import IResolver

PAYLOAD = 1232              # octets, what a datagram may have without being cut (DNS Flag Day 2020)
WAITS = (2.0, 4.0, 6.0)     # seconds for an answer, round by round over all servers
MOST_ANSWERS = 10_000       # in the cache
LONGEST = 86400             # seconds in the cache
SHORTEST = 1
NEGATIVE = 300              # seconds for a "no" whose zone does not say (RFC 2308)
MOST_ALIASES = 8            # CNAMEs in a row


class NoSuchName(NotFound):
    """The name does not exist (NXDOMAIN)."""


@implementer(IResolver)
class Resolver:
    """Asks the `servers` ("192.0.2.53", "127.0.0.1:5353", "[::1]:53"), or those of /etc/resolv.conf."""

    def __init__(self, reactor: Any, servers: Sequence[str] | None = None) -> None:
        self._reactor = reactor
        self._servers = [_server(each) for each in (servers or system_servers())]
        self._cache: OrderedDict[tuple[dns.name.Name, int], tuple[float, Any]] = OrderedDict()
        self._asking: dict[tuple[dns.name.Name, int], list[Deferred[Any]]] = {}

    async def query(self, name: str, type: str) -> Sequence[Any]:
        """The records of one type; see `mailserver.interfaces.IResolver`."""
        try:
            question = (dns.name.from_text(name), dns.rdatatype.from_text(type))
        except (dns.exception.DNSException, UnicodeError) as error:
            raise NoSuchName(f"{name!r} is no name: {error}") from None
        answer = self._remembered(question)
        if answer is None:
            answer = await self._ask_once(question)
        if isinstance(answer, NoSuchName):
            raise NoSuchName(str(answer))
        records: Sequence[Any] = answer
        return records

    def _remembered(self, question: tuple[dns.name.Name, int]) -> Any:
        found = self._cache.get(question)
        if found is None:
            return None
        until, answer = found
        if until <= self._reactor.seconds():
            del self._cache[question]
            return None
        self._cache.move_to_end(question)
        return answer

    async def _ask_once(self, question: tuple[dns.name.Name, int]) -> Any:
        """Equal questions that are asked at the same time are one."""
        waiting = self._asking.get(question)
        if waiting is not None:
            mine: Deferred[Any] = Deferred()
            waiting.append(mine)
            return await mine
        self._asking[question] = []
        try:
            answer, ttl = await self._ask(question)
        except BaseException as error:
            for each in self._asking.pop(question):
                each.errback(TemporaryFailure(str(error)))
            raise
        self._cache[question] = (self._reactor.seconds() + max(SHORTEST, min(ttl, LONGEST)), answer)
        if len(self._cache) > MOST_ANSWERS:
            self._cache.popitem(last=False)
        for each in self._asking.pop(question):
            each.callback(answer)
        return answer

    async def _ask(self, question: tuple[dns.name.Name, int]) -> tuple[Any, int]:
        """Ask the servers in turn until one knows; raises `TemporaryFailure` when none does."""
        why = "there is no name server"
        for wait in WAITS:
            for server in self._servers:
                try:
                    reply = await self._exchange(question, server, wait)
                    return _read(reply, question)
                except (TemporaryFailure, dns.exception.DNSException, OSError) as error:
                    why = f"{server[0]}: {error or type(error).__name__}"
        raise TemporaryFailure(f"no answer from the DNS about {question[0]} ({why})")

    async def _exchange(
        self, question: tuple[dns.name.Name, int], server: tuple[str, int], wait: float
    ) -> dns.message.Message:
        asked = dns.message.make_query(question[0], dns.rdatatype.RdataType(question[1]), use_edns=0, payload=PAYLOAD)
        asked.id = secrets.randbelow(1 << 16)
        reply: dns.message.Message = await _over_udp(self._reactor, asked, server, wait)
        if reply.flags & dns.flags.TC:
            reply = await _over_tcp(self._reactor, asked, server, wait)
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise TemporaryFailure(dns.rcode.to_text(reply.rcode()))
        return reply


def _read(reply: dns.message.Message, question: tuple[dns.name.Name, int]) -> tuple[Any, int]:
    """The records of an answer and for how long they may be kept; a `NoSuchName` for a name that is none."""
    name = question[0]
    ttl = LONGEST
    for _ in range(MOST_ALIASES):
        records = reply.get_rrset(reply.answer, name, dns.rdataclass.IN, dns.rdatatype.RdataType(question[1]))
        if records is not None:
            return tuple(records), min(ttl, records.ttl)
        alias = reply.get_rrset(reply.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if alias is None:
            break
        name, ttl = alias[0].target, min(ttl, alias.ttl)
    negative = NEGATIVE
    for records in reply.authority:
        if records.rdtype == dns.rdatatype.SOA:
            negative = min(records.ttl, records[0].minimum)
    if reply.rcode() == dns.rcode.NXDOMAIN:
        return NoSuchName(f"the name {question[0].to_text(omit_final_dot=True)} does not exist"), min(ttl, negative)
    return (), min(ttl, negative)


class _Datagrams(DatagramProtocol):
    """One question from one random port; what does not answer it is not listened to (RFC 5452)."""

    def __init__(self, asked: dns.message.Message, server: tuple[str, int]) -> None:
        self.asked = asked
        self.server = server
        self.reply: Deferred[dns.message.Message] = Deferred()

    def startProtocol(self) -> None:
        assert self.transport is not None
        self.transport.connect(*self.server)
        self.transport.write(self.asked.to_wire(), None)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        try:
            reply = dns.message.from_wire(datagram, ignore_trailing=True)
        except Exception:                   # whatever is no message is no answer
            return
        if self.asked.is_response(reply) and not self.reply.called:
            self.reply.callback(reply)

    def connectionRefused(self) -> None:
        if not self.reply.called:
            self.reply.errback(TemporaryFailure("nobody listens there"))


async def _over_udp(reactor: Any, asked: dns.message.Message, server: tuple[str, int], wait: float) -> Any:
    protocol = _Datagrams(asked, server)
    interface = "::" if ":" in server[0] else ""
    for _ in range(5):
        try:
            port = reactor.listenUDP(1024 + secrets.randbelow(64512), protocol, interface=interface)
            break
        except CannotListenError:
            continue
    else:
        port = reactor.listenUDP(0, protocol, interface=interface)
    try:
        return await protocol.reply.addTimeout(wait, reactor, lambda result, seconds: _late(seconds))
    finally:
        await port.stopListening()


def _late(seconds: float) -> Any:
    raise TemporaryFailure(f"no answer in {seconds:g} s")


class _Stream(Protocol):
    """One question over TCP (RFC 1035 4.2.2)."""

    def __init__(self, asked: dns.message.Message) -> None:
        self.asked = asked
        self.reply: Deferred[dns.message.Message] = Deferred()
        self._buffer = b""

    def connectionMade(self) -> None:
        wire = self.asked.to_wire()
        assert self.transport is not None
        self.transport.write(len(wire).to_bytes(2, "big") + wire)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        length = int.from_bytes(self._buffer[:2], "big")
        if len(self._buffer) < 2 + length or self.reply.called:
            return
        try:
            reply = dns.message.from_wire(self._buffer[2 : 2 + length])
        except Exception as error:
            self.reply.errback(TemporaryFailure(f"no DNS message: {error}"))
            return
        if self.asked.is_response(reply):
            self.reply.callback(reply)
        else:
            self.reply.errback(TemporaryFailure("the answer is to another question"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.reply.called:
            self.reply.errback(TemporaryFailure("the connection was closed"))


async def _over_tcp(reactor: Any, asked: dns.message.Message, server: tuple[str, int], wait: float) -> Any:
    kind = TCP6ClientEndpoint if ":" in server[0] else TCP4ClientEndpoint
    try:
        endpoint: Any = kind(reactor, *server, timeout=wait)
        protocol: Any = await connectProtocol(endpoint, _Stream(asked))  # type: ignore[no-untyped-call]
    except Exception as error:
        raise TemporaryFailure(str(error)) from None
    try:
        return await protocol.reply.addTimeout(wait, reactor, lambda result, seconds: _late(seconds))
    finally:
        protocol.transport.abortConnection()


def _server(text: str) -> tuple[str, int]:
    """An address and a port from "192.0.2.53", "127.0.0.1:5353", "::1" or "[::1]:53"."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, int(port[1:] or 53)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, int(port)
    return text, 53


def system_servers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The name servers of this machine; its own loopback when it names none (resolv.conf(5))."""
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    found = [words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"]
    return found[:3] or ["127.0.0.1"]
