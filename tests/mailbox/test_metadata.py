"""Annotations in the server's own database."""

from __future__ import annotations

from sqlalchemy import func, select

from mailserver.interfaces import INBOX
from mailserver.store import annotation as notes
from mailserver.store import directory
from mailserver.store.schema import annotated, annotation
from mailserver.testing.metadata import COMMENT, SHARED_COMMENT, MetadataContract
from tests.mailbox.databases import PostgresqlCase, SqliteCase


class Rows(MetadataContract):
    def rows(self) -> tuple[int, ...]:
        with self.server.database.reading() as connection:
            return tuple(
                int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (annotation, annotated)
            )

    async def test_nothing_stays_of_an_account(self) -> None:
        store, alice, bob = self.build(), self.account("alice"), self.account("bob")
        await store.annotate(bob, INBOX, {COMMENT: b"his"})
        before = self.rows()
        await store.annotate(alice, None, {COMMENT: b"x"})
        await store.annotate(alice, INBOX, {COMMENT: b"x", SHARED_COMMENT: b"y", "/private/z": None})
        with self.server.database.transaction() as connection:
            directory.remove_account(connection, alice.address, self.server.database.contents)
        self.assertEqual(self.rows(), before)

    async def test_changes_are_bounded(self) -> None:
        """Entries that come and go leave so much behind, and no more."""
        self.patch(notes, "_FORGET", notes._FORGET.replace(str(notes.REMEMBERED), "5"))
        store, alice = self.build(), self.account("alice")
        start = (await store.annotated(alice, None)).number
        for number in range(12):
            await store.annotate(alice, None, {f"/private/{number}": b"x"})
            await store.annotate(alice, None, {f"/private/{number}": None})
        self.assertEqual(self.rows(), (0, 5))
        self.assertEqual([entry for _, entry in (await store.annotated(alice, start)).changed],
                         [f"/private/{number}" for number in range(7, 12)])


class SqliteTests(Rows, SqliteCase):
    pass


class PostgresqlTests(Rows, PostgresqlCase):
    pass
