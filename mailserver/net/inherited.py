"""Sockets that somebody else has opened: the service manager, or the process that started us."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import fdesc, tcp, unix
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

BACKLOG = 511           # connections that the kernel keeps until they are accepted


class _OneByOne:
    """Accepts one connection, and then looks at what else there is to do.

    Else the first of several processes to wake up takes a whole burst of connections, and the others none.
    """

    def doRead(self) -> Any:
        self.numberAccepts = 1
        return super().doRead()  # type: ignore[misc]


class _SharedPort(_OneByOne, tcp.Port):
    pass


class _SharedUnixPort(_OneByOne, unix.Port):
    pass


def adopt(reactor: Any, descriptor: int, family: int, factory: Factory) -> IListeningPort:
    """Accept from a listening socket that others may accept from as well; the descriptor becomes ours.

    ``reactor.adoptStreamPort`` would set its backlog to 50.  Of a UNIX socket it would give the file to everybody,
    and remove it when we stop; and it would shut the socket down, for all who share it.
    """
    fdesc.setNonBlocking(descriptor)  # type: ignore[no-untyped-call]
    port: Any
    if family == socket.AF_UNIX:
        port = _SharedUnixPort._fromListeningDescriptor(reactor, descriptor, factory)  # type: ignore[no-untyped-call]
        # A name that begins with NUL stands for no file (unix(7)), so none is touched.
        port._bindPath = b"\0" + (port._bindPath or b"")
    else:
        port = _SharedPort._fromListeningDescriptor(reactor, descriptor, family, factory)  # type: ignore[no-untyped-call]
    os.close(descriptor)
    port.backlog = BACKLOG
    port.startListening()
    port._shouldShutdown = False
    listening: IListeningPort = port
    return listening
