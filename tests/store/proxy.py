"""A wire to PostgreSQL that can be cut at the worst moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Wire:
    """Forwards connections to a port of loopback.

    `cut_before`: the next COMMIT is not forwarded and the connection is cut; `cut_after`: it is, and its answer
    is not.  Each happens once.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.cut_before = False
        self.cut_after = False
        self.cuts = 0
        self.before_cut: Callable[[], None] = lambda: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            _cut(each)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._open += [client, server]
            silent = threading.Event()
            for work, arguments in ((self._ask, (client, server, silent)), (self._answer, (client, server, silent))):
                thread = threading.Thread(target=work, args=arguments, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _ask(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while octets := client.recv(65536):
                if b"COMMIT" in octets and self.cut_before:
                    self.cut_before = False
                    self.cuts += 1
                    break
                if b"COMMIT" in octets and self.cut_after:
                    self.cut_after = False
                    self.cuts += 1
                    silent.set()
                server.sendall(octets)
        if not silent.is_set():
            _cut(server)
            _cut(client)

    def _answer(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while octets := server.recv(65536):
                if silent.is_set():
                    break
                client.sendall(octets)
        _cut(client)
        _cut(server)


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
