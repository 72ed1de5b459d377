"""Each extension as somebody else's client uses it: swaks, smtplib, curl, mutt, Postfix and Exim."""

from __future__ import annotations

import re
import smtplib
import ssl
import subprocess
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from mailserver.service import MailServer
from mailserver.smtp.server import ServerWire
from tests.attacks import test_line_ends
from tests.attacks.case import AttackCase
from tests.interop.exim import Exim
from tests.interop.postfix import Postfix
from tests.needs import program

LOGIN, PASSWORD = "alice@example.org", "secret"
SIX_LINES = "Subject: hello\n\none\n.\n..\n.three\n"
U_ADDRESS = "用户@例え.テスト"
LENIENT = "smtpd_forbid_bare_newline = no\nsmtp_line_length_limit = 0\nline_length_limit = 1000000"
EIGHT_BIT = "Subject: hello\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\ngrüße 日本語\n"


def crlf(text: str) -> bytes:
    """As it goes over the wire."""
    return text.replace("\n", "\r\n").encode()


class SenderCase(AttackCase):
    """A server, and what its wires hear: that shows which extension a client has used."""

    def setUp(self) -> None:
        self.heard = bytearray()
        heard, receive = self.heard, ServerWire.receive

        def listens(wire: ServerWire, octets: bytes) -> None:
            heard.extend(octets)
            receive(wire, octets)

        self.patch(ServerWire, "receive", listens)

    async def work(self, what: Callable[..., Any], *words: Any, **more: Any) -> Any:
        """Something that blocks, while the server works."""
        return await deferToThread(what, *words, **more)

    async def run_program(self, *words: str, octets: bytes = b"", **more: Any) -> str:
        """The output of a program that must do what it was asked for."""
        done = await self.work(
            subprocess.run, words, input=octets, capture_output=True, timeout=60, check=False, **more
        )
        said: str = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, said[-3000:])
        return said

    def commands(self, verb: str) -> list[str]:
        """The commands of this verb that were heard."""
        return re.findall(rf"(?mi)^{verb}\b.*$", self.heard.decode("utf-8", "replace").replace("\r", ""))


class SmtplibTests(SenderCase):
    """Python's own client."""

    def session(self, server: MailServer, service: str = "smtp") -> smtplib.SMTP:
        make = smtplib.LMTP if service == "lmtp" else smtplib.SMTP
        return make(*self.port_of(server, service), timeout=30)

    def secure(self, client: smtplib.SMTP) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client.starttls(context=context)

    async def test_size_and_eight_bits(self) -> None:
        server = await self.serve()

        def send() -> None:
            with self.session(server) as client:
                client.sendmail("a@example.net", ["bob@example.org"], crlf(EIGHT_BIT), ["BODY=8BITMIME"])
                self.assertTrue(client.has_extn("pipelining") and client.has_extn("chunking"))

        await self.work(send)
        self.assertRegex(self.commands("MAIL")[0], r"^(?i:mail) FROM:<a@example.net> size=\d+ BODY=8BITMIME$")
        [message] = await self.mailbox(server)
        self.assertTrue(message.endswith(crlf(EIGHT_BIT)))

    async def test_too_large(self) -> None:
        """What says that it is too large is refused before it is sent."""
        server = await self.serve("[limits]\nsize = 1000\n")

        def send() -> int:
            with self.session(server) as client, self.assertRaises(smtplib.SMTPSenderRefused) as raised:
                client.sendmail("a@example.net", ["bob@example.org"], b"x" * 2000)
            return raised.exception.smtp_code

        self.assertEqual(await self.work(send), 552)

    async def test_tls_and_login(self) -> None:
        """STARTTLS, then AUTH by each mechanism that both know."""
        server = await self.serve()

        def send(mechanism: str) -> None:
            with self.session(server, "submission") as client:
                self.secure(client)
                client.ehlo()
                client.user, client.password = LOGIN, PASSWORD
                client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
                client.sendmail(LOGIN, ["bob@example.org"], SIX_LINES)

        for mechanism in ("PLAIN", "LOGIN"):
            await self.work(send, mechanism)
        messages = await self.mailbox(server)
        self.assertEqual(len(messages), 2)
        self.assertTrue(all(each.endswith(crlf(SIX_LINES)) for each in messages))

    async def test_smtputf8(self) -> None:
        """An address and a header beyond ASCII, all the way to the mailbox."""
        path = self.configure()
        self.with_domain(path, "例え.テスト", "用户")
        server = self.start(path)
        message = EmailMessage(policy=SMTPUTF8)
        message["From"], message["To"], message["Subject"] = "bücher@example.net", U_ADDRESS, "件名"
        message.set_content("本文\n")

        def send() -> None:
            with self.session(server) as client:
                client.send_message(message)

        await self.work(send)
        self.assertRegex(self.commands("MAIL")[0], r"FROM:<bücher@example.net> (?=.*SMTPUTF8)(?=.*BODY=8BITMIME)")
        [found] = await self.mailbox(server, "用户", domain="例え.テスト")
        self.assertIn("Subject: 件名\r\n".encode(), found)
        self.assertIn(b"with UTF8SMTP id", found)
        self.assertIn("Return-Path: <bücher@example.net>\r\n".encode(), found)

    async def test_lmtp(self) -> None:
        """An answer for each recipient, as smtplib's LMTP hears them."""
        server = await self.serve()

        def send() -> dict[str, Any]:
            with self.session(server, "lmtp") as client:
                return client.sendmail("a@example.net", ["bob@example.org", "nobody@example.org"], SIX_LINES)

        refused = await self.work(send)
        self.assertEqual(list(refused), ["nobody@example.org"])
        self.assertEqual(len(await self.mailbox(server)), 1)


class SwaksTests(SenderCase):
    def setUp(self) -> None:
        super().setUp()
        self.swaks = program("swaks")

    async def swak(self, server: MailServer, *words: str, service: str = "smtp") -> str:
        host, port = self.port_of(server, service)
        where = ("--server", host, "--port", str(port))
        return await self.run_program(
            self.swaks, *where, "--from", "a@example.net", "--to", "bob@example.org", *words
        )

    async def test_pipelining(self) -> None:
        server = await self.serve()
        said = await self.swak(server, "--pipeline")
        self.assertRegex(said, r" -> MAIL .*\n -> RCPT .*\n -> DATA\n<-  250 .*\n<-  250 .*\n<-  354 ")
        self.assertEqual(len(await self.mailbox(server)), 1)

    async def test_tls_and_login(self) -> None:
        """By each mechanism, and TLS as the server wants it."""
        server = await self.serve()
        for mechanism in ("PLAIN", "LOGIN"):
            said = await self.swak(
                server, "--tls", "--auth", mechanism, "--auth-user", LOGIN, "--auth-password", PASSWORD,
                "--from", LOGIN, service="submission",
            )
            self.assertIn("235 2.7.0 Authentication succeeded", said)
        self.assertEqual(len(await self.mailbox(server)), 2)

    async def test_lmtp(self) -> None:
        server = await self.serve()
        await self.swak(server, "--protocol", "LMTP", "--to", "bob@example.org,alice@example.org", service="lmtp")
        self.assertEqual([len(each) for each in (await self.all_mail(server)).values()], [1, 1])

    async def test_xclient(self) -> None:
        """A proxy that is named says who the client is, and the trace and the Received field know it."""
        server = await self.serve('[smtp]\nxclient = ["127.0.0.0/8"]\n')
        await self.swak(server, "--xclient", "ADDR=192.0.2.7 NAME=there.example.net HELO=there", "--xclient-no-verify")
        [message] = await self.mailbox(server)
        self.assertIn(b"([192.0.2.7])", message)


class CurlTests(SenderCase):
    def setUp(self) -> None:
        super().setUp()
        self.curl = program("curl")

    async def test_submission(self) -> None:
        """TLS required, a login, SIZE."""
        server = await self.serve()
        host, port = self.port_of(server, "submission")
        await self.run_program(
            self.curl, "-sS", "-k", "--ssl-reqd", "-u", f"{LOGIN}:{PASSWORD}", "--mail-from", LOGIN, "--mail-rcpt",
            "bob@example.org", "--upload-file", self.file(SIX_LINES), f"smtp://{host}:{port}/desk.example.org",
        )
        [message] = await self.mailbox(server)
        self.assertTrue(message.endswith(crlf(SIX_LINES)), message)
        self.assertIn(b"with ESMTPSA id", message)
        self.assertRegex(self.commands("MAIL")[0], r"SIZE=\d+")

    async def test_smtputf8(self) -> None:
        path = self.configure()
        self.with_domain(path, "example.com", "用户")
        server = self.start(path)
        host, port = self.port_of(server)
        await self.run_program(
            self.curl, "-sS", "--mail-from", "bücher@example.net", "--mail-rcpt", "用户@example.com",
            "--upload-file", self.file(SIX_LINES), f"smtp://{host}:{port}/x",
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin"},
        )
        self.assertRegex(self.commands("MAIL")[0], r"<bücher@example.net>.* SMTPUTF8")
        self.assertEqual(len(await self.mailbox(server, "用户", domain="example.com")), 1)

    async def test_vrfy(self) -> None:
        server = await self.serve('[smtp]\nvrfy = "everybody"\n')
        host, port = self.port_of(server)
        said = await self.run_program(
            self.curl, "-sS", "--request", "VRFY", "--mail-rcpt", "bob@example.org", f"smtp://{host}:{port}/x"
        )
        self.assertIn("250 2.", said)

    def file(self, text: str) -> str:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(crlf(text))
        return str(path)


class MuttTests(SenderCase):
    async def test_submission(self) -> None:
        """What somebody types in mutt, with a login inside TLS."""
        mutt = program("mutt")
        server = await self.serve()
        host, port = self.port_of(server, "submission")
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "muttrc").write_text("\n".join([
            f'set smtp_url="smtp://alice%40example.org:{PASSWORD}@{host}:{port}/"', f'set from="{LOGIN}"',
            "set use_from=yes", "set use_envelope_from=yes", "set ssl_starttls=yes", "set ssl_force_tls=yes",
            "set smtp_authenticators='plain:login'", "set copy=no", "set ssl_verify_host=no",
            f'set certificate_file="{folder}/certificates"', "set ssl_verify_dates=no", "set charset=utf-8",
            'set hostname="desk.example.org"',
        ]))
        assert server.config.tls is not None
        (folder / "certificates").write_text(server.config.tls.certificate.read_text())
        await self.run_program(
            mutt, "-n", "-F", str(folder / "muttrc"), "-s", "件名", "bob@example.org", octets="本文\n".encode(),
            env={"HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}, cwd=folder,
        )
        [message] = await self.mailbox(server)
        self.assertIn(b"with ESMTPSA id", message)
        self.assertIn(b"Subject: =?", message)


class PostfixTests(SenderCase):
    """Postfix takes a message from smtplib and sends it to us."""

    async def between(self, server: MailServer, service: str = "smtp", more: str = "") -> Postfix:
        where = self.port_of(server, service)
        postfix = Postfix(*where, more, relays=service != "lmtp")
        await self.work(postfix.start)
        self.addCleanup(self.work, postfix.stop)
        return postfix

    async def send(self, postfix: Postfix, message: bytes, sender: str, to: list[str], *options: str) -> None:
        def work() -> None:
            with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
                client.ehlo()
                mail = [each for each in options if not each.startswith(("NOTIFY", "ORCPT"))]
                rcpt = [each for each in options if each.startswith(("NOTIFY", "ORCPT"))]
                if "SMTPUTF8" in mail:
                    client.command_encoding = "utf-8"
                client.sendmail(sender, to, message, mail, rcpt)

        await self.work(work)

    async def arrived(self, server: MailServer, postfix: Postfix, count: int = 1, **where: str) -> list[bytes]:
        async def enough() -> Any:
            found = await self.mailbox(server, **where)
            return found if len(found) >= count else None

        try:
            return await self.until(enough, 20.0)
        except AssertionError:
            raise AssertionError(postfix.log()) from None

    async def test_many_inside_tls(self) -> None:
        """PIPELINING, SIZE, 8BITMIME, STARTTLS, several messages."""
        server = await self.serve()
        postfix = await self.between(server)
        content, both = crlf(EIGHT_BIT), ["bob@example.org", "alice@example.org"]
        for _ in range(5):
            await self.send(postfix, content, "a@example.net", both, "BODY=8BITMIME")
        for message in await self.arrived(server, postfix, 5):
            self.assertTrue(message.endswith(content.partition(b"\r\n\r\n")[2]), message)
            self.assertIn(b"with ESMTPS id", message)
        self.assertTrue(all("BODY=8BITMIME" in each and "SIZE=" in each for each in self.commands("MAIL")))

    async def test_smtputf8(self) -> None:
        path = self.configure()
        self.with_domain(path, "例え.テスト", "用户")
        server = self.start(path)
        postfix = await self.between(server)
        content = "From: bücher@example.net\r\nTo: 用户@例え.テスト\r\nSubject: 件名\r\n\r\n本文\r\n".encode()
        await self.send(postfix, content, "bücher@example.net", [U_ADDRESS], "SMTPUTF8", "BODY=8BITMIME")
        [message] = await self.arrived(server, postfix, local="用户", domain="例え.テスト")
        self.assertIn("Subject: 件名\r\n".encode(), message)
        self.assertIn(b"with UTF8SMTPS id", message)

    async def test_lmtp(self) -> None:
        """As Postfix hands mail to whoever keeps the mailboxes."""
        server = await self.serve()
        host, port = self.port_of(server, "lmtp")
        postfix = await self.between(server, "lmtp", f"default_transport = lmtp:inet:{host}:{port}")
        await self.send(postfix, b"Subject: x\r\n\r\nx\r\n", "a@example.net", ["bob@example.org", "alice@example.org"])
        [message] = await self.arrived(server, postfix)
        self.assertIn(b"with LMTP id", message)
        await self.arrived(server, postfix, local="alice")

    async def test_xforward(self) -> None:
        """As from a content filter: who the client was stands in the trace."""
        server = await self.serve('[smtp]\nxforward = ["127.0.0.0/8"]\n')
        postfix = await self.between(server, more="smtp_send_xforward_command = yes")
        await self.send(postfix, b"Subject: x\r\n\r\nx\r\n", "a@example.net", ["bob@example.org"])
        await self.arrived(server, postfix)
        self.assertNotEqual(self.commands("XFORWARD"), [])

    async def test_dsn(self) -> None:
        """What the author asked of reports comes along."""
        server = await self.serve()
        postfix = await self.between(server)
        await self.send(
            postfix, b"Subject: x\r\n\r\nx\r\n", "a@example.net", ["bob@example.org"], "RET=HDRS", "ENVID=abc+2B1",
            "NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;bob@example.org",
        )
        await self.arrived(server, postfix)
        self.assertIn("ENVID=abc+2B1", self.commands("MAIL")[-1])
        self.assertIn("NOTIFY=SUCCESS,DELAY", self.commands("RCPT")[-1])


class BehindPostfixTests(test_line_ends.OutboundTests):
    """The same smuggling by way of Postfix, which takes a bare LF for a line end."""

    async def way_to(self, second: MailServer) -> tuple[str, int]:
        postfix = Postfix(*self.port_of(second), LENIENT)
        await deferToThread(postfix.start)
        self.addCleanup(deferToThread, postfix.stop)
        return "127.0.0.1", postfix.port


class EximTests(SenderCase):
    async def test_chunking(self) -> None:
        """BDAT as Exim speaks it, for small ones and large ones, with nothing stuffed and nothing lost."""
        server = await self.serve()
        exim = await self.work(Exim, *self.port_of(server))
        self.addCleanup(exim.stop)
        large = "Subject: large\n\n" + "".join(f"{number} .\n.\n" for number in range(60_000))
        for content in (SIX_LINES, EIGHT_BIT, large):
            before = len(self.commands("BDAT"))
            await self.work(exim.send, content.encode(), "a@example.net", "bob@example.org")
            self.assertGreater(len(self.commands("BDAT")), before, exim.log())
        self.assertEqual(self.commands("DATA"), [])
        messages = await self.mailbox(server)
        for content, message in zip((SIX_LINES, EIGHT_BIT, large), messages, strict=True):
            body = crlf(content.partition("\n\n")[2])
            self.assertTrue(message.endswith(b"\r\n\r\n" + body), message[-300:])
