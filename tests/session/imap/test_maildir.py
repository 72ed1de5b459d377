"""The same sessions over Maildir, where other programs change the files."""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from tests.session.imap.house import ImapCase, Peer
from tests.session.imap.test_fetching import LARGE
from tests.session.imap.test_views import View

EXTRA = '[[mailbox]]\nuse = "maildir"\n[[forward]]\nuse = "accounts"\nstore = "maildir"\n'


class MaildirTests(ImapCase):
    timeout = 60

    async def begin(self) -> tuple[Any, Path]:
        """A server, and where alice's INBOX lies."""
        server = await self.serve(EXTRA)
        return server, server.config.data / "maildir" / "example.org" / "alice"

    async def test_core(self) -> None:
        """Messages come, are read in parts, change, are copied, moved, and go."""
        server, _ = await self.begin()
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

    async def test_news(self) -> None:
        """IDLE hears of another session and of SMTP at once, of other programs within a second."""
        server, folder = await self.begin()
        await self.numbered(server, range(1))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        peer.say("IDLE")
        self.assertEqual(await peer.response(), b"+ idling")
        other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Seen)")
        self.assertEqual(await peer.response(), b"* 1 FETCH (FLAGS (\\Seen \\Recent))")
        smtp = await self.connect(server, "smtp")
        await smtp.reply()
        for command in ("EHLO x", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA", "hello\r\n."):
            await smtp.ask(command)
        await self.heard(peer, b"* 2 EXISTS")
        (folder / "new" / "3.other").write_bytes(b"Subject: theirs\n\nx\n")
        await self.heard(peer, b"* 3 EXISTS")
        await self.until(partial(self.is_there, folder / "cur" / "3.other:2,"))         # a session was told of it
        os.rename(folder / "cur" / "3.other:2,", folder / "cur" / "3.other:2,F")
        self.assertIn(b"\\Flagged", await self.heard(peer, b"* 3 FETCH"))
        (folder / "cur" / "3.other:2,F").unlink()
        await self.heard(peer, b"* 3 EXPUNGE")
        del other

    async def is_there(self, path: Path) -> bool:
        return path.exists()

    async def heard(self, peer: Peer, beginning: bytes) -> bytes:
        """The next response that begins so."""
        while True:
            found = await peer.response()
            if found.startswith(beginning):
                return found

    async def test_views(self) -> None:
        """Sessions that do at random what sessions do see the same in the end."""
        server, _ = await self.begin()
        await self.numbered(server, range(8))
        views = []
        for number in range(4):
            view = View(self, await self.log_in(server), random.Random(number))
            await view.ask(("ENABLE CONDSTORE", "ENABLE QRESYNC", "NOOP")[number % 3])
            await view.ask("SELECT INBOX")
            await view.ask("FETCH 1:* (UID FLAGS)")
            views.append(view)

        async def live(view: View) -> None:
            for _ in range(12):
                await view.step()

        await gatherResults([Deferred.fromCoroutine(live(view)) for view in views])
        truth = View(self, await self.log_in(server), random.Random(0))
        await truth.ask("SELECT INBOX")
        if truth.messages:
            await truth.ask("FETCH 1:* (UID FLAGS)")
        for view in views:
            await self.until(partial(self.caught_up, view, truth))

    async def caught_up(self, view: View, truth: View) -> bool:
        await view.complete()
        return view.messages == truth.messages
