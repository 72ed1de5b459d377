"""A server that takes no octets beyond ASCII gets none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mailserver.delivery.consignment import Consignment, Recipient
from mailserver.delivery.result import Unroutable
from mailserver.reply import Reply
from tests.delivery.cases import ALICE, BOB, CourierCase, yes

EIGHT = "Subject: x\r\n\r\ngrüße\r\n".encode()


class ConversionTests(CourierCase):
    async def carry(self, content: bytes, at_hand: bool, body: str) -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        courier = await self.begin()
        whole = content if at_hand else None
        load = Consignment(ALICE, [Recipient(BOB)], len(content), body, whole, pieces, yes)
        [outcome] = await courier.transact(load)
        return outcome

    async def test_seven_bits(self) -> None:
        """Whether the content is at hand or has to be read, and whatever its BODY was said to be."""
        self.peer.extensions = ["PIPELINING"]
        for at_hand in (True, False):
            for body in ("7BIT", "8BITMIME", "BINARYMIME"):
                self.assertEqual(await self.carry(EIGHT, at_hand, body), Reply(250, "0.0", "Taken"))
                self.assertTrue(self.peer.messages.pop()[2].endswith(b"quoted-printable\r\n\r\ngr=C3=BC=C3=9Fe\r\n"))
                self.assertNotIn("BODY=", " ".join(self.peer.heard))

    async def test_it_comes_back(self) -> None:
        self.peer.extensions = []
        for at_hand in (True, False):
            outcome = await self.carry(b"Subject: \xff\r\n\r\nx\r\n", at_hand, "8BITMIME")
            self.assertIsInstance(outcome, Unroutable)
            self.assertEqual(outcome.detail, "6.3")
        self.assertEqual(self.peer.messages, [])
