"""A server that reads its configuration again while it runs, and what an operator sees and ends."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater

from mailserver.control.lines import OrderFailed
from mailserver.errors import MailserverError, StartRefused
from mailserver.service import MailServer
from mailserver.store import queue
from tests.net.certificates import key_pair
from tests.serving import Line, ServerCase, reactor
from tests.test_service import SLOW


class OperatedCase(ServerCase):
    async def order(self, server: MailServer, name: str, **details: Any) -> Any:
        return await server.orders()[name](details)

    def rewrite(self, server: MailServer, old: str, new: str) -> None:
        path = server.config.path
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))

    def write(self, server: MailServer, more: str) -> None:
        """More of the configuration, at its end."""
        server.config.path.write_text(server.config.path.read_text() + more)

    async def greeted(self, server: MailServer, service: str = "smtp") -> Line:
        line = await self.connect(server, service)
        await line.reply()
        if service != "pop3":
            await line.ask("LHLO x" if service == "lmtp" else "EHLO client.example.net")
        return line

    async def rcpt(self, line: Line, address: str) -> str:
        await line.ask("RSET")
        await line.ask("MAIL FROM:<>")
        return await line.ask(f"RCPT TO:<{address}>")


class ReloadTests(OperatedCase):
    async def test_limits_and_relay(self) -> None:
        """New connections have the new ones; those that are open go on under what they began with."""
        server = await self.serve(services="smtp pop3")
        before = await self.greeted(server)
        self.write(server, '[limits]\nrecipients = 1\n[relay]\ndomains = ["far.example"]\n')
        self.assertEqual(await self.order(server, "reload"), {"needs_restart": []})
        self.assertRegex(await self.rcpt(before, "x@far.example"), "^550")
        after = await self.greeted(server)
        self.assertRegex(await self.rcpt(after, "x@far.example"), "^250")
        self.assertRegex(await after.ask("RCPT TO:<y@far.example>"), "^452")

    async def test_proxy(self) -> None:
        """A listener may get a proxy in front."""
        server = await self.serve(services="smtp")
        await self.greeted(server)
        self.rewrite(server, 'service = "smtp"\n', 'service = "smtp"\nproxy = ["127.0.0.0/8"]\n')
        self.assertEqual(await self.order(server, "reload"), {"needs_restart": []})
        line = await self.connect(server)
        line.say(b"PROXY TCP4 192.0.2.7 192.0.2.1 4444 25\r\n")
        self.assertRegex(await line.reply(), "^220")
        self.assertEqual((await self.order(server, "who"))[1]["address"], "192.0.2.7")
        self.assertEqual(await self.order(server, "kick", whom=["192.0.2.7"]), 1)

    async def test_connections(self) -> None:
        server = await self.serve(services="smtp")
        line = await self.greeted(server)
        self.write(server, "[limits]\nconnections = 1\n")
        await self.order(server, "reload")
        self.assertRegex(await (await self.connect(server)).reply(), "^421 4.7.0 Too many")
        self.assertRegex(await line.ask("NOOP"), "^250")

    async def test_certificate(self) -> None:
        """A renewed certificate is shown to whoever comes next."""
        server = await self.serve(services="smtp")
        first = await self.fingerprint(server)
        self.assertEqual(await self.fingerprint(server), first)
        key_pair(server.config.path.parent, "mx.example.org")
        self.assertEqual(await self.fingerprint(server), first)
        await self.order(server, "reload")
        self.assertNotEqual(await self.fingerprint(server), first)

    async def fingerprint(self, server: MailServer) -> bytes:
        line = await self.greeted(server)
        await line.ask("STARTTLS")
        line.transport.startTLS(CertificateOptions(verify=False))
        await line.ask("EHLO x")
        certificate = line.transport.getPeerCertificate()
        self.assertIsNotNone(certificate)
        line.transport.loseConnection()
        return certificate.digest("sha256")

    async def test_a_certificate_that_is_no_good(self) -> None:
        server = await self.serve(services="smtp")
        first = await self.fingerprint(server)
        (server.config.path.parent / "mx.example.org.key").write_text("no key")
        with self.assertRaises(StartRefused) as refused:
            await self.order(server, "reload")
        self.assertIn("are no certificate with its key", str(refused.exception))
        self.assertEqual(await self.fingerprint(server), first)

    async def test_plugins(self) -> None:
        """Filters and forwarders come and go; one whose table is as it was goes on with what it has counted."""
        server = await self.serve('[[filter]]\nuse = "rate"\nmessages = 1000\n', services="smtp")
        [rate] = [each.plugin for each in server.rooms.pipeline.filters]
        self.write(server, '[[filter]]\nuse = "dev"\n[[forward]]\nuse = "accounts"\n')
        await self.order(server, "reload")
        self.assertIs(server.rooms.pipeline.filters[0].plugin, rate)
        line = await self.greeted(server)
        self.assertRegex(await self.rcpt(line, "bob+rcpt-452@example.org"), "^550|^452")
        self.assertRegex(await self.rcpt(line, "sales@example.org"), "^550")       # no "aliases" any more
        self.rewrite(server, "messages = 1000", "messages = 999")
        await self.order(server, "reload")
        self.assertIsNot(server.rooms.pipeline.filters[0].plugin, rate)

    async def test_what_needs_a_restart(self) -> None:
        server = await self.serve(services="smtp pop3")
        for old, new in (
            ('hostname = "mx.example.org"', 'hostname = "my.example.org"'),
            ('data = "data"', 'data = "other"\nworkers = 2'),
            ('service = "pop3"', 'service = "lmtp"'),
        ):
            self.rewrite(server, old, new)
        self.write(server, '[[mailbox]]\nuse = "maildir"\n[limits]\nrecipients = 7\n')
        done = await self.order(server, "reload")
        self.assertEqual(done, {"needs_restart": ["hostname", "data", "workers", "listen", "mailbox"]})
        self.assertRegex(await (await self.connect(server)).reply(), "^220 mx.example.org")
        self.assertEqual(server.config.limits.recipients, 7)
        self.assertEqual(server.config.data.name, "data")
        self.assertEqual(await self.order(server, "reload"), done)
        await self.connect(server, "pop3")

    async def test_tls_that_goes_away(self) -> None:
        """Listeners that were begun with a certificate keep it."""
        server = await self.serve(services="smtp")
        text = re.sub(r"\[tls\]\n(?:\w+ = .*\n)+", "", server.config.path.read_text())
        server.config.path.write_text(text)
        self.assertEqual(await self.order(server, "reload"), {"needs_restart": ["listen", "tls"]})
        await self.fingerprint(server)

    async def test_mistakes(self) -> None:
        """Each changes nothing, and is told with its place."""
        server = await self.serve(services="smtp")
        path, text = server.config.path, server.config.path.read_text()
        was = server.config
        for more, sentence in (
            ("[limits]\nsise = 1\n", ':1: unknown key "sise"; did you mean "size"?'),
            ('[[filter]]\nuse = "lops"\n', ":1: there is no filter plugin called 'lops'; did you mean \"loops\"?"),
            ('[[filter]]\nuse = "loops"\nhop = 3\n', ':1: loops: unknown key "hop"; did you mean "hops"?'),
            ("[limits\n", ": expected"),
        ):
            path.write_text(text + more)
            with self.assertRaises(MailserverError) as refused:
                await self.order(server, "reload")
            self.assertIn(sentence, str(refused.exception))
            self.assertTrue(str(refused.exception).startswith(f"{path}:"), str(refused.exception))
            self.assertIs(server.config, was)
        path.unlink()
        with self.assertRaises(MailserverError):
            await self.order(server, "reload")
        self.assertRegex(await (await self.greeted(server)).ask("NOOP"), "^250")

    async def test_outbound(self) -> None:
        """A new route is taken, by mail that waits as well."""
        other = await self.serve(services="smtp")
        port = other.listeners[0].port.getHost().port
        server = await self.serve(
            '[outbound]\nretry_first = "1s"\n[outbound.route]\n"example.net" = "tcp:127.0.0.1:1"\n'
            '[relay]\nnetworks = ["127.0.0.0/8"]\n', services="smtp lmtp",
        )
        line = await self.greeted(server)
        self.assertRegex(await self.rcpt(line, "bob@example.net"), "^250")
        await line.ask("DATA")
        line.say(b"Subject: x\r\n\r\n.\r\n")
        self.assertRegex(await line.reply(), "^250")

        async def waits() -> bool:
            return any(each.reason for each in await server.database.read(queue.listing))

        await self.until(waits)
        before = server.scheduler
        self.rewrite(server, "tcp:127.0.0.1:1", f"tcp:127.0.0.1:{port}")
        self.assertEqual(await self.order(server, "reload"), {"needs_restart": []})
        self.assertIsNot(server.scheduler, before)

        async def refused() -> bool:
            # The other has no example.net; what counts is that it was asked, and that nothing is left behind.
            return not await server.database.read(queue.listing)

        await self.until(refused)

    async def test_hangup(self) -> None:
        """SIGHUP is for all servers of the process."""
        before = signal.getsignal(signal.SIGHUP)
        first, second = await self.serve(services="smtp"), await self.serve(services="smtp")
        for server in (first, second):
            self.write(server, "[limits]\nrecipients = 7\n")
        os.kill(os.getpid(), signal.SIGHUP)

        async def both() -> bool:
            return first.config.limits.recipients == second.config.limits.recipients == 7

        await self.until(both)
        await first.stopService()
        self.rewrite(second, "recipients = 7", "recipients = 8")
        os.kill(os.getpid(), signal.SIGHUP)

        async def the_other() -> bool:
            return second.config.limits.recipients == 8

        await self.until(the_other)
        self.assertEqual(first.config.limits.recipients, 7)
        await second.stopService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)


class PresentTests(OperatedCase):
    async def test_who(self) -> None:
        server = await self.serve()
        self.assertEqual(await self.order(server, "who"), [])
        smtp = await self.greeted(server)
        await smtp.ask("MAIL FROM:<x@example.net>")
        pop3 = await self.greeted(server, "pop3")
        await pop3.ask("USER alice@example.org")
        await pop3.ask("PASS secret")
        first, second = await self.order(server, "who")
        self.assertEqual(
            {key: first[key] for key in ("service", "hello", "login", "tls", "doing", "worker")},
            {"service": "smtp", "hello": "client.example.net", "login": "", "tls": "", "doing": "sender", "worker": 0},
        )
        self.assertEqual(
            (second["service"], second["login"], second["doing"]), ("pop3", "alice@example.org", "transaction")
        )
        self.assertRegex(first["id"], "^[0-9A-Z]{13}$")
        self.assertLess(abs(first["since"] - server.world.now()), 10)
        await smtp.ask("RSET")
        await smtp.ask("STARTTLS")
        smtp.transport.startTLS(CertificateOptions(verify=False))
        await smtp.ask("EHLO y")
        [told] = [each for each in await self.order(server, "who") if each["service"] == "smtp"]
        self.assertRegex(told["tls"], r"^TLSv1\.3 TLS_")
        self.assertEqual((told["id"], told["hello"]), (first["id"], "y"))

    async def test_kick(self) -> None:
        server = await self.serve()
        lines = [await self.greeted(server) for _ in range(3)]
        pop3 = await self.greeted(server, "pop3")
        await pop3.ask("USER alice@example.org")
        await pop3.ask("PASS secret")
        told = await self.order(server, "who")
        self.assertEqual(await self.order(server, "kick", whom=[told[1]["id"].lower()]), 1)
        self.assertEqual(await lines[1].line(), "421 4.3.2 This connection is ended by the operator")
        self.assertEqual(await lines[1].line(), "(closed)")
        self.assertRegex(await lines[0].ask("NOOP"), "^250")
        self.assertEqual(await self.order(server, "kick", whom=["Alice@Example.ORG"]), 1)
        self.assertRegex(await pop3.line(), "^-ERR .*ended by the operator")
        self.assertEqual(await self.order(server, "kick", whom=["192.0.2.0/24", "nobody", "x@example.org"]), 0)
        self.assertEqual(await self.order(server, "kick", whom=["127.0.0.1", "127.0.0.0/8"]), 2)
        for whom in (None, [], "127.0.0.1", [""], [3]):
            with self.assertRaises(OrderFailed):
                await self.order(server, "kick", whom=whom)

    async def test_kick_in_the_midst_of_an_answer(self) -> None:
        """Who is being answered hears that answer first."""
        path = self.configure('[[filter]]\nuse = "slow"\n[plugins]\nfolders = ["plugins"]\n', "smtp")
        (path.parent / "plugins").mkdir()
        (path.parent / "plugins" / "slow.py").write_text(SLOW)
        server = self.start(path)
        line = await self.greeted(server)
        await self.rcpt(line, "bob@example.org")
        await line.ask("DATA")
        line.say(b"Subject: late\r\n\r\n.\r\n")

        async def judged() -> bool:
            return bool(server.directory.waiting)

        await self.until(judged)
        self.assertEqual(await self.order(server, "kick", whom=["127.0.0.1"]), 1)
        self.assertEqual(len(await self.order(server, "who")), 1)
        server.directory.waiting[0].callback(None)
        self.assertRegex(await line.reply(), "^250 2.0.0 Ok, accepted as ")
        self.assertRegex(await line.reply(), "^421 4.3.2 This connection is ended")
        self.assertEqual(len(await self.mailbox(server)), 1)

    async def test_status(self) -> None:
        server = await self.serve(services="smtp")
        status = await self.order(server, "status")
        self.assertEqual(status["configuration"], str(server.config.path))
        self.assertEqual(status["workers"], [
            {"number": 0, "pid": os.getpid(), "since": status["workers"][0]["since"], "connections": 0}
        ])

    async def test_stop(self) -> None:
        server = await self.serve(services="smtp")
        ends: list[str] = []
        server.end = lambda: ends.append("end")
        self.assertEqual(await self.order(server, "stop"), "stopping")
        self.assertEqual(ends, [])
        await deferLater(reactor, 0.4, lambda: None)
        self.assertEqual(ends, ["end"])
