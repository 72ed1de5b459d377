"""Sessions are counted in memory, and written down now and then."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from mailserver.delivery.tlsrpt import records as module
from mailserver.delivery.tlsrpt.records import EVERY, Records
from mailserver.errors import TemporaryFailure
from mailserver.settings import Outbound, TlsReports
from mailserver.store import tlsresults
from mailserver.store.schema import tls_result
from mailserver.store.tlsresults import Kind
from mailserver.testing import Names
from mailserver.world import World
from tests.delivery.seen import Session
from tests.store.cases import SqliteCase

reactor: Any = installed_reactor
DAY = 20_000
NOON = DAY * 86400 + 43200.0
GOOD = Session(NOON, "Example.COM.", "sts", "", "mx.example.com", "192.0.2.1", policy=("mode: enforce",),
               patterns=("*.example.com",))
BAD = Session(NOON, "example.com", "no-policy-found", "starttls-not-supported", "MX.example.com", "192.0.2.1%eth0",
              "::1", "it offers\r\nno STARTTLS")


class RecordsTests(SqliteCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.world = World(reactor, Names())
        self.outbound = Outbound(tls_reports=TlsReports(send=True))
        self.records = self.make()

    def make(self) -> Records:
        return Records(self.database, self.world, lambda: self.outbound)

    def known(self, day: int = DAY) -> dict[Kind, int]:
        with self.reading() as connection:
            return dict(tlsresults.of_day(connection, day, "example.com"))

    async def test_counted(self) -> None:
        """What is alike is one row; of what went well only the number is kept."""
        for session in (GOOD, GOOD, BAD, GOOD):
            self.records.note(session)
        self.assertEqual(self.known(), {})
        await self.records.flush()
        policy = json.dumps(["sts", ["mode: enforce"], ["*.example.com"]])
        self.assertEqual(self.known(), {
            Kind(DAY, "example.com", policy, "success"): 3,
            Kind(DAY, "example.com", json.dumps(["no-policy-found", [], []]), "starttls-not-supported",
                 "mx.example.com", "192.0.2.1", "::1", "it offers  no STARTTLS"): 1,
        })
        self.records.note(BAD)
        await self.records.stop()
        self.assertEqual(sum(self.known().values()), 5)

    async def test_by_day(self) -> None:
        """The day is UTC's, and that of the session, however late it is written down."""
        midnight = (DAY + 1) * 86400
        self.records.note(replace(BAD, time=midnight - 0.1))
        self.records.note(replace(BAD, time=midnight + 0.1))
        await self.records.flush()
        self.assertEqual((sum(self.known().values()), sum(self.known(DAY + 1).values())), (1, 1))

    async def test_every_half_minute(self) -> None:
        clock: Any = Clock()
        clock.getThreadPool, clock.callFromThread = reactor.getThreadPool, reactor.callFromThread
        records = Records(self.database, World(clock, Names()), lambda: self.outbound)
        records.start()
        self.addCleanup(records.stop)
        records.note(BAD)
        clock.advance(EVERY - 1)
        self.assertEqual(self.count(tls_result), 0)
        clock.advance(2)
        for _ in range(500):
            if self.count(tls_result):
                break
            await deferToThread(lambda: None)
        self.assertEqual(self.count(tls_result), 1)

    async def test_not_now(self) -> None:
        """What the database does not take waits, and is counted once."""
        self.records.note(BAD)
        write, tries = self.database.write, []

        def fails(*args: Any, **others: Any) -> Any:
            tries.append(args)
            if len(tries) == 1:
                raise TemporaryFailure("no")
            return write(*args, **others)

        self.patch(self.database, "write", fails)
        await self.records.flush()
        self.assertEqual(len(self.flushLoggedErrors(TemporaryFailure)), 1)
        self.records.note(BAD)
        await self.records.flush()
        self.assertEqual(list(self.known().values()), [2])

    async def test_bounded(self) -> None:
        """A storm of kinds does not fill the memory, and what is known goes on being counted."""
        self.patch(module, "MOST_WAITING", 3)
        for number in range(10):
            self.records.note(Session(NOON, "example.com", "tlsa", "tlsa-invalid", f"mx{number}.example.com"))
        self.records.note(Session(NOON, "example.com", "tlsa", "tlsa-invalid", "mx0.example.com"))
        await self.records.flush()
        self.assertEqual(sorted(self.known().values()), [1, 1, 2])

    async def test_words_of_others(self) -> None:
        """Words that RFC 8460 does not know become those that it has for them; texts are cut."""
        self.records.note(Session(
            NOON, "example.com", "dunno", "boom", "m" * 9999, "not an address", reason="r" * 9999,
            policy=("s" * 9999,) * 99,
        ))
        await self.records.flush()
        [kind] = self.known()
        type, strings, _ = json.loads(kind.policy)
        self.assertEqual((type, kind.result, kind.receiving), ("no-policy-found", "validation-failure", ""))
        self.assertLess(len(kind.policy), 10_000)
        self.assertEqual((len(strings), len(kind.mx), len(kind.reason)), (30, 255, 200))

    async def test_not_wanted(self) -> None:
        for self.outbound in (Outbound(enabled=False, tls_reports=TlsReports(send=True)), Outbound()):
            self.records.note(BAD)
            await self.records.flush()
        self.assertEqual(self.count(tls_result), 0)
