"""Messages by their UIDs alone (RFC 9586), in batches (UIDBATCHES), and not too many at once (RFC 9738)."""

from __future__ import annotations

from tests.session.imap.house import SMALL, ImapCase


class UidOnlyTests(ImapCase):
    async def test_no_numbers(self) -> None:
        """What is asked, changed and gone is said of UIDs, here and to another session."""
        server = await self.serve()
        await self.numbered(server, range(1, 6))
        alice = await self.log_in(server, "alice", "ENABLE UIDONLY CONDSTORE")
        other = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await alice.ok("SELECT INBOX")
        self.assertEqual(heard.of(b"OK [UNSEEN"), [])
        await other.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
        await other.ok("EXPUNGE")
        heard = await alice.ok("NOOP")
        self.assertEqual(heard.lines, [b"* VANISHED 1,3"])
        heard = await alice.ok("UID FETCH 1:* FLAGS")
        self.assertEqual([line.split()[1:3] for line in heard.lines], [[b"%d" % uid, b"UIDFETCH"] for uid in (2, 4, 5)])
        self.assertNotIn(b"UID ", b" ".join(line.partition(b"(")[2] for line in heard.lines))
        [line] = (await alice.ok("UID FETCH 4 (UID RFC822.SIZE)")).lines
        self.assertEqual(line, b"* 4 UIDFETCH (UID 4 RFC822.SIZE %d)" % len(SMALL % (4, 4)))
        [line] = (await alice.ok("UID FETCH 4 (ENVELOPE BODY.PEEK[TEXT])")).lines
        self.assertTrue(line.startswith(b"* 4 UIDFETCH (ENVELOPE ("), line)
        self.assertTrue(line.endswith(b"BODY[TEXT] {8}\r\nbody 4\r\n)"), line)
        [line] = (await alice.ok("UID FETCH 5 BODY.PEEK[]")).lines
        self.assertTrue(line.startswith(b"* 5 UIDFETCH (BODY[] {"), line)
        [line] = (await alice.ok("UID STORE 4 +FLAGS (\\Flagged)")).lines
        self.assertRegex(line, rb"^\* 4 UIDFETCH \(FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)$")
        [line] = (await alice.ok("UID STORE 4 +FLAGS (\\Flagged)")).lines
        self.assertRegex(line, rb"^\* 4 UIDFETCH \(FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)$")
        [line] = (await alice.ok("UID STORE 4 +FLAGS.SILENT (\\Seen)")).lines
        self.assertRegex(line, rb"^\* 4 UIDFETCH \(MODSEQ \(\d+\)\)$")
        await other.ok("STORE 3 +FLAGS (\\Seen)")
        [line] = (await alice.ok("NOOP")).lines
        self.assertRegex(line, rb"^\* 5 UIDFETCH \(FLAGS \(\\Seen\) MODSEQ \(\d+\)\)$")
        self.assertIn(b"* VANISHED 2", (await alice.ok("UID MOVE 2 Trash")).lines)
        await alice.ok("UID SEARCH RETURN (SAVE) ALL")
        self.assertEqual([line.split()[1] for line in (await alice.ok("UID FETCH $ FLAGS")).lines], [b"4", b"5"])

    async def test_refused(self) -> None:
        """Every command that has sequence numbers, or a search for them; before any literal."""
        server = await self.serve()
        await self.numbered(server, range(1, 4))
        peer = await self.log_in(server, "alice", "ENABLE UIDONLY QRESYNC", "SELECT INBOX")
        for command in (
            "FETCH 1 FLAGS", "FETCH $ FLAGS", "STORE 1 +FLAGS (\\Seen)", "COPY 1 Trash", "MOVE 1 Trash", "SEARCH ALL",
            "SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "UID SEARCH 1:2", "UID SEARCH NOT 1",
            "UID SEARCH OR SEEN (FLAGGED 2)", "UID SORT (DATE) UTF-8 1", "UID THREAD REFERENCES UTF-8 *",
            "SELECT INBOX (QRESYNC (1 1 1:3 (1 1)))", "REPLACE 1 INBOX {3}",
            "REPLACE 1 INBOX CATENATE (URL /INBOX/;UID=1)",
        ):
            heard = await peer.ask(command)
            self.assertTrue(heard.end.startswith(b"BAD [UIDREQUIRED] "), (command, heard))
        await peer.ok("SELECT INBOX (QRESYNC (1 1))")
        await peer.ok("UID SEARCH UID 1:2")
        heard = await peer.ok("UID REPLACE 1 INBOX {3+}\r\nabc")
        self.assertIn(b"* VANISHED 1", heard.lines)
        await peer.ok("UNAUTHENTICATE")
        await peer.ok("LOGIN alice@example.org secret")
        await peer.ok("SELECT INBOX")
        self.assertEqual(len((await peer.ok("FETCH 1 UID")).of(b"FETCH")), 1)


class BatchTests(ImapCase):
    async def test_batches(self) -> None:
        """From the newest on, without a gap; the last one ends with 1."""
        server = await self.serve()
        await self.numbered(server, range(1, 3))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        tag = peer.say("UIDBATCHES 500")
        self.assertEqual((await peer.until(tag)).lines, [b'* UIDBATCHES (TAG "%b") 2:1' % tag])
        for _ in range(8):          # 512 of them
            await peer.ok("UID COPY 1:* INBOX")
        await peer.ok("UID STORE 3:4,20 +FLAGS.SILENT (\\Deleted)")
        await peer.ok("EXPUNGE")

        async def batches(arguments: str) -> bytes:
            tag = peer.say(f"UIDBATCHES {arguments}")
            [line] = (await peer.until(tag)).of(b"UIDBATCHES")
            return line.removeprefix(b'* UIDBATCHES (TAG "%b")' % tag)

        self.assertEqual(await batches("500"), b" 512:12,11:1")         # 509 are left
        self.assertEqual(await batches("500 1:1"), b" 512:12")
        self.assertEqual(await batches("500 2:7"), b" 11:1")
        self.assertEqual(await batches("500 3:7"), b"")
        self.assertEqual(await batches("100000 1:1"), b" 512:1")
        for command, end in (
            ("UIDBATCHES 499", b"NO [TOOFEW] "), ("UIDBATCHES 500 3:2", b"BAD [CLIENTBUG] "), ("UIDBATCHES", b"BAD "),
            ("UIDBATCHES 500 1:201", b"NO [TOOMANY] "), ("UIDBATCHES 0", b"BAD "), ("UIDBATCHES 500 1", b"BAD "),
            ("UIDBATCHES 4294967296", b"BAD "), ("UIDBATCHES 500 0:1", b"BAD "), ("UIDBATCHES 500 1:*", b"BAD "),
        ):
            heard = await peer.ask(command)
            self.assertTrue(heard.end.startswith(end), (command, heard))
        await peer.ok("SELECT Trash")
        self.assertEqual(await batches("500"), b"")
        await peer.ok("UNSELECT")
        self.assertTrue((await peer.ask("UIDBATCHES 500")).end.startswith(b"BAD "))


class LimitTests(ImapCase):
    async def test_only_the_newest(self) -> None:
        """What can be done in part is done for the messages with the highest UIDs, and says how far it came."""
        server = await self.serve("[imap]\nmessage_limit = 3\n")
        await self.numbered(server, range(1, 9))
        peer = await self.log_in(server, "alice")
        self.assertIn(b" MESSAGELIMIT=3", (await peer.ok("CAPABILITY")).lines[0])
        await peer.ok("SELECT INBOX")

        async def ends(command: str, end: bytes, count: int | None = None) -> list[bytes]:
            heard = await peer.ask(command)
            self.assertTrue(heard.end.startswith(end), (command, heard))
            if count is not None:
                self.assertEqual(len(heard.of(b"FETCH")), count, heard)
            return heard.lines

        await ends("FETCH 1:8 (FLAGS)", b"OK [MESSAGELIMIT 3 6] ", 3)
        await ends("UID FETCH 1:5,8 (ENVELOPE)", b"OK [MESSAGELIMIT 3 4] ", 3)
        await ends("UID FETCH 1:3 (FLAGS)", b"OK fetched", 3)
        await ends("UID FETCH 1:* (FLAGS) (PARTIAL 1:3)", b"OK fetched", 3)
        await ends("UID FETCH 1:* (FLAGS) (PARTIAL -1:-4)", b"NO [MESSAGELIMIT 3] ", 0)
        await ends("UID STORE 1:5 +FLAGS (\\Flagged)", b"OK [MESSAGELIMIT 3 3] ", 3)
        self.assertEqual(await ends("SEARCH FLAGGED", b"OK [MESSAGELIMIT 3 6] "), [b"* SEARCH"])
        self.assertEqual(await ends("SEARCH 1:4 FLAGGED", b"OK [MESSAGELIMIT 3 2] "), [b"* SEARCH 3 4"])
        self.assertEqual(await ends("UID SEARCH UIDBEFORE 6 UIDAFTER 2", b"OK that"), [b"* SEARCH 3 4 5"])
        self.assertEqual(await ends("UID SEARCH UIDAFTER 8", b"OK that"), [b"* SEARCH"])
        self.assertEqual(await ends("UID SEARCH UIDBEFORE 1", b"OK that"), [b"* SEARCH"])
        await ends("UID SEARCH UIDBEFORE 0", b"BAD ")
        await ends("UID SEARCH RETURN (SAVE) ALL", b"OK [MESSAGELIMIT 3 6] ")
        await ends("FETCH $ UID", b"OK fetched", 3)
        await ends("SORT (DATE) UTF-8 ALL", b"NO [MESSAGELIMIT 3] ")
        await ends("UID SORT (ARRIVAL) UTF-8 UID 1:3", b"OK that")
        await ends("THREAD REFERENCES UTF-8 ALL", b"NO [MESSAGELIMIT 3] ")
        await ends("COPY 1:4 Trash", b"NO [MESSAGELIMIT 3] ")
        await ends("APPEND Trash" + " {1+}\r\nx" * 4, b"NO [MESSAGELIMIT 3] ")
        await ends("APPEND Trash" + " CATENATE (TEXT {1+}\r\nx)" * 4, b"NO [MESSAGELIMIT 3] ")
        await ends("APPEND Trash" + " {1+}\r\nx" * 3, b"OK [APPENDUID ")
        await ends("STORE 5:8 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", b"OK [MODIFIED 6:8] ")
        lines = await ends("STORE 5:8 (UNCHANGEDSINCE 1) -FLAGS (\\Seen)", b"OK [MODIFIED 6:8] ")
        self.assertIn(b"* NO [MESSAGELIMIT 3 6] that was only a part", lines)
        lines = await ends("UID MOVE 1:* Trash", b"OK [MESSAGELIMIT 3 6] ")
        self.assertEqual(len([line for line in lines if line.endswith(b" EXPUNGE")]), 3)
        await ends("UID STORE 1:2 +FLAGS (\\Deleted)", b"OK stored")
        await ends("UID STORE 3:5 +FLAGS (\\Deleted)", b"OK stored")
        await ends("UID EXPUNGE 1:*", b"OK [MESSAGELIMIT 3 3] ")
        self.assertEqual(await ends("UID SEARCH ALL", b"OK that"), [b"* SEARCH 1 2"])
        await peer.ok("UID STORE 1:2 +FLAGS (\\Deleted)")
        await ends("EXPUNGE", b"OK expunged")

    async def test_only_what_is_kept(self) -> None:
        """SAVELIMIT is for COPY and APPEND alone."""
        server = await self.serve("[imap]\nsave_limit = 3\n")
        await self.numbered(server, range(1, 6))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        capabilities = (await peer.ok("CAPABILITY")).lines[0]
        self.assertIn(b" SAVELIMIT=3", capabilities)
        self.assertNotIn(b"MESSAGELIMIT", capabilities)
        self.assertEqual(len((await peer.ok("FETCH 1:* FLAGS")).of(b"FETCH")), 5)
        self.assertTrue((await peer.ask("COPY 1:* Trash")).end.startswith(b"NO [MESSAGELIMIT 3] "))
        self.assertTrue((await peer.ask("APPEND Trash" + " {1+}\r\nx" * 4)).end.startswith(b"NO [MESSAGELIMIT 3] "))
        await peer.ok("MOVE 1:* Trash")
