"""What a command has done is said, though nobody can look at the mailbox then: after a NO it would be done again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mailserver.errors import TemporaryFailure
from mailserver.imapstore import Changes
from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.session.imap.board import Board
from mailserver.session.imap.boards import Boards
from mailserver.session.imap.selected import Selected
from tests.session.imap.house import ImapCase

look = SqlMailbox.changes


class UnseenTests(ImapCase):
    """The database answers writes, but not whoever looks."""

    def setUp(self) -> None:
        super().setUp()
        self.is_blind = False

        async def changes(mailbox: Any, since: int) -> Changes:
            if self.is_blind:
                raise TemporaryFailure("nobody can look now")
            return await look(mailbox, since)

        self.patch(SqlMailbox, "changes", changes)

    async def test_append_and_copy(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server, "alice", "CREATE Other", "SELECT INBOX")
        self.is_blind = True
        self.assertRegex((await peer.ok("APPEND INBOX {1+}\r\nx")).end, rb"^OK \[APPENDUID \d+ 1\]")
        self.is_blind = False
        self.assertEqual((await peer.ok("NOOP")).of(b"EXISTS"), [b"* 1 EXISTS"])
        self.is_blind = True
        self.assertRegex((await peer.ok("COPY 1 Other")).end, rb"^OK \[COPYUID \d+ 1 1\]")
        [moved] = (await peer.ok("MOVE 1 Other")).lines
        self.assertRegex(moved, rb"^\* OK \[COPYUID \d+ 1 2\]")
        self.is_blind = False
        self.assertEqual((await peer.ok("NOOP")).lines, [b"* 1 EXPUNGE"])

    async def test_mod_sequence(self) -> None:
        """Who was not told that messages are gone is not told a mod-sequence behind which it would never hear of it."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server, "alice", "ENABLE QRESYNC", "SELECT INBOX", "STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.is_blind = True
        self.assertEqual((await peer.ok("EXPUNGE")).end, b"OK expunged")
        self.is_blind = False
        self.assertEqual((await peer.ok("NOOP")).lines, [b"* VANISHED 2"])

    async def test_mailbox_is_gone(self) -> None:
        """What was copied out of a mailbox that is deleted a moment later is there."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "CREATE Gone", "APPEND Gone {1+}\r\nx", "SELECT Gone")
        store, account = self.store(server), await self.account(server)

        async def changes(mailbox: Any, since: int) -> Changes:
            if self.is_blind:
                self.is_blind = False
                await store.delete(account, "Gone")
            return await look(mailbox, since)

        self.patch(SqlMailbox, "changes", changes)
        self.is_blind = True
        self.assertRegex((await peer.ok("COPY 1 INBOX")).end, rb"^OK \[COPYUID \d+ 1 1\]")
        self.assertEqual(await peer.response(), b"* BYE the mailbox has been deleted")
        self.assertEqual(await peer.line.line(), "(closed)")

    async def test_peer_is_gone(self) -> None:
        """Who hangs up while the mailbox is looked at is told nothing, and nobody is alarmed."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        refresh, give_back = Selected.refresh, Boards.give_back
        looks, goes_on, is_gone, is_over = (Deferred[None]() for _ in range(4))

        async def slowly(selected: Selected, force: bool = False) -> None:
            looks.callback(None)
            await goes_on
            await refresh(selected, force)
            is_over.callback(None)

        def given_back(boards: Boards, board: Board) -> None:
            give_back(boards, board)
            is_gone.callback(None)

        self.patch(Selected, "refresh", slowly)
        self.patch(Boards, "give_back", given_back)
        peer.say("NOOP")
        await looks
        peer.line.transport.abortConnection()
        await is_gone
        goes_on.callback(None)
        await is_over
        self.assertEqual(self.flushLoggedErrors(), [])
