"""A mailbox is chosen and left, and sessions hear of each other."""

from __future__ import annotations

from twisted.internet.task import deferLater

from mailserver.errors import TemporaryFailure
from mailserver.imapstore import Flags
from mailserver.interfaces import FLAGGED, SEEN
from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.session.imap import idling
from mailserver.session.imap.board import Board
from mailserver.store import changing
from mailserver.store.database import Database
from tests.serving import reactor
from tests.session.imap.house import ImapCase, Peer


class SelectTests(ImapCase):
    async def test_select(self) -> None:
        """What a client of RFC 3501 has to know, and one of RFC 9051."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server)
        heard = await peer.ok("SELECT INBOX")
        [validity] = [each for each in heard.lines if b"UIDVALIDITY" in each]
        [id] = [each for each in heard.lines if b"MAILBOXID" in each]
        flags = b"(\\Seen \\Answered \\Flagged \\Deleted \\Draft"
        self.assertEqual(heard.lines, [
            b"* 3 EXISTS", b"* 3 RECENT", b"* FLAGS " + flags + b")",
            b"* OK [PERMANENTFLAGS " + flags + b" \\*)] these stay", validity, b"* OK [UIDNEXT 4] the next one",
            b"* OK [HIGHESTMODSEQ 4] the newest change", id, b"* OK [URLMECH INTERNAL] so URLs are authorized",
            b"* OK [UNSEEN 1] the first that is not seen",
        ])
        self.assertEqual(heard.end, b"OK [READ-WRITE] selected")
        await peer.ok("CLOSE")
        await peer.ok("ENABLE IMAP4rev2")
        heard = await peer.ok("EXAMINE INBOX")
        self.assertEqual(heard.lines, [
            b"* 3 EXISTS", b"* FLAGS " + flags + b")", b"* OK [PERMANENTFLAGS ()] these stay", validity,
            b"* OK [UIDNEXT 4] the next one", b"* OK [HIGHESTMODSEQ 4] the newest change", id,
            b"* OK [URLMECH INTERNAL] so URLs are authorized", b'* LIST () "/" INBOX',
        ])
        self.assertEqual(heard.end, b"OK [READ-ONLY] examined")
        heard = await peer.ok("SELECT Drafts")
        self.assertEqual(heard.lines[0], b"* OK [CLOSED] the one before is closed")

    async def test_select_what_has_just_come(self) -> None:
        """Whoever hears that it is done finds it, also where somebody else looks on, and the mailbox is being read."""
        server = await self.serve()
        peers = [await self.log_in(server, "alice", "SELECT Archive") for _ in range(6)]
        for _ in range(15):
            said = [
                [peer.say(each) for each in ("UNSELECT", "APPEND Archive {3+}\r\nx\r\n", "EXAMINE Archive")]
                for peer in peers
            ]
            for peer, tags in zip(peers, said, strict=True):
                _, appended, examined = [await peer.until(each) for each in tags]
                uid = int(appended.end.split(b"]")[0].split()[-1])
                count = [int(each.split()[1]) for each in examined.of(b"EXISTS")][-1]      # others bring some meanwhile
                self.assertGreaterEqual(count, uid)

    async def test_news_come_before_the_end(self) -> None:
        """Whoever watches a mailbox has been told by the time that a change of it is done."""
        server = await self.serve()
        store, told = self.store(server), list[int]()
        mailbox = await store.open(await self.account(server), "INBOX")
        end = store.watch(mailbox, lambda: told.append(1))
        await self.numbered(server, [1])
        self.assertEqual(told, [1])
        end()

    async def test_a_reading_that_has_begun(self) -> None:
        """Who comes while the news are being read waits for them, though nothing is stale any more."""
        server = await self.serve()
        mailbox = await self.store(server).open(await self.account(server), "INBOX")
        board = Board(mailbox, await mailbox.load())
        board.listen(self, lambda: None)
        await self.numbered(server, [1])
        board.heard()                       # begins to read
        await board.refresh()
        self.assertEqual(list(board.uids), [1])
        board.heard()
        await board.refresh(force=True)     # waits for that reading, and reads anew
        await board.refresh()

    async def test_inbox_has_no_case(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server)
        for name in ("inbox", '"InBoX"', "{5+}\r\niNBOX"):
            await peer.ok(f"SELECT {name}")

    async def test_select_nothing(self) -> None:
        """Whatever was chosen before is chosen no more; unless the command was none."""
        server = await self.serve()
        await self.numbered(server, [1])
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        self.assertRegex((await peer.ask("SELECT INBOX (QRESYNC (1 1))")).end, rb"^BAD ENABLE")
        await peer.ok("FETCH 1 FLAGS")
        self.assertRegex((await peer.ask("SELECT Nowhere")).end, rb"^NO \[NONEXISTENT\]")
        self.assertRegex((await peer.ask("FETCH 1 FLAGS")).end, rb"^BAD choose a mailbox first")

    async def test_recent(self) -> None:
        """A message is recent for who is told first, and for EXAMINE without being used up."""
        server = await self.serve()
        await self.numbered(server, [1])
        looking = await self.log_in(server, "alice", "EXAMINE INBOX")
        first = await self.log_in(server)
        self.assertIn(b"* 1 RECENT", await first.ok("SELECT INBOX"))
        self.assertIn(b"* 1 FETCH (FLAGS (\\Recent))", await first.ok("FETCH 1 FLAGS"))
        second = await self.log_in(server)
        self.assertIn(b"* 0 RECENT", await second.ok("SELECT INBOX"))
        self.assertIn(b"* 1 FETCH (FLAGS ())", await second.ok("FETCH 1 FLAGS"))
        await looking.ok("NOOP")

        async def status() -> bool:
            return (await second.ok("STATUS INBOX (RECENT)")).lines == [b"* STATUS INBOX (RECENT 0)"]

        await self.until(status)

    async def test_close(self) -> None:
        """CLOSE takes the deleted ones away and tells nobody here; UNSELECT and EXAMINE leave them."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server, "alice", "SELECT INBOX", "STORE 2 +FLAGS.SILENT (\\Deleted)")
        await peer.ok("UNSELECT")
        await peer.ok("EXAMINE INBOX")
        self.assertRegex((await peer.ask("EXPUNGE")).end, rb"^NO \[READ-ONLY\]")
        self.assertRegex((await peer.ask("STORE 1 +FLAGS (\\Seen)")).end, rb"^NO \[READ-ONLY\]")
        await peer.ok("CLOSE")
        self.assertIn(b"* 3 EXISTS", await peer.ok("SELECT INBOX"))
        self.assertEqual((await peer.ok("CLOSE")).lines, [])
        self.assertIn(b"* 2 EXISTS", await peer.ok("SELECT INBOX"))
        self.assertEqual((await peer.ok("CHECK")).lines, [])

    async def test_examine_does_not_see(self) -> None:
        server = await self.serve()
        await self.numbered(server, [1])
        peer = await self.log_in(server, "alice", "EXAMINE INBOX", "FETCH 1 BODY[]")
        self.assertIn(b"* 1 FETCH (FLAGS ())", await peer.ok("FETCH 1 FLAGS"))


class NewsTests(ImapCase):
    async def test_keywords(self) -> None:
        """Who did not make a keyword hears of it before it is used."""
        server = await self.serve()
        await self.numbered(server, [1])
        one = await self.log_in(server, "alice", "SELECT INBOX")
        other = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await one.ok("STORE 1 +FLAGS ($Junk)")
        self.assertEqual(heard.lines, [
            b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk)", b"* 1 FETCH (FLAGS (\\Recent $Junk))",
        ])
        heard = await other.ok("NOOP")
        self.assertEqual(heard.lines, [
            b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk)", b"* 1 FETCH (FLAGS ($Junk))",
        ])

    async def test_numbers_stay(self) -> None:
        """Nobody's numbers move while he speaks in numbers; those who speak in UIDs hear at once."""
        server = await self.serve()
        await self.numbered(server, range(4))
        one = await self.log_in(server, "alice", "SELECT INBOX")
        other = await self.log_in(server, "alice", "SELECT INBOX")
        await one.ok("STORE 1,3 +FLAGS (\\Deleted)")
        await one.ok("EXPUNGE")
        await self.numbered(server, [9])
        self.assertEqual((await other.ok("FETCH 2,4 UID")).lines, [b"* 2 FETCH (UID 2)", b"* 4 FETCH (UID 4)"])
        self.assertEqual((await other.ok("FETCH 1:4 (UID FLAGS)")).of(b"EXPUNGE"), [])
        self.assertEqual((await other.ok("FETCH 1:4 BODY.PEEK[TEXT]")).of(b"EXPUNGE"), [])
        self.assertEqual((await other.ok("STORE 4 +FLAGS (\\Seen)")).lines, [b"* 4 FETCH (FLAGS (\\Seen))"])
        self.assertRegex((await other.ask("FETCH 5 UID")).end, rb"^BAD ")
        heard = await other.ok("UID FETCH 5 UID")
        self.assertEqual(heard.lines, [b"* 3 EXPUNGE", b"* 1 EXPUNGE", b"* 3 EXISTS", b"* 1 RECENT"])
        self.assertEqual((await other.ok("UID FETCH 5 UID")).lines, [b"* 3 FETCH (UID 5)"])

    async def test_deleted_mailbox(self) -> None:
        """Whoever has it chosen is told by the end of the connection, waiting or not."""
        server = await self.serve()
        owner = await self.log_in(server, "alice", "CREATE Gone")
        others = [await self.log_in(server, "alice", "SELECT Gone") for _ in range(3)]
        idle = await self.log_in(server, "alice", "SELECT Gone")
        idle.say("IDLE")
        self.assertEqual(await idle.response(), b"+ idling")
        await owner.ok("DELETE Gone")
        self.assertEqual(await idle.response(), b"* BYE the mailbox has been deleted")
        self.assertEqual(await idle.line.line(), "(closed)")
        for each in others:
            await each.ok("NOOP")
            self.assertEqual(await each.response(), b"* BYE the mailbox has been deleted")
            self.assertEqual(await each.line.line(), "(closed)")
        await owner.ok("CREATE Gone")
        await owner.ok("SELECT Gone")
        await owner.ok("NOOP")

    async def test_name_of_another(self) -> None:
        """A name that was given away a moment ago means the new mailbox, though somebody has the first chosen."""
        server = await self.serve()
        one = await self.log_in(server, "alice", "CREATE Old", "APPEND Old {3+}\r\nx\r\n", "SELECT Old")
        other = await self.log_in(server, "alice", "RENAME Old New", "CREATE Old")
        self.assertEqual((await other.ok("SELECT Old")).of(b"EXISTS"), [b"* 0 EXISTS"])
        self.assertEqual((await one.ok("FETCH 1 UID")).lines, [b"* 1 FETCH (UID 1)"])
        self.assertEqual((await other.ok("SELECT New")).of(b"EXISTS"), [b"* 1 EXISTS"])

    async def test_renamed_mailbox(self) -> None:
        """Who has it chosen goes on in it."""
        server = await self.serve()
        one = await self.log_in(server, "alice", "CREATE Old", "SELECT Old")
        other = await self.log_in(server, "alice", "SELECT Old")
        await one.ok("RENAME Old New")
        await other.ok("APPEND New {3+}\r\nx\r\n")
        self.assertEqual((await other.ok("NOOP")).lines, [])
        self.assertEqual((await other.ok("FETCH 1 UID")).lines, [b"* 1 FETCH (UID 1)"])
        self.assertEqual((await one.ok("APPEND New {3+}\r\nx\r\n")).of(b"EXISTS"), [b"* 2 EXISTS"])


class IdleTests(ImapCase):
    async def idle(self, peer: Peer) -> bytes:
        tag = peer.say("IDLE")
        self.assertEqual(await peer.response(), b"+ idling")
        return tag

    async def test_news(self) -> None:
        """Of another session, of SMTP, of another process; in time."""
        path = self.configure()
        server = self.start(path)
        await self.numbered(server, range(2))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        tag = await self.idle(peer)
        other = await self.log_in(server, "alice", "SELECT INBOX")
        began = reactor.seconds()
        await other.ok("STORE 2 +FLAGS (\\Deleted)")
        self.assertEqual(await peer.response(), b"* 2 FETCH (FLAGS (\\Deleted \\Recent))")
        await other.ok("EXPUNGE")
        self.assertEqual(await peer.response(), b"* 2 EXPUNGE")
        smtp = await self.connect(server, "smtp")
        await smtp.reply()
        for command in ("EHLO x", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA", "hello\r\n."):
            await smtp.ask(command)
        self.assertEqual(await peer.response(), b"* 2 EXISTS")
        self.assertEqual(await peer.response(), b"* 2 RECENT")
        self.assertLess(reactor.seconds() - began, 2.0)
        database = Database(None, path.parent / "data")
        database.open()
        self.addCleanup(database.close)
        began = reactor.seconds()
        mailbox = await self.store(server).open(await self.account(server), "INBOX")
        with database.transaction() as connection:
            changing.store(connection, mailbox.row, [(1, 1)], "+", Flags(FLAGGED), None)
        self.assertRegex(await peer.response(), rb"^\* 1 FETCH \(FLAGS \(\\Flagged.*\)\)")
        self.assertLess(reactor.seconds() - began, 2.0)
        for piece in (b"d", b"O", b"ne", b"\r", b"\n"):
            peer.line.say(piece)
            await self.pause(0.01)
        self.assertEqual((await peer.until(tag)).end, b"OK idled")

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds, lambda: None)

    async def test_missed(self) -> None:
        """What came between the last command and IDLE is told at once."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.numbered(server, [1])
        await self.idle(peer)
        self.assertEqual(await peer.response(), b"* 1 EXISTS")

    async def test_done_at_once(self) -> None:
        """DONE in the segment of IDLE, and commands behind it."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        peer.line.say(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
        self.assertEqual([await peer.response() for _ in range(3)], [b"+ idling", b"a OK idled", b"b OK nothing done"])
        peer.line.say(b"a IDLE\r\nNOOP\r\nb NOOP\r\n")
        heard = [await peer.response() for _ in range(3)]
        self.assertEqual(heard, [b"+ idling", b"a BAD DONE was expected", b"b OK nothing done"])

    async def test_without_a_mailbox(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server)
        tag = await self.idle(peer)
        peer.line.say(b"DONE\r\n")
        self.assertTrue((await peer.until(tag)).is_ok)

    async def test_stop(self) -> None:
        """The server stops: who waits is told so at once."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.idle(peer)
        began = reactor.seconds()
        stopped = server.stopService()
        self.assertEqual(await peer.response(), b"* BYE [UNAVAILABLE] the server is shutting down")
        await stopped
        self.assertLess(reactor.seconds() - began, 3.0)

    async def test_too_long(self) -> None:
        """Who says nothing for half an hour is gone, most likely."""
        self.patch(idling, "LONGEST", 0.2)
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.idle(peer)
        self.assertEqual(await peer.response(), b"* BYE you have been silent for too long")
        self.assertEqual(await peer.line.line(), "(closed)")

    async def test_hang_up(self) -> None:
        """Whoever goes without a word leaves nothing behind."""
        server = await self.serve()
        peers = [await self.log_in(server, "alice", "SELECT INBOX") for _ in range(3)]
        for each in peers:
            await self.idle(each)
        for each in peers:
            each.line.transport.abortConnection()
        boards = self.boards(server)

        async def empty() -> bool:
            return not boards._used

        await self.until(empty)
        await self.numbered(server, [1])

    async def test_hang_up_while_it_is_opened(self) -> None:
        """A mailbox that is opened for somebody who has gone meanwhile is given back."""
        server = await self.serve()
        await self.numbered(server, range(50))
        for _ in range(20):
            peer = await self.log_in(server)
            peer.say("SELECT INBOX")
            await self.pause(0.001)
            peer.line.transport.abortConnection()
        boards = self.boards(server)

        async def empty() -> bool:
            return not boards._used

        await self.pause(0.2)
        await self.until(empty)

    def boards(self, server):  # type: ignore[no-untyped-def]
        [factory] = [factory for factory, listen in server._factories if listen.service == "imap"]
        return factory.talk("127.0.0.1", 1).policy.boards

    async def test_cannot_be_read(self) -> None:
        """The database is away for a while: an idle session hears its news when it is back."""
        self.patch(idling, "AGAIN", 0.2)
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        await self.idle(peer)
        account = await self.account(server)
        mailbox = await self.store(server).open(account, "INBOX")
        changes, left = SqlMailbox.changes, [2]

        async def broken(self, since: int):  # type: ignore[no-untyped-def]
            if left[0]:
                left[0] -= 1
                raise TemporaryFailure("the database is away")
            return await changes(self, since)

        self.patch(SqlMailbox, "changes", broken)
        await self.numbered(server, [1])
        self.assertEqual(await peer.response(), b"* 1 EXISTS")
        await mailbox.store([(1, 1)], "+", Flags(SEEN))
        self.assertEqual(await peer.response(), b"* 1 RECENT")
        self.assertEqual(await peer.response(), b"* 1 FETCH (FLAGS (\\Seen \\Recent))")
