"""Webhooks in a whole server: a program hears what was accepted, after a restart too, and judges what arrives."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Site

from mailserver.service import MailServer
from tests.serving import ServerCase, reactor

WEBHOOK = Path(__file__).parent.parent.parent / "plugins" / "webhook"
SECRET = "a secret of sixteen octets or more"


class Hook(Resource):
    """Notes what it gets, and says `answer` with `code`."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.code, self.answer = 200, b"{}"
        self.got: list[Any] = []
        self.news: Deferred[None] = Deferred()

    def render_POST(self, request: Any) -> bytes:
        self.got.append(json.loads(request.content.read()))
        request.setResponseCode(self.code)
        request.setHeader("connection", "close")
        news, self.news = self.news, Deferred()
        news.callback(None)
        return self.answer


class WebhookTests(ServerCase):
    def site(self, table: str) -> Path:
        """A configuration with a webhook on loopback; the package is on the path, as if installed."""
        self.hook = Hook()
        factory = Site(self.hook)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        keys = f'url = "http://127.0.0.1:{port.getHost().port}/"\nsecret = "{SECRET}"\nallow_private = true\n'
        path = self.configure(f'{table}\nuse = "webhook"\n{keys}[plugins]\nfolders = ["plugins"]\n', "smtp")
        (path.parent / "plugins").mkdir()
        shutil.copy(WEBHOOK / "twisted" / "plugins" / "mailserver_webhook_plugin.py", path.parent / "plugins")
        sys.path.append(str(WEBHOOK))
        self.addCleanup(sys.path.remove, str(WEBHOOK))
        return path

    async def mail(self, server: MailServer) -> str:
        line = await self.connect(server)
        await line.reply()
        for said in ("EHLO x.example.net", "MAIL FROM:<carol@example.net>", "RCPT TO:<bob@example.org>", "DATA"):
            await line.ask(said)
        reply = await line.ask("Subject: x\r\n\r\nx\r\n.")
        await line.ask("QUIT")
        return reply

    async def test_hears(self) -> None:
        """What it did not hear before the server stopped it hears after the next start."""
        path = self.site('[[listener]]\nevents = ["accepted"]')
        self.hook.code = 500
        server = self.start(path)
        self.assertRegex(await self.mail(server), "^250 ")
        await self.hook.news
        await server.stopService()
        count, self.hook.code = len(self.hook.got), 200
        self.start(path)
        if len(self.hook.got) == count:
            await self.hook.news
        [told] = self.hook.got[-1]["data"]
        self.assertEqual((told["kind"], told["sender"], told["recipients"]),
                         ("accepted", "carol@example.net", ["bob@example.org"]))

    async def test_judges(self) -> None:
        server = self.start(self.site("[[filter]]"))
        self.assertRegex(await self.mail(server), "^250 ")
        self.hook.answer = b'{"verdict": "reject", "reply": "550 5.7.1 Not that"}'
        self.assertRegex(await self.mail(server), r"^550 5\.7\.1 Not that")
        self.hook.code = 503
        self.assertRegex(await self.mail(server), "^451 ")
        self.assertEqual([each["type"] for each in self.hook.got], 3 * ["judge"])

    async def test_judges_and_may_be_skipped(self) -> None:
        server = self.start(self.site('[[filter]]\non_error = "skip"'))
        self.hook.code = 503
        self.assertRegex(await self.mail(server), "^250 ")
