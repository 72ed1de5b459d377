"""One question to one name server: over UDP from a port and with an id of chance, over TCP where that is not enough.

dnspython reads and writes the messages; twisted.names has neither EDNS nor the record types that mail needs, and
the system's resolver would take a thread for every question.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, TypeAlias

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError, ConnectingCancelledError
from twisted.internet.protocol import DatagramProtocol, Protocol, connectionDone
from twisted.python.failure import Failure

from mailserver.errors import TemporaryFailure

Question: TypeAlias = tuple[dns.name.Name, int]

PAYLOAD = 1232              # octets, what a datagram may have without being cut (DNS Flag Day 2020)
PORT = 53
NO_EDNS = {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS}      # answers of who has never heard of it


@dataclass(frozen=True, slots=True)
class Server:
    """A name server that resolves for us."""

    address: str
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read "192.0.2.53", "127.0.0.1:5353", "::1" or "[::1]:53"."""
        if text.startswith("["):
            host, _, port = text[1:].partition("]")
            return cls(host, int(port[1:] or PORT))
        if text.count(":") == 1:
            host, _, port = text.partition(":")
            return cls(host, int(port))
        return cls(text)


async def ask(reactor: Any, question: Question, server: Server, wait: float) -> dns.message.Message:
    """What a server answers; raises `TemporaryFailure` when it does not within `wait` seconds, or cannot say."""
    asked = _query(question, edns=True)
    reply = await _over_udp(reactor, asked, server, wait)
    if reply.rcode() in NO_EDNS:
        asked = _query(question, edns=False)
        reply = await _over_udp(reactor, asked, server, wait)
    if reply.flags & dns.flags.TC or not _same_letters(asked, reply):
        # Cut; or not in the letters that we wrote it in, so perhaps of somebody who had to guess (RFC 5452).
        reply = await _over_tcp(reactor, asked, server, wait)
    if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise TemporaryFailure(f"it said {dns.rcode.to_text(reply.rcode())}{_reasons(reply)}")
    return reply


def _reasons(reply: dns.message.Message) -> str:
    """Why a server cannot say, as far as it tells (RFC 8914): "DNSSEC bogus" is not "nobody is there"."""
    codes = [each.code for each in reply.extended_errors()[:3]]
    words = [code.name.replace("_", " ").capitalize() for code in codes if isinstance(code, dns.edns.EDECode)]
    return f" ({', '.join(words)})".replace("Dnssec", "DNSSEC") if words else ""


def _query(question: Question, edns: bool) -> dns.message.Message:
    """The question with an id of chance, its name in capitals and small letters as chance has it.

    AD in it asks to be told whether the answer was validated (RFC 6840 5.7); DO would bring signatures too, which
    nobody here looks at.  CD is not set: what DNSSEC finds forged is to be kept from us.
    """
    name, type = question
    asked = dns.message.make_query(
        dns.name.Name([_shaken(label) for label in name.labels]),
        dns.rdatatype.RdataType(type),
        use_edns=0 if edns else False,
        payload=PAYLOAD,
    )
    asked.flags |= dns.flags.AD
    asked.id = secrets.randbelow(1 << 16)
    return asked


def _shaken(label: bytes) -> bytes:
    return bytes(
        each ^ 0x20 if 0x41 <= each & 0xDF <= 0x5A and secrets.randbits(1) else each for each in label
    )


def _same_letters(asked: dns.message.Message, reply: dns.message.Message) -> bool:
    return not reply.question or reply.question[0].name.labels == asked.question[0].name.labels


def _message(wire: bytes, asked: dns.message.Message, **how: Any) -> dns.message.Message:
    """Read a message; raises what dnspython does.

    dnspython takes a message for broken when a TLSA record in it has a digest of the wrong length.  Such a record is
    one that cannot be used, and no reason not to hear of the others (RFC 7672 3.1): then `errors` tells of it.
    """
    try:
        return dns.message.from_wire(wire, **how)
    except dns.exception.FormError:
        if asked.question[0].rdtype != dns.rdatatype.TLSA:
            raise
        return dns.message.from_wire(wire, continue_on_error=True, **how)


class _Datagrams(DatagramProtocol):
    """One question from one random port; what does not answer it is not listened to."""

    def __init__(self, asked: dns.message.Message, server: Server) -> None:
        self.asked = asked
        self.server = server
        self.reply: Deferred[dns.message.Message] = Deferred()

    def startProtocol(self) -> None:
        assert self.transport is not None
        self.transport.connect(self.server.address, self.server.port)
        self.transport.write(self.asked.to_wire(), None)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        try:
            reply = _message(datagram, self.asked, ignore_trailing=True, raise_on_truncation=True)
        except dns.message.Truncated as cut:
            reply = cut.message()  # type: ignore[no-untyped-call]
        except Exception:                   # whatever is no message is no answer
            return
        if self.asked.is_response(reply) and not self.reply.called:
            self.reply.callback(reply)

    def connectionRefused(self) -> None:
        if not self.reply.called:
            self.reply.errback(TemporaryFailure("nobody listens there"))

    def stopProtocol(self) -> None:
        # Epoll takes a refusal for the end of the port.
        self.connectionRefused()


async def _over_udp(reactor: Any, asked: dns.message.Message, server: Server, wait: float) -> dns.message.Message:
    protocol = _Datagrams(asked, server)
    interface = "::" if ":" in server.address else ""
    try:
        port = _random_port(reactor, protocol, interface)
    except OSError as error:                # no route, no more file descriptors
        raise TemporaryFailure(error.strerror or str(error)) from None
    try:
        return await protocol.reply.addTimeout(wait, reactor, lambda result, seconds: _late(seconds))
    finally:
        await maybeDeferred(port.stopListening)


def _random_port(reactor: Any, protocol: DatagramProtocol, interface: str) -> Any:
    for _ in range(5):
        try:
            return reactor.listenUDP(1024 + secrets.randbelow(64512), protocol, interface=interface)
        except CannotListenError:
            continue
    try:
        return reactor.listenUDP(0, protocol, interface=interface)
    except CannotListenError as error:
        raise TemporaryFailure(str(error)) from None


def _late(seconds: float) -> Any:
    raise TemporaryFailure(f"no answer in {seconds:g} s")


class _Stream(Protocol):
    """One question over TCP (RFC 1035 4.2.2)."""

    transport: Any

    def __init__(self, asked: dns.message.Message) -> None:
        self.asked = asked
        self.reply: Deferred[dns.message.Message] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._buffer = b""

    def connectionMade(self) -> None:
        wire = self.asked.to_wire()
        self.transport.write(len(wire).to_bytes(2, "big") + wire)

    def dataReceived(self, data: bytes) -> None:
        if self.reply.called:
            return
        self._buffer += data
        length = int.from_bytes(self._buffer[:2], "big")
        if len(self._buffer) < 2 + length:
            return
        try:
            reply = _message(self._buffer[2 : 2 + length], self.asked)
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
        self.gone.callback(None)


async def _over_tcp(reactor: Any, asked: dns.message.Message, server: Server, wait: float) -> dns.message.Message:
    kind = TCP6ClientEndpoint if ":" in server.address else TCP4ClientEndpoint
    endpoint: Any = kind(reactor, server.address, server.port, timeout=wait)
    stream = _Stream(asked)
    try:
        await connectProtocol(endpoint, stream)  # type: ignore[no-untyped-call]
    except ConnectingCancelledError:
        raise CancelledError from None          # who asked has gone; nobody else is asked either
    except Exception as error:
        raise TemporaryFailure(str(error)) from None
    try:
        return await stream.reply.addTimeout(wait, reactor, lambda result, seconds: _late(seconds))
    finally:
        stream.transport.abortConnection()
        await stream.gone
