"""Mail for mailboxes in which anyone may post."""

from __future__ import annotations

from mailserver.address import Address
from mailserver.destination import Mailbox
from mailserver.errors import AlreadyExists, NotFound
from mailserver.forwarding.accounts import Accounts
from mailserver.forwarding.shared import Shared
from mailserver.store import directory, postings, publics, sharing
from mailserver.store.mailboxes import create, rename
from mailserver.testing import ForwarderContract, PluginCase

BOB = Address("bob", "example.org")
PUBLIC = Address("", "example.org")


class SharedTests(ForwarderContract, PluginCase):
    plugin = Shared
    others = ("bob@example.org", "bob+Sent@example.org", "bob+@example.org", "+Plans@example.org", "x+Plans@x.example")

    def setUp(self) -> None:
        super().setUp()
        self.server.add_domain("example.org")
        self.bob = self.server.add_account("bob@example.org")
        with self.server.database.transaction() as connection:
            create(connection, self.bob.id, "Plans", "", 0.0)
            publics.create_public(connection, "example.org", "team", 0.0)
        owner = self._public()
        with self.server.database.transaction() as connection:
            sharing.change(connection, self.bob.id, "Plans", "anyone", "+", "p")
            postings.add(connection, Address("Team", "example.org"), owner, "team")

    def _public(self) -> int:
        with self.server.database.reading() as connection:
            owner = publics.public_account(connection, "example.org")
        assert owner is not None
        return owner.id

    async def test_where(self) -> None:
        plugin = self.build(store="other")
        self.assertEqual(await plugin.forward(Address("bob+Plans", "example.org")), (Mailbox(BOB, "other", "Plans"),))
        self.assertEqual(await plugin.forward(Address.parse("TEAM@Example.ORG")), (Mailbox(PUBLIC, "other", "team"),))

    async def test_closed(self) -> None:
        """Without "p" for anyone nobody gets there, by no address; of others alone it does not count."""
        with self.server.database.transaction() as connection:
            sharing.change(connection, self.bob.id, "Plans", "anyone", "=", "lr")
            sharing.change(connection, self.bob.id, "Plans", "@example.org", "=", "p")
            sharing.change(connection, self._public(), "team", "-anyone", "=", "p")
            self.assertEqual([each.is_open for each in postings.listing(connection)], [False])
        for address in ("bob+Plans@example.org", "team@example.org"):
            self.assertIsNone(await self.build().forward(Address.parse(address)))

    async def test_renamed(self) -> None:
        """The address stays with the mailbox, and goes with it."""
        with self.server.database.transaction() as connection:
            rename(connection, self._public(), "team", "crew", 0.0)
        [found] = await self.build().forward(Address("team", "example.org")) or ()
        self.assertEqual(found, Mailbox(PUBLIC, "sql", "crew"))

    async def test_taken(self) -> None:
        """One address leads to one place."""
        for address, owner, name, error in (
            ("bob@example.org", self.bob.id, "Plans", AlreadyExists), ("x@example.net", self.bob.id, "Plans", NotFound),
            ("team@example.org", self.bob.id, "Plans", AlreadyExists), ("x@example.org", self.bob.id, "None", NotFound),
        ):
            with self.assertRaises(error), self.server.database.transaction() as connection:
                postings.add(connection, Address.parse(address), owner, name)
        with self.assertRaisesRegex(AlreadyExists, "address of a mailbox"):
            self.server.add_account("team@example.org")
        with self.assertRaisesRegex(AlreadyExists, "address of a mailbox"):
            self.server.add_alias("TEAM@example.org", "bob@example.org")
        with self.server.database.transaction() as connection:
            postings.remove(connection, Address("team", "example.org"))
            with self.assertRaises(NotFound):
                postings.remove(connection, Address("team", "example.org"))
            directory.add_alias(connection, "team@example.org", ["bob@example.org"], 0.0, self.server.database.contents)

    async def test_nobody(self) -> None:
        """Who has the public mailboxes gets no mail by the address that nobody has."""
        accounts = Accounts(Accounts.Options(), self.server)
        self.assertIsNotNone(await self.server.directory.account(Address.parse('""@example.org')))
        self.assertIsNone(await accounts.forward(Address.parse('""@example.org')))
