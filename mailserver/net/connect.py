"""Connecting to another server: in the clear, and then inside TLS."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionRefusedError, TCPTimedOutError, TimeoutError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, TLSVersion, optionsForClientTLS
from zope.interface import implementer

from mailserver.errors import TemporaryFailure

CONNECT = 30.0          # seconds for one address
SMTP, SMTPS, LMTP = 25, 465, 24


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect to: a name (for TLS and the trace), a port, and the addresses to try in turn."""

    name: str
    port: int
    addresses: tuple[str, ...]      # IPv4 and IPv6; of a UNIX socket its path
    implicit_tls: bool = False
    path: str = ""                  # of a UNIX socket
    lmtp: bool = False              # it speaks LMTP (RFC 2033)

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


_HOST = re.compile(r"(tcp|tls|lmtp):(?:\[([0-9A-Fa-f:.]+)\]|([^:/\[\]]+))(?::(\d{1,5}))?")


def read_host(text: str, port: int = SMTP) -> Host:
    """A `Host` without addresses; raises `ValueError`.

    ``tcp:name:port``, ``tls:name:port`` (TLS from the start), ``lmtp:name:port``, ``unix:path``, ``lmtp:unix:path``;
    an IPv6 address stands in brackets, and the port may be left out.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "unix" and rest:
        return Host(text, 0, (), path=rest)
    if scheme == "lmtp" and rest.startswith("unix:") and len(rest) > 5:
        return Host(text, 0, (), path=rest[5:], lmtp=True)
    found = _HOST.fullmatch(text)
    if found is None or int(found[4] or port) > 65535:
        raise ValueError(f"not a host: {text!r}")
    usual = {"tls": SMTPS, "lmtp": LMTP}.get(scheme, port)
    return Host(found[2] or found[3], int(found[4] or usual), (), scheme == "tls", lmtp=scheme == "lmtp")


async def connect(
    reactor: Any, host: Host, address: str, protocol: Protocol, timeout: float = CONNECT, source: str = ""
) -> Any:
    """Connect `protocol` to an address of a host, from `source` if given; raises `TemporaryFailure` in plain words."""
    bind = (source, 0) if source else None
    endpoint: Any
    if host.path:
        where = host.path
        endpoint = UNIXClientEndpoint(reactor, host.path, timeout=timeout)  # type: ignore[no-untyped-call]
    elif ":" in address:
        where = f"[{address}]:{host.port}"
        endpoint = TCP6ClientEndpoint(reactor, address, host.port, timeout, bind)  # type: ignore[no-untyped-call]
    else:
        where = f"{address}:{host.port}"
        endpoint = TCP4ClientEndpoint(reactor, address, host.port, timeout, bind)
    factory = Factory.forProtocol(lambda: protocol)
    factory.noisy = False                   # a line in the log for each connection tells nobody anything
    try:
        return await endpoint.connect(factory)
    except ConnectionRefusedError:
        raise TemporaryFailure(f"connection refused by {where}") from None
    except (TimeoutError, TCPTimedOutError):
        raise TemporaryFailure(f"no connection to {where} within {timeout:g} s") from None
    except ConnectError as error:
        raise TemporaryFailure(f"no connection to {where}: {_why(error)}") from None


def _why(error: ConnectError) -> str:
    number = getattr(error.osError, "errno", error.osError)
    return os.strerror(number).lower() if isinstance(number, int) else str(error).rstrip(".")


class Opportunistic:
    """TLS without proof of who the other is (RFC 7435): better than none, and never a reason not to deliver."""

    def __init__(self) -> None:
        options = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2)
        self._context: SSL.Context = options.getContext()

    def to(self, name: str) -> Any:
        """For ``startTLS`` with a host of this name."""
        return _Unverified(self._context, name)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Asks for the certificate of `name`, and takes any."""

    def __init__(self, context: SSL.Context, name: str) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if re.fullmatch(r"[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*", self._name):     # RFC 6066 3: no address
            connection.set_tlsext_host_name(self._name.encode("ascii"))
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
