"""What is counted of TLS, what is owed for it, and what others report: in both databases."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import select

from mailserver.store import tlsreports, tlsresults
from mailserver.store.database import Database
from mailserver.store.schema import tls_owed, tls_report, tls_result
from mailserver.store.tlsresults import MOST_POLICIES, MOST_ROWS, Kind, Owed
from mailserver.tlsrpt.report import Failure, Policy, Report, Section
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

DAY = 20_000
PLAIN = json.dumps(["no-policy-found", [], []])


def failure(number: int = 0, domain: str = "example.com", policy: str = PLAIN) -> Kind:
    return Kind(DAY, domain, policy, "certificate-expired", f"mx{number}.example.com", "192.0.2.1", "", "expired")


def report(id: str = "1", domain: str = "example.org", count: int = 1) -> Report:
    sections = (Section(Policy("sts", domain, ("mode: enforce",)), 5, 2),) * count
    return Report("Company-X", "x@example.com", id, 86400, 172799, sections)


class ResultsContract(Contract):
    def add(self, counts: dict[Kind, int]) -> None:
        with self.writing() as connection:
            tlsresults.add_many(connection, counts)

    def of_day(self, domain: str = "example.com") -> dict[Kind, int]:
        with self.reading() as connection:
            return dict(tlsresults.of_day(connection, DAY, domain))

    def test_counts_add_up(self) -> None:
        self.add({failure(): 3, Kind(DAY, "example.com", PLAIN, "success"): 1})
        self.add({failure(): 2, failure(domain="example.net"): 1})
        self.assertEqual(self.of_day(), {failure(): 5, Kind(DAY, "example.com", PLAIN, "success"): 1})

    def test_many_hosts(self) -> None:
        """Whoever has a thousand hosts gets a bounded number of rows, and no failure is forgotten."""
        for start in range(0, 1000, 250):
            self.add({failure(start + number): 1 for number in range(250)})
        known = self.of_day()
        self.assertEqual(sum(known.values()), 1000)
        self.assertEqual(len(known), MOST_ROWS + 1)
        self.assertEqual(known[Kind(DAY, "example.com", PLAIN, "certificate-expired")], 1000 - MOST_ROWS)
        self.add({failure(3): 1, failure(7777): 1})
        self.assertEqual(self.of_day()[failure(3)], 2)
        self.assertEqual(len(self.of_day()), MOST_ROWS + 1)

    def test_many_policies(self) -> None:
        """A policy that changes with each look at it loses its text in the end."""
        policies = [json.dumps(["sts", [f"id: {number}"], []]) for number in range(40)]
        for policy in policies:
            self.add({failure(policy=policy): 1})
        known = self.of_day()
        self.assertEqual(sum(known.values()), 40)
        self.assertEqual(
            {each.policy for each in known}, {*policies[:MOST_POLICIES], json.dumps(["sts", [], []])}
        )

    def test_forgotten(self) -> None:
        self.add({failure(): 1})
        self.plan()
        with self.writing() as connection:
            tlsresults.purge(connection, DAY)
        self.assertEqual((self.count(tls_result), self.count(tls_owed)), (1, 1))
        with self.writing() as connection:
            tlsresults.purge(connection, DAY + 1)
        self.assertEqual((self.count(tls_result), self.count(tls_owed)), (0, 0))

    # -- what is owed

    def plan(self, today: int = DAY + 1) -> None:
        with self.writing() as connection:
            after: tuple[int, str] | None = (0, "")
            while after is not None:
                after = tlsresults.plan(connection, today, NOW, 100.0, random.Random(1), "mx.example.org", after)

    def claim(self, now: float, limit: int = 100) -> Sequence[Owed]:
        with self.writing() as connection:
            return tlsresults.claim(connection, now, now + 1000, limit)

    def test_planned_once(self) -> None:
        """Each domain and day has one report, due by chance; the day that is not over has none."""
        self.patch(tlsresults, "MOST_PLANNED", 7)
        self.add({failure(domain=f"d{number}.example"): 1 for number in range(10)})
        self.add({replace(failure(domain=f"d{number}.example"), day=DAY - 1): 1 for number in range(4, 14)})
        self.plan(today=DAY - 1)
        self.assertEqual(self.count(tls_owed), 0)
        self.plan()
        self.plan()
        self.assertEqual(self.count(tls_owed), 20)
        soon = self.claim(NOW + 50)
        self.assertTrue(2 < len(soon) < 18, soon)
        rest = self.claim(NOW + 100)
        self.assertEqual(len({(each.day, each.domain) for each in (*soon, *rest)}), 20)
        self.assertEqual(len({each.report for each in (*soon, *rest)}), 20)

    def test_claimed_by_one(self) -> None:
        """A second process finds nothing, until the first has had its time."""
        self.add({failure(): 1})
        self.plan()
        [mine] = self.claim(NOW + 100)
        self.assertEqual((mine.attempts, mine.endpoints), (1, None))
        self.assertEqual(self.claim(NOW + 200), [])
        [again] = self.claim(NOW + 1100)
        self.assertEqual(again.attempts, 2)

    def test_claimed_by_many(self) -> None:
        """Several processes at once: each report is somebody's, and nobody else's."""
        self.add({failure(domain=f"d{number}.example"): 1 for number in range(60)})
        self.plan()
        databases = [self.open() for _ in range(3)]

        def work(database: Database) -> list[str]:
            mine: list[str] = []
            while True:
                with database.transaction() as connection:
                    owed = tlsresults.claim(connection, NOW + 100, NOW + 1000, 5)
                if not owed:
                    return mine
                mine += [each.domain for each in owed]

        with ThreadPoolExecutor(3) as pool:
            claimed = [domain for some in pool.map(work, databases) for domain in some]
        self.assertEqual(sorted(claimed), sorted(set(claimed)))
        self.assertEqual(len(claimed), 60)

    def test_one_step_by_one(self) -> None:
        """Of two that know the same, one changes it."""
        self.add({failure(): 1})
        self.plan()
        [owed] = self.claim(NOW + 100)
        with self.writing() as connection:
            self.assertTrue(tlsresults.change_endpoints(connection, owed, None, ["mailto:a@b.example"]))
            self.assertFalse(tlsresults.change_endpoints(connection, owed, None, ["mailto:a@b.example"]))
            self.assertTrue(tlsresults.change_endpoints(connection, owed, ["mailto:a@b.example"], []))
            self.assertFalse(tlsresults.change_endpoints(connection, owed, ["mailto:a@b.example"], []))
            tlsresults.finish(connection, owed, "sent", True)
            self.assertFalse(tlsresults.change_endpoints(connection, owed, [], ["x"]))
            tlsresults.finish(connection, owed, "another process has it", False)
        self.assertEqual(self.of_day(), {})                 # which nobody needs any more
        self.plan()
        self.assertEqual(self.claim(NOW + 10_000), [])
        with self.reading() as connection:
            [row] = tlsresults.sent(connection, "example.com")
        self.assertEqual((row["said"], row["done"], row["day"]), ("sent", 1, DAY))

    # -- reports of others

    def test_kept_once(self) -> None:
        with self.writing() as connection:
            self.assertTrue(tlsreports.keep(connection, report(count=2), NOW))
            self.assertFalse(tlsreports.keep(connection, report(count=2), NOW + 1))
            self.assertTrue(tlsreports.keep(connection, report("2", "example.net"), NOW + 2))
        with self.reading() as connection:
            self.assertEqual(len(tlsreports.listing(connection)), 3)
            [row] = tlsreports.listing(connection, "example.net")
            self.assertEqual((row["report"], row["successful"], row["failed"]), ("2", 5, 2))
            self.assertEqual(row["policy-string"], ["mode: enforce"])
            self.assertEqual(len(tlsreports.listing(connection, since=NOW + 1)), 1)
        with self.writing() as connection:
            tlsreports.purge(connection, NOW + 1)
        self.assertEqual(self.count(tls_report), 1)

    def test_bounded(self) -> None:
        """Whoever sends reports without end pushes out the oldest."""
        self.patch(tlsreports, "MOST_ROWS", 5)
        with self.writing() as connection:
            for number in range(9):
                tlsreports.keep(connection, report(str(number)), NOW + number)
        with self.reading() as connection:
            self.assertEqual([row["report"] for row in tlsreports.listing(connection)], list("87654"))


    def test_a_report_that_swells(self) -> None:
        """Some kilobytes of gzip are a megabyte of JSON: of the details so much is kept as there is room for."""
        failures = tuple(
            Failure("validation-failure", 1, "192.0.2.1", f"mx{number}.example.org", "192.0.2.2", *["\u00e9" * 300] * 3)
            for number in range(500)
        )
        policy = Policy("sts", "example.org", ("mode: enforce",))
        with self.writing() as connection:
            tlsreports.keep(connection, Report("x", "x", "1", 0, 1, (Section(policy, 5, 500, failures),)), NOW)
            details = connection.execute(select(tls_report.c.details)).scalar_one()
            self.assertLess(len(details), 2 * tlsreports.MOST_DETAILS)
            [row] = tlsreports.listing(connection)
        self.assertEqual((row["failed"], row["policy-string"]), (500, ["mode: enforce"]))
        self.assertEqual(row["failures"][0]["mx"], "mx0.example.org")


class ResultsSqlite(ResultsContract, SqliteCase):
    pass


class ResultsPostgresql(ResultsContract, PostgresqlCase):
    pass
