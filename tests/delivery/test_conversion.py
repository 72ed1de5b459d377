"""A server that takes no octets beyond ASCII gets none."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

from mailserver.delivery import conversion
from mailserver.delivery.consignment import Consignment, Recipient
from mailserver.delivery.conversion import SMALL
from mailserver.delivery.result import Unroutable
from mailserver.reply import Reply
from mailserver.smtp.sevenbit import Conversion, Survey
from tests.delivery.cases import ALICE, BOB, CourierCase, yes
from tests.delivery.house import HouseCase

EIGHT = "Subject: x\r\n\r\ngrüße\r\n".encode()
LARGE = EIGHT + b"x\r\n" * SMALL


class ConversionTests(CourierCase):
    async def carry(self, content: bytes, at_hand: bool, body: str, lmtp: bool = False) -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        courier = await self.begin(lmtp)
        whole = content if at_hand else None
        load = Consignment(ALICE, [Recipient(BOB)], len(content), body, whole, pieces, yes)
        [outcome] = await courier.transact(load)
        return outcome

    async def test_seven_bits(self) -> None:
        """Whether the content is at hand or has to be read, and whatever its BODY was said to be."""
        self.peer.extensions = ["PIPELINING"]
        for at_hand in (True, False):
            for body in ("7BIT", "8BITMIME", "BINARYMIME"):
                for content, end in ((EIGHT, b""), (LARGE, b"x\r\n" * SMALL)):
                    self.assertEqual(await self.carry(content, at_hand, body), Reply(250, "0.0", "Taken"))
                    self.assertTrue(
                        self.peer.messages.pop()[2].endswith(b"quoted-printable\r\n\r\ngr=C3=BC=C3=9Fe\r\n" + end)
                    )
                    self.assertNotIn("BODY=", " ".join(self.peer.heard))

    async def test_lmtp(self) -> None:
        self.peer.extensions, self.peer.lmtp = [], True
        for at_hand in (True, False):
            self.assertEqual(await self.carry(LARGE, at_hand, "8BITMIME", lmtp=True), Reply(250, "0.0", "Taken"))
            self.assertTrue(self.peer.messages.pop()[2].isascii())

    async def test_it_comes_back(self) -> None:
        self.peer.extensions = []
        for at_hand in (True, False):
            for more in (b"", b"x\r\n" * SMALL):
                outcome = await self.carry(b"Subject: \xff\r\n\r\nx\r\n" + more, at_hand, "8BITMIME")
                self.assertIsInstance(outcome, Unroutable)
                self.assertEqual(outcome.detail, "6.3")
        self.assertEqual(self.peer.messages, [])

    async def test_too_large_then(self) -> None:
        """It fits the SIZE as it is, and not as it would be sent."""
        for count in (100, SMALL):
            content = b"Subject: x\r\n\r\n" + b"\xfc" * count
            self.peer.extensions = [f"SIZE {len(content) + 50}"]
            outcome = await self.carry(content, True, "8BITMIME")
            self.assertIsInstance(outcome, Unroutable)
            self.assertEqual(outcome.detail, "3.4")
        self.assertEqual(self.peer.messages, [])


class ThreadTests(CourierCase):
    """What could take long is not done where everybody waits for it."""

    carry = ConversionTests.carry

    def setUp(self) -> None:
        super().setUp()
        self.peer.extensions = ["PIPELINING"]
        self.here = threading.current_thread()
        self.where: list[threading.Thread] = []

    def spied(self, work: Any) -> Any:
        def spy(*args: Any) -> Any:
            self.where.append(threading.current_thread())
            return work(*args)

        return spy

    async def test_at_hand(self) -> None:
        """Large ones elsewhere; small ones, and what needs only a look, at once."""
        self.patch(conversion, "converted", self.spied(conversion.converted))
        await self.carry(EIGHT, True, "8BITMIME")
        await self.carry(b"x\r\n" * SMALL, True, "8BITMIME")
        self.assertEqual(self.where, [self.here] * 2)
        await self.carry(LARGE, True, "8BITMIME")
        await self.carry(b"Subject: x\r\n\r\n" + b"x\r\n" * SMALL, True, "BINARYMIME")
        self.assertEqual(len(self.where), 4)
        self.assertNotIn(self.here, self.where[2:])

    async def test_in_pieces(self) -> None:
        """When it is looked at, and again when it is sent."""
        for kind in (Survey, Conversion):
            for name in ("feed", "end"):
                self.patch(kind, name, self.spied(getattr(kind, name)))
        await self.carry(LARGE, False, "8BITMIME")
        self.assertEqual(len(self.where), 4)
        self.assertNotIn(self.here, self.where)


class InTurnTests(HouseCase):
    """Large and small ones, with octets beyond ASCII and without, over one connection."""

    async def check(self, *, lmtp: bool = False, extensions: tuple[str, ...] = ("PIPELINING",)) -> None:
        peer = self.peer(lmtp=lmtp)
        peer.extensions = list(extensions)
        names = [f"u{number:02d}@example.com" for number in range(24)]
        for number, name in enumerate(names):
            text = ("grüße" if number % 2 else "hello") + f" {name}\r\n" + "x\r\n" * (SMALL if number % 3 == 0 else 1)
            await self.send(name, content=f"Subject: x\r\n\r\n{text}".encode())
        self.route(to=peer, connections_per_host=1)
        await self.until(self._is_empty, 30)
        self.assertEqual([recipient for _, [recipient], _ in peer.messages], names)
        self.assertEqual(len(peer.talks), 1)
        for number, (_, [recipient], octets) in enumerate(peer.messages):
            word = b"gr=C3=BC=C3=9Fe" if number % 2 else b"hello"
            lines = octets.partition(b"\r\n\r\n")[2].split(b"\r\n")
            self.assertEqual((lines[0], len(lines)), (word + b" " + recipient.encode(),
                                                      (SMALL if number % 3 == 0 else 1) + 2))

    async def test_smtp(self) -> None:
        await self.check()

    async def test_smtp_one_by_one(self) -> None:
        await self.check(extensions=())

    async def test_lmtp(self) -> None:
        await self.check(lmtp=True)
