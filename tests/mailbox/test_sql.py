"""Mailboxes in the server's own database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from twisted.internet import reactor
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from mailserver.content import LARGE
from mailserver.interfaces import INBOX, ITransactionalStore
from mailserver.store import contents
from mailserver.store.schema import content
from mailserver.testing.imapstores import ImapStoreContract
from mailserver.testing.stores import PREFIX, MailboxStoreContract, octets
from tests.mailbox.databases import PostgresqlCase, SqliteCase


class Elsewhere(ImapStoreContract):
    def another(self) -> Any:
        return self.elsewhere()[0]


class SqliteTests(Elsewhere, MailboxStoreContract, SqliteCase):
    async def test_write(self) -> None:
        """Inside acceptance's transaction: there when it commits, and as if it had never been when it does not."""
        store, bob = self.build(), self.account("bob")
        verifyObject(ITransactionalStore, store)
        delivery = await self.delivery(bob, b"x\r\n")
        for fails in (True, False):
            try:
                with self.server.database.transaction() as connection:
                    contents.insert_many(connection, [(delivery.message, delivery.content, 1)])
                    store.write(connection, [delivery])
                    if fails:
                        raise RuntimeError("as asked")
            except RuntimeError:
                self.assertEqual(await self.all(store, bob), [])
        self.assertEqual(await self.all(store, bob), [PREFIX + b"x\r\n"])

    async def test_shared_content(self) -> None:
        """One content for two mailboxes goes, with its file, when the last of them lets it go."""
        store, alice, bob = self.build(), self.account("alice"), self.account("bob")
        delivery = await self.delivery(bob, octets(2 * LARGE))
        await store.deliver(delivery)
        await store.deliver(replace(delivery, key=delivery.key + 1, account=alice))
        for account, left in ((alice, 1), (bob, 0)):
            self.assertEqual(self._files(), 1)
            box = await store.open(account, INBOX)
            await box.remove([each.uid for each in await box.messages()])
            with self.server.database.reading() as connection:
                self.assertEqual(connection.execute(select(func.count()).select_from(content)).scalar(), left)
        for _ in range(100):
            if not self._files():
                return
            await deferLater(reactor, 0.02, lambda: None)
        self.fail("the file stays")

    def _files(self) -> int:
        return len(list(self.server.database.contents.iterdir()))


class PostgresqlTests(Elsewhere, MailboxStoreContract, PostgresqlCase):
    pass
