"""What is endured from servers that answer badly, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater

from mailserver.address import Address
from mailserver.delivery import courier as courier_module
from mailserver.delivery import line as line_module
from mailserver.delivery.line import Unanswered, Unusable
from mailserver.reply import Reply
from tests.delivery.cases import BOB, EVE, CourierCase
from tests.delivery.peers import CLOSE, SILENCE, Talk

reactor: Any = installed_reactor


class HostileTests(CourierCase):
    async def refuses(self, words: str, *recipients: Address) -> Unusable:
        with self.assertRaisesRegex(Unusable, words) as caught:
            await self.send(*recipients or (BOB,))
        await self.peer.until(lambda: all(talk.gone.called for talk in self.peer.talks))
        self.assertEqual(self.peer.messages, [])
        return caught.exception

    async def test_greetings(self) -> None:
        for greeting, words in (
            (b"554 5.3.2 Go away\r\n", "^greeted with 554 5.3.2 Go away$"),
            (b"421 4.3.2 Not now\r\n", "^421 4.3.2 Not now$"),
            (b"250 Hello\r\n", "greeted with 250"),
            (b"SSH-2.0-OpenSSH_9\r\n", "not a reply: SSH"),
            (b"\x15\x03\x01\x00\x02\x02\x46\n", r"not a reply: \?"),
            (CLOSE, "^the connection was closed by the server$"),
        ):
            self.peer.replies[""] = greeting
            await self.refuses(words)

    async def test_ten_megabytes_of_continuation(self) -> None:
        """At the greeting, at EHLO, at RCPT, at the end: given up after a bounded part of it."""
        flood = b"250-and more of this, and more\r\n" * 300_000
        for command in ("", "EHLO", "RCPT"):
            self.peer.replies = {command: b"220-x\r\n" * 1_500_000 if not command else flood}
            await self.refuses("a reply does not end")
        self.peer.replies = {".": flood}
        [outcome] = await self.send(BOB)
        self.assertIsInstance(outcome, Unanswered)

    async def test_a_flood_while_we_send(self) -> None:
        """Octets that nobody asked for end it, and the last reply in them is not taken for the end's."""
        self.peer.replies = {"DATA": b"354 Go on\r\n250 2.0.0 Taken already\r\n"}
        with self.assertRaisesRegex(Unusable, "answered what it was not asked"):
            await self.send(BOB)
        self.assertEqual(self.peer.messages, [])

    async def test_250_to_data(self) -> None:
        self.peer.replies = {"DATA": b"250 2.0.0 Ok\r\n"}
        await self.refuses("answered DATA with 250")

    async def test_a_reply_too_many(self) -> None:
        """Every later answer would be another's: the end of it."""
        self.peer.extensions = []
        self.peer.replies = {"MAIL": b"250 Ok\r\n250 Ok\r\n"}
        await self.refuses("answered what it was not asked")

    async def test_goodbye(self) -> None:
        """421 is no answer to the command, but the end; it is what the queue shows."""
        self.peer.replies = {"RCPT TO:<eve": b"421 4.7.0 Too many, bye\r\n"}
        failure = await self.refuses("^421 4.7.0 Too many, bye$", BOB, EVE)
        self.assertEqual(failure.reply, Reply(421, "7.0", "Too many, bye"))

    async def test_it_hangs_up_while_we_send(self) -> None:
        """What it said before that is told."""

        def enough(talk: Talk) -> bytes:
            reactor.callLater(0.05, talk.transport.write, b"552 5.3.4 Too big\r\n")
            reactor.callLater(0.05, talk.transport.loseWriteConnection)     # a whole close could overtake its words
            return b"354 Go on\r\n"

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(50):
                await deferLater(reactor, 0.01)
                yield b"x\r\n"

        self.peer.replies = {"DATA": enough}
        courier = await self.begin()
        with self.assertRaisesRegex(Unusable, "^552 5.3.4 Too big$"):
            await courier.transact(self.load(pieces))

    async def test_it_closes_after_the_end(self) -> None:
        """Perhaps they have it, perhaps not: it is tried again, later, and not at the next host at once."""
        self.peer.replies = {".": CLOSE}
        for outcome in await self.send(BOB, EVE):
            self.assertIsInstance(outcome, Unanswered)
            self.assertEqual(str(outcome), "the message was sent, but the connection was closed by the server")

    async def test_nonsense_after_the_end(self) -> None:
        for nonsense in (b"999 ok\r\n", b"\0\r\n", b"250-a\r\n550 b\r\n"):
            self.peer.replies = {".": nonsense}
            [outcome] = await self.send(BOB)
            self.assertIsInstance(outcome, Unanswered)

    async def test_words_that_would_be_more(self) -> None:
        """A reply is one line of printable characters in whatever it is written to."""
        self.peer.replies = {"RCPT": b"550 5.1.1 no\rFinal-Recipient: x\0 \x1b[2J {a.__class__} %s\r\n"}
        [outcome] = await self.send(BOB)
        self.assertEqual(str(outcome), "550 5.1.1 no?Final-Recipient: x? ?[2J {a.__class__} %s")


class PatienceTests(CourierCase):
    """The waits of RFC 5321 4.5.3.2, on a clock that the test moves."""

    async def test_waits(self) -> None:
        self.peer.extensions = []
        for command, seconds in (
            ("", courier_module.GREETING), ("EHLO", line_module.COMMAND), ("MAIL", line_module.COMMAND),
            ("RCPT", line_module.COMMAND), ("DATA", courier_module.DATA),
        ):
            self.peer.replies = {command: SILENCE}
            with self.assertRaisesRegex(Unusable, f"^no answer within {seconds:g} s$"):
                await self.patience(self.send(BOB), seconds)

    async def test_the_end(self) -> None:
        self.peer.replies = {".": SILENCE}
        [outcome] = await self.patience(self.send(BOB), courier_module.FINAL)
        self.assertIsInstance(outcome, Unanswered)
        self.assertEqual(str(outcome), "the message was sent, but no answer within 600 s")

    async def test_trickling(self) -> None:
        """A reply that never ends does not begin the wait anew with each octet."""

        def trickle(talk: Talk) -> str:
            def drop() -> None:
                if not talk.gone.called:
                    talk.transport.write(b"2")
                    self.clock.advance(50)
                    reactor.callLater(0.01, drop)

            drop()
            return SILENCE

        self.peer.extensions = []
        self.peer.replies = {"MAIL": trickle}
        with self.assertRaisesRegex(Unusable, "^no answer within 300 s$"):
            await self.send(BOB)
        await self.peer.until(lambda: self.peer.talks[0].gone.called)
        await deferLater(reactor, 0.05)

    async def test_who_takes_nothing(self) -> None:
        def deaf(talk: Talk) -> bytes:
            talk.transport.pauseProducing()
            return b"354 Go on\r\n"

        self.peer.replies = {"DATA": deaf}
        with self.assertRaisesRegex(Unusable, "^the server takes nothing for 180 s$"):
            await self.patience(self.send(BOB, content=b"x" * 9_000_000), line_module.BLOCK)

    async def test_who_does_not_hang_up(self) -> None:
        """The end does not wait for ever for the answer to QUIT."""
        self.peer.replies = {"QUIT": SILENCE}
        courier = await self.begin()
        self.patch(Talk, "command", lambda talk, line: None)
        courier.line.quit()
        await deferLater(reactor, 0.05)
        self.assertFalse(courier.line.gone.called)
        self.clock.advance(line_module.LEAVING)
        await courier.line.gone
        self.assertEqual(self.clock.getDelayedCalls(), [])
