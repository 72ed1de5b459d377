"""Mailboxes in the server's own database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from twisted.internet import reactor
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from mailserver.chores import Chores
from mailserver.config import load
from mailserver.content import LARGE
from mailserver.errors import OverQuota
from mailserver.imapstore import Quota
from mailserver.interfaces import INBOX, ITransactionalStore
from mailserver.store import contents, directory, viewing
from mailserver.store.schema import content
from mailserver.testing.imapstores import ImapSteps, ImapStoreContract
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


class Limits(ImapSteps):
    """What only this store knows: limits in its tables."""

    async def test_quota_of_a_domain(self) -> None:
        """All its accounts together; the nearer of the two limits counts, and others have nothing to do with it."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        eve = self.server.add_account("eve@example.net")
        self.assertFalse(await store.has_quotas())
        with self.server.database.transaction() as connection:
            directory.set_domain_quota(connection, "example.org", 100, 5)
            directory.set_quota(connection, alice.id, 30, None)
        self.assertTrue(await store.has_quotas())
        await self.append(store, bob, b"x" * 40, b"x" * 40)
        await self.append(store, eve, b"x" * 500)
        self.assertEqual(await store.quota(bob), Quota(80, 100, 2, 5))
        self.assertEqual(await store.quota(alice), Quota(0, 20, 0, 3))
        before = await store.status(alice)
        with self.assertRaises(OverQuota):
            await self.append(store, alice, b"x" * 21)
        self.assertEqual(await store.status(alice), before)
        await self.append(store, alice, b"x" * 20)
        self.assertFalse((await store.quota(bob)).has_room(1))
        dave = self.account("dave")
        self.assertFalse((await store.quota(dave)).has_room(0))
        with self.assertRaises(OverQuota):
            await self.append(store, dave, b"x")
        self.assertTrue((await store.quota(eve)).has_room(10**9))
        box = await store.open(bob, INBOX)
        await box.remove([1])
        self.assertEqual(await store.quota(alice), Quota(20, 30, 1, 4))

    async def test_what_was_expunged_is_forgotten(self) -> None:
        """After a month; who then asks for more than is known hears that it is not known."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b", b"c", b"d")
        box = await store.open(bob, INBOX)
        start = (await box.load()).modseq
        await box.remove([1])
        self.server.clock.advance(viewing.KEEP / 2)
        middle = (await box.load()).modseq
        await box.remove([2])
        file = self.server.data / "mailserver.toml"
        file.write_text('hostname = "mx.example.org"\ndata = "."\n')
        config = load(file)
        chores = Chores(self.server.database, self.server, "x", lambda: config, True, self._nothing)
        self.server.clock.advance(viewing.KEEP / 2 - 1)
        await chores.tidy()
        self.assertEqual(list((await box.changes(start)).gone), [1, 2])
        self.server.clock.advance(2)
        await chores.tidy()
        self.assertIsNone((await box.changes(start)).gone)
        self.assertEqual([uid for uid, _, _ in (await box.changes(1)).changed], [3, 4])
        self.assertEqual(list((await box.changes(middle)).gone), [2])
        self.server.clock.advance(viewing.KEEP)
        await chores.tidy()
        now = (await box.load()).modseq
        self.assertIsNone((await box.changes(middle)).gone)
        self.assertEqual(list((await box.changes(now)).gone), [])
        await box.remove([3])
        self.assertEqual(list((await box.changes(now)).gone), [3])

    async def test_too_much_was_expunged(self) -> None:
        """Only so many UIDs of a mailbox are remembered, the newest."""
        self.patch(viewing, "KEEP_MOST", 5)
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, *[b"%d" % number for number in range(8)])
        box = await store.open(bob, INBOX)
        points = []
        for uid in range(1, 9):
            points.append((await box.load()).modseq)
            await box.remove([uid])
        await self.server.database.write(viewing.forget_expunged, self.server.now())
        self.assertEqual(self.ask("SELECT COUNT(*) FROM expunged"), [(5,)])
        for uid, modseq in enumerate(points, 1):
            gone = (await box.changes(modseq)).gone
            self.assertEqual(None if gone is None else list(gone), None if uid < 4 else list(range(uid, 9)))

    async def _nothing(self) -> None:
        pass


class SqliteLimits(Limits, SqliteCase):
    pass


class PostgresqlLimits(Limits, PostgresqlCase):
    pass
