"""Success: who asked to hear of it, and logged in, does; in the transaction that delivers."""

from __future__ import annotations

import email
from typing import Any

from mailserver.address import Address
from mailserver.envelope import Client, Origin
from mailserver.errors import TemporaryFailure
from mailserver.store import directory
from mailserver.store.schema import content, trace
from mailserver.wishes import Wishes
from tests.delivery.house import ALICE, HouseCase
from tests.store.cases import NOW

LOGGED_IN = Client("192.0.2.1", 1, "submission", login=ALICE)
STRANGER = Client("192.0.2.1", 1, "smtp")


class ReceiptTests(HouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.bob = self.account("bob")

    async def fields(self, octets: bytes) -> list[Any]:
        parts: Any = email.message_from_bytes(octets).get_payload()
        return parts[1].get_payload()

    async def test_delivered_at_once(self) -> None:
        """It lies there as soon as the message is accepted; it names what the sender called them."""
        wishes = Wishes(envid="e 1")
        orcpt = "rfc822;Bob@x.example"
        await self.send("bob@example.org", client=LOGGED_IN, notify="SUCCESS", orcpt=orcpt, wishes=wishes)
        [receipt] = await self.inbox_of(self.alice)
        self.assertEqual(len(await self.inbox_of(self.bob)), 1)
        self.assertTrue(receipt.startswith(b"Return-Path: <>\r\n"))
        whole, recipient = await self.fields(receipt)
        self.assertEqual(whole["Original-Envelope-Id"], "e 1")
        self.assertEqual(recipient["Original-Recipient"], "rfc822; Bob@x.example")
        self.assertEqual(
            (recipient["Final-Recipient"], recipient["Action"], recipient["Status"]),
            ("rfc822; bob@example.org", "delivered", "2.0.0"),
        )

    async def test_one_for_all(self) -> None:
        self.account("carol")
        await self.send("bob@example.org", "carol@example.org", client=LOGGED_IN, notify="SUCCESS,FAILURE")
        [receipt] = await self.inbox_of(self.alice)
        self.assertEqual(len(await self.fields(receipt)), 3)

    async def test_not_asked(self) -> None:
        for notify in ("", "FAILURE,DELAY", "NEVER"):
            await self.send("bob@example.org", client=LOGGED_IN, notify=notify)
        self.assertEqual(await self.inbox_of(self.alice), [])

    async def test_strangers_cause_nothing(self) -> None:
        """Whoever says that alice sends it: she hears nothing."""
        await self.send("bob@example.org", client=STRANGER, notify="SUCCESS", origin=Origin.ARRIVAL)
        await self.send("bob@example.org", client=LOGGED_IN, sender=None, notify="SUCCESS")
        self.assertEqual((await self.inbox_of(self.alice), await self.queue()), ([], []))
        self.assertEqual(len(await self.inbox_of(self.bob)), 2)

    async def test_to_elsewhere(self) -> None:
        """A sender who has a mailbox elsewhere gets it from the spool."""
        there = Address.parse("alice@example.com")
        await self.send("bob@example.org", client=LOGGED_IN, sender=there, notify="SUCCESS")
        [entry] = await self.queue()
        self.assertEqual((entry.target, entry.sender), (there, None))

    async def test_expanded(self) -> None:
        """An alias of several is told of once, and each of its members not at all (RFC 3461 5.2.7.1)."""
        targets = ["bob@example.org", "eve@example.com"]
        with self.writing() as connection:
            directory.add_alias(connection, "team@example.org", targets, NOW, self.data / "contents")
        self.acceptance._router.forwarders = (*self.acceptance._router.forwarders, self.aliases())
        await self.send("team@example.org", client=LOGGED_IN, notify="SUCCESS,FAILURE")
        [receipt] = await self.inbox_of(self.alice)
        [_, recipient] = await self.fields(receipt)
        self.assertEqual((recipient["Final-Recipient"], recipient["Action"]), ("rfc822; team@example.org", "expanded"))
        [entry] = await self.queue()
        self.assertEqual((str(entry.target), entry.wishes.notify), ("eve@example.com", "FAILURE"))

    def aliases(self) -> Any:
        from mailserver.forwarding.aliases import Aliases
        from mailserver.hooks import Asked
        from mailserver.interfaces import NoOptions

        class Server:
            directory = self.directory

        return Asked("aliases", Aliases(NoOptions(), Server()), self.world.clock)          # type: ignore[arg-type]


class TroubleTests(HouseCase):
    async def test_all_or_nothing(self) -> None:
        """Where the receipt cannot be written, nothing was accepted: whoever sends hears "not now", and comes back."""
        self.account("bob")
        write = self.acceptance._transactional["sql"].write

        def full(connection: Any, deliveries: Any) -> None:
            write(connection, deliveries)
            if any(each.account.address == ALICE for each in deliveries):
                raise TemporaryFailure("no room")

        self.patch(self.acceptance._transactional["sql"], "write", full)
        with self.assertRaises(TemporaryFailure):
            await self.send("bob@example.org", client=LOGGED_IN, notify="SUCCESS")
        self.assertEqual((self.count(content), self.count(trace)), (0, 0))

    async def test_the_sender_is_gone(self) -> None:
        """Then nobody is told, and the mail is delivered all the same."""
        bob = self.account("bob")
        gone = Address.parse("gone@example.org")
        await self.send("bob@example.org", client=LOGGED_IN, sender=gone, notify="SUCCESS")
        self.assertEqual(len(await self.inbox_of(bob)), 1)
        self.assertEqual(self.count(trace), 1)
