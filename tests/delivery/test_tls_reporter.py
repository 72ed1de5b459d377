"""Once a day each domain that wants it is told how TLS went, by mail or by HTTPS, and never twice."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mailserver.delivery.tlsrpt.records import Records
from mailserver.delivery.tlsrpt.reporter import GRACE, SPREAD, Reporter
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.settings import Outbound, OutboundTls, TlsReports
from mailserver.store import tlsresults
from mailserver.tlsrpt.parts import report_in
from mailserver.tlsrpt.reading import read_report
from mailserver.tlsrpt.report import DAY, Failure, Policy, Report, Section, range_of
from tests.delivery.house import HOSTNAME, HouseCase
from tests.delivery.seen import Session
from tests.delivery.taker import Taker

TXT = "_smtp._tls.example.com"
GOOD = Session(0.0, "example.com", "sts", policy=("mode: enforce",), patterns=("mx.example.com",))
BAD = Session(0.0, "example.com", "no-policy-found", "starttls-not-supported", "mx.example.com", "192.0.2.1",
              "192.0.2.9", "it offers no STARTTLS")


class ReporterTests(HouseCase):
    """It is two o'clock of a day on which BAD happened once and GOOD twice, unless a test says otherwise."""

    def setUp(self) -> None:
        super().setUp()
        self.outbound = Outbound(allow_loopback=True, tls_reports=TlsReports(send=True))
        self.reporters: list[Reporter] = []
        now = time.time()
        self.day = int(now // DAY)
        self.moved = self.day * DAY + 7200.0 - now
        records = Records(self.database, self.world, lambda: self.outbound)
        for session in (GOOD, BAD, GOOD):
            records.note(replace(session, time=self.world.now()))
        with self.writing() as connection:
            tlsresults.add_many(connection, dict(records._waiting))

    def reporter(self, trusted: Taker | None = None) -> Reporter:
        """One that does what it is told, without a clock of its own."""
        if trusted is not None:
            self.outbound = replace(self.outbound, tls=OutboundTls(ca=trusted.certificate))
        reporter = Reporter(self.database, self.acceptance, self.world, HOSTNAME, lambda: self.outbound)
        self.reporters.append(reporter)
        return reporter

    def tomorrow(self) -> None:
        """After all that is spread over the first hours of the next day is due."""
        self.moved += DAY - 7200.0 + GRACE + SPREAD + 10

    def wanted_by(self, *uris: str) -> None:
        self.names.add(TXT, "TXT", f'"v=TLSRPTv1; rua={",".join(uris)}"')

    async def plan_and_send(self, reporter: Reporter) -> None:
        """Plan what is owed, and send it when all of it is due."""
        await reporter.send_due()
        self.moved += SPREAD + 10
        await reporter.send_due()

    def rows(self, domain: str | None = "example.com") -> list[tuple[int, str]]:
        with self.reading() as connection:
            return [(row["done"], row["said"]) for row in tlsresults.sent(connection, domain)]

    async def mails(self) -> list[Any]:
        return await self.queue()

    async def test_by_mail(self) -> None:
        """From our records to the mail server of who wants it."""
        self.wanted_by("mailto:tls@reports.example", "mailto:too@reports.example")
        peer = self.peer()
        self.tomorrow()
        await self.plan_and_send(self.reporter())
        entries = await self.mails()
        self.assertEqual([str(each.sender or "") for each in entries], ["", ""])
        self.assertTrue(all(each.wishes.tls_optional for each in entries))
        self.route("reports.example", to=peer)
        await self.empty()
        [(sender, recipients, content)] = peer.messages
        self.assertEqual((sender, sorted(recipients)), ("", ["tls@reports.example", "too@reports.example"]))
        report = read_report(report_in(content))
        self.assertEqual(report, Report(
            HOSTNAME, f"postmaster@{HOSTNAME}", report.id, *range_of(self.day),
            (
                Section(Policy("no-policy-found", "example.com"), 0, 1, (
                    Failure("starttls-not-supported", 1, "192.0.2.9", "mx.example.com", "192.0.2.1",
                            "it offers no STARTTLS"),
                )),
                Section(Policy("sts", "example.com", ("mode: enforce",), ("mx.example.com",)), 2, 0),
            ),
        ))
        [(done, said)] = self.rows()
        self.assertTrue(done)
        self.assertIn("tls@reports.example, too@reports.example", said)

    async def test_as_configured(self) -> None:
        self.wanted_by("mailto:tls@reports.example")
        self.outbound = Outbound(tls_reports=TlsReports(True, contact="tls@example.org", organization="Example Ltd"))
        peer = self.peer()
        self.tomorrow()
        await self.plan_and_send(self.reporter())
        self.route("reports.example", to=peer)
        await self.empty()
        [(_, _, content)] = peer.messages
        self.assertIn(b"\r\nFrom: <tls@example.org>\r\n", b"\r\n" + content)
        report = read_report(report_in(content))
        self.assertEqual((report.organization, report.contact), ("Example Ltd", "tls@example.org"))

    async def test_by_https(self) -> None:
        taker = Taker(Path(self.mktemp()), "reports.example")
        self.addCleanup(taker.stop)
        self.names.add("reports.example", "A", "127.0.0.1")
        self.wanted_by(f"https://reports.example:{taker.port}/tls")
        self.tomorrow()
        await self.plan_and_send(self.reporter(taker))
        [(path, _, body)] = taker.taken
        self.assertEqual((path, read_report(body).sections[1].successful), ("/tls", 2))
        self.assertEqual(self.rows(), [(1, f"https://reports.example:{taker.port}/tls: answered 201")])

    async def test_not_before_the_day_is_over(self) -> None:
        self.wanted_by("mailto:tls@reports.example")
        await self.plan_and_send(self.reporter())
        self.assertEqual((await self.mails(), self.rows()), ([], []))

    async def test_spread(self) -> None:
        """Not all at midnight."""
        with self.writing() as connection:
            tlsresults.add_many(connection, {
                tlsresults.Kind(self.day, f"d{number}.example", '["sts", [], []]', "success"): 1 for number in range(30)
            })
        self.moved += DAY - 7200.0 + GRACE + 10
        await self.reporter().send_due()
        with self.reading() as connection:
            due = [row["next_attempt"] - self.world.now() for row in tlsresults.sent(connection)]
        self.assertEqual(len(due), 31)
        self.assertGreater(max(due) - min(due), SPREAD / 4)
        self.assertTrue(all(-15 <= each <= SPREAD for each in due))

    async def test_never_twice(self) -> None:
        """Whoever looks again, another process or the same after a restart, finds it done."""
        self.wanted_by("mailto:tls@reports.example")
        self.tomorrow()
        first, second = self.reporter(), self.reporter()
        await first.send_due()
        self.moved += SPREAD + 10
        for each in [Deferred.fromCoroutine(each.send_due()) for each in (first, second)]:
            await each
        for _ in range(3):
            self.moved += DAY / 3
            await self.reporter().send_due()
        self.assertEqual(len(await self.mails()), 1)

    async def test_died_meanwhile(self) -> None:
        """A process that died while it sent has perhaps sent it: nobody sends it again, the others get theirs."""
        taker = Taker(Path(self.mktemp()), "reports.example", 0)
        self.addCleanup(taker.stop)
        self.names.add("reports.example", "A", "127.0.0.1")
        self.wanted_by(f"https://reports.example:{taker.port}/1", f"https://reports.example:{taker.port}/2")
        self.tomorrow()
        reporter = self.reporter(taker)
        await reporter.send_due()
        self.moved += SPREAD + 10
        reporter._look()
        await self.until(lambda: taker.taken)
        await reporter.stop()
        taker.statuses = [200]
        self.moved += 4000
        await self.reporter(taker).send_due()
        self.assertEqual([path for path, _, _ in taker.taken], ["/1", "/2"])

    async def test_not_wanted(self) -> None:
        """No record, or none that is understood."""
        self.tomorrow()
        await self.plan_and_send(self.reporter())
        self.assertEqual((await self.mails(), self.rows()), ([], [(1, "not wanted")]))
        self.assertEqual(self.rows(None), [])

    async def test_not_unless_told(self) -> None:
        """Nothing signs the reports (RFC 8460 3), so nobody gets any without being asked for."""
        self.wanted_by("mailto:tls@reports.example")
        self.tomorrow()
        self.outbound = Outbound()
        await self.plan_and_send(self.reporter())
        self.assertEqual((await self.mails(), self.rows()), ([], []))

    async def test_later(self) -> None:
        """A resolver or a web server that is down is asked again for a day, and then no more."""
        taker = Taker(Path(self.mktemp()), "reports.example", 500, 503, 200)
        self.addCleanup(taker.stop)
        self.names.add("reports.example", "A", "127.0.0.1")
        self.names.fail(TXT)
        self.tomorrow()
        await self.plan_and_send(self.reporter())
        self.assertEqual(self.rows(), [(0, f"no name server answers for {TXT}")])
        self.names._silent.clear()
        self.wanted_by(f"https://reports.example:{taker.port}/", "mailto:tls@reports.example")
        for _ in range(5):
            self.moved += 3700
            await self.reporter(taker).send_due()
        self.assertEqual(len(taker.taken), 3)
        self.assertEqual(len(await self.mails()), 1)
        [(done, _)] = self.rows()
        self.assertEqual(done, 1)

    async def test_given_up(self) -> None:
        self.names.fail(TXT)
        self.tomorrow()
        await self.plan_and_send(self.reporter())
        for _ in range(24):
            self.moved += 3700
            await self.reporter().send_due()
        [(done, said)] = self.rows()
        self.assertEqual((done, said[:8]), (1, "given up"))

    async def test_acceptance_says_no(self) -> None:
        """Not now is tried again, and no is the end."""
        self.wanted_by("mailto:tls@reports.example")
        self.tomorrow()
        said = [TemporaryFailure("the disk is full"), RuntimeError("a surprise"), PermanentFailure("nobody there")]
        tries: list[Any] = []

        async def submit(*args: Any) -> int:
            tries.append(args)
            raise said[len(tries) - 1]

        self.patch(self.acceptance, "submit", submit)
        await self.plan_and_send(self.reporter())
        for _ in range(4):
            self.moved += 3700
            await self.reporter().send_due()
        self.assertEqual(len(tries), 3)
        self.assertEqual(self.rows(), [(1, "mailto:tls@reports.example: nobody there")])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_by_the_clock(self) -> None:
        """It looks by itself, and stops when it is told."""
        self.wanted_by("mailto:tls@reports.example")
        self.tomorrow()
        from mailserver.delivery.tlsrpt import reporter as module

        self.patch(module, "EVERY", 0.05)
        reporter = self.reporter()
        reporter.start()
        await self.until(lambda: self.rows())
        self.moved += SPREAD + 10
        await self.until(lambda: self.mails())
        await reporter.stop()
        await deferToThread(lambda: None)
        self.assertFalse(reporter._call.running)
