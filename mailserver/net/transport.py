"""The tricks with Twisted's transports, in one place."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from twisted.internet import tcp
from twisted.protocols.tls import TLSMemoryBIOProtocol


def write_now(transport: Any, octets: bytes) -> None:
    """Send `octets` with one system call where nothing waits before them, else as `write` does.

    ``write`` buffers, asks the poller to tell when the socket is writable, sends, and asks it to stop: a send
    and two epoll_ctl for each reply.  A plain TCP connection whose buffers are empty can be sent to at once,
    which saves a third of the time of a short answer.  What the socket does not take, and every error, goes
    the ordinary way, so order and disconnection stay Twisted's business.
    """
    if isinstance(transport, tcp.Connection) and not transport.TLS:
        octets = _send(transport, octets)
        if not octets:
            return
    transport.write(octets)


def start_tls(transport: Any, context: Any) -> None:
    """As ``startTLS`` does, and what is written inside goes out at once, as in `write_now`.

    Twisted gathers what is written inside TLS until the next turn of the reactor, and then sends as ``write`` does:
    for each reply a timer, a turn, and two epoll_ctl.  Our answers are joined already.
    """
    transport.startTLS(context)
    layer = getattr(transport, "protocol", None)
    if isinstance(transport, tcp.Connection) and isinstance(layer, TLSMemoryBIOProtocol):
        layer.transport = _Below(layer.transport, transport)  # type: ignore[assignment]
        layer.write = partial(TLSMemoryBIOProtocol.write, layer)  # type: ignore[method-assign]


class _Below:
    """What a TLS layer writes to: the plain connection under it."""

    __slots__ = ("_connection", "_transport")

    def __init__(self, transport: Any, connection: tcp.Connection) -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, octets: bytes) -> None:
        """Records of TLS, at once where nothing waits before them."""
        octets = _send(self._connection, octets)
        if octets:
            self._transport.write(octets)


def _send(connection: Any, octets: bytes) -> bytes:
    """Hand octets to the socket if nothing waits before them; returns what is left to be written."""
    if (
        connection.connected
        and not connection.disconnecting
        and not connection.dataBuffer
        and not connection._tempDataBuffer
    ):
        sent = connection.writeSomeData(octets)
        if isinstance(sent, int):
            return octets[sent:]
    return octets


def has_octets(transport: Any) -> bool:
    """Whether octets of the peer have come that nobody has read yet; one system call, which takes none of them."""
    if not isinstance(transport, tcp.Connection):
        return False
    try:
        return len(transport.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)) > 0
    except OSError:
        return False
