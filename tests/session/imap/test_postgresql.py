"""The same sessions on PostgreSQL, as far as the database matters; and two servers on one database."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from mailserver.store.database import Database
from tests.postgres import postgres
from tests.serving import ServerCase
from tests.session.imap.house import ImapCase
from tests.session.imap.test_fetching import LARGE
from tests.session.imap.test_views import View


class PostgresqlTests(ImapCase):
    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        there = postgres()
        name = there.create()
        self.addCleanup(there.drop, name)
        self.url = there.url(name)

    def extra(self) -> str:
        database = Database(self.url, Path(self.mktemp()))
        database.open(migrate=True)
        database.close()
        return f'database = "{self.url}"\n'

    async def test_core(self) -> None:
        """Messages come, are read in parts, change, are copied, moved, and go."""
        server = await self.serve(self.extra())
        await self.numbered(server, range(1, 6))
        await self.fill(server, LARGE)
        peer = await self.log_in(server, "alice", "ENABLE QRESYNC", "SELECT INBOX")
        self.assertEqual(len((await peer.ok("FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE PREVIEW)")).lines), 6)
        for first, count in ((0, 100), (LARGE.index(b"\r\n\r\n"), 300_000), (len(LARGE) - 70_000, 100_000)):
            [line] = (await peer.ok(f"FETCH 6 BODY.PEEK[]<{first}.{count}>")).lines
            self.assertEqual(line.partition(b"}\r\n")[2][:-1], LARGE[first : first + count])
        [line] = (await peer.ok("FETCH 6 BINARY.SIZE[1]")).lines
        self.assertEqual(line, b"* 6 FETCH (BINARY.SIZE[1] %d)" % (26 * 150_000))
        await peer.ok("UID STORE 1,3,5 +FLAGS.SILENT (\\Deleted $Junk)")
        self.assertEqual((await peer.ok("UID EXPUNGE 3:9")).lines, [b"* VANISHED 3,5"])
        self.assertRegex((await peer.ok("COPY 1:2 Archive")).end, rb"COPYUID \d+ 1:2 1:2")
        self.assertEqual((await peer.ok("MOVE 3:4 Archive")).lines[1:], [b"* VANISHED 4,6"])
        self.assertRegex((await peer.ok(b"APPEND INBOX (\\Seen) {4+}\r\nx\r\n\r")).end, rb"APPENDUID \d+ 7")
        await peer.ok("SELECT Archive")
        [line] = (await peer.ok("FETCH 4 BODY.PEEK[]")).lines
        self.assertEqual(line.partition(b"}\r\n")[2][:-1], LARGE)
        self.assertEqual(len((await peer.ok('LIST "" *')).lines), 6)

    async def test_two_servers(self) -> None:
        """Sessions on two servers in one mailbox hear of each other, and see what is there in the end."""
        extra = self.extra()
        one = self.start(self.configure(extra))
        two = self.start(ServerCase.configure(self, extra, "imap", "mx2"))
        await self.numbered(one, range(10))
        idle = await self.log_in(two, "alice", "SELECT INBOX")
        idle.say("IDLE")
        self.assertEqual(await idle.response(), b"+ idling")
        views = []
        for number in range(6):
            view = View(self, await self.log_in(one if number % 2 else two), random.Random(number))
            await view.ask(("ENABLE CONDSTORE", "ENABLE QRESYNC", "NOOP")[number % 3])
            await view.ask("SELECT INBOX")
            await view.ask("FETCH 1:* (UID FLAGS)")
            views.append(view)
        first = await self.log_in(one, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)")
        self.assertRegex(await idle.response(), rb"^\* 1 FETCH \(FLAGS \(\\Flagged.*\)\)$")
        del first

        async def live(view: View) -> None:
            for _ in range(15):
                await view.step()

        await gatherResults([Deferred.fromCoroutine(live(view)) for view in views])
        truth = View(self, await self.log_in(one), random.Random(0))
        await truth.ask("SELECT INBOX")
        if truth.messages:
            await truth.ask("FETCH 1:* (UID FLAGS)")
        for view in views:
            await self.until(partial(self.caught_up, view, truth))

    async def caught_up(self, view: View, truth: View) -> bool:
        await view.complete()
        return view.messages == truth.messages
