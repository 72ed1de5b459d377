"""Listening on sockets that were opened before us, and that others have too."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailserver.errors import StartRefused
from mailserver.net.inherited import adopt
from mailserver.net.listen import Listener


class Counting(Factory):
    """Counts who comes."""

    noisy = False

    def __init__(self) -> None:
        self.count = 0

    def buildProtocol(self, addr: Any) -> Protocol:
        self.count += 1
        return Protocol()


class InheritedTests(TestCase):
    timeout = 20

    def open(self, family: int, where: Any) -> socket.socket:
        listening = socket.socket(family, socket.SOCK_STREAM)
        self.addCleanup(listening.close)
        listening.bind(where)
        listening.listen(10)
        return listening

    def adopted(self, listening: socket.socket) -> tuple[Any, Counting]:
        factory = Counting()
        port = adopt(reactor, os.dup(listening.fileno()), listening.family, factory)
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        return port, factory

    async def visit(self, endpoint: Any, times: int = 1) -> None:
        for _ in range(times):
            peer = await connectProtocol(endpoint, Protocol())
            await deferLater(reactor, 0.01, lambda: None)
            peer.transport.loseConnection()

    async def test_two_share(self) -> None:
        """Either takes; when one stops, the other goes on."""
        listening = self.open(socket.AF_INET, ("127.0.0.1", 0))
        (first, mine), (_, yours) = self.adopted(listening), self.adopted(listening)
        endpoint = TCP4ClientEndpoint(reactor, *listening.getsockname())
        await self.visit(endpoint, 10)
        self.assertEqual(mine.count + yours.count, 10)
        await maybeDeferred(first.stopListening)
        before = mine.count
        await self.visit(endpoint, 5)
        self.assertEqual((mine.count, mine.count + yours.count), (before, 15))

    async def test_file(self) -> None:
        """The file of a UNIX socket, and who may open it, is whose it was."""
        folder = Path(tempfile.mkdtemp(prefix="inherited-"))
        self.addCleanup(shutil.rmtree, folder)
        path = folder / "lmtp"
        listening = self.open(socket.AF_UNIX, str(path))
        path.chmod(0o640)
        (first, mine), (_, yours) = self.adopted(listening), self.adopted(listening)
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        endpoint = UNIXClientEndpoint(reactor, str(path))
        await self.visit(endpoint, 3)
        await maybeDeferred(first.stopListening)
        await self.visit(endpoint, 3)
        self.assertEqual(mine.count + yours.count, 6)
        self.assertTrue(path.exists())

    async def test_lent(self) -> None:
        """Whoever lends a socket accepts nothing itself, and does not end it for others."""
        lender = Counting()
        listener = Listener(reactor, "tcp:0:interface=127.0.0.1", lender, "smtp")
        listener.bind()
        listener.lend()
        _, factory = self.adopted(listener.socket)
        endpoint = TCP4ClientEndpoint(reactor, *listener.socket.getsockname())
        await self.visit(endpoint, 3)
        await listener.stop()
        await self.visit(endpoint, 3)
        self.assertEqual((lender.count, factory.count), (0, 6))

    async def test_no_socket(self) -> None:
        with open(os.devnull) as nothing:
            listener = Listener(reactor, "systemd:domain=INET:index=0", Counting(), "smtp")
            with self.assertRaises(StartRefused) as refused:
                listener.adopt(os.dup(nothing.fileno()), socket.AF_INET)
        self.assertIn("cannot listen on systemd:domain=INET:index=0 for smtp: ", str(refused.exception))
