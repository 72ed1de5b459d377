"""Where the tests of the store stand: a database of either kind, open, with one domain."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailserver.address import Address
from mailserver.content import LARGE, Content
from mailserver.envelope import Origin
from mailserver.ident import Ids, spell
from mailserver.interfaces import INBOX, Account, Delivery
from mailserver.store import contents, directory, mailboxes, messages
from mailserver.store.accepting import Accepting
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from tests.databases import ready
from tests.postgres import postgres

NOW = 1_800_000_000.0


def make_entry(id: int, content_id: int, target: str = "carol@example.com", **others: Any) -> Entry:
    """An entry of the spool, due now."""
    address = Address.parse(target)
    values: dict[str, Any] = {
        "id": id, "content_id": content_id, "origin": Origin.ARRIVAL, "sender": Address.parse("alice@example.net"),
        "recipient": address, "kind": "remote", "target": address, "place": "", "domain": address.domain,
        "prefix": b"Received: by us\r\n", "body": "7BIT", "created": NOW, "expires": NOW + 432000,
        "next_attempt": NOW, "attempts": 0, "held": False, "reason": "",
    }
    return Entry(**(values | others))


class StoreCase(TestCase):
    """A database of one server: `self.database`, opened but not started, in which example.org is local."""

    timeout = 60

    def make_url(self) -> str | None:
        """The database's URL; None is SQLite."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="store-"))
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        self.url = self.make_url()
        if self.url is None:
            ready(self.data)
        self.new_id = Ids(time.time)
        self.database = self.open(migrate=True)
        with self.database.transaction() as connection:
            directory.add_domain(connection, "example.org", NOW)

    def open(self, migrate: bool = False) -> Database:
        """One more look at the same database, as another process has it."""
        database = Database(self.url, self.data)
        database.open(migrate=migrate)
        self.addCleanup(database.close)
        return database

    def start(self) -> None:
        """Give the database its threads, until the test ends."""
        self.database.start(reactor)
        self.addCleanup(self.database.stop)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.database.transaction() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.database.reading() as connection:
            yield connection

    # -- what the tests talk of

    def account(self, name: str) -> Account:
        """A new account name@example.org."""
        with self.writing() as connection:
            return directory.add_account(connection, Address(name, "example.org"), NOW)

    def delivery(
        self, account: Account, id: int, content: Content, mailbox: str = INBOX, prefix: bytes = b"Delivered-To: x\r\n"
    ) -> Delivery:
        return Delivery(self.new_id(), id, account, mailbox, prefix, content, NOW)

    def accepting(self, content: Content, *accounts: Account, entries: int = 0) -> Accepting:
        """A message for the INBOX of these accounts, and for so many places elsewhere."""
        id = self.new_id()
        return Accepting(
            id,
            content,
            f'{{"id":"{spell(id)}","sender":"alice@example.net","recipients":["bob@example.org"]}}',
            tuple((messages.insert_deliveries, self.delivery(each, id, content)) for each in accounts),
            tuple(self.entry(id, f"user{number}@example.com") for number in range(entries)),
        )

    def entry(self, content_id: int, target: str = "carol@example.com", **others: Any) -> Entry:
        """An entry of the spool, due now."""
        return make_entry(self.new_id(), content_id, target, **others)

    async def large(self, size: int = 3 * LARGE, id: int | None = None) -> Content:
        """A content that lies in a file, as the session makes it."""
        name = spell(self.new_id() if id is None else id)
        incoming = contents.Incoming(self.database.contents, name, deferToThread)
        written = 0
        while written < size:
            piece = bytes(range(256)) * 256
            await incoming.write(piece[: size - written])
            written += len(piece[: size - written])
        return await incoming.finish()

    def inbox(self, account: Account) -> list[Any]:
        """The rows of an account's INBOX."""
        with self.reading() as connection:
            found = mailboxes.find_mailbox(connection, account.id, INBOX)
            return [] if found is None else messages.listing(connection, found[0])

    def count(self, table: Any) -> int:
        with self.reading() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()


class SqliteCase(StoreCase):
    def make_url(self) -> None:
        return None


class PostgresqlCase(StoreCase):
    def make_url(self) -> str:
        self.server = postgres()
        name = self.server.create()
        self.addCleanup(self.server.drop, name)
        self.name = name
        return self.server.url(name)


# What both databases must do is written once, as a class beside StoreCase, and run by a class for each of them.
if TYPE_CHECKING:
    Contract = StoreCase
else:
    Contract = object
