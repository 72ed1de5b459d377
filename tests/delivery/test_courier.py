"""What is said to a server that answers well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from mailserver.address import Address
from mailserver.delivery.line import Unanswered, Unusable
from mailserver.errors import PermanentFailure
from mailserver.reply import Reply
from tests.delivery.cases import ALICE, BOB, EVE, CourierCase, no
from tests.delivery.peers import Peer, Talk

reactor: Any = installed_reactor


class SendingTests(CourierCase):
    async def test_with_pipelining(self) -> None:
        """Up to DATA in one go; size and body where they are offered."""
        outcomes = await self.send(BOB, EVE, content=b".x\r\ny")
        self.assertEqual(outcomes, [Reply(250, "0.0", "Taken")] * 2)
        [message] = self.peer.messages
        self.assertEqual(message, ("alice@example.com", ["bob@example.com", "eve@example.com"], b".x\r\ny\r\n"))
        await self.peer.until(lambda: "QUIT" in self.peer.heard)
        self.assertEqual(
            self.peer.heard,
            ["EHLO us.example.org", "MAIL FROM:<alice@example.com> SIZE=5 BODY=8BITMIME", "RCPT TO:<bob@example.com>",
             "RCPT TO:<eve@example.com>", "DATA", "QUIT"],
        )

    async def test_without_extensions(self) -> None:
        """Each command waits for the answer before it; no parameter that is not understood."""
        self.peer.extensions = []
        at_once: list[bytes] = []

        def note(talk: Talk) -> bytes:
            at_once.append(talk.buffer)
            return b"250 Ok\r\n"

        self.peer.replies = {"MAIL": note, "RCPT": note}
        self.assertEqual(await self.send(BOB, EVE, sender=None), [Reply(250, "0.0", "Taken")] * 2)
        self.assertEqual(at_once, [b"", b"", b""])
        self.assertEqual(self.peer.heard[1], "MAIL FROM:<>")

    async def test_helo(self) -> None:
        """For who does not know EHLO; nothing is offered then."""
        self.peer.replies = {"EHLO": b"502 5.5.1 What?\r\n"}
        self.assertEqual(await self.send(BOB), [Reply(250, "0.0", "Taken")])
        self.assertEqual(self.peer.heard[1:3], ["HELO us.example.org", "MAIL FROM:<alice@example.com>"])

    async def test_partial(self) -> None:
        """Each recipient has its own answer; who was refused is not served by the others' 250."""
        self.peer.replies = {"RCPT TO:<eve": b"550 5.1.1 No such user\r\n", "RCPT TO:<alice": b"452 4.2.2 Full\r\n"}
        for extensions in (["PIPELINING"], []):
            self.peer.extensions = extensions
            self.assertEqual(
                await self.send(EVE, BOB, ALICE),
                [Reply(550, "1.1", "No such user"), Reply(250, "0.0", "Taken"), Reply(452, "2.2", "Full")],
            )
            self.assertEqual(self.peer.messages.pop()[1], ["bob@example.com"])

    async def test_nobody(self) -> None:
        """All are refused: nothing is sent, even to a server that says go on all the same."""
        self.peer.replies = {"RCPT": b"550 5.1.1 No\r\n"}
        for extensions in (["PIPELINING"], []):
            self.peer.extensions = extensions
            self.assertEqual(await self.send(BOB, EVE), [Reply(550, "1.1", "No")] * 2)
        self.assertEqual(self.peer.messages, [])
        self.peer.extensions = ["PIPELINING"]
        self.peer.replies["DATA"] = b"354 Go on\r\n"
        self.assertEqual(await self.send(BOB), [Reply(550, "1.1", "No")])
        await self.peer.until(lambda: self.peer.messages)
        self.assertEqual(self.peer.messages, [("alice@example.com", [], b"")])

    async def test_sender_refused(self) -> None:
        """That is the answer for all."""
        self.peer.replies = {"MAIL": b"550 5.7.1 Not you\r\n", "RCPT": b"503 5.5.1 Bad sequence\r\n"}
        for extensions in (["PIPELINING"], []):
            self.peer.extensions = extensions
            self.assertEqual(await self.send(BOB, EVE), [Reply(550, "7.1", "Not you")] * 2)

    async def test_refused_at_data(self) -> None:
        """Who was refused before keeps the own answer."""
        self.peer.replies = {"DATA": b"451 4.3.0 Later\r\n", "RCPT TO:<eve": b"550 5.1.1 No\r\n"}
        self.assertEqual(await self.send(BOB, EVE), [Reply(451, "3.0", "Later"), Reply(550, "1.1", "No")])

    async def test_refused_content(self) -> None:
        self.peer.replies = {".": b"554 5.7.1 Spam\r\n"}
        self.assertEqual(await self.send(BOB, EVE), [Reply(554, "7.1", "Spam")] * 2)

    async def test_beyond_ascii(self) -> None:
        """With SMTPUTF8 if the server has it; else who cannot be told is refused, and the others are served."""
        joerg = Address.parse("jörg@example.com")
        self.peer.extensions = ["SMTPUTF8"]
        self.assertEqual(await self.send(joerg, BOB), [Reply(250, "0.0", "Taken")] * 2)
        self.assertEqual(self.peer.heard[1], "MAIL FROM:<alice@example.com> SMTPUTF8")
        self.peer.extensions = []
        refused, taken, again = await self.send(joerg, BOB, joerg)
        self.assertIsInstance(refused, PermanentFailure)
        self.assertIsInstance(again, PermanentFailure)
        self.assertEqual(taken, Reply(250, "0.0", "Taken"))
        [refused] = await self.send(BOB, sender=joerg)
        self.assertIsInstance(refused, PermanentFailure)

    async def test_large(self) -> None:
        """Content that the server reads slowly is not piled up in memory: we wait for it."""
        asked = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal asked
            for _ in range(200):
                asked += 1
                yield b"x" * 99_998 + b"\r\n"

        courier = await self.begin()
        talk = await self.peer.until(lambda: self.peer.talks and self.peer.talks[0])
        self.peer.replies["DATA"] = lambda talk: (talk.transport.pauseProducing(), b"354 Go on\r\n")[1]
        sending = Deferred.fromCoroutine(courier.transact(self.load(pieces)))
        await deferLater(reactor, 0.3)
        taken = asked
        self.assertLess(taken, 100)         # the kernel's buffers are full, and ours do not grow
        await deferLater(reactor, 0.1)
        self.assertEqual(asked, taken)
        talk.transport.resumeProducing()
        self.assertEqual(await sending, [Reply(250, "0.0", "Taken")])
        self.assertEqual(len(self.peer.messages[0][2]), 20_000_000)

    async def test_not_ours_any_more(self) -> None:
        """Whoever has lost the lease never sends the final dot."""
        with self.assertRaises(Unanswered):
            await self.send(BOB, may_send=no)
        await self.peer.until(lambda: self.peer.talks[0].gone.called)
        self.assertEqual(self.peer.messages, [])

    async def test_content_that_breaks(self) -> None:
        """The connection is cut; half a message is never ended with a dot."""

        async def broken() -> AsyncIterator[bytes]:
            yield b"half\r\n"
            raise OSError("disk")

        courier = await self.begin()
        with self.assertRaises(OSError):
            await courier.transact(self.load(broken))
        await self.peer.until(lambda: self.peer.talks[0].gone.called)
        self.assertEqual(self.peer.messages, [])


class LmtpTests(CourierCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.peer = self.listen(Peer(lmtp=True))

    async def test_an_answer_each(self) -> None:
        """In the order of those that were taken."""
        self.peer.replies = {
            ".": b"250 2.1.5 One\r\n452 4.2.2 Full\r\n", "RCPT TO:<bob": b"550 5.1.1 No\r\n",
        }
        self.assertEqual(
            await self.send(ALICE, BOB, EVE, lmtp=True),
            [Reply(250, "1.5", "One"), Reply(550, "1.1", "No"), Reply(452, "2.2", "Full")],
        )
        self.assertEqual(self.peer.heard[0], "LHLO us.example.org")

    async def test_no_helo(self) -> None:
        self.peer.replies = {"LHLO": b"500 5.5.1 What?\r\n"}
        with self.assertRaisesRegex(Unusable, "did not accept our greeting"):
            await self.begin(lmtp=True)
        self.assertEqual(self.peer.verbs(), ["LHLO"])

    async def test_it_closes_in_the_middle(self) -> None:
        """Who was delivered is delivered; the others are tried again."""

        def one_of_three(talk: Talk) -> bytes:
            reactor.callLater(0.05, talk.transport.loseConnection)
            return b"250 2.1.5 One\r\n"

        self.peer.replies = {".": one_of_three}
        one, two, three = await self.send(ALICE, BOB, EVE, lmtp=True)
        self.assertEqual(one, Reply(250, "1.5", "One"))
        for each in (two, three):
            self.assertIsInstance(each, Unanswered)
