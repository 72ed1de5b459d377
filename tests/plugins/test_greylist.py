"""Greylisting in a whole server: a stranger is sent away, comes back, and is known after a restart."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from mailserver.service import MailServer
from mailserver.store.database import Database
from tests.postgres import postgres
from tests.serving import ServerCase, reactor

GREYLIST = Path(__file__).parent.parent.parent / "plugins" / "greylist"
TABLES = """
    [[filter]]
    use = "greylist"
    delay = 0.5
    loopback = true
    [plugins]
    folders = ["plugins"]
"""


class GreylistTests(ServerCase):
    def site(self) -> Path:
        """A configuration whose folder of plugins holds the offer; the package is on the path, as if installed."""
        path = self.configure(TABLES, "smtp lmtp")
        (path.parent / "plugins").mkdir()
        shutil.copy(GREYLIST / "twisted" / "plugins" / "mailserver_greylist_plugin.py", path.parent / "plugins")
        sys.path.append(str(GREYLIST))
        self.addCleanup(sys.path.remove, str(GREYLIST))
        return path

    async def rcpt(self, server: MailServer, service: str = "smtp") -> str:
        """What a stranger hears who writes to bob."""
        line = await self.connect(server, service)
        await line.reply()
        await line.ask("LHLO client.example.net" if service == "lmtp" else "EHLO client.example.net")
        await line.ask("MAIL FROM:<carol@example.net>")
        reply = await line.ask("RCPT TO:<bob@example.org>")
        await line.ask("QUIT")
        return reply

    async def test_stranger(self) -> None:
        path = self.site()
        server = self.start(path)
        reply = await self.rcpt(server)
        self.assertRegex(reply, r"^451 4\.7\.1 Greylisted, please try again in 1 minute \(\w{13}\)$")
        [told] = await self.story(server, reply)
        self.assertIn(["recipient", "greylist", reply[4:-16]], [
            [stage, plugin, said.removeprefix("defer 451 ")]
            for stage, plugin, _, said, _ in told["verdicts"] if plugin == "greylist"
        ])
        await deferLater(reactor, 0.6, lambda: None)
        self.assertRegex(await self.rcpt(server), "^250 ")
        await server.stopService()
        self.assertRegex(await self.rcpt(self.start(path)), "^250 ")

    async def test_our_own_programs(self) -> None:
        """LMTP is for programs that have asked already."""
        self.assertRegex(await self.rcpt(self.start(self.site()), "lmtp"), "^250 ")


class PostgresqlTests(SynchronousTestCase):
    """The rows, on the other database."""

    def test_triples(self) -> None:
        server = postgres()
        name = server.create()
        self.addCleanup(server.drop, name)
        sys.path.append(str(GREYLIST))
        self.addCleanup(sys.path.remove, str(GREYLIST))
        triples = importlib.import_module("mailserver_greylist.triples")
        database = Database(server.url(name), Path(self.mktemp()))
        database.open(migrate=True)
        self.addCleanup(database.close)
        triple = triples.Triple("192.0.2.0/24", "carol@example.net", "bob@example.org")
        with database.transaction() as connection:
            triples.prepare(connection)
            triples.prepare(connection)
            self.assertIsNone(triples.find(connection, triple, 100.0))
            triples.begin(connection, triple, 100.0, 50.0)
            triples.begin(connection, triple, 120.0, 50.0)
            self.assertEqual(triples.find(connection, triple, 120.0), triples.Seen(100.0, False, 150.0))
            triples.begin(connection, triple, 150.0, 50.0)
            triples.know(connection, triple, 160.0, 1000.0)
            self.assertEqual(triples.find(connection, triple, 170.0), triples.Seen(150.0, True, 1160.0))
            self.assertEqual(triples.count_known(connection, triple.network, 170.0, 5), 1)
            triples.purge(connection, 1160.0)
            self.assertIsNone(triples.find(connection, triple, 0.0))
