"""A few kills of a server at work: the short form of tests/crash.py, which an engineer runs by hand with a hundred."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailserver.store.database import Database
from tests import crash_imap, crash_sending
from tests.crash import Load, Sent, crash, digest, judged
from tests.crash_imap_model import ALL, Append, Box, Expunge, Held, Rename, done_of
from tests.crash_imap_model import Copy as CopyTo
from tests.crash_imap_rows import Rows
from tests.crash_sending import Copy, Sending


class CrashTests(SynchronousTestCase):
    """What was promised is there after kill -9."""

    def test_nothing_is_lost(self) -> None:
        said: list[str] = []
        wrong = crash(Path(self.mktemp()).absolute(), 5, 4, "sql", 42, said.append)
        self.assertEqual(wrong, [])
        acknowledged = int(said[-1].split()[0])
        self.assertGreater(acknowledged, 20, said)

    def test_nothing_is_lost_on_the_way_to_a_maildir(self) -> None:
        wrong = crash(Path(self.mktemp()).absolute(), 2, 4, "maildir", 43, lambda line: None)
        self.assertEqual(wrong, [])

    def test_nothing_is_lost_with_workers(self) -> None:
        """One of them is killed, or the master: another takes its place."""
        wrong = crash(Path(self.mktemp()).absolute(), 6, 4, "sql", 44, lambda line: None, workers=2)
        self.assertEqual(wrong, [])

    def test_nothing_is_lost_or_unexplained_on_the_way_out(self) -> None:
        """The server dies while it delivers, and right behind a 250 of the other one."""
        said: list[str] = []
        wrong = crash_sending.crash(Path(self.mktemp()).absolute(), 6, 3, 7, said.append)
        self.assertEqual(wrong, [], said)
        self.assertGreater(int(said[-2].split()[0]), 20, said)

    def test_nothing_is_lost_or_unexplained_on_the_way_out_of_postgresql(self) -> None:
        said: list[str] = []
        folder = Path(self.mktemp()).absolute()
        wrong = crash_sending.crash(folder, 5, 3, 8, said.append, postgresql=True, lapses=True)
        self.assertEqual(wrong, [], said)
        self.assertGreater(int(said[-2].split()[0]), 20, said)

    def test_changes_of_mailboxes_are_whole(self) -> None:
        """IMAP clients append, copy, move, expunge and rename while the server dies."""
        said: list[str] = []
        wrong = crash_imap.crash(Path(self.mktemp()).absolute(), 4, 4, 9, said.append)
        self.assertEqual(wrong, [], said)
        self.assertGreater(int(said[-1].split()[0]), 20, said)

    def test_changes_of_mailboxes_are_whole_on_postgresql(self) -> None:
        said: list[str] = []
        wrong = crash_imap.crash(Path(self.mktemp()).absolute(), 3, 4, 10, said.append, postgresql=True)
        self.assertEqual(wrong, [], said)
        self.assertGreater(int(said[-1].split()[0]), 20, said)


class JudgeTests(SynchronousTestCase):
    """What counts as wrong."""

    def judge(self, sent: Sent, *copies: tuple[str, int]) -> list[str]:
        load = Load(0)
        load.sent[sent.key] = sent
        for content, life in copies:
            load.arrived(sent.recipients, f"Received: x\r\nX-Crash-Key: 1-1\r\n\r\n{content}\r\n".encode(), life)
        return judged(load, lambda line: None)

    def sent(self, acknowledged: str | None, unsure: int, recipient: str = "ann@example.org") -> Sent:
        return Sent("1-1", (recipient,), digest(b"X-Crash-Key: 1-1\r\n\r\nhi\r\n"), acknowledged, unsure)

    def test_there(self) -> None:
        self.assertEqual(self.judge(self.sent("Ok 1", 0), ("hi", 0)), [])

    def test_lost(self) -> None:
        self.assertIn("is lost", self.judge(self.sent("Ok 1", 0))[0])

    def test_changed(self) -> None:
        self.assertIn("is not what was sent", self.judge(self.sent("Ok 1", 0), ("ho", 0))[0])

    def test_twice(self) -> None:
        self.assertIn("is there 2 times", self.judge(self.sent("Ok 1", 0), ("hi", 0), ("hi", 0))[0])

    def test_twice_since_a_reply_was_lost(self) -> None:
        self.assertEqual(self.judge(self.sent("Ok 1", 1), ("hi", 0), ("hi", 0)), [])

    def test_never_acknowledged(self) -> None:
        self.assertEqual(self.judge(self.sent(None, 1)), [])
        self.assertEqual(self.judge(self.sent(None, 1), ("hi", 0)), [])

    def test_in_flight_to_another_server(self) -> None:
        """Our next life sends again what was on its way when we died; the same life never does."""
        away = "ann@away.example"
        self.assertEqual(self.judge(self.sent("Ok 1", 0, away), ("hi", 0), ("hi", 1)), [])
        self.assertIn("2 times", self.judge(self.sent("Ok 1", 0, away), ("hi", 1), ("hi", 1))[0])

    def test_from_nowhere(self) -> None:
        load = Load(0)
        load.arrived(["ann@example.org"], b"X-Crash-Key: 9-9\r\n\r\nhi\r\n", 0)
        self.assertIn("never sent", judged(load, lambda line: None)[0])


class SendingJudgeTests(SynchronousTestCase):
    """What counts as wrong on the way out."""

    CUT, DONE, LATER = ("interrupted", ""), ("attempt", "delivered"), ("attempt", "deferred")

    def judge(self, copies: list[Copy], *events: tuple[str, str], acknowledged: bool = True, skip: int = 0) -> str:
        sending = Sending(0, kills=[10.0, 20.0])
        sending.sent["1-1"] = Sent("1-1", ("a@away.example",), "good", "Ok X" if acknowledged else None)
        story = [
            {"event": event, "result": result, "attempt": number + skip, "recipient": "a@away.example"}
            for number, (event, result) in enumerate(events, 1)
        ]
        found = {("a@away.example", "1-1"): copies} if copies else {}
        return "; ".join(crash_sending.judged(sending, found, {"1-1": "X"}, {"X": story}, lambda line: None))

    def copies(self, *lives: int, content: str = "good") -> list[Copy]:
        return [Copy(content, life, 9.0 + life) for life in lives]

    def test_there(self) -> None:
        self.assertEqual(self.judge(self.copies(0), self.DONE), "")
        self.assertEqual(self.judge(self.copies(0), self.LATER, self.DONE), "")

    def test_lost(self) -> None:
        self.assertIn("is lost", self.judge([]))
        self.assertEqual(self.judge([], acknowledged=False), "")

    def test_changed(self) -> None:
        self.assertIn("not what was sent", self.judge(self.copies(0, content="bad"), self.DONE))

    def test_twice(self) -> None:
        """Only where an attempt was interrupted, and by different lives of the server."""
        self.assertEqual(self.judge(self.copies(0, 1), self.CUT, self.DONE), "")
        self.assertIn("is there 2 times", self.judge(self.copies(0, 1), self.DONE))
        self.assertIn("is there 3 times", self.judge(self.copies(0, 1, 2), self.CUT, self.DONE))
        self.assertIn("from one life", self.judge(self.copies(1, 1), self.CUT, self.DONE))

    def test_a_gap_that_nothing_tells_of(self) -> None:
        self.assertIn("attempts [2]", self.judge(self.copies(1), self.DONE, skip=1))

    def test_no_end(self) -> None:
        self.assertIn("attempts that were", self.judge(self.copies(0), self.CUT))
        self.assertIn("attempts that were", self.judge(self.copies(0, 1), self.CUT, self.DONE, self.DONE))

    def test_from_nowhere(self) -> None:
        found = {("a@away.example", "9-9"): self.copies(0)}
        self.assertIn("never sent", crash_sending.judged(Sending(0), found, {}, {}, lambda line: None)[0])


class ImapJudgeTests(SynchronousTestCase):
    """What counts as wrong in mailboxes."""

    NONE = frozenset[str]()
    MOVE = CopyTo((1,), "B", True, selects="A")
    BOTH = Append("B", (("1-8", NONE, b""), ("1-9", NONE, b"")))

    def box(self, *keys: str, first: int = 1, flags: frozenset[str] = NONE) -> Box:
        return Box(tuple(Held(uid, key, flags) for uid, key in enumerate(keys, first)))

    def faults(self, *places: tuple[Box, Box]) -> list[int]:
        """How much of a move that was under way is done, for each pair of mailboxes found."""
        before = {"A": self.box("1-1"), "B": self.box("1-2")}
        return [done_of(before, [self.MOVE], {"A": a, "B": b})[0] for a, b in places]

    def test_moved(self) -> None:
        """A message is in one of two mailboxes, not in both, and not in none."""
        self.assertEqual(self.faults(
            (self.box("1-1"), self.box("1-2")), (self.box(), self.box("1-2", "1-1")),
            (self.box("1-1"), self.box("1-2", "1-1")), (self.box(), self.box("1-2")),
        ), [0, 1, -1, -1])

    def test_appended_together(self) -> None:
        """All or none, and in their order."""
        before = {"B": self.box("1-2")}
        found = [self.box("1-2"), self.box("1-2", "1-8", "1-9"), self.box("1-2", "1-8"), self.box("1-2", "1-9", "1-8")]
        self.assertEqual([done_of(before, [self.BOTH], {"B": each})[0] for each in found], [0, 1, -1, -1])

    def test_acknowledged(self) -> None:
        """Nothing is under way: it must be as it was, the UIDs and the mailbox's own id, too."""
        before = {"B": Box(self.box("1-2").messages, ("b", "7"))}
        seen = frozenset({"\\Seen"})
        for other in (
            self.box(), self.box("1-2", first=2), self.box("1-2", "1-1"), self.box("1-2", flags=seen),
            Box(before["B"].messages, ("b", "8")),
        ):
            self.assertEqual(done_of(before, [], {"B": other})[0], -1)
        self.assertEqual(done_of(before, [], before), (0, ""))

    def test_from_the_first(self) -> None:
        """Commands are done in their order: never the second without the first."""
        deleted = self.box("1-1", flags=frozenset({"\\Deleted"}))
        commands = [Expunge(selects="A"), Rename("A", "C"), CopyTo(ALL, "B", True, True, selects="C")]
        before = {"A": deleted, "B": Box()}
        self.assertEqual(done_of(before, commands, {"C": Box(), "B": Box()})[0], 2)
        self.assertEqual(done_of(before, commands, {"C": deleted, "B": Box()})[0], -1)

    def test_rows(self) -> None:
        """Counts that are not those of the rows, contents that nobody holds, and UIDs that come again are seen."""
        folder = Path(self.mktemp())
        database = Database(None, folder)
        database.open(migrate=True)
        self.addCleanup(database.close)
        rows = Rows(database)

        def do(*statements: str) -> list[str]:
            with database.transaction() as connection:
                for each in statements:
                    connection.exec_driver_sql(each)
            return rows.faults()

        self.assertEqual(do(
            "INSERT INTO domain (id, name, created) VALUES (1, 'example.org', 0)",
            "INSERT INTO account (id, domain_id, address, key, created) VALUES (1, 1, 'a@example.org', 'a', 0)",
            "INSERT INTO mailbox"
            " (id, account_id, name, uidvalidity, uidnext, created, messages, unseen, octets, modseq)"
            " VALUES (1, 1, 'INBOX', 7, 2, 0, 1, 1, 5, 3)",
            "INSERT INTO content (id, size, uses, data) VALUES (5, 5, 1, 'abcde'), (6, 5, 1, 'abcde')",
            "INSERT INTO message (mailbox_id, uid, content_id, size, received, flags, prefix)"
            " VALUES (1, 1, 5, 5, 0, 0, '')",
        ), ["contents that are not held as often as they say: [(6, 1, 0, 0)]"])
        self.assertEqual(do("DELETE FROM content WHERE id = 6"), [])
        self.assertIn("counts of a mailbox", do("UPDATE mailbox SET unseen = 0")[0])
        self.assertIn("went back", do("UPDATE mailbox SET unseen = 1, modseq = 2")[0])
        self.assertIn("had UIDVALIDITY 7", do("UPDATE mailbox SET uidvalidity = 8")[0])
        self.assertIn("another message than before", "".join(do(
            "UPDATE content SET id = 7", "UPDATE message SET content_id = 7"
        )))
        self.assertIn("without their content", "".join(do("DELETE FROM content")))
