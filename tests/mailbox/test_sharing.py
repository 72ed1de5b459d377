"""Shared mailboxes in the server's own database."""

from __future__ import annotations

from mailserver.errors import AlreadyExists, NotFound
from mailserver.imapstore import Flags
from mailserver.interfaces import SEEN
from mailserver.store import delegates, directory, publics, shares, sights
from mailserver.testing.imapstores import PLAIN
from mailserver.testing.sharing import SharingContract
from tests.mailbox.databases import PostgresqlCase, SqliteCase


class SqliteTests(SharingContract, SqliteCase):
    async def test_public(self) -> None:
        """A domain has them as long as it has any; nobody is their owner."""
        store, bob = self.build(), self.account("bob")
        self.assertIsNone(await store.owner("@example.org"))
        with self.server.database.transaction() as connection:
            publics.create_public(connection, "Example.org", "team", 0.0)
            publics.create_public(connection, "example.org", "team/a", 0.0)
            with self.assertRaises(AlreadyExists):
                publics.create_public(connection, "example.org", "team", 0.0)
        with self.assertRaises(NotFound), self.server.database.transaction() as connection:
            publics.create_public(connection, "example.net", "team", 0.0)
        owner = await store.owner("@example.org")
        self.assertEqual([await store.rights(bob, owner, each) for each in ("team", "team/a")], ["lrs", "lrs"])
        with self.server.database.transaction() as connection:
            names = [str(each.address) for each in directory.accounts(connection, "example.org")]
            self.assertEqual(names, ["bob@example.org", "postmaster@example.org"])
            directory.remove_account(connection, bob.address, self.server.database.contents)
            with self.assertRaisesRegex(AlreadyExists, "shared mailboxes"):
                directory.remove_domain(connection, "example.org")
        await store.delete(owner, "team")
        await store.delete(owner, "team/a")
        with self.server.database.transaction() as connection:
            directory.remove_domain(connection, "example.org")
        self.assertEqual(self.ask("SELECT COUNT(*) FROM share"), [(0,)])

    async def test_account_removed(self) -> None:
        """With an account goes all that it might, and had read."""
        store, alice, bob = await self.both()
        await self.append(store, alice, PLAIN, name="Plans")
        await store.share(alice, "Plans", "bob@example.org", "=", "lrs")
        await (await store.view(alice, "Plans", bob)).store([(1, 1)], "+", Flags(SEEN))
        with self.server.database.transaction() as connection:
            delegates.allow(connection, alice.id, bob.id)
            directory.remove_account(connection, bob.address, self.server.database.contents)
        for table in ("share", "sight", "delegate"):
            self.assertEqual(self.ask(f"SELECT COUNT(*) FROM {table}"), [(0,)], table)

    async def test_forgotten(self) -> None:
        """What was seen of messages that are gone is forgotten some time."""
        store, alice, bob = await self.both()
        await self.append(store, alice, PLAIN, PLAIN, name="Plans")
        await (await store.view(alice, "Plans", bob)).store([(1, 2)], "+", Flags(SEEN))
        await (await store.open(alice, "Plans")).remove([1])
        await self.server.database.write(sights.forget)
        self.assertEqual(self.ask("SELECT uid FROM sight"), [(2,)])

    async def test_many(self) -> None:
        """A list has its limit."""
        store, alice, _ = await self.both()
        self.patch(shares, "MOST_SHARES", 2)
        for who in ("anyone", "-anyone"):
            await store.share(alice, "Plans", who, "=", "l")
        with self.assertRaisesRegex(Exception, "may be shared with 2"):
            await store.share(alice, "Plans", "bob@example.org", "=", "l")
        await store.share(alice, "Plans", "anyone", "=", "lr")


class PostgresqlTests(PostgresqlCase, SqliteTests):
    pass
