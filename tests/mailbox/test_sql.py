"""Mailboxes in the server's own database."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, select
from twisted.internet import reactor
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from mailserver.content import LARGE
from mailserver.interfaces import INBOX, ITransactionalStore
from mailserver.mailbox.sql import Sql
from mailserver.store import contents
from mailserver.store.database import Database
from mailserver.store.schema import content
from mailserver.testing import PluginCase
from mailserver.testing.stores import PREFIX, MailboxStoreContract, octets
from tests.postgres import postgres


class SqliteTests(MailboxStoreContract, PluginCase):
    plugin = Sql

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


class PostgresqlTests(MailboxStoreContract, PluginCase):
    plugin = Sql

    def setUp(self) -> None:
        server = postgres()
        name = server.create()
        self.addCleanup(server.drop, name)
        super().setUp()
        self.server.data.mkdir(parents=True)
        self.server._database = Database(server.url(name), self.server.data)
        self.server._database.open(migrate=True)
