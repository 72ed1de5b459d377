"""The way to a server: hosts in turn, addresses in turn, TLS where it can be had, large messages."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor

from mailserver.content import LARGE
from mailserver.delivery import ends
from mailserver.delivery import hosts as hosts_module
from mailserver.net.tls import KeyPair
from mailserver.store.contents import Incoming
from tests.delivery.house import HouseCase
from tests.delivery.peers import CLOSE, Peer, Talk
from tests.net.certificates import key_pair

reactor: Any = installed_reactor


def free_port(*addresses: str) -> int:
    """A port that is free on all of these addresses."""
    for _ in range(50):
        with socket.socket() as first:
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
        try:
            for address in addresses:
                with socket.socket() as each:
                    each.bind((address, port))
        except OSError:
            continue
        return port
    raise AssertionError("there is no port free on all")


class InTurnTests(HouseCase):
    """Three servers of example.com, which all listen on one port, as theirs do on port 25."""

    def setUp(self) -> None:
        super().setUp()
        self.addresses = "127.0.0.2", "127.0.0.3", "127.0.0.4"
        self.port = free_port(*self.addresses)
        self.patch(hosts_module, "SMTP", self.port)
        self.names.add("example.com", "MX", "10 a.example.com.", "20 b.example.com.")
        self.names.add("a.example.com", "A", *self.addresses[:2])
        self.names.add("b.example.com", "A", self.addresses[2])
        self.peers: list[Peer] = []

    def listen(self, *numbers: int) -> None:
        self.peers = [self.peer(interface=self.addresses[number], port=self.port) for number in numbers]

    async def deliver(self) -> dict[str, Any]:
        """One message; what the story says of its one attempt."""
        self.work(allow_loopback=True)
        id = await self.send("bob@example.com")

        async def tried() -> Any:
            return await self.attempts(id)

        [attempt] = await self.until(tried)
        return attempt

    async def test_the_first_that_answers(self) -> None:
        """The next address of a host, then the next host."""
        self.listen(2)
        attempt = await self.deliver()
        self.assertEqual(
            (attempt["result"], attempt["host"], attempt["address"]),
            ("delivered", f"b.example.com:{self.port}", "127.0.0.4"),
        )

    async def test_who_does_not_let_us_in(self) -> None:
        """554, 421 and nonsense at the greeting: the next one."""
        for greeting in (b"554 5.3.2 No service\r\n", b"421 4.3.2 Too busy\r\n", b"hello\r\n", CLOSE):
            self.listen(0, 1)
            self.peers[0].replies = {"": greeting}
            self.assertEqual((await self.deliver())["address"], "127.0.0.3")
            await self.stop_all()
            for peer in self.peers:
                await peer.stop()

    async def test_none(self) -> None:
        """The last reason is the one that is told."""
        attempt = await self.deliver()
        self.assertEqual(
            (attempt["result"], attempt["said"]), ("deferred", f"connection refused by 127.0.0.4:{self.port}")
        )

    async def test_who_has_answered_for_the_recipient_has_answered(self) -> None:
        """Neither its "never" nor its "not now" is asked for again at the next."""
        for reply, result in ((b"550 5.1.1 No\r\n", "failed"), (b"451 4.7.1 Greylisted\r\n", "deferred")):
            self.listen(0, 1, 2)
            self.peers[0].replies = {"RCPT": reply}
            self.assertEqual((await self.deliver())["result"], result)
            self.assertEqual([len(peer.talks) for peer in self.peers], [1, 0, 0])
            await self.stop_all()
            for peer in self.peers:
                await peer.stop()

    async def test_who_may_have_it(self) -> None:
        """No other server gets what this one may have taken."""
        self.listen(0, 1, 2)
        self.peers[0].replies = {".": CLOSE}
        attempt = await self.deliver()
        self.assertEqual(attempt["said"], "the message was sent, but the connection was closed by the server")
        self.assertEqual([len(peer.talks) for peer in self.peers], [1, 0, 0])

    async def test_what_is_not_ours_any_more(self) -> None:
        """Another server has taken it over: we leave it alone, at every server."""
        self.patch(ends, "TRUSTED", 0.0)        # on this machine nobody does before our lease has lapsed

        def steal(talk: Talk) -> bytes:
            with self.writing() as connection:
                connection.exec_driver_sql("UPDATE spool SET owner = 'them/2', lease = 9e9")
            return b"354 Go on\r\n"

        self.listen(0, 1, 2)
        self.peers[0].replies = {"DATA": steal}
        self.assertEqual((await self.deliver())["said"], "it is not ours to send any more")
        self.assertEqual([len(peer.talks) for peer in self.peers], [1, 0, 0])

    async def test_not_for_ever(self) -> None:
        """A domain with hundreds of addresses is not worth hundreds of connections at a time."""
        self.listen(0)
        self.peers[0].replies = {"": b"421 4.3.2 Too busy\r\n"}
        self.names.add("a.example.com", "A", *["127.0.0.2"] * 50)
        self.assertEqual((await self.deliver())["result"], "deferred")
        self.assertEqual(len(self.peers[0].talks), 10)

    async def test_this_machine(self) -> None:
        """Unless it is allowed, no stranger's DNS leads us here."""
        self.listen(0, 1, 2)
        self.work()
        id = await self.send("bob@example.com")
        await self.empty()
        [attempt] = await self.attempts(id)
        self.assertIn("are this machine, which does not know it", attempt["said"])
        self.assertEqual([len(peer.talks) for peer in self.peers], [0, 0, 0])


class TlsTests(HouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.pair = key_pair(Path(self.mktemp()), "localhost", "relay.example.org")

    def trust(self, pair: KeyPair) -> None:
        """Let this certificate be the only authority of the machine, until the test ends."""
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(pair.certificate.absolute())

        def restore() -> None:
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before

        self.addCleanup(restore)

    async def test_opportunistic(self) -> None:
        """Where it is offered, whoever signed the certificate; the story says which."""
        peer = self.peer(tls=self.pair)
        self.route(to=peer)
        id = await self.send("bob@example.com")
        await self.empty()
        [attempt] = await self.attempts(id)
        self.assertRegex(attempt["tls"], r"^TLSv1\.[23] ")
        self.assertEqual(peer.verbs()[:4], ["EHLO", "STARTTLS", "EHLO", "MAIL"])
        self.assertEqual(len(peer.messages), 1)

    async def test_broken_tls_is_no_reason_not_to_deliver(self) -> None:
        """Then it goes in the clear, on a new connection."""

        def broken(talk: Talk) -> bytes:
            talk.secure = talk.transport.loseConnection     # type: ignore[method-assign]
            return b"220 Go\r\n"

        for reply in (broken, b"454 4.7.0 Not today\r\n", b"501 5.5.4 What?\r\n"):
            peer = self.peer(tls=self.pair)
            peer.replies = {"STARTTLS": reply}
            scheduler = self.route(to=peer)
            id = await self.send("bob@example.com")
            await self.empty()
            [attempt] = await self.attempts(id)
            self.assertNotIn("tls", attempt)
            self.assertEqual((len(peer.messages), len(peer.talks)), (1, 2))
            await scheduler.stop()

    async def test_injection_is(self) -> None:
        """Replies in clear behind 220: nothing is said to this server."""
        peer = self.peer(tls=self.pair)
        peer.replies = {"STARTTLS": b"220 Go\r\n250 injected\r\n"}
        self.route(to=peer)
        await self.send("bob@example.com")
        await self.reason("the server said more than its answer to STARTTLS")
        self.assertEqual((peer.verbs(), len(peer.talks)), (["EHLO", "STARTTLS"], 1))

    async def smarthost(self, peer: Peer, name: str) -> dict[str, Any]:
        """One message by a smarthost to which we log in; what the story says of its one attempt."""
        self.names.add("relay.example.org", "A", "127.0.0.1")
        self.names.add("other.example.org", "A", "127.0.0.1")
        scheme = "tls" if peer.implicit else "tcp"
        self.work(
            smarthost=f"{scheme}:{name}:{peer.port}", smarthost_login="ann", smarthost_password="secret"
        )
        id = await self.send("bob@example.com", "eve@example.net")

        async def tried() -> Any:
            return await self.attempts(id)

        return (await self.until(tried))[0]

    async def test_smarthost(self) -> None:
        """The whole message by one host that has proved its name, with our login, inside TLS."""
        for implicit in (False, True):
            self.trust(self.pair)
            peer = self.peer(tls=self.pair, implicit=implicit)
            peer.extensions = ["AUTH PLAIN"]
            peer.replies = {"AUTH": lambda talk: b"235 2.7.0 Welcome\r\n" if talk.is_secure else b"538 5.7.11 No\r\n"}
            attempt = await self.smarthost(peer, "relay.example.org")
            self.assertEqual(attempt["result"], "delivered")
            [message] = peer.messages
            self.assertEqual(sorted(message[1]), ["bob@example.com", "eve@example.net"])
            await self.stop_all()

    async def test_who_cannot_prove_its_name(self) -> None:
        """An unknown authority, or another's name: no password, no mail, and not in the clear either."""
        for trusted, name in ((False, "relay.example.org"), (True, "other.example.org")):
            if trusted:
                self.trust(self.pair)
            peer = self.peer(tls=self.pair)
            peer.extensions = ["AUTH PLAIN"]
            attempt = await self.smarthost(peer, name)
            self.assertEqual(attempt["result"], "deferred")
            self.assertIn("the TLS handshake failed", attempt["said"])
            self.assertEqual(peer.verbs(), ["EHLO", "STARTTLS"])
            await self.stop_all()

    async def test_stripped_tls(self) -> None:
        """Where a login is wanted nothing is said in the clear."""
        peer = self.peer()
        peer.extensions = ["AUTH PLAIN"]
        attempt = await self.smarthost(peer, "relay.example.org")
        self.assertEqual(attempt["said"], "the server offers no TLS, so the login is not sent")
        self.assertEqual(peer.verbs(), ["EHLO"])

    async def test_a_wrong_password_bounces_nothing(self) -> None:
        """It is our mistake."""
        self.trust(self.pair)
        peer = self.peer(tls=self.pair)
        peer.extensions = ["AUTH PLAIN"]
        peer.replies = {"AUTH": b"535 5.7.8 Wrong\r\n"}
        attempt = await self.smarthost(peer, "relay.example.org")
        self.assertEqual(
            (attempt["result"], attempt["said"]), ("deferred", "the login was not accepted: 535 5.7.8 Wrong")
        )


class ContentTests(HouseCase):
    async def test_large(self) -> None:
        """From its file, octet for octet, without being in memory."""
        id = self.world.new_id()
        incoming = Incoming(self.database.contents, f"{id}", self.world.in_thread)
        digest = hashlib.sha256()
        for number in range(300):
            piece = b"".join(b".%06d %s\r\n" % (line, b"x" * 60) for line in range(number, number + 150))
            digest.update(piece)
            await incoming.write(piece)
        large = await incoming.finish()
        self.assertGreater(large.size, 20 * LARGE)
        peer = self.peer()
        self.route(to=peer)
        await self.send("bob@example.com", content=large)
        await self.empty()
        [(_, _, octets)] = peer.messages
        self.assertEqual(hashlib.sha256(octets[-large.size:]).digest(), digest.digest())
        self.assertEqual(os.listdir(self.database.contents), [])
        self.assertIn(f"SIZE={len(octets)}", peer.heard[1])

    async def test_no_smuggling(self) -> None:
        """What lies in the queue with odd line ends is one message there, too."""
        peer = self.peer()
        self.route(to=peer)
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r\r\n", b"\r\n.\r\n"):
            smuggled = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nx\r\n.\r\n"
            await self.send("bob@example.com", content=b"Subject: x\r\n\r\nbefore" + end + smuggled)
        await self.empty()
        self.assertEqual(len(peer.messages), 6)
        for sender, _, octets in peer.messages:
            self.assertEqual(sender, "alice@example.org")
            self.assertIn(b"\r\nMAIL FROM:<evil@example.org>\r\n", octets)
        self.assertEqual(peer.verbs().count("MAIL"), 6)

    async def test_lmtp(self) -> None:
        """To a host that speaks it: an answer for each recipient."""
        peer = self.peer(lmtp=True)
        peer.replies = {".": b"250 2.1.5 Ok\r\n552 5.2.2 Full\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com", "eve@example.com")
        await self.empty()
        self.assertEqual([each["result"] for each in await self.attempts(id)], ["delivered", "failed"])
        self.assertEqual(peer.verbs()[0], "LHLO")
