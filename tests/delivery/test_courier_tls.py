"""Inside TLS, and on the way there."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import Clock

from mailserver.delivery import line as line_module
from mailserver.delivery.line import TlsFailed, Unusable
from mailserver.delivery.tls.proof import Contexts, Proof, by_authority
from mailserver.net.connect import Opportunistic
from mailserver.reply import Reply
from tests.delivery.cases import BOB, CourierCase
from tests.delivery.peers import Peer, Talk
from tests.net.certificates import Authority, key_pair

reactor: Any = installed_reactor


class TlsCase(CourierCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pair = key_pair(Path(self.mktemp()), "mx.example.org")
        self.peer = self.listen(Peer(tls=self.pair))
        self.context = Opportunistic().to("mx.example.org")


class TlsTests(TlsCase):
    async def test_everything_is_new(self) -> None:
        """EHLO again; what was offered in clear is forgotten; the version and the cipher are known."""
        in_clear, inside = b"250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", b"250-x\r\n250 SIZE 700\r\n"
        self.peer.replies = {"EHLO": lambda talk: inside if talk.is_secure else in_clear}
        courier = await self.begin()
        self.assertEqual(set(courier.offered), {"STARTTLS", "AUTH"})
        await courier.start_tls(self.context)
        self.assertEqual(courier.offered, {"SIZE": "700"})
        self.assertRegex(courier.line.tls, r"^TLSv1\.[23] \S+$")
        self.assertEqual(await self.transact(courier, BOB), [Reply(250, "0.0", "Taken")])
        self.assertEqual(self.peer.verbs()[:4], ["EHLO", "STARTTLS", "EHLO", "MAIL"])

    async def test_implied(self) -> None:
        self.peer.implicit = True
        courier = await self.call()
        await courier.start_tls(self.context, already=True)
        await courier.begin()
        self.assertEqual(await self.transact(courier, BOB), [Reply(250, "0.0", "Taken")])

    async def test_large_inside_tls(self) -> None:
        courier = await self.begin()
        await courier.start_tls(self.context)
        content = (b"x" * 98 + b"\r\n") * 50_000
        self.assertEqual(await self.transact(courier, BOB, content=content), [Reply(250, "0.0", "Taken")])
        self.assertEqual(self.peer.messages[0][2], content)

    async def test_injection(self) -> None:
        """Replies in clear behind the server's 220: dropped, and the connection with them."""
        for injected in (b"250 injected\r\n", b"250-half", b"2"):
            self.peer.replies = {"STARTTLS": b"220 Go\r\n" + injected}
            courier = await self.begin()
            with self.assertRaisesRegex(Unusable, "said more than its answer"):
                await courier.start_tls(self.context)
            await courier.line.gone
            self.assertEqual(courier.line.tls, "")

    async def test_names_of_strangers(self) -> None:
        """What stands in a certificate goes into the queue and into reports: one printable line of it."""
        authority = Authority(Path(self.mktemp()))
        self.peer.tls = authority.pair("a.example", "evil\0\x1b[2J\r\nX: y.example")
        courier = await self.begin()
        proof = Proof(Contexts(authority.file).proving(), "mx.example.org", by_authority(("mx.example.org",)))
        with self.assertRaises(TlsFailed) as raised:
            await courier.start_tls(proof)
        words = str(raised.exception)
        self.assertIn("the certificate of mx.example.org is for a.example, evil", words)
        self.assertTrue(words.isprintable(), words)
        assert proof.failure is not None
        self.assertTrue(proof.failure.words.isprintable())

    async def test_refused_or_broken(self) -> None:
        """These may be tried in the clear."""

        def no_tls(talk: Talk) -> bytes:
            reactor.callLater(0.02, talk.transport.write, b"this is no handshake\r\n")
            talk.secure = lambda: None      # type: ignore[method-assign]
            return b"220 Go\r\n"

        for reply, words in (
            (b"454 4.7.0 No TLS today\r\n", "STARTTLS was refused: 454"), (no_tls, "the TLS handshake failed"),
        ):
            self.peer.replies = {"STARTTLS": reply}
            courier = await self.begin()
            with self.assertRaisesRegex(TlsFailed, words):
                await courier.start_tls(self.context)

    async def test_a_handshake_without_end(self) -> None:
        def still(talk: Talk) -> bytes:
            talk.secure = lambda: None      # type: ignore[method-assign]
            return b"220 Go\r\n"

        self.peer.replies = {"STARTTLS": still}
        courier = await self.begin()
        with self.assertRaisesRegex(TlsFailed, "^no TLS handshake within 60 s$"):
            await self.patience(courier.start_tls(self.context), line_module.HANDSHAKE)


class LoginTests(TlsCase):
    async def log_in(self, mechanisms: str, secure: bool = True) -> None:
        self.peer.extensions = [f"AUTH {mechanisms}"]
        courier = await self.begin()
        if secure:
            await courier.start_tls(self.context)
        await courier.log_in("ann", "secret")

    async def test_plain(self) -> None:
        self.peer.replies = {"AUTH": b"235 2.7.0 Welcome\r\n"}
        await self.log_in("LOGIN PLAIN")
        self.assertEqual(self.peer.heard[-1], "AUTH PLAIN " + base64.b64encode(b"\0ann\0secret").decode())

    async def test_login(self) -> None:
        self.peer.replies = {
            "AUTH LOGIN": b"334 VXNlcm5hbWU6\r\n", "YW5u": b"334 UGFzc3dvcmQ6\r\n", "c2VjcmV0": b"235 2.7.0 Hello\r\n",
        }
        await self.log_in("LOGIN CRAM-MD5")
        self.assertEqual(self.peer.heard[-3:], ["AUTH LOGIN", "YW5u", "c2VjcmV0"])

    async def test_refused(self) -> None:
        """The words say why; the password is not in them."""
        self.peer.replies = {"AUTH": b"535 5.7.8 Wrong\r\n"}
        with self.assertRaisesRegex(Unusable, "^the login was not accepted: 535 5.7.8 Wrong$"):
            await self.log_in("PLAIN")
        with self.assertRaisesRegex(Unusable, "no way to log in that we have"):
            await self.log_in("GSSAPI")

    async def test_never_in_clear(self) -> None:
        """A stripped STARTTLS does not get the password."""
        with self.assertRaisesRegex(Unusable, "the login is not sent"):
            await self.log_in("PLAIN LOGIN", secure=False)
        self.assertEqual(self.peer.verbs(), ["EHLO"])
