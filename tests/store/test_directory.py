"""Domains, accounts, aliases: what an operator may do, and what each change leaves behind."""

from __future__ import annotations

from sqlalchemy import Table

from mailserver.address import Address
from mailserver.content import Content
from mailserver.errors import AlreadyExists, BadAddress, NotFound
from mailserver.store import directory
from mailserver.store.accepting import write_many
from mailserver.store.schema import account, content, credential, mailbox, message
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

BOB = Address("bob", "example.org")


class DirectoryContract(Contract):
    def rows(self, *tables: Table) -> list[int]:
        return [self.count(each) for each in tables]

    def test_a_domain_has_a_postmaster_at_once(self) -> None:
        """RFC 5321 4.5.1."""
        with self.writing() as connection:
            directory.add_domain(connection, "Bücher.example", NOW)
        with self.reading() as connection:
            self.assertEqual(directory.domains(connection), ["example.org", "xn--bcher-kva.example"])
            self.assertIsNotNone(directory.find_domain(connection, "BÜCHER.example"))
            self.assertIsNotNone(directory.find_account(connection, "postmaster@xn--bcher-kva.example"))
        with self.writing() as connection:
            with self.assertRaises(AlreadyExists):
                directory.add_domain(connection, "EXAMPLE.org", NOW)
            with self.assertRaises(BadAddress):
                directory.add_domain(connection, "not a domain", NOW)

    def test_a_domain_in_use_stays(self) -> None:
        self.account("bob")
        with self.writing() as connection, self.assertRaises(AlreadyExists):
            directory.remove_domain(connection, "example.org")
        with self.writing() as connection:
            directory.remove_account(connection, BOB, self.database.contents)
            directory.remove_domain(connection, "example.org")
        self.assertEqual(self.rows(account, mailbox), [0, 0])
        with self.writing() as connection, self.assertRaises(NotFound):
            directory.add_account(connection, BOB, NOW)

    def test_accounts(self) -> None:
        """Found by key however they are spelled; given back as they were given."""
        with self.writing() as connection:
            made = directory.add_account(connection, Address("Bob", "example.org"), NOW)
            for taken in (BOB, Address("BOB", "example.org")):
                with self.assertRaises(AlreadyExists):
                    directory.add_account(connection, taken, NOW)
        with self.reading() as connection:
            self.assertEqual(directory.find_account(connection, BOB.key), made)
            self.assertEqual(made.address, Address("Bob", "example.org"))
            self.assertEqual([each.address.local for each in directory.accounts(connection)], ["Bob", "postmaster"])
            self.assertEqual(directory.accounts(connection, "example.net"), [])
        with self.writing() as connection:
            directory.set_enabled(connection, made.id, False)
        with self.reading() as connection:
            found = directory.find_account(connection, BOB.key)
        assert found is not None
        self.assertFalse(found.enabled)

    async def test_removing_an_account_releases_its_mail(self) -> None:
        """What others hold as well stays; what was its alone goes, with its files."""
        self.start()
        bob, eve = self.account("bob"), self.account("eve")
        shared, own = self.accepting(Content.of(b"x"), bob, eve), self.accepting(await self.large(), bob)
        with self.writing() as connection:
            write_many(connection, [shared, own])
            directory.set_credentials(connection, bob.id, [("argon2id", b"y")])
        with self.writing() as connection:
            directory.remove_account(connection, BOB, self.database.contents)
        self.assertEqual(self.rows(content, message, credential, account), [1, 1, 0, 2])
        self.assertEqual(list(self.database.contents.iterdir()), [])
        self.assertEqual(len(self.inbox(eve)), 1)
        with self.writing() as connection, self.assertRaises(NotFound):
            directory.remove_account(connection, BOB, self.database.contents)

    async def test_removing_a_domain_releases_its_postmasters_mail(self) -> None:
        """Its large files too."""
        self.start()
        with self.reading() as connection:
            postmaster = directory.find_account(connection, "postmaster@example.org")
        assert postmaster is not None
        accepting = self.accepting(await self.large(), postmaster)
        with self.writing() as connection:
            write_many(connection, [accepting])
        with self.writing() as connection:
            directory.remove_domain(connection, "example.org")
        self.assertEqual(self.rows(content, message, account), [0, 0, 0])
        self.assertEqual(list(self.database.contents.iterdir()), [])

    def test_postmaster_stays(self) -> None:
        """Unless an alias takes its place; and it comes back when the alias goes."""
        postmaster = Address("postmaster", "example.org")
        with self.writing() as connection:
            with self.assertRaises(AlreadyExists):
                directory.remove_account(connection, postmaster, self.database.contents)
            directory.add_alias(connection, str(postmaster), ["root@example.net"], NOW, self.database.contents)
        with self.reading() as connection:
            self.assertIsNone(directory.find_account(connection, postmaster.key))
            self.assertEqual(
                directory.find_alias(connection, postmaster.key), (Address("root", "example.net"),)
            )
        with self.writing() as connection:
            directory.remove_alias(connection, str(postmaster), NOW)
        with self.reading() as connection:
            self.assertIsNotNone(directory.find_account(connection, postmaster.key))

    def test_credentials(self) -> None:
        """A new password replaces all of them; no other account's."""
        bob, eve = self.account("bob"), self.account("eve")
        with self.writing() as connection:
            directory.set_credentials(connection, eve.id, [("argon2id", b"eve")])
            directory.set_credentials(connection, bob.id, [("argon2id", b"\x00old"), ("scram-sha-1", b"s")])
            directory.set_credentials(connection, bob.id, [("argon2id", b"\x00new")])
        with self.reading() as connection:
            self.assertEqual(directory.find_credentials(connection, bob.id, "argon2id"), [b"\x00new"])
            self.assertEqual(directory.find_credentials(connection, bob.id, "scram-sha-1"), [])
            self.assertEqual(directory.find_credentials(connection, eve.id, "argon2id"), [b"eve"])

    def test_aliases(self) -> None:
        """Several targets in their order; one that catches all; nothing that is an account."""
        self.account("bob")
        folder = self.database.contents
        with self.writing() as connection:
            directory.add_alias(connection, "Team@example.org", ["z@example.net", "a@example.net"], NOW, folder)
            directory.add_alias(connection, "@example.org", ["bob@example.org"], NOW, folder)
            for address, targets, error in (
                ("team@example.org", ["x@example.net"], AlreadyExists),
                ("bob@example.org", ["x@example.net"], AlreadyExists),
                ("x@example.net", ["x@example.org"], NotFound),
                ("y@example.org", ["nonsense"], BadAddress),
            ):
                with self.assertRaises(error):
                    directory.add_alias(connection, address, targets, NOW, folder)
            with self.assertRaises(AlreadyExists):
                directory.add_account(connection, Address("team", "example.org"), NOW)
        with self.reading() as connection:
            self.assertEqual(
                [(each.address, each.targets) for each in directory.aliases(connection)],
                [
                    ("@example.org", ("bob@example.org",)),
                    ("Team@example.org", ("z@example.net", "a@example.net")),
                ],
            )
            self.assertIsNone(directory.find_alias(connection, "nobody@example.org"))
        with self.writing() as connection:
            directory.set_alias(connection, "team@example.org", ["c@example.net"], NOW, folder)
            directory.remove_alias(connection, "@example.org", NOW)
            with self.assertRaises(NotFound):
                directory.remove_alias(connection, "@example.org", NOW)
        with self.reading() as connection:
            self.assertEqual([each.targets for each in directory.aliases(connection)], [("c@example.net",)])

    def test_each_change_moves_the_revision(self) -> None:
        """Otherwise other processes would go on with what they remember."""
        folder = self.database.contents
        bob = self.account("bob")
        changes = [
            lambda c: directory.add_domain(c, "example.net", NOW),
            lambda c: directory.add_account(c, Address("eve", "example.net"), NOW),
            lambda c: directory.set_enabled(c, bob.id, False),
            lambda c: directory.set_credentials(c, bob.id, []),
            lambda c: directory.add_alias(c, "x@example.org", ["bob@example.org"], NOW, folder),
            lambda c: directory.set_alias(c, "x@example.org", ["eve@example.net"], NOW, folder),
            lambda c: directory.remove_alias(c, "x@example.org", NOW),
            lambda c: directory.remove_account(c, Address("eve", "example.net"), folder),
            lambda c: directory.remove_domain(c, "example.net"),
        ]
        with self.writing() as connection:
            for number, change in enumerate(changes):
                before = directory.current(connection)
                change(connection)
                self.assertGreater(directory.current(connection), before, f"change {number}")


class DirectoryOnSqlite(DirectoryContract, SqliteCase):
    pass


class DirectoryOnPostgresql(DirectoryContract, PostgresqlCase):
    pass
