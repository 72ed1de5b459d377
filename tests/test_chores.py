"""What a server does by the clock."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor

from mailserver.address import Address
from mailserver.chores import Chores
from mailserver.config import Config, load
from mailserver.feedback.kinds import Kind
from mailserver.feedback.rules import Rules
from mailserver.feedback.told import Sort
from mailserver.ident import first_at
from mailserver.store import feedback, suppressions, traces
from mailserver.store.feedback import OWN, Booking
from mailserver.store.schema import feedback as rows
from mailserver.store.schema import suppression, trace
from mailserver.testing import Names
from mailserver.world import World
from tests.store.cases import NOW, SqliteCase

DAY = 86400.0
BOB, EVE = Address.parse("bob@example.com"), Address.parse("eve@example.com")


class TidyTests(SqliteCase):
    def config(self) -> Config:
        file = self.data / "mailserver.toml"
        file.write_text('hostname = "mx.example.org"\ndata = "."\n[trace]\ndays = 10\n')
        return load(file)

    async def test_tidy(self) -> None:
        """Stories and feedback of more than ten days ago go, and suppressions that are over; the rest is renewed."""
        config = self.config()
        old, young = NOW - 11 * DAY, NOW - 9 * DAY
        bookings = [Booking(at, Sort.BOUNCE, BOB, Kind.FULL, "", int(at), OWN) for at in (old, young)]
        with self.writing() as connection:
            traces.add_many(connection, [(first_at(old), "{}"), (first_at(young), "{}")])
            feedback.book(connection, bookings, Rules())
            suppressions.add(connection, BOB, "x", old, until=NOW - 1)
            suppressions.add(connection, EVE, "x", old, until=NOW + 1)
        self.start()
        reactor: Any = installed_reactor
        world = World(reactor, Names(), now=lambda: NOW)
        renewed = []

        async def renew() -> None:
            renewed.append(True)

        await Chores(self.database, world, "us/1", lambda: config, True, renew).tidy()
        self.assertEqual(renewed, [True])
        self.assertEqual((self.count(trace), self.count(rows), self.count(suppression)), (1, 1, 1))
