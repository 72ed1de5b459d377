"""A database with mail in it, made before IMAP was served, becomes one of today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from mailserver.address import Address
from mailserver.errors import AlreadyExists
from mailserver.interfaces import INBOX, SEEN
from mailserver.store import directory, mailboxes, migrate, viewing
from mailserver.store.database import Database
from mailserver.store.engine import postgresql_engine, sqlite_engine
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

BEFORE = "0007"


def upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


class MigrationContract(Contract):
    def setUp(self) -> None:
        super().setUp()
        if self.url is None:
            self.old = Database(None, self.data / "old")
            self.old.contents.mkdir(parents=True)
            engine = sqlite_engine(self.old.file, writing=True)
        else:
            name = self.server.create(is_empty=True)
            self.addCleanup(self.server.drop, name)
            url = self.server.url(name)
            self.old = Database(url, self.data)
            engine = postgresql_engine(url)
        self.addCleanup(engine.dispose)
        with engine.connect() as connection, connection.begin():
            upgrade(connection, BEFORE)
            self._fill(connection)
        engine.dispose()
        self.old.open(migrate=True)
        self.addCleanup(self.old.close)

    def _fill(self, connection: Connection) -> None:
        """Bob has mail in three mailboxes, one of which was made later than his account; alice has none at all."""

        def put(table: str, **row: Any) -> None:
            names = ", ".join(row)
            marks = ", ".join(f":{each}" for each in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), row)

        put("domain", id=1, name="example.org", created=NOW)
        put("revision", name="directory", number=7)
        for id, name in ((1, "postmaster"), (2, "bob"), (5, "alice")):
            put("account", id=id, domain_id=1, address=f"{name}@example.org", key=f"{name}@example.org", enabled=1,
                created=NOW)
        for id, who, name, later, uidnext in (
            (1, 1, INBOX, 0, 1), (2, 2, INBOX, 0, 5), (3, 2, "Junk", 50, 2), (9, 2, "Moon", 5000, 3),
            (4, 5, INBOX, 0, 1),
        ):
            put("mailbox", id=id, account_id=who, name=name, uidvalidity=int(NOW) + later, uidnext=uidnext,
                created=NOW + later)
        for number, (box, uid, flags) in enumerate(((2, 1, 0), (2, 2, 1), (2, 4, 3), (3, 1, 2), (9, 1, 1), (9, 2, 0))):
            put("content", id=100 + number, size=10, uses=1, data=b"0123456789")
            put("message", mailbox_id=box, uid=uid, content_id=100 + number, size=14, received=NOW + number,
                flags=flags, prefix=b"abc\n")
        if connection.dialect.name == "postgresql":
            for table in ("domain", "account", "mailbox"):
                connection.execute(text(f"SELECT setval('{table}_id_seq', 20)"))

    def test_counts(self) -> None:
        """What mailboxes count is what is in them, and no mail is lost."""
        with self.old.reading() as connection:
            found = {each.name: each for each in mailboxes.status(connection, 2)}
            self.assertEqual(
                {name: (each.messages, each.unseen, each.size, each.uidnext) for name, each in found.items()
                 if each.messages},
                {INBOX: (3, 1, 42, 5), "Junk": (1, 1, 14, 2), "Moon": (2, 1, 28, 3)},
            )
            state = viewing.load(connection, 2)
            self.assertEqual((list(state.uids), list(state.flags), set(state.modseqs)), ([1, 2, 4], [0, 1, 3], {1}))
            self.assertEqual((state.modseq, state.keywords), (1, ()))
            self.assertEqual([each.messages for each in mailboxes.status(connection, 5)], [0] * 6)
            rows = connection.execute(text("SELECT COUNT(*), SUM(uses) FROM content")).one()
            self.assertEqual(tuple(rows), (6, 6))
            self.assertEqual(directory.current(connection), 7)

    def test_usual_mailboxes(self) -> None:
        """Everybody has those that new accounts have; what was there under such a name is that one."""
        with self.old.reading() as connection:
            for account in (1, 2, 5):
                uses = {each.name: each.special_use for each in mailboxes.status(connection, account)}
                uses = {name: use for name, use in uses.items() if use}
                self.assertEqual(uses, mailboxes.USE_OF)
            self.assertEqual(mailboxes.find_mailbox(connection, 2, "Junk"), (3, int(NOW) + 50))
            self.assertEqual(mailboxes.find_mailbox(connection, 2, INBOX), (2, int(NOW)))

    def test_subscriptions(self) -> None:
        """They were never asked, so they see what they have."""
        with self.old.reading() as connection:
            for account in (1, 2, 5):
                self.assertEqual(mailboxes.subscriptions(connection, account), mailboxes.mailboxes(connection, account))

    def test_new_mailboxes(self) -> None:
        """Their UIDVALIDITY is above all that were there, their numbers are new; and nobody has one twice."""
        with self.old.transaction() as connection:
            there = {each.uidvalidity for each in mailboxes.status(connection, 2)}
            made = mailboxes.create(connection, 2, "Later", "", NOW)
            self.assertGreater(made.uidvalidity, max(there))
            with self.assertRaises(AlreadyExists):
                mailboxes.create(connection, 2, "Spam", "\\Junk", NOW)
            mailboxes.drop(connection, self.old.contents, 2, "Later")
            again = mailboxes.create(connection, 2, "Later", "", NOW)
            self.assertNotEqual(made.id.partition("-")[0], again.id.partition("-")[0])
            directory.remove_account(connection, Address("alice", "example.org"), self.old.contents)
            self.assertNotIn(directory.add_account(connection, Address("carol", "example.org"), NOW).id, (1, 2, 5))
            self.assertEqual(len({each.id for who in (1, 2) for each in mailboxes.status(connection, who)}), 14)

    def test_flags_have_room(self) -> None:
        """54 keywords are bits of one number, on PostgreSQL too."""
        with self.old.transaction() as connection:
            update = text("UPDATE message SET flags = :flags WHERE mailbox_id = 2")
            connection.execute(update, {"flags": SEEN | 1 << 61})
            self.assertEqual(set(viewing.load(connection, 2).flags), {SEEN | 1 << 61})


class SqliteTests(MigrationContract, SqliteCase):
    pass


class PostgresqlTests(MigrationContract, PostgresqlCase):
    pass
