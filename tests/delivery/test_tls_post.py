"""Handing reports in by HTTPS, to a web server that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailserver.delivery.tls.https import is_elsewhere
from mailserver.delivery.tlsrpt import post as module
from mailserver.delivery.tlsrpt.post import Post, read_status
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.settings import Outbound, OutboundTls
from mailserver.testing import Names
from mailserver.world import World
from tests.delivery.taker import Taker

reactor: Any = installed_reactor


class PostTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.names = Names()
        self.names.add("reports.example.com", "A", "127.0.0.1")

    def taker(self, *statuses: int, name: str = "reports.example.com") -> Taker:
        taker = Taker(Path(self.mktemp()), name, *statuses)
        self.addCleanup(taker.stop)
        return taker

    def post(self, taker: Taker | None = None, allow_loopback: bool = True) -> Post:
        """One that trusts a taker, else whom the system trusts."""
        self.outbound = Outbound(
            allow_loopback=allow_loopback, tls=OutboundTls(ca=taker.certificate if taker is not None else None)
        )
        world = World(reactor, self.names)
        world.threads.start()
        self.addCleanup(deferToThread, world.threads.stop)
        return Post(world, lambda: self.outbound)

    def uri(self, taker: Taker, path: str = "/v1/tls?x=1") -> str:
        return f"https://reports.example.com:{taker.port}{path}"

    async def test_taken(self) -> None:
        taker = self.taker(201)
        self.assertEqual(await self.post(taker).send(self.uri(taker), b"\x1f\x8bpacked"), "answered 201")
        self.assertEqual(taker.taken, [("/v1/tls?x=1", "application/tlsrpt+gzip", b"\x1f\x8bpacked")])

    async def test_no_name_for_a_certificate(self) -> None:
        """What the DNS has and no certificate can be for: it is not now, in words, and no error of ours."""
        for name in ("a_b.example.com", "-x.example.com"):
            self.names.add(name, "A", "127.0.0.1")
            with self.assertRaises(TemporaryFailure):
                await self.post(self.taker()).send(f"https://{name}/", b"x")

    async def test_refused(self) -> None:
        """Some answers are for good, some for now; nobody is followed elsewhere."""
        taker = self.taker(404, 500, 429, 302)
        for kind in (PermanentFailure, TemporaryFailure, TemporaryFailure, TemporaryFailure):
            with self.assertRaises(kind):
                await self.post(taker).send(self.uri(taker), b"x")
        self.assertEqual(len(taker.taken), 4)

    async def test_whose_certificate(self) -> None:
        """Of another name, or signed by nobody: nothing is said to it."""
        taker = self.taker(name="other.example.com")
        with self.assertRaises(TemporaryFailure):
            await self.post(taker).send(self.uri(taker), b"x")
        taker = self.taker()
        with self.assertRaises(TemporaryFailure) as raised:
            await self.post().send(self.uri(taker), b"x")
        self.assertIn("is signed by itself", str(raised.exception))
        self.assertEqual(taker.taken, [])

    async def test_as_configured_now(self) -> None:
        """Other authorities count from the next report on; a file that is gone is a reason to come again."""
        taker = self.taker(201)
        post = self.post()
        trusting = OutboundTls(ca=taker.certificate)
        self.outbound = Outbound(allow_loopback=True, tls=trusting)
        self.assertEqual(await post.send(self.uri(taker), b"x"), "answered 201")
        self.outbound = Outbound(allow_loopback=True, tls=OutboundTls(ca=Path("gone.pem")))
        with self.assertRaises(TemporaryFailure) as raised:
            await post.send(self.uri(taker), b"x")
        self.assertIn("gone.pem", str(raised.exception))
        self.assertEqual(len(taker.taken), 1)

    async def test_not_at_home(self) -> None:
        """The DNS of a stranger leads to no address of ours."""
        taker = self.taker()
        with self.assertRaises(TemporaryFailure) as raised:
            await self.post(taker, allow_loopback=False).send(self.uri(taker), b"x")
        self.assertIn("no address that may be used", str(raised.exception))
        self.assertEqual(taker.taken, [])

    def test_where_elsewhere_is(self) -> None:
        for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "fe80::1", "::ffff:192.168.1.1",
                        "0.0.0.0", "224.0.0.1", "100.64.0.1", "2002:7f00:1::1", "64:ff9b::7f00:1", "ff02::1"):
            self.assertFalse(is_elsewhere(address), address)
        for address in ("8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"):
            self.assertTrue(is_elsewhere(address), address)

    async def test_silence(self) -> None:
        taker = self.taker(0)
        self.patch(module, "LONGEST", 0.3)
        with self.assertRaises(TemporaryFailure) as raised:
            await self.post(taker).send(self.uri(taker), b"x")
        self.assertIn("no answer within", str(raised.exception))

    async def test_in_clear(self) -> None:
        """Whoever speaks no TLS hears nothing of the report."""
        heard: list[bytes] = []

        class Clear(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")

            def dataReceived(self, data: bytes) -> None:
                heard.append(data)

        port = reactor.listenTCP(0, Factory.forProtocol(Clear), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        with self.assertRaises(TemporaryFailure):
            await self.post().send(f"https://reports.example.com:{port.getHost().port}/", b"SECRET")
        self.assertFalse(any(b"SECRET" in each for each in heard))

    async def test_nowhere(self) -> None:
        self.names.add("empty.example.com", "TXT", '"x"')
        post = self.post()
        for name in ("empty.example.com", "nowhere.example.com", "127.0.0.1"):
            with self.assertRaises(TemporaryFailure):
                await post.send(f"https://{name}/", b"x")

    def test_statuses(self) -> None:
        """As they come, in pieces, behind interim answers; what is no HTTP is said to be none."""
        whole = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 204 \r\n"
        for end in range(len(whole)):
            self.assertIsNone(read_status(whole[:end]))
        self.assertEqual(read_status(whole), 204)
        self.assertEqual(read_status(b"HTTP/1.0 200\r\n"), 200)
        for wrong in (b"220 mx ESMTP\r\n", b"HTTP/2 200\r\n", b"HTTP/1.1 999 x\r\n", b"\r\n"):
            self.assertRaises(TemporaryFailure, read_status, wrong)

    async def test_endless(self) -> None:
        """An answer without end is hung up on."""
        taker = self.taker()
        answer = module._Answer()
        answer.dataReceived(b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 10_000)
        with self.assertRaises(TemporaryFailure) as raised:
            await answer.status
        self.assertIn("too long", str(raised.exception))
        self.assertEqual(taker.taken, [])
