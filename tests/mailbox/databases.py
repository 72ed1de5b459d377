"""Where tests of the store ``sql`` stand: on either database, with what only its tables tell."""

from __future__ import annotations

from typing import Any

from mailserver.mailbox.sql import Sql, SqlOptions
from mailserver.store.database import Database
from mailserver.store.statements import fetch
from mailserver.testing import PluginCase
from mailserver.testing.standin import StandIn
from tests.databases import ready
from tests.postgres import postgres


class SqliteCase(PluginCase):
    """Sql on SQLite."""

    plugin = Sql
    url: str | None = None

    def setUp(self) -> None:
        super().setUp()
        if self.url is None:
            ready(self.server.data)

    def elsewhere(self, **table: Any) -> tuple[Sql, StandIn]:
        """The same mailboxes as another process has them, until the test ends."""
        server = StandIn(self.server.data)
        server._database = Database(self.url, server.data)
        server._database.open()
        self.addCleanup(server.stop)
        return Sql(SqlOptions(**table), server), server

    def another(self) -> Sql:
        return self.elsewhere()[0]

    def ask(self, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.server.database.reading() as connection:
            return [tuple(row) for row in fetch(connection, text, parameters)]

    def check_contents(self) -> None:
        """Each content is there as long as somebody holds it, counts who does, and is understood once at most."""
        held = dict(self.ask(
            "SELECT content_id, COUNT(*) FROM"
            " (SELECT content_id FROM message UNION ALL SELECT content_id FROM removed) AS holding GROUP BY content_id"
        ))
        counted = dict(self.ask("SELECT id, uses FROM content"))
        for id, more in self.ask("SELECT content_id, more FROM shared"):
            counted[id] += more
        self.assertEqual(counted, held)
        understood = {row[0] for row in self.ask("SELECT content_id FROM digest")}
        self.assertEqual(understood - held.keys(), set())
        self.assertEqual({row[0] for row in self.ask("SELECT DISTINCT content_id FROM piece")} - held.keys(), set())
        files = {row[0] for row in self.ask("SELECT file FROM content WHERE file IS NOT NULL")}
        self.assertEqual({each.name for each in self.server.database.contents.iterdir()}, files)


class PostgresqlCase(SqliteCase):
    """Sql on PostgreSQL."""

    def setUp(self) -> None:
        server = postgres()
        name = server.create()
        self.addCleanup(server.drop, name)
        self.url = server.url(name)
        super().setUp()
        self.server.data.mkdir(parents=True)
        self.server._database = Database(self.url, self.server.data)
        self.server._database.open(migrate=True)
