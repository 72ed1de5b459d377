"""From clear to TLS: nothing is carried over, nothing said in clear is answered inside, no handshake takes for ever."""

from __future__ import annotations

import subprocess
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from mailserver.net import conversation
from mailserver.testing import Line
from tests.attacks.case import AttackCase
from tests.needs import program
from tests.serving import reactor

# What is sent in clear behind STARTTLS in the same segment.
BEHIND = (
    b"EHLO evil\r\n", b"MAIL FROM:<evil@example.net>\r\n", b"MAIL FROM:<evil@exam", b"N", b"\r\n", b"\n", b"\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 100, b"QUIT\r\n", b"STARTTLS\r\n", b" ",
)
NAMES = (
    b"mx.example.org", b"x\xff\xfe", b"../../../../etc/passwd", b"%n%s{0}", b"\x1b]0;x\x07", b"a" * 255, b".", b" ",
    "bücher.example".encode(), b"x\r\nMAIL FROM:<evil@example.net>",
)

SERVICES = "smtp submission pop3"
LMTP_WITH_TLS = """
    [[listen]]
    service = "lmtp"
    endpoint = "tcp:0:interface=127.0.0.9"
    tls = "starttls"
"""


@implementer(IOpenSSLClientConnectionCreator)
class Asking:
    """TLS that asks for a server of some name."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        connection.set_tlsext_host_name(self._name)
        connection.set_connect_state()
        return connection


class TransitionTests(AttackCase):
    async def test_phases(self) -> None:
        """In every phase, with an argument, and twice."""
        server = await self.serve()
        await self.play_file(await self.connect(server), "starttls_phases.txt")
        await self.assert_nothing_came_of_it(server)

    async def test_said_behind_starttls(self) -> None:
        """A command, half of one, a ClientHello: the connection ends, without a word and without TLS."""
        server = await self.serve(LMTP_WITH_TLS, SERVICES)
        for service in ("smtp", "submission", "lmtp", "pop3"):
            for behind in BEHIND:
                line = await self.begun(server, service)
                line.say((b"STLS" if service == "pop3" else b"STARTTLS") + b"\r\n" + behind)
                self.assertEqual(await self.to_the_end(line), b"", (service, behind))
        await self.is_polite(server)
        await self.assert_nothing_came_of_it(server)

    async def begun(self, server: Any, service: str) -> Line:
        if service != "pop3":
            return await self.greeted(server, service)
        line = await self.connect(server, service)
        await line.line()
        return line

    async def test_said_in_clear_after_the_220(self) -> None:
        """It is no TLS, so it ends the connection; no command is answered."""
        server = await self.serve(LMTP_WITH_TLS, SERVICES)
        for service in ("smtp", "lmtp"):
            for behind in BEHIND[:7]:
                line = await self.greeted(server, service)
                self.assertEqual(await line.ask("STARTTLS"), "220 2.0.0 Ready to start TLS")
                line.say(behind + b"NOOP\r\n" * 3 + b"\0" * 16)
                heard = await self.to_the_end(line)
                self.assertNotRegex(heard, rb"\b[2-5][0-9][0-9][ -]", (service, behind))
        await self.is_polite(server)

    async def test_lmtp(self) -> None:
        """The same rules at the other door."""
        server = await self.serve(LMTP_WITH_TLS, SERVICES)
        line = await self.greeted(server, "lmtp")
        self.assertRegex(await line.ask("MAIL FROM:<a@example.net>"), "^250")
        self.assertRegex(await line.ask("STARTTLS"), "^503 5.5.1 ")
        self.assertRegex(await line.ask("RSET"), "^250")
        self.assertRegex(await line.ask("STARTTLS"), "^220 ")
        await line.start_tls()
        self.assertRegex(await line.ask("MAIL FROM:<a@example.net>"), "^503 5.5.1 ")
        self.assertNotIn("STARTTLS", await line.ask("LHLO x"))
        self.assertRegex(await line.ask("STARTTLS"), "^503 5.5.1 TLS is on already ")

    async def test_secrets_in_clear(self) -> None:
        """Refused before they are asked for, in each form, and in no log."""
        server = await self.serve()
        logged: list[Any] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        for service in ("smtp", "submission"):
            line = await self.greeted(server, service)
            for command in ("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==", "AUTH LOGIN", "AUTH PLAIN"):
                self.assertRegex(await line.ask(command), r"^538 5\.7\.11 ")
            # What a careless client would say next.
            self.assertRegex(await line.ask("AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="), "^500 ")
        text = repr(logged)
        self.assertIn("538", text)
        for secret in ("secret", "AGFsaWNl", "c2VjcmV0"):
            self.assertNotIn(secret, text)


class HandshakeTests(AttackCase):
    async def test_one_that_never_ends(self) -> None:
        """It has so long and no longer, whether nothing comes or an octet now and then."""
        self.patch(conversation, "HANDSHAKE", 1.0)
        server = await self.serve()
        silent, trickling = await self.greeted(server), await self.greeted(server)
        for line in (silent, trickling):
            self.assertRegex(await line.ask("STARTTLS"), "^220 ")
        for octet in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 200:
            if trickling.is_closed:
                break
            trickling.say(bytes([octet]))
            await deferLater(reactor, 0.05, lambda: None)
        await self.is_polite(server)
        for line in (silent, trickling):
            await self.to_the_end(line)

    async def test_names_of_any_octets(self) -> None:
        """Whatever a peer asks for by SNI, it gets a certificate and a conversation, and writes no line anywhere."""
        server = await self.serve()
        for name in NAMES:
            line = await self.greeted(server)
            self.assertRegex(await line.ask("STARTTLS"), "^220 ")
            line.transport.startTLS(Asking(name))
            await deferLater(reactor, 0, lambda: None)
            for command in ("EHLO x", "MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.org>", "DATA"):
                self.assertRegex(await line.ask(command), "^[23]")
            line.say(b"x\r\n.\r\n")
            reply = await line.reply()
            self.assertRegex(reply, "^250 ")
            [story] = await self.story(server, reply)
            self.assertTrue(story["client"]["tls"])
        for message in await self.mailbox(server):
            self.assertEqual(message.count(b"\r\nReceived: ") + message.startswith(b"Received: "), 1)
            self.assertNotIn(b"evil", message)

    async def test_renegotiation(self) -> None:
        """Refused; who asks for it with OpenSSL hears so, and nobody else notices."""
        openssl = program("openssl")
        server = await self.serve()
        host, port = self.port_of(server)
        for asked, others in ((b"R\n", ("-tls1_2",)), (b"R\n" * 50, ("-tls1_2", "-legacy_renegotiation"))):
            done = await deferToThread(
                subprocess.run,
                [openssl, "s_client", "-connect", f"{host}:{port}", "-starttls", "smtp", *others],
                input=asked, capture_output=True, timeout=30,
            )
            said = done.stdout + done.stderr
            self.assertIn(b"RENEGOTIATING", said)
            self.assertIn(b"no renegotiation", said)
            await self.is_polite(server)
