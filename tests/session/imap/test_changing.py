"""Flags, EXPUNGE, COPY and MOVE; and mod-sequences (RFC 7162 3.1)."""

from __future__ import annotations

from tests.session.imap.house import Heard, ImapCase, Peer

QUOTA = """
[[mailbox]]
use = "sql"
quota_messages = 5
"""


class ChangingCase(ImapCase):
    async def chosen(self, count: int = 4, *commands: str) -> Peer:
        """A peer that has INBOX chosen, with so many messages, none of which is recent."""
        self.server = await self.serve()
        await self.numbered(self.server, range(1, count + 1))
        await (await self.log_in(self.server, "alice", "SELECT INBOX", "LOGOUT")).line.closed
        return await self.log_in(self.server, "alice", *commands, "SELECT INBOX")

    def says(self, heard: Heard, *lines: bytes, end: bytes = b"OK") -> None:
        self.assertEqual(heard.lines, list(lines))
        self.assertTrue(heard.end.startswith(end), heard.end)


class StoreTests(ChangingCase):
    async def test_forms(self) -> None:
        peer = await self.chosen()
        self.says(await peer.ask("STORE 1 FLAGS (\\Seen $Forwarded)"),
                  b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded)",
                  b"* 1 FETCH (FLAGS (\\Seen $Forwarded))")
        self.says(await peer.ask("STORE 1 +FLAGS \\Flagged"), b"* 1 FETCH (FLAGS (\\Seen \\Flagged $Forwarded))")
        self.says(await peer.ask("STORE 1 -FLAGS (\\Seen $forwarded)"), b"* 1 FETCH (FLAGS (\\Flagged))")
        self.says(await peer.ask("STORE 1 +FLAGS (\\Flagged)"), b"* 1 FETCH (FLAGS (\\Flagged))")     # as it was
        self.says(await peer.ask("STORE 1 FLAGS ()"), b"* 1 FETCH (FLAGS ())")
        self.says(await peer.ask("STORE 1:2 +FLAGS.SILENT (\\Seen)"))
        self.says(await peer.ask("UID STORE 2:3 +FLAGS (\\Seen)"),
                  b"* 2 FETCH (UID 2 FLAGS (\\Seen))", b"* 3 FETCH (UID 3 FLAGS (\\Seen))")
        self.says(await peer.ask("UID STORE 70:80 +FLAGS (\\Seen)"))
        self.says(await peer.ask("STORE 5 +FLAGS (\\Seen)"), end=b"BAD")
        self.says(await peer.ask("STORE 1 +FLAGS (\\Recent)"), end=b"BAD")
        self.says(await peer.ask("STORE 1 +FLAGS (\\Nonsense)"), end=b"BAD")
        self.says(await peer.ask("STORE * +FLAGS (\\Draft)"), b"* 4 FETCH (FLAGS (\\Draft))")
        self.says(await peer.ask("UID STORE 9:* +FLAGS (\\Draft)"), b"* 4 FETCH (UID 4 FLAGS (\\Draft))")

    async def test_silence_hides_nothing_of_others(self) -> None:
        """A silent STORE that falls on what another session did tells of that."""
        peer = await self.chosen()
        other = await self.log_in(self.server, "alice", "SELECT INBOX")
        await other.ok("STORE 1 +FLAGS (\\Flagged)")
        self.says(await peer.ask("STORE 1 +FLAGS.SILENT (\\Seen)"), b"* 1 FETCH (FLAGS (\\Seen \\Flagged))")
        self.says(await peer.ask("STORE 1 -FLAGS.SILENT (\\Seen)"))

    async def test_uid_fetch_that_marks_as_seen(self) -> None:
        """What a command by UIDs causes is told with UIDs (RFC 9051 6.4.9)."""
        peer = await self.chosen()
        heard = await peer.ask("UID FETCH 2 BODY[TEXT]")
        self.says(heard, b"* 2 FETCH (UID 2 BODY[TEXT] {8}\r\nbody 2\r\n)", b"* 2 FETCH (UID 2 FLAGS (\\Seen))")
        self.says(await peer.ask("FETCH 3 BODY[TEXT]"), b"* 3 FETCH (BODY[TEXT] {8}\r\nbody 3\r\n)",
                  b"* 3 FETCH (FLAGS (\\Seen))")

    async def test_rev2_tells_uids(self) -> None:
        """RFC 9051 7.5.2: each FETCH that nobody asked for has a UID."""
        peer = await self.chosen(2, "ENABLE IMAP4rev2")
        other = await self.log_in(self.server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Seen)")
        self.says(await peer.ask("NOOP"), b"* 1 FETCH (UID 1 FLAGS (\\Seen))")
        self.says(await other.ask("NOOP"))
        await self.numbered(self.server, [3])
        self.says(await peer.ask("NOOP"), b"* 3 EXISTS")

    async def test_keywords_have_an_end(self) -> None:
        """More keywords than there are bits for are passed over, and PERMANENTFLAGS says so."""
        peer = await self.chosen(1)
        for start in range(0, 80, 20):
            words = " ".join(f"k{number}" for number in range(start, start + 20))
            await peer.ok(f"STORE 1 +FLAGS.SILENT ({words})")
        heard = await peer.ok("SELECT INBOX")
        [line] = [each for each in heard.lines if b"PERMANENTFLAGS" in each]
        self.assertNotIn(b"\\*", line)
        [flags] = (await peer.ok("FETCH 1 FLAGS")).lines
        self.assertEqual(flags.count(b"k"), 54)


class ExpungeTests(ChangingCase):
    async def test_expunge(self) -> None:
        peer = await self.chosen(6)
        await peer.ok("STORE 1,2,5 +FLAGS.SILENT (\\Deleted)")
        self.says(await peer.ask("UID EXPUNGE 2:4"), b"* 2 EXPUNGE")
        self.says(await peer.ask("UID EXPUNGE 2:4"))
        self.says(await peer.ask("EXPUNGE"), b"* 4 EXPUNGE", b"* 1 EXPUNGE")
        self.says(await peer.ask("EXPUNGE"))
        self.says(await peer.ask("FETCH 1:* UID"), b"* 1 FETCH (UID 3)", b"* 2 FETCH (UID 4)", b"* 3 FETCH (UID 6)")

    async def test_two_at_once(self) -> None:
        """Two sessions take each other's messages away, pipelined; both end with the same."""
        peer = await self.chosen(40)
        other = await self.log_in(self.server, "alice", "SELECT INBOX")
        for number in range(1, 21):
            peer.say(f"UID STORE {number}:{number + 3} +FLAGS (\\Deleted)")
            peer.say("EXPUNGE")
            other.say(f"UID STORE {number}:{number + 20} +FLAGS (\\Deleted)")
            other.say(f"UID EXPUNGE {number}:{number + 20}")
        for each in (peer, other):
            heard = await each.ask("NOOP")
            self.assertTrue(heard.is_ok)
            self.assertEqual([line for line in heard.lines if line.startswith(b"t") and b" OK" not in line], [])
        for each in (peer, other):
            await each.ok("NOOP")
            self.says(await each.ask("UID FETCH 1:* UID"))

    async def test_gone_for_another(self) -> None:
        """FETCH, STORE and COPY of messages that are gone do what is left to do."""
        peer = await self.chosen(3)
        other = await self.log_in(self.server, "alice", "SELECT INBOX", "STORE 2 +FLAGS (\\Deleted)", "EXPUNGE")
        del other
        await peer.ok("FETCH 1:3 (UID RFC822.SIZE)")
        self.says(await peer.ask("FETCH 2 BODY.PEEK[]"), end=b"OK")
        self.says(await peer.ask("STORE 2 +FLAGS (\\Seen)"), end=b"OK")
        self.says(await peer.ask("COPY 2 Drafts"), end=b"OK [EXPUNGEISSUED]")
        heard = await peer.ask("COPY 1:3 Drafts")
        self.assertRegex(heard.end, rb"^OK \[COPYUID \d+ 1,3 1:2\] copied")
        self.says(await peer.ask("NOOP"), b"* 2 EXPUNGE")


class CopyTests(ChangingCase):
    async def test_copy(self) -> None:
        peer = await self.chosen(3)
        await peer.ok("STORE 2 +FLAGS.SILENT (\\Flagged $Important)")
        self.assertRegex((await peer.ask("COPY 2:3 Archive")).end, rb"^OK \[COPYUID \d+ 2:3 1:2\] copied")
        self.assertRegex((await peer.ask("UID COPY 1 Archive")).end, rb"^OK \[COPYUID \d+ 1 3\] copied")
        self.assertEqual((await peer.ask("UID COPY 99 Archive")).end, b"OK there is nothing of that")
        self.assertRegex((await peer.ask("COPY 1 Nowhere")).end, rb"^NO \[TRYCREATE\]")
        heard = await peer.ok("COPY 1 INBOX")
        self.assertEqual(heard.of(b"EXISTS"), [b"* 4 EXISTS"])
        await peer.ok("SELECT Archive")
        self.says(await peer.ask("FETCH 1 FLAGS"), b"* 1 FETCH (FLAGS (\\Flagged \\Recent $Important))")

    async def test_move(self) -> None:
        """COPYUID comes before the messages go (RFC 6851 3.2)."""
        peer = await self.chosen(4)
        heard = await peer.ask("MOVE 2:3 Archive")
        self.assertRegex(heard.lines[0], rb"^\* OK \[COPYUID \d+ 2:3 1:2\] they are there$")
        self.assertEqual(heard.lines[1:], [b"* 3 EXPUNGE", b"* 2 EXPUNGE"])
        heard = await peer.ask("UID MOVE 4 Archive")
        self.assertRegex(heard.lines[0], rb"^\* OK \[COPYUID \d+ 4 3\]")
        self.assertEqual(heard.lines[1:], [b"* 2 EXPUNGE"])
        self.assertRegex((await peer.ask("MOVE 1 Nowhere")).end, rb"^NO \[TRYCREATE\]")
        self.assertEqual((await peer.ask("UID MOVE 99 Archive")).end, b"OK there is nothing of that")
        heard = await peer.ask("MOVE 1 INBOX")
        self.assertRegex(heard.lines[0], rb"^\* OK \[COPYUID \d+ 1 5\]")
        self.says(await peer.ask("FETCH 1:* UID"), b"* 1 FETCH (UID 5)")
        await peer.ok("EXAMINE INBOX")
        self.assertRegex((await peer.ask("MOVE 1 Archive")).end, rb"^NO \[READ-ONLY\]")

    async def test_quota(self) -> None:
        """A COPY that is over quota copies nothing; a MOVE needs no room."""
        self.server = await self.serve(QUOTA)
        await self.numbered(self.server, range(3))
        peer = await self.log_in(self.server, "alice", "SELECT INBOX")
        self.assertRegex((await peer.ask("COPY 1:3 Archive")).end, rb"^NO \[OVERQUOTA\]")
        self.assertIn(b"* STATUS Archive (MESSAGES 0)", await peer.ok("STATUS Archive (MESSAGES)"))
        await peer.ok("MOVE 1:3 Archive")
        self.assertEqual((await peer.ok("GETQUOTAROOT INBOX")).lines, [
            b'* QUOTAROOT INBOX ""', b'* QUOTA "" (MESSAGE 3 5)',
        ])
        self.assertEqual((await peer.ok('GETQUOTA ""')).lines, [b'* QUOTA "" (MESSAGE 3 5)'])
        self.assertRegex((await peer.ask('SETQUOTA "" (MESSAGE 500)')).end, rb"^NO \[NOPERM\]")

    async def test_no_quota(self) -> None:
        """Where nothing is limited there is no root, since a QUOTA without resources is none (RFC 9208 7)."""
        peer = await self.chosen(1)
        self.assertEqual((await peer.ok("GETQUOTAROOT INBOX")).lines, [b"* QUOTAROOT INBOX"])
        self.assertEqual((await peer.ask('GETQUOTA ""')).end, b"NO [NONEXISTENT] there is no such quota root")


class ConditionalTests(ChangingCase):
    async def test_unchanged_since(self) -> None:
        """RFC 7162 3.1.3, with its examples' shape."""
        peer = await self.chosen(3)
        [modseqs] = [(await peer.ok("FETCH 1:3 MODSEQ")).lines]
        self.assertEqual(modseqs, [b"* %d FETCH (MODSEQ (%d))" % (n, n + 1) for n in (1, 2, 3)])
        heard = await peer.ask("STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\\Deleted)")
        self.says(heard, b"* 1 FETCH (UID 1 MODSEQ (5))")
        heard = await peer.ask("UID STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS (\\Flagged)")
        self.says(heard, b"* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (6))",
                  b"* 3 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ (6))", end=b"OK [MODIFIED 1] stored")
        heard = await peer.ask("STORE 1:3 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)")
        self.says(heard, end=b"OK [MODIFIED 1:3] stored")
        self.says(await peer.ask("STORE 1 (UNCHANGEDSINCE -1) +FLAGS (\\Seen)"), end=b"BAD")

    async def test_changed_since(self) -> None:
        peer = await self.chosen(5)
        await peer.ok("STORE 2,4 +FLAGS.SILENT (\\Seen)")
        self.says(await peer.ask("FETCH 1:* FLAGS (CHANGEDSINCE 6)"), b"* 2 FETCH (FLAGS (\\Seen) MODSEQ (7))",
                  b"* 4 FETCH (FLAGS (\\Seen) MODSEQ (7))")
        self.says(await peer.ask("UID FETCH 1:3 RFC822.SIZE (CHANGEDSINCE 6)"),
                  b"* 2 FETCH (RFC822.SIZE 68 UID 2 MODSEQ (7))")
        self.says(await peer.ask("FETCH 1:* FLAGS (CHANGEDSINCE 7)"))
        self.says(await peer.ask("FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775807)"))
        self.says(await peer.ask("FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775808)"), end=b"BAD")
        self.says(await peer.ask("UID FETCH 1:* FLAGS (CHANGEDSINCE 7 VANISHED)"), end=b"BAD")

    async def test_it_is_told_from_then_on(self) -> None:
        """Whoever has said CONDSTORE in any way hears mod-sequences."""
        server = await self.serve()
        await self.numbered(server, [1])
        for command in ("ENABLE CONDSTORE", "STATUS INBOX (HIGHESTMODSEQ)", "SELECT INBOX (CONDSTORE)",
                        "ENABLE QRESYNC"):
            peer = await self.log_in(server, "alice", command, "SELECT INBOX")
            other = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)")
            [line] = (await peer.ok("NOOP")).lines
            self.assertRegex(line, rb"MODSEQ \(\d+\)\)$")
            await other.ok("STORE 1 -FLAGS.SILENT (\\Flagged)")
