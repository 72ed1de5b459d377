"""Metrics and health of a whole server, asked over HTTP."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from typing import Any

from twisted.internet.threads import deferToThread

from mailserver.service import MailServer
from mailserver.web import site
from tests.serving import ServerCase
from tests.web.test_exposition import read


class SiteCase(ServerCase):
    def url(self, server: MailServer, path: str, scheme: str = "http") -> str:
        [listener] = [each for each in server.listeners if each.service == "http"]
        where = listener.port.getHost()  # type: ignore[union-attr]
        return f"{scheme}://{where.host}:{where.port}{path}"

    async def get(self, server: MailServer, path: str, scheme: str = "http") -> tuple[int, bytes]:
        """The code and the body."""

        def ask() -> tuple[int, bytes]:
            context = ssl._create_unverified_context() if scheme == "https" else None
            try:
                with urllib.request.urlopen(self.url(server, path, scheme), timeout=10, context=context) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        return await deferToThread(ask)

    async def metrics(self, server: MailServer) -> dict[Any, float]:
        code, body = await self.get(server, "/metrics")
        self.assertEqual(code, 200, body)
        return read(body)


class MetricsTests(SiteCase):
    async def test_what_happens_is_counted(self) -> None:
        """One message is taken, one recipient refused, one login wrong; somebody stays connected."""
        server = await self.serve(services="smtp http")
        line = await self.connect(server)
        await line.reply()
        for said in ("EHLO x.example.net", "MAIL FROM:<carol@example.net>", "RCPT TO:<nobody@example.org>",
                     "RCPT TO:<bob@example.org>", "BOGUS", "DATA"):
            await line.ask(said)
        self.assertRegex(await line.ask("Subject: x\r\n\r\nx\r\n."), "^250 ")
        found = await self.metrics(server)

        def value(measure: str, /, **labels: str) -> float:
            return found[f"mailserver_{measure}", tuple(sorted(labels.items()))]

        self.assertEqual(value("commands_total", service="smtp", verb="MAIL", code="250"), 1)
        self.assertEqual(value("commands_total", service="smtp", verb="RCPT", code="550"), 1)
        self.assertEqual(value("commands_total", service="smtp", verb="DATA", code="354"), 1)
        self.assertEqual(value("commands_total", service="smtp", verb="content", code="250"), 1)
        self.assertEqual(value("commands_total", service="smtp", verb="other", code="500"), 1)
        self.assertEqual(value("messages_received_total", service="smtp", result="accepted"), 1)
        self.assertEqual(value("rejections_total", stage="recipient", plugin="", code="550"), 1)
        self.assertEqual(value("connections", service="smtp"), 1)
        self.assertEqual(value("queue_messages", state="ready"), 0)
        self.assertGreaterEqual(value("commit_batch_size_count"), 1)
        self.assertGreater(value("tls_expiry_seconds", name="default"), 0)
        self.assertGreater(value("storage_bytes"), 10_000)
        self.assertEqual(value("plugin_errors_total", plugin="accounts"), 0)
        self.assertEqual(value("plugin_seconds_count", plugin="headers", stage="content"), 0)
        self.assertIn(("mailserver_reactor_lag_seconds", ()), found)
        await line.ask("QUIT")

    async def test_logins(self) -> None:
        server = await self.serve("clear_passwords = true", "pop3 http")
        line = await self.connect(server, "pop3")
        await line.reply()
        await line.ask("USER alice@example.org")
        self.assertRegex(await line.ask("PASS wrong"), "^-ERR")
        await line.ask("USER alice@example.org")
        self.assertRegex(await line.ask("PASS secret"), r"^\+OK")
        await line.ask("QUIT")
        found = await self.metrics(server)
        for result in ("wrong", "right"):
            labels = (("mechanism", "USER"), ("result", result), ("service", "pop3"))
            self.assertEqual(found["mailserver_auth_total", labels], 1)
        labels = (("code", "-ERR"), ("service", "pop3"), ("verb", "PASS"))
        self.assertEqual(found["mailserver_commands_total", labels], 1)

    async def test_a_filter_refuses(self) -> None:
        """Under its name, at its stage, and with the time that it took."""
        server = await self.serve('[[filter]]\nuse = "dev"\n', "smtp http")
        line = await self.connect(server)
        await line.reply()
        for said in ("EHLO x.example.net", "MAIL FROM:<carol@example.net>"):
            await line.ask(said)
        self.assertRegex(await line.ask("RCPT TO:<bob+rcpt-550@example.org>"), "^550 ")
        await line.ask("QUIT")
        found = await self.metrics(server)
        self.assertEqual(found["mailserver_rejections_total", (
            ("code", "550"), ("plugin", "dev"), ("stage", "recipient")
        )], 1)
        self.assertNotIn(("mailserver_rejections_total", (
            ("code", "550"), ("plugin", ""), ("stage", "recipient")
        )), found)
        self.assertEqual(found["mailserver_plugin_seconds_count", (("plugin", "dev"), ("stage", "recipient"))], 1)

    async def test_the_queue(self) -> None:
        tables = '[outbound]\nresolvers = ["127.0.0.1:1"]\n[relay]\ndomains = ["example.com"]\n'
        server = await self.serve(tables, "smtp http")
        line = await self.connect(server)
        await line.reply()
        for said in ("EHLO x.example.net", "MAIL FROM:<carol@example.net>", "RCPT TO:<bob@example.com>", "DATA"):
            await line.ask(said)
        self.assertRegex(await line.ask("Subject: x\r\n\r\nx\r\n."), "^250 ")

        async def tried() -> Any:
            found = await self.metrics(server)
            labels = (("result", "deferred"), ("tls", "none"))
            return found if found.get(("mailserver_delivery_attempts_total", labels)) == 1.0 else None

        found = await self.until(tried)
        count = sum(found["mailserver_queue_messages", (("state", each),)] for each in ("ready", "waiting", "held"))
        self.assertEqual(count, 1)
        self.assertGreaterEqual(found["mailserver_queue_oldest_seconds", ()], 0)
        await line.ask("QUIT")

    async def test_not_for_everybody(self) -> None:
        """Who may see it is a matter of the configuration, which a reload changes; health is for everybody."""
        path = self.configure('[http]\nmetrics = ["192.0.2.0/24"]\n', "smtp http")
        server = self.start(path)
        self.assertEqual((await self.get(server, "/metrics"))[0], 403)
        self.assertEqual((await self.get(server, "/livez"))[0], 200)
        path.write_text(path.read_text().replace('"192.0.2.0/24"', '"127.0.0.0/8"'))
        await server._reload({})
        self.assertEqual((await self.get(server, "/metrics"))[0], 200)


class HealthTests(SiteCase):
    async def test_healthy(self) -> None:
        server = await self.serve(services="smtp http")
        self.assertEqual(await self.get(server, "/livez"), (200, b"ok\n"))
        self.assertEqual(await self.get(server, "/readyz"), (200, b"ok\n"))

    async def test_nothing_else_is_there(self) -> None:
        server = await self.serve(services="smtp http")
        for path in ("/", "/metrics/x", "/livez/..%2f", "/index.html", "/readyz/"):
            self.assertEqual((await self.get(server, path))[0], 404, path)

    async def test_a_body(self) -> None:
        """Nobody has anything to send: a long body is not written to the disk, the connection ends."""
        server = await self.serve(services="smtp http")

        def send(head: bytes, octets: bytes) -> bytes:
            with socket.create_connection((where.host, where.port), timeout=5) as line:
                try:
                    line.sendall(b"POST /livez HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
                    for _ in range(64):
                        line.sendall(octets)
                    return line.recv(100)
                except ConnectionError:
                    return b""

        [listener] = [each for each in server.listeners if each.service == "http"]
        where = listener.port.getHost()  # type: ignore[union-attr]
        for head, octets in (
            (b"Content-Length: 1000000000\r\n", b"x" * 65536),
            (b"Transfer-Encoding: chunked\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        ):
            self.assertEqual(await deferToThread(send, head, octets), b"")
        self.assertRegex(await deferToThread(send, b"Content-Length: 64\r\n", b"x"), b"^HTTP/1.1 405 ")
        self.assertEqual(await self.get(server, "/livez"), (200, b"ok\n"))

    async def test_who_says_nothing(self) -> None:
        """Strangers who hold all the connections do not make the server look dead: the oldest has to go."""
        self.patch(site, "MOST", 5)
        server = await self.serve(services="smtp http")
        [listener] = [each for each in server.listeners if each.service == "http"]
        where = listener.port.getHost()  # type: ignore[union-attr]
        held = [socket.create_connection((where.host, where.port), timeout=5) for _ in range(5)]
        for each in held:
            self.addCleanup(each.close)
            each.sendall(b"GET /livez HTTP/1.1\r\nX-Slow: ")
        for _ in range(3):
            self.assertEqual(await self.get(server, "/livez"), (200, b"ok\n"))
        with self.assertRaises(ConnectionError):
            await deferToThread(held[0].recv, 1)
        held[4].sendall(b"x\r\n\r\n")
        self.assertRegex(await deferToThread(held[4].recv, 20), b"^HTTP/1.1 200 ")

    async def test_no_room(self) -> None:
        """Mail would be deferred: somebody else should get it."""
        server = await self.serve("[limits]\nreserve = 1152921504606846976\n", "smtp http")
        self.assertEqual(await self.get(server, "/readyz"), (503, b"the disk is full\n"))
        self.assertEqual((await self.get(server, "/livez"))[0], 200)

    async def test_tls(self) -> None:
        path = self.configure("", "smtp http")
        text = path.read_text()
        path.write_text(text + 'tls = "implicit"\n')
        server = self.start(path)
        self.assertEqual(await self.get(server, "/livez", "https"), (200, b"ok\n"))
