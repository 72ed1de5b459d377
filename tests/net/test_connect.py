"""Where to connect to, and what is said when that fails."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailserver.errors import TemporaryFailure
from mailserver.net.connect import Host, Opportunistic, connect, in_turn, read_host, verified
from mailserver.net.tls import server_tls
from tests.net.certificates import key_pair

reactor: Any = installed_reactor


class HostTests(SynchronousTestCase):
    def test_spellings(self) -> None:
        """As [outbound] names them, and as the queue shows them."""
        for text, host, shown in (
            ("tcp:relay.example.net:587", Host("relay.example.net", 587, ()), "relay.example.net:587"),
            ("tcp:192.0.2.1", Host("192.0.2.1", 25, ()), "192.0.2.1:25"),
            ("tls:relay.example.net", Host("relay.example.net", 465, (), True), "relay.example.net:465"),
            ("tcp:[2001:db8::1]:2525", Host("2001:db8::1", 2525, ()), "[2001:db8::1]:2525"),
            ("lmtp:127.0.0.1", Host("127.0.0.1", 24, (), lmtp=True), "127.0.0.1:24"),
            ("unix:/run/x", Host("unix:/run/x", 0, (), path="/run/x"), "/run/x"),
            ("lmtp:unix:/run/x", Host("lmtp:unix:/run/x", 0, (), path="/run/x", lmtp=True), "/run/x"),
        ):
            self.assertEqual((read_host(text), str(read_host(text))), (host, shown))

    def test_no_hosts(self) -> None:
        for text in (
            "", "relay", "relay.example.net:25", "tcp:", "tcp::25", "tcp:a:b", "tcp:a:99999", "udp:a:25", "unix:",
            "lmtp:unix:", "tcp:2001:db8::1", "tcp:a/b:25",
        ):
            self.assertRaises(ValueError, read_host, text)

    def test_families_alternate(self) -> None:
        self.assertEqual(
            in_turn(["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"]),
            ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"],
        )


class Peer(Protocol):
    """Either end of a connection: says what it is told to, keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.news: Deferred[bytes] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if not self.news.called:
            self.news.callback(self.heard)

    def connectionLost(self, reason: Any = None) -> None:
        if not self.news.called:
            self.news.callback(b"")
        self.gone.callback(None)


class ConnectTests(TestCase):
    timeout = 30

    async def connect(self, host: Host, address: str, timeout: float = 5) -> Peer:
        peer = await connect(reactor, host, address, Peer(), timeout)
        self.addCleanup(lambda: peer.gone)
        self.addCleanup(peer.transport.abortConnection)
        return peer

    def free_port(self) -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return free.getsockname()[1]

    async def test_connected(self) -> None:
        factory = Factory.forProtocol(Peer)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        peer = await self.connect(Host("mx", port.getHost().port, ()), "127.0.0.1")
        self.assertEqual(peer.transport.getPeer().port, port.getHost().port)

    async def test_unix(self) -> None:
        path = f"/tmp/connect-{os.getpid()}-{id(self)}"
        port = reactor.listenUNIX(path, Factory.forProtocol(Peer))
        self.addCleanup(port.stopListening)
        await self.connect(read_host(f"unix:{path}"), path)

    async def test_refused(self) -> None:
        """In the words that the queue shows."""
        number = self.free_port()
        with self.assertRaisesRegex(TemporaryFailure, f"^connection refused by 127.0.0.1:{number}$"):
            await self.connect(Host("mx", number, ()), "127.0.0.1")
        with self.assertRaisesRegex(TemporaryFailure, "^no connection to /nonexistent/x: no such file or directory$"):
            await self.connect(read_host("unix:/nonexistent/x"), "/nonexistent/x")

    async def test_no_time(self) -> None:
        """Who does not take the connection is not waited for."""
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        number = full.getsockname()[1]
        for _ in range(4):
            waiting = socket.socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", number))
        with self.assertRaisesRegex(TemporaryFailure, f"^no connection to 127.0.0.1:{number} within 0.2 s$"):
            await self.connect(Host("mx", number, ()), "127.0.0.1", timeout=0.2)


class TlsTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.pair = key_pair(Path(self.mktemp()), "mx.example.org")

    async def talk(self, context: Any) -> tuple[bytes, bytes | None]:
        """What the server of mx.example.org hears from a client, and the name that it is asked for."""
        accepted: Deferred[Peer] = Deferred()
        pair = self.pair

        class Server(Peer):
            def connectionMade(self) -> None:
                self.transport.startTLS(server_tls(pair))
                accepted.callback(self)

        port = reactor.listenTCP(0, Factory.forProtocol(Server), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        peer = await connect(reactor, Host("mx", port.getHost().port, ()), "127.0.0.1", Peer())
        peer.transport.startTLS(context)
        peer.transport.write(b"hello")
        server = await accepted
        heard = await server.news
        name = server.transport.getHandle().get_servername()
        peer.transport.abortConnection()
        await peer.gone
        await server.gone
        return heard, name

    def trust(self, path: Path) -> None:
        """Let this certificate be the only authority of the machine, until the test ends."""
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(path.absolute())

        def restore() -> None:
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before

        self.addCleanup(restore)

    async def test_opportunistic(self) -> None:
        """A certificate that nobody knows is better than none; the name that we want is told."""
        tls = Opportunistic()
        self.assertEqual(await self.talk(tls.to("mx.example.net")), (b"hello", b"mx.example.net"))

    async def test_no_name(self) -> None:
        """An address, or what is no host name, is not told (RFC 6066 3)."""
        tls = Opportunistic()
        for name in ("127.0.0.1", "2001:db8::1", "unix:/run/x", "a\\000b.example"):
            self.assertEqual(await self.talk(tls.to(name)), (b"hello", None))

    async def test_verified(self) -> None:
        """Nothing is said to who cannot prove its name."""
        self.assertEqual((await self.talk(verified("mx.example.org")))[0], b"")

    async def test_verified_by_an_authority(self) -> None:
        """What the machine's authorities signed is trusted, for its own name only."""
        self.trust(self.pair.certificate)
        self.assertEqual((await self.talk(verified("mx.example.org")))[0], b"hello")
        self.assertEqual((await self.talk(verified("mx.example.net")))[0], b"")
