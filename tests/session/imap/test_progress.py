"""INPROGRESS (RFC 9585): while the database is somebody else's, a client hears that its command is not forgotten."""

from __future__ import annotations

import threading

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mailserver.service import MailServer
from mailserver.session.imap import progress
from mailserver.store.database import Database
from tests.serving import reactor
from tests.session.imap.house import ImapCase


class ProgressTests(ImapCase):
    async def setting(self) -> tuple[MailServer, Database, threading.Event]:
        """A server, and its database, of which somebody else has the lock until an event."""
        self.patch(progress, "EVERY", 0.1)
        server = await self.serve()
        await self.numbered(server, [1, 2])
        other = Database(server.database.url, server.database.data)
        other.open()
        self.addCleanup(other.close)
        let_go = threading.Event()
        self.addCleanup(let_go.set)
        return server, other, let_go

    async def hold(self, database: Database, let_go: threading.Event) -> None:
        """Take the lock, and keep it in a thread."""
        held: Deferred[None] = Deferred()

        def keep() -> None:
            with database.transaction():
                reactor.callFromThread(held.callback, None)
                let_go.wait(30)

        keeping = deferToThread(keep)
        self.addCleanup(lambda: keeping)
        await held

    async def test_still_at_it(self) -> None:
        """Then the answer, as if nothing had been said; and what was said behind the command is answered behind it."""
        server, database, let_go = await self.setting()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.hold(database, let_go)
        tag, behind = peer.say("STORE 1 +FLAGS (\\Flagged)"), peer.say("NOOP")
        for _ in range(2):
            self.assertEqual(await peer.response(), b'* OK [INPROGRESS ("%b" NIL NIL)] still at it' % tag)
        let_go.set()
        heard = await peer.until(tag)
        self.assertEqual(heard.lines[-1], b"* 1 FETCH (FLAGS (\\Flagged \\Recent))")
        self.assertTrue(heard.is_ok)
        self.assertTrue((await peer.until(behind)).is_ok)

    async def test_refused(self) -> None:
        """An answer that says no comes as well."""
        server, database, let_go = await self.setting()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.hold(database, let_go)
        tag = peer.say("COPY 1 Nowhere")
        self.assertIn(b"INPROGRESS", await peer.response())
        let_go.set()
        self.assertTrue((await peer.until(tag)).end.startswith(b"NO [TRYCREATE]"))

    async def test_who_does_not_wait(self) -> None:
        """The work is done all the same, and nothing is left behind."""
        server, database, let_go = await self.setting()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.hold(database, let_go)
        peer.say("STORE 2 +FLAGS (\\Flagged)")
        self.assertIn(b"INPROGRESS", await peer.response())
        peer.line.transport.loseConnection()
        let_go.set()
        # What is stored behind it tells that it is done.
        other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Answered)")
        self.assertEqual((await other.ok("SEARCH FLAGGED")).lines, [b"* SEARCH 2"])

    async def test_at_once(self) -> None:
        """Who is answered at once hears nothing of it."""
        server, _, _ = await self.setting()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        for command in ("STORE 1 +FLAGS (\\Seen)", "COPY 1 Sent", "SEARCH SEEN", "EXPUNGE", "MOVE 2 Trash"):
            self.assertEqual((await peer.ok(command)).of(b"OK [INPROGRESS"), [])
