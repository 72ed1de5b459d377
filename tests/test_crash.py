"""A few kills of a server at work: the short form of tests/crash.py, which an engineer runs by hand with a hundred."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import crash_sending
from tests.crash import Load, Sent, crash, digest, judged
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
