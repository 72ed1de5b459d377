"""What a client that comes back hears of what it missed (RFC 7162 3.2)."""

from __future__ import annotations

from mailserver.imap.numbers import gaps
from mailserver.service import MailServer
from tests.session.imap.house import ImapCase, Peer


class QresyncTests(ImapCase):
    """INBOX has had UIDs 1 to 20; the client knew it at `modseq`; since then 3, 4, 5, 10, 20 went, 7 and 15 changed."""

    async def left(self) -> tuple[MailServer, Peer, int, int]:
        server = await self.serve()
        await self.numbered(server, range(1, 21))
        peer = await self.log_in(server, "alice", "ENABLE QRESYNC")
        heard = await peer.ok("SELECT INBOX")
        validity, modseq = (
            int(next(each for each in heard.lines if word in each).split(word)[1].split(b"]")[0])
            for word in (b"UIDVALIDITY ", b"HIGHESTMODSEQ ")
        )
        other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 3:5,10,20 +FLAGS.SILENT (\\Deleted)")
        await other.ok("EXPUNGE")
        await other.ok("UID STORE 7,15 FLAGS.SILENT (\\Answered)")
        await peer.ok("CLOSE")
        return server, peer, validity, modseq

    async def resync(self, peer: Peer, parameters: str) -> list[bytes]:
        heard = await peer.ok(f"SELECT INBOX (QRESYNC ({parameters}))")
        return heard.of(b"VANISHED") + heard.of(b"FETCH")

    async def test_select(self) -> None:
        _, peer, validity, modseq = await self.left()
        changed = [b"* 4 FETCH (UID 7 FLAGS (\\Answered) MODSEQ (%d))" % (modseq + 3),
                   b"* 11 FETCH (UID 15 FLAGS (\\Answered) MODSEQ (%d))" % (modseq + 3)]
        for parameters, heard in (
            (f"{validity} {modseq}", [b"* VANISHED (EARLIER) 3:5,10,20", *changed]),
            (f"{validity} {modseq + 2}", changed),
            (f"{validity} {modseq + 3}", []),
            (f"{validity} {modseq + 300}", []),
            (f"{validity + 1} {modseq}", []),
            (f"{validity} {modseq} 1:4,12:18", [b"* VANISHED (EARLIER) 3:4", changed[1]]),
            (f"{validity} {modseq} 1:4294967295", [b"* VANISHED (EARLIER) 3:5,10,20", *changed]),
            (f"{validity} {modseq} 1:20 (1,5,20 1,5,20)", [b"* VANISHED (EARLIER) 3:5,10,20", *changed]),
            (f"{validity} {modseq} (1,5,20 1,5,20)", [b"* VANISHED (EARLIER) 3:5,10,20", *changed]),
        ):
            self.assertEqual(await self.resync(peer, parameters), heard, parameters)
        for parameters in ("0 1", "1 0", "1", f"{validity} 1 1:*", "1 1 (1 *)", "1 1 (1)", "1 1 $"):
            self.assertRegex((await peer.ask(f"SELECT INBOX (QRESYNC ({parameters}))")).end, rb"^BAD ")

    async def test_forgotten(self) -> None:
        """Nobody remembers who went: all that the client may know and that is not here has gone."""
        server, peer, validity, modseq = await self.left()
        with server.database.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM expunged")
            connection.exec_driver_sql("UPDATE mailbox SET forgotten = modseq")
        everything = [b"* VANISHED (EARLIER) 3:5,10,20"]
        for parameters, heard in (
            (f"{validity} {modseq}", everything),
            (f"{validity} {modseq} 1:4294967295", everything),
            (f"{validity} {modseq} 4:10,21:4294967295", [b"* VANISHED (EARLIER) 4:5,10"]),
            # Up to UID 2 the client's numbers are ours: nothing was lost there.  Of 8 it still says 8.
            (f"{validity} {modseq} 1:20 (2,8 2,8)", everything),
            (f"{validity} {modseq} 1:20 (2,5 2,8)", [b"* VANISHED (EARLIER) 10,20"]),
            (f"{validity} {modseq} 1:20 (1:4294967295 1:4294967295)", everything),
        ):
            self.assertEqual([each for each in await self.resync(peer, parameters) if b"VANISHED" in each], heard)
        heard = (await peer.ok(f"UID FETCH 1:4294967295 FLAGS (CHANGEDSINCE {modseq} VANISHED)")).lines
        self.assertEqual(heard[0], everything[0])
        self.assertEqual(len(heard), 3)

    async def test_fetch(self) -> None:
        """UID FETCH with VANISHED, of the messages that are asked for."""
        _, peer, _, modseq = await self.left()
        await peer.ok("SELECT INBOX")
        for numbers, heard in (
            ("1:*", [b"3:5,10,20", b"* 4", b"* 11"]), ("4:9", [b"4:5", b"* 4"]), ("6:9", [b"* 4"]), ("11:14", []),
            ("1:4294967295", [b"3:5,10,20", b"* 4", b"* 11"]), ("10,20,30", [b"10,20"]),
        ):
            lines = (await peer.ok(f"UID FETCH {numbers} (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")).lines
            short = [each.removeprefix(b"* VANISHED (EARLIER) ").partition(b" FETCH")[0] for each in lines]
            self.assertEqual(short, heard, numbers)

    async def test_news(self) -> None:
        """Who has QRESYNC hears VANISHED for EXPUNGE, by UIDs, and the mod-sequence of what he did himself."""
        server, peer, _, modseq = await self.left()
        await peer.ok("SELECT INBOX")
        other = await self.log_in(server, "alice", "SELECT INBOX", "UID STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        await other.ok("EXPUNGE")
        self.assertEqual((await peer.ok("NOOP")).lines, [b"* VANISHED 1:2"])
        heard = await peer.ask("UID STORE 6:8 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(heard.lines, [
            b"* %d FETCH (UID %d MODSEQ (%d))" % (number, uid, modseq + 6) for number, uid in enumerate((6, 7, 8), 1)
        ])
        heard = await peer.ask("EXPUNGE")
        self.assertEqual(heard.lines, [b"* VANISHED 6:8"])
        self.assertEqual(heard.end, b"OK [HIGHESTMODSEQ %d] expunged" % (modseq + 7))
        heard = await peer.ask("UID MOVE 9 Archive")
        self.assertRegex(heard.lines[0], rb"^\* OK \[COPYUID \d+ 9 1\]")
        self.assertEqual(heard.lines[1:], [b"* VANISHED 9"])
        await peer.ok("UID STORE 11 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual((await peer.ok("CLOSE")).lines, [])

    async def test_it_has_to_be_enabled(self) -> None:
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await peer.ask("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)")
        self.assertRegex(heard.end, rb"^BAD ENABLE QRESYNC")


class GapsTests(ImapCase):
    def test_gaps(self) -> None:
        for ranges, here, missing in (
            ([(1, 10)], [], [(1, 10)]), ([(1, 10)], [1, 10], [(2, 9)]), ([(1, 3), (5, 9)], [2, 4, 6, 7], [
                (1, 1), (3, 3), (5, 5), (8, 9)]), ([(1, 4294967295)], [7], [(1, 6), (8, 4294967295)]), ([], [1], []),
            ([(5, 5)], [5], []),
        ):
            self.assertEqual(gaps(ranges, here), missing)
