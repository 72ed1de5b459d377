"""The PROXY protocol, versions 1 and 2 (HAProxy's specification): who is really behind a proxy.

`Header` is a machine without a socket; `Gate` reads one from a peer that is known to be a proxy, and then lets the
conversation begin as if the client itself had connected.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_V1 = 107            # octets, with CRLF
LONGEST_V2 = 4096           # octets behind the first 16; what stands behind the addresses is passed over
PATIENCE = 10.0             # seconds for the header

_LOCAL, _PROXY = 0x20, 0x21
_FAMILIES = {0x11: 4, 0x21: 16}     # TCP over IPv4 and IPv6: octets of an address
_OTHERS = {0x00, 0x12, 0x22, 0x31, 0x32}    # unspecified, UDP, UNIX


class NotProxy(ValueError):
    """Octets that are no header."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who connected to the proxy."""

    address: str
    port: int


class Header:
    """Takes octets until the header is whole; then `source` is who is behind (None: the proxy itself) and `rest` what
    came after it."""

    __slots__ = ("_buffer", "is_whole", "rest", "source")

    def __init__(self) -> None:
        self._buffer = b""
        self.is_whole = False
        self.source: Source | None = None
        self.rest = b""

    def feed(self, octets: bytes) -> None:
        """More octets; raises `NotProxy`."""
        buffer = self._buffer = self._buffer + octets
        if buffer[:12] == SIGNATURE[: len(buffer)]:
            self._version_2(buffer)
        elif buffer[:6] == b"PROXY "[: len(buffer)]:
            self._version_1(buffer)
        else:
            raise NotProxy("neither version of the PROXY protocol")

    def _version_1(self, buffer: bytes) -> None:
        end = buffer.find(b"\r\n", 0, LONGEST_V1)
        if end < 0:
            if len(buffer) >= LONGEST_V1:
                raise NotProxy("the line does not end")
            return
        try:
            words = buffer[6:end].decode("ascii").split(" ")
        except UnicodeDecodeError:
            raise NotProxy("the line is not ASCII") from None
        if words[0] == "UNKNOWN":
            self._done(None, end + 2)
            return
        if len(words) != 5 or words[0] not in ("TCP4", "TCP6"):
            raise NotProxy("the line is none of version 1")
        version, source, target, source_port, target_port = words
        _address(target, version)
        _port(target_port)
        self._done(Source(_address(source, version), _port(source_port)), end + 2)

    def _version_2(self, buffer: bytes) -> None:
        if len(buffer) < 16:
            return
        command, family = buffer[12], buffer[13]
        length = int.from_bytes(buffer[14:16], "big")
        if command not in (_LOCAL, _PROXY) or length > LONGEST_V2:
            raise NotProxy("the header is none of version 2")
        if len(buffer) < 16 + length:
            return
        source = None
        if command == _PROXY:
            size = _FAMILIES.get(family)
            if size is None and family not in _OTHERS:
                raise NotProxy("the family of addresses is not known")
            if size is not None:
                if length < 2 * size + 4:
                    raise NotProxy("the addresses are cut off")
                port = int.from_bytes(buffer[16 + 2 * size : 18 + 2 * size], "big")
                source = Source(_plain(ipaddress.ip_address(buffer[16 : 16 + size])), port)
        self._done(source, 16 + length)

    def _done(self, source: Source | None, end: int) -> None:
        self.source = source
        self.rest = self._buffer[end:]
        self._buffer = b""
        self.is_whole = True


def _address(text: str, version: str) -> str:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        raise NotProxy("an address is none") from None
    if "%" in text:             # a zone may be any text, and means nothing on another machine (RFC 4007 6)
        raise NotProxy("an address has a zone")
    if ip.version != int(version[3]):
        raise NotProxy("an address is of the other family")
    return _plain(ip)


def _plain(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As text; an IPv4 address in IPv6's clothes is one of IPv4."""
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536):
        raise NotProxy("a port is none")
    return int(text)


class Gate(Protocol):
    """Reads the header, then gives the transport to the protocol that `build` makes for who is behind.

    `build` takes address, port, and whether the client has spoken already.
    """

    transport: Any

    def __init__(self, clock: Any, address: str, port: int, build: Callable[[str, int, bool], Protocol]) -> None:
        self._address = address
        self._port = port
        self._build = build
        self._header = Header()
        self._clock = clock
        self._timer: Any = None

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(PATIENCE, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        try:
            self._header.feed(data)
        except NotProxy as error:
            log.warn("{address}: no PROXY header: {why}", address=self._address, why=str(error))
            self.transport.abortConnection()
            return
        if not self._header.is_whole:
            return
        self._stop()
        source = self._header.source or Source(self._address, self._port)
        rest, transport = self._header.rest, self.transport
        protocol = transport.protocol = self._build(source.address, source.port, bool(rest))
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        if rest and not transport.disconnecting:
            transport.protocol.dataReceived(rest)       # TLS may have come in between

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop()

    def _too_slow(self) -> None:
        log.warn("{address}: no PROXY header within {seconds:g} s", address=self._address, seconds=PATIENCE)
        self.transport.abortConnection()

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
