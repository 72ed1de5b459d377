"""Connecting to another server: by addresses in turn, in the clear, and then inside TLS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionRefusedError, TCPTimedOutError, TimeoutError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, TLSVersion, optionsForClientTLS
from zope.interface import implementer

from mailserver.errors import TemporaryFailure

CONNECT = 30.0          # seconds for one address


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect to: a name (for TLS and the trace), a port, and the addresses to try in turn."""

    name: str
    port: int
    addresses: tuple[str, ...]      # none: `name` is one itself, or a path
    implicit_tls: bool = False
    path: str = ""                  # of a UNIX socket

    def __str__(self) -> str:
        return self.path or f"{self.name}:{self.port}"


_HOST = re.compile(r"(tcp|tls):(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?")


def read_host(text: str, port: int = 25) -> Host:
    """A `Host` without addresses from ``tcp:name:port``, ``tls:name:port`` or ``unix:path``; raises `ValueError`."""
    if text.startswith("unix:"):
        return Host(text, 0, (), path=text[5:])
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError(f"not a host: {text!r}")
    implicit = found[1] == "tls"
    return Host(found[2] or found[3], int(found[4] or (465 if implicit else port)), (), implicit)


async def connect(reactor: Any, host: Host, address: str, protocol: Protocol, timeout: float = CONNECT) -> Any:
    """Connect `protocol` to one address of a host; raises `TemporaryFailure` in plain words."""
    endpoint: Any
    if host.path:
        where = host.path
        endpoint = UNIXClientEndpoint(reactor, host.path, timeout=timeout)  # type: ignore[no-untyped-call]
    else:
        where = f"[{address}]:{host.port}" if ":" in address else f"{address}:{host.port}"
        if ":" in address:
            endpoint = TCP6ClientEndpoint(reactor, address, host.port, timeout)  # type: ignore[no-untyped-call]
        elif re.fullmatch(r"[0-9.]+", address):
            endpoint = TCP4ClientEndpoint(reactor, address, host.port, timeout=timeout)
        else:
            endpoint = HostnameEndpoint(reactor, address, host.port, timeout=timeout)
    try:
        return await endpoint.connect(Factory.forProtocol(lambda: protocol))
    except ConnectionRefusedError:
        raise TemporaryFailure(f"connection refused by {where}") from None
    except (TimeoutError, TCPTimedOutError):
        raise TemporaryFailure(f"no connection to {where} within {timeout:g} s") from None
    except ConnectError as error:
        raise TemporaryFailure(f"no connection to {where}: {error}") from None


@implementer(IOpenSSLClientConnectionCreator)
class Opportunistic:
    """TLS without proof of who the other is (RFC 7435): better than none, and never a reason not to deliver."""

    def __init__(self, name: str) -> None:
        self._name = name
        options = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2)
        self._context = options.getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if re.search(r"[A-Za-z]", self._name) and ":" not in self._name:
            connection.set_tlsext_host_name(self._name.encode("ascii", "ignore"))
        return connection


def verified(name: str) -> Any:
    """TLS with a certificate that the system's authorities signed for `name`."""
    return optionsForClientTLS(name)


def in_turn(addresses: Sequence[str]) -> list[str]:
    """Addresses in the order to try them: both families alternate, IPv6 first (RFC 8305 4)."""
    six = [each for each in addresses if ":" in each]
    four = [each for each in addresses if ":" not in each]
    mixed = []
    for number in range(max(len(six), len(four))):
        mixed += six[number : number + 1] + four[number : number + 1]
    return mixed
