"""What other servers say to us: whatever it is, mail stays, and none of it becomes a record, a log line, a command."""

from __future__ import annotations

import json
import resource
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.logger import eventAsText, globalLogPublisher

from mailserver.store.spool import Entry
from tests.delivery.house import HouseCase
from tests.delivery.peers import CLOSE, Peer, Talk

reactor: Any = installed_reactor
STEPS = ("", "EHLO", "MAIL", "RCPT", "DATA", ".")
HOSTILE = (
    b"\x1b]0;owned\x07\x1b[2J", b"x\rReceived: by evil", b"\0\x07\x08", b'","owner":"them/2","lease":9e9,"x":"',
    b"{log_time.__class__} {0} %s %n ${run{/bin/id}}", b"'; DROP TABLE spool; --", "\u2028\u202e\u0085\x7f".encode(),
    b"\xff\xfe\xc0\xaf", b"</pre><script>alert(1)</script>",
)


class RepliesTests(HouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.logged: list[str] = []
        self.events: Any = None
        globalLogPublisher.addObserver(self._log)
        self.addCleanup(globalLogPublisher.removeObserver, self._log)

    def _log(self, event: Any) -> None:
        self.logged.append(eventAsText(event))

    async def deferred(self, peer: Peer) -> tuple[int, Entry]:
        """Send a message that is not delivered; what the queue has of it then."""
        scheduler = self.route(to=peer)
        id = await self.send("bob@example.com")

        async def tried() -> Any:
            return await self.attempts(id) and [each for each in await self.queue() if each.content_id == id]

        [entry] = await self.until(tried)
        await scheduler.stop()
        return id, entry

    async def test_what_would_be_written_elsewhere(self) -> None:
        """Controls, escapes, JSON, formats: in the queue, the story and the log it is one line of words."""
        for words in HOSTILE:
            peer = self.peer()
            peer.replies = {"RCPT": b"451-4.7.1 " + words + b"\r\n451 4.7.1 " + words + b"\r\n"}
            id, entry = await self.deferred(peer)
            self.assertTrue(entry.reason.startswith("451 4.7.1 "), entry.reason)
            self.assertTrue(entry.reason.isprintable(), entry.reason)
            self.assertEqual((entry.owner, entry.lease, entry.held, entry.attempts), ("", 0.0, False, 1))
            [attempt] = await self.attempts(id)
            self.assertEqual((attempt["said"], attempt["result"]), (entry.reason, "deferred"))
            self.assertEqual(json.loads(json.dumps(attempt)), attempt)
            [line] = [each for each in self.logged if "deferred to bob@example.com" in each]
            self.assertTrue(line.endswith(f": {entry.reason}"), line)
            self.assertEqual(line.count("\n"), 0)
            self.logged.clear()
            await self.forget(entry)

    async def forget(self, *entries: Entry) -> None:
        with self.writing() as connection:
            for each in entries:
                connection.exec_driver_sql(f"DELETE FROM spool WHERE id = {each.id}")
            connection.exec_driver_sql("DELETE FROM destination")

    async def test_in_a_report(self) -> None:
        """The words of who refused are no header field, and no part, of what the sender gets."""
        peer = self.peer()
        peer.replies = {"RCPT": b"550-5.1.1 no\rBcc: eve@example.net\r\n550 5.1.1 \x1b[2J--boundary {x} %s\r\n"}
        self.route(to=peer)
        await self.send("bob@example.com")
        [report] = await self.reports()
        self.assertNotIn(b"\x1b", report)
        self.assertNotIn(b"\nBcc:", report.replace(b"\r", b"\n"))
        self.assertIn(b"{x} %s", report)

    async def test_every_step(self) -> None:
        """Endless, nonsense, gone, or goodbye, at each: not now, in words, and memory is bounded."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for step in STEPS:
            code = b"220" if not step else b"354" if step == "DATA" else b"250"
            for reply in (
                (code + b"-and more of this\r\n") * 500_000, b"421 4.3.2 Bye\r\n", b"999 x\r\n", b"2\r\n", b"\r\n",
                b"250-a\r\n550 b\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n", b"x" * 100_000, CLOSE,
                b"334 VXNlcm5hbWU6\r\n",
            ):
                peer = self.peer()
                peer.extensions = [] if step in ("MAIL", "RCPT") else ["PIPELINING", "8BITMIME"]
                peer.replies = {step: reply}
                _, entry = await self.deferred(peer)
                self.assertTrue(entry.reason.isprintable() and 0 < len(entry.reason) <= 1000, (step, reply[:20]))
                self.assertEqual(entry.owner, "", (step, reply[:20]))
                await self.forget(entry)
                await peer.stop()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        self.assertLess(grown, 200_000, "KiB; each endless reply has ten million octets")

    async def test_250_to_data(self) -> None:
        """Nothing is sent to who thinks that he has it already."""
        peer = self.peer()
        peer.replies = {"DATA": b"250 2.0.0 Thank you\r\n"}
        _, entry = await self.deferred(peer)
        self.assertEqual((entry.reason, peer.messages), ("answered DATA with 250 2.0.0 Thank you", []))

    async def test_354_to_rcpt(self) -> None:
        """Who was not taken was not delivered; the others were."""
        peer = self.peer()
        peer.replies = {"RCPT TO:<bob": b"354 Go on\r\n"}
        self.route(to=peer)
        await self.send("bob@example.com", "eve@example.com")
        entry = await self.reason("354 Go on")
        self.assertEqual(str(entry.target), "bob@example.com")
        await self.until(lambda: peer.messages)
        self.assertEqual([each[1] for each in peer.messages], [["eve@example.com"]])

    async def test_keywords(self) -> None:
        """What makes no sense is not believed: the mail goes as if it were not offered."""
        for keywords in (
            ["SIZE -1"], ["SIZE 99999999999999999999999999"], ["SIZE \u0661\u0662"], ["SIZE 1 2 3"], ["SIZE"],
            ["LIMITS MAILMAX=0 RCPTMAX=0 RCPTDOMAINMAX=-1", "LIMITS"], ["8BITMIME"] * 80,
            ["", " ", "=", "PIPELINING=NO"],
            ["AUTH " + "X" * 3000], ["DSN {x} %s", "MT-PRIORITY \x1b[2J", "DELIVERBY -5", "FUTURERELEASE x y"],
            ["SMTPUTF8 no", "REQUIRETLS maybe"],
        ):
            peer = self.peer()
            peer.extensions = keywords
            scheduler = self.route(to=peer)
            await self.send("bob@example.com")
            await self.empty()
            self.assertEqual(len(peer.messages), 1, keywords)
            await scheduler.stop()

    async def test_a_hundred_thousand_keywords(self) -> None:
        peer = self.peer()
        peer.extensions = ["X-MANY"] * 100_000
        _, entry = await self.deferred(peer)
        self.assertEqual(entry.reason, "a reply does not end")

    async def test_garbage_for_a_handshake(self) -> None:
        """220 to STARTTLS and then no TLS: another connection, in the clear, where that is allowed."""
        for garbage in (b"\0" * 5000, b"250 Ok\r\n" * 100, b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x03\xff" * 9):
            peer = self.peer()
            peer.extensions = ["STARTTLS", "PIPELINING"]

            def go(talk: Talk, garbage: bytes = garbage) -> bytes:
                reactor.callLater(0.02, lambda: None if talk.gone.called else talk.transport.write(garbage))
                talk.secure = lambda: None      # type: ignore[method-assign]
                talk.is_over = True
                return b"220 Go\r\n"

            peer.replies = {"STARTTLS": go}
            scheduler = self.route(to=peer)
            await self.send("bob@example.com")
            await self.empty()
            self.assertEqual((len(peer.messages), len(peer.talks)), (1, 2))
            await scheduler.stop()
