"""Mailbox stores outside the database: acceptance spools, delivery puts it there, once."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from mailserver.address import Address
from mailserver.content import Content
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.interfaces import Delivery, IMailboxStore
from mailserver.store import contents, directory, spool
from mailserver.store.schema import content
from tests.delivery.house import HouseCase


@implementer(IMailboxStore)
class Broken:
    """A store that does what the test says."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.delivered: list[Delivery] = []

    def deliver(self, delivery: Delivery) -> Any:
        if self.error is not None:
            raise self.error
        self.delivered.append(delivery)


class LocalTests(HouseCase):
    box_store = "maildir"

    async def test_maildir(self) -> None:
        """The file holds what is ours for alice, then the content; nothing is left in the spool."""
        id = await self.send("alice@example.org")
        [entry] = await self.queue()
        self.assertEqual((entry.kind, entry.place), ("mailbox", "maildir/INBOX"))
        self.work()
        await self.empty()
        [message] = await self.inbox_of(self.alice)
        self.assertTrue(
            message.startswith(b"Return-Path: <alice@example.org>\r\nDelivered-To: alice@example.org\r\nReceived: ")
        )
        self.assertTrue(message.endswith(b"Subject: x\r\n\r\nx\r\n"))
        [attempt] = await self.attempts(id)
        self.assertEqual((attempt["result"], attempt["said"]), ("delivered", "to INBOX (maildir)"))
        self.assertEqual(self.count(content), 0)

    async def test_large(self) -> None:
        large = await self.large()
        await self.send("alice@example.org", content=large)
        self.work()
        await self.empty()
        [message] = await self.inbox_of(self.alice)
        self.assertGreater(len(message), large.size)
        self.assertEqual(list(self.database.contents.iterdir()), [])

    async def test_delivered_and_not_written_down(self) -> None:
        """The server died in between: the next one does not deliver a second copy."""
        await self.send("alice@example.org")
        entries = await self.queue()
        for _ in range(2):
            scheduler = self.work()
            await self.empty()
            await scheduler.stop()
            self.assertEqual(len(await self.inbox_of(self.alice)), 1)
            with self.writing() as connection:
                contents.insert_many(connection, [(entries[0].content_id, Content.of(b"x"), 1)])
                spool.insert_many(connection, entries)

    async def test_troubles(self) -> None:
        """Whatever a store raises keeps the mail in the queue, with the reason."""
        await self.send("alice@example.org")
        for error, words in (
            (TemporaryFailure("the disk is full"), "the disk is full"),
            (OSError(28, "No space left on device"), "maildir: No space left on device"),
            (RuntimeError("x"), "the mailbox store maildir failed: RuntimeError"),
        ):
            self.stores["maildir"] = Broken(error)
            scheduler = self.work(delay_warnings=())        # which would go the same way
            await self.reason(words)
            await scheduler.stop()
            self.moved += 86400
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        store = self.stores["maildir"] = Broken(None)
        self.work()
        await self.empty()
        self.assertEqual([each.account for each in store.delivered], [self.alice])

    async def test_never(self) -> None:
        """A store that will never take it: the sender is told."""
        bob = self.account("bob")
        self.stores["other"] = Broken(PermanentFailure("the mailbox is full"))
        await self.send("bob@example.org")
        with self.writing() as connection:
            connection.exec_driver_sql("UPDATE spool SET place = 'other/INBOX'")
        self.work()
        await self.empty()
        [report] = await self.reports()
        self.assertIn(b"the mailbox is full", report)
        self.assertEqual(await self.inbox_of(bob), [])

    async def test_a_store_that_is_configured_no_more(self) -> None:
        await self.send("alice@example.org")
        del self.stores["maildir"]
        self.work()
        await self.reason("there is no mailbox store called maildir in the configuration")

    async def test_an_account_that_is_gone(self) -> None:
        """The sender is told."""
        self.account("bob")
        await self.send("bob@example.org")
        with self.writing() as connection:
            directory.remove_account(connection, Address("bob", "example.org"), self.database.contents)
        self.directory.forget()
        self.work()
        await self.empty()
        [report] = await self.reports()
        self.assertIn(b"Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n", report)
