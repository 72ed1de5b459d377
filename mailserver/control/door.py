"""The UNIX socket by which an operator's commands reach a running server."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from mailserver.control.lines import Desk, Order
from mailserver.control.place import NAME, named
from mailserver.errors import StartRefused
from mailserver.net.inherited import adopt


class Door(Factory):
    """Listens in the data folder; whoever may not open its file gives no orders."""

    noisy = False

    def __init__(self, reactor: Any, data: Path, orders: Mapping[str, Order]) -> None:
        self._reactor = reactor
        self._data = data
        self._orders = orders
        self._port: Any = None

    def buildProtocol(self, addr: Any) -> Desk:
        return Desk(self._orders)

    def open(self) -> None:
        """Begin to listen; raises `StartRefused`.  Whoever calls this holds the lock on the data, so that a file
        which is there already belonged to a server that died.
        """
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            (self._data / NAME).unlink(missing_ok=True)
            with named(self._data) as path:
                door.bind(path)
            # Nobody can connect before it listens, so nobody slips in before this.
            os.chmod(self._data / NAME, 0o600)
            door.listen()
            self._port = adopt(self._reactor, door.detach(), socket.AF_UNIX, self)
        except OSError as error:
            raise StartRefused(f"cannot listen on {self._data / NAME}: {error.strerror or error}") from None
        finally:
            door.close()

    async def close(self) -> None:
        """Listen no more."""
        port, self._port = self._port, None
        if port is not None:
            (self._data / NAME).unlink(missing_ok=True)
            await maybeDeferred(port.stopListening)
