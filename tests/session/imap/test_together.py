"""FETCHes of one message each that were said ahead: each is answered as if it had come alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import fail

from mailserver.errors import TemporaryFailure
from mailserver.mailbox.sqlmailbox import SqlMailbox
from tests.session.imap.house import SMALL, Heard, ImapCase, Peer
from tests.session.imap.test_fetching import LARGE

WHOLE = "UID FETCH %d (BODY.PEEK[])"


class SaidAheadTests(ImapCase):
    async def ahead(self, peer: Peer, commands: Iterable[str | bytes]) -> list[Heard]:
        """All said in one piece, then all that is heard of each."""
        said, say = [], peer.line.say
        peer.line.say = said.append  # type: ignore[method-assign]
        tags = [peer.say(each) for each in commands]
        peer.line.say = say  # type: ignore[method-assign]
        say(b"".join(said))
        return [await peer.until(tag) for tag in tags]

    def counted(self) -> list[Sequence[int]]:
        """The UIDs of each look at lines that stand apart."""
        looks: list[Sequence[int]] = []
        usual = SqlMailbox.each_line

        async def each_line(mailbox: Any, numbers: Any, uids: Any, *rest: Any) -> Any:
            looks.append(uids)
            return await usual(mailbox, numbers, uids, *rest)

        self.patch(SqlMailbox, "each_line", each_line)
        return looks

    def line(self, number: int) -> bytes:
        whole = SMALL % (number, number)
        return b"* %d FETCH (BODY[] {%d}\r\n%b UID %d)" % (number, len(whole), whole, number)

    async def test_each_in_its_turn(self) -> None:
        """One look for all of them; those that are not there have an end and no line."""
        server = await self.serve()
        await self.numbered(server, range(1, 31))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        looks = self.counted()
        heard = await self.ahead(peer, [WHOLE % number for number in (*range(1, 31), 99, 7)])
        self.assertEqual([each.lines for each in heard[:30]], [[self.line(number)] for number in range(1, 31)])
        self.assertEqual([each.lines for each in heard[30:]], [[], [self.line(7)]])
        self.assertTrue(all(each.is_ok for each in heard))
        self.assertLessEqual(len(looks), 2)         # the first may have come alone

    async def test_others_between(self) -> None:
        """What else was said is done where it stands, an error too."""
        server = await self.serve()
        await self.numbered(server, range(1, 5))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await self.ahead(peer, [
            WHOLE % 1, WHOLE % 2, "UID STORE 3 +FLAGS.SILENT (\\Deleted)", "UID FETCH 3 (FLAGS BODY.PEEK[])", WHOLE % 0,
            WHOLE % 4, "EXPUNGE", WHOLE % 3, WHOLE % 4,
        ])
        self.assertEqual([each.lines for each in heard[:2]], [[self.line(1)], [self.line(2)]])
        self.assertIn(b"FLAGS (\\Deleted ", heard[3].lines[0])
        self.assertTrue(heard[4].end.startswith(b"BAD"), heard[4])
        self.assertEqual(heard[5].lines, [self.line(4)])
        self.assertEqual(heard[6].lines, [b"* 3 EXPUNGE"])
        self.assertEqual(heard[7].lines, [])
        self.assertEqual(heard[8].lines, [self.line(4).replace(b"* 4", b"* 3")])

    async def test_idle_behind(self) -> None:
        """A command that goes on begins when those before it are answered."""
        server = await self.serve()
        await self.numbered(server, range(1, 3))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        peer.line.say(b"a UID FETCH 1 (BODY.PEEK[])\r\nb UID FETCH 2 (BODY.PEEK[])\r\nc IDLE\r\nDONE\r\n")
        for tag, lines in ((b"a", [self.line(1)]), (b"b", [self.line(2)]), (b"c", [b"+ idling"])):
            self.assertEqual((await peer.until(tag)).lines, lines)

    async def test_sizes(self) -> None:
        """What lies in a file, or has a NUL, is answered as it always is."""
        server = await self.serve()
        odd = b"Subject: odd\r\n\r\n\0\r\n"
        await self.fill(server, SMALL % (1, 1), LARGE, odd, *(b"Subject: x\r\n\r\n" + b"y" * 60_000 for _ in range(6)))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        looks = self.counted()
        heard = await self.ahead(peer, [WHOLE % number for number in range(1, 10)])
        self.assertEqual(heard[0].lines, [self.line(1)])
        for number, whole in ((2, LARGE), (3, odd.replace(b"\0", b"\x80"))):
            self.assertIn(b"BODY[] {%d}\r\n%b" % (len(whole), whole), heard[number - 1].lines[0])
        for number in range(4, 10):
            self.assertIn(b"y" * 60_000, heard[number - 1].lines[0])
        self.assertGreater(len(looks), 3, "all that was asked for was in memory at once")

    async def test_flags_and_envelopes(self) -> None:
        server = await self.serve()
        await self.numbered(server, range(1, 4))
        peer = await self.log_in(server, "alice", "SELECT INBOX", "UID STORE 2 +FLAGS (\\Flagged $Label)", "NOOP")
        alone = [await peer.ok(f"UID FETCH {uid} (FLAGS ENVELOPE RFC822.SIZE)") for uid in (1, 2, 3)]
        heard = await self.ahead(peer, [f"UID FETCH {uid} (FLAGS ENVELOPE RFC822.SIZE)" for uid in (1, 2, 3)])
        self.assertEqual([each.lines for each in heard], [each.lines for each in alone])

    async def test_seen(self) -> None:
        """What changes messages is not answered together."""
        server = await self.serve()
        await self.numbered(server, range(1, 4))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        looks = self.counted()
        await self.ahead(peer, [f"UID FETCH {uid} (BODY[])" for uid in (1, 2, 3)])
        self.assertEqual(looks, [])
        self.assertEqual((await peer.ok("UID SEARCH SEEN")).lines, [b"* SEARCH 1 2 3"])

    async def test_database_is_away(self) -> None:
        """Each hears of it."""
        server = await self.serve()
        await self.numbered(server, range(1, 4))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        self.patch(SqlMailbox, "each_line", lambda *_: fail(TemporaryFailure("away")))
        heard = await self.ahead(peer, ["NOOP", *(WHOLE % uid for uid in (1, 2, 3)), "NOOP"])
        self.assertEqual([each.end[:16] for each in heard[1:4]], [b"NO [UNAVAILABLE]"] * 3)
        self.assertTrue(heard[4].is_ok)

    async def test_it_is_deleted_meanwhile(self) -> None:
        """The conversation ends in words."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "CREATE Box")
        await self.fill(server, SMALL % (1, 1), SMALL % (2, 2), name="Box")
        await peer.ok("SELECT Box")
        await (await self.log_in(server, "alice")).ok("DELETE Box")
        peer.line.say(b"a UID FETCH 1 (BODY.PEEK[])\r\nb UID FETCH 2 (BODY.PEEK[])\r\nc NOOP\r\n")
        while not (said := await peer.response()).startswith(b"* BYE"):
            self.assertFalse(said.startswith(b"c "), said)
