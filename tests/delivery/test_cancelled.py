"""What an operator removes with a bounce: nobody tries it, and its sender hears of it."""

from __future__ import annotations

from mailserver.store import queue
from tests.delivery.house import HouseCase


class CancelledTests(HouseCase):
    async def cancel(self, *recipients: str) -> None:
        entries = await self.queue()
        ids = [each.id for each in entries if str(each.recipient) in recipients]
        await self.database.write(queue.cancel, ids, self.world.now())

    async def test_the_sender_is_told(self) -> None:
        """The host that would take it is not asked."""
        peer = self.peer()
        id = await self.send("carol@example.com", "dave@example.com")
        await self.cancel("carol@example.com")
        self.route(to=peer)
        [report] = await self.reports()
        await self.empty()
        self.assertIn(b"carol@example.com", report)
        self.assertIn(b"removed by an operator", report)
        self.assertNotIn(b"dave@example.com", report)
        self.assertEqual([each for each in peer.heard if each.startswith("RCPT")], ["RCPT TO:<dave@example.com>"])
        told = {each["recipient"]: each["result"] for each in await self.attempts(id)}
        self.assertEqual(told, {"carol@example.com": "failed", "dave@example.com": "delivered"})

    async def test_mailbox(self) -> None:
        """The same for a mailbox outside the database."""
        self.box_store = "maildir"
        id = await self.send("carol@example.com")
        await self.database.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE spool SET kind = 'mailbox', place = 'maildir/INBOX', target = 'alice@example.org'"
            )
        )
        await self.cancel("carol@example.com")
        self.work()
        await self.empty()
        self.assertEqual([each["said"] for each in await self.attempts(id)], ["removed by an operator"])
