"""What is known of the TLS of others, on either database."""

from __future__ import annotations

from dataclasses import replace

from mailserver.store import tls
from mailserver.store.tls import Kept
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

POLICY = Kept("example.com", "1", "version: STSv1", NOW, NOW + 1000, NOW)


class TlsContract(Contract):
    def test_policies(self) -> None:
        """The newest counts; one that could not be had anew keeps the reason; those in use are renewed."""
        newer = replace(POLICY, id="2", fetched=NOW + 10)
        with self.writing() as connection:
            tls.keep(connection, POLICY)
            tls.keep(connection, newer)
            tls.keep(connection, replace(POLICY, domain="example.net", used=NOW - 50))
            tls.not_renewed(connection, "example.com", "it answered 404")
            self.assertEqual(tls.known(connection, "example.com"), (replace(newer, trouble="it answered 404"), None))
            self.assertEqual(tls.known(connection, "example.org"), (None, None))
            self.assertEqual([each.domain for each in tls.to_renew(connection, NOW + 60, NOW - 40, 9)], ["example.com"])
            tls.used(connection, "example.net", NOW + 5)
            oldest = tls.to_renew(connection, NOW + 60, NOW - 40, 1)
            self.assertEqual([each.domain for each in oldest], ["example.net"])

    def test_who_cannot_be_reached_waits(self) -> None:
        """A hundred policies that cannot be fetched any more do not keep the others from being renewed."""
        with self.writing() as connection:
            for number in range(5):
                tls.keep(connection, replace(POLICY, domain=f"{number}.example", fetched=NOW + number))
            for number in range(3):
                tls.not_renewed(connection, f"{number}.example", "it answered 404")
            found = [each.domain for each in tls.to_renew(connection, NOW + 60, NOW, 3)]
            self.assertEqual(found, ["3.example", "4.example", "0.example"])

    def test_memory(self) -> None:
        """Counted; missing since the first time; back again; gone."""
        with self.writing() as connection:
            for number in range(3):
                tls.had(connection, "example.com", NOW + number, "encrypt", "TLSv1.3 x")
            tls.missed(connection, "example.com", NOW + 10, "no STARTTLS")
            tls.missed(connection, "example.com", NOW + 20, "no handshake")
            tls.missed(connection, "example.net", NOW + 20, "nobody knows it")
            _, (found,) = tls.listing(connection)
            self.assertEqual((found.times, found.since, found.last), (3, NOW, NOW + 2))
            self.assertEqual((found.missing, found.reason), (NOW + 10, "no STARTTLS"))
            tls.had(connection, "example.com", NOW + 30, "dane", "TLSv1.3 x")
            _, known = tls.known(connection, "example.com")
            assert known is not None
            self.assertEqual((known.times, known.level, known.missing, known.reason), (4, "dane", 0.0, ""))
            tls.forget_memory(connection, "example.com")
            self.assertEqual(tls.known(connection, "example.com"), (None, None))

    def test_forget(self) -> None:
        with self.writing() as connection:
            tls.keep(connection, POLICY)
            tls.had(connection, "example.com", NOW, "encrypt", "x")
            self.assertEqual(tls.forget(connection, "example.com"), 2)
            self.assertEqual((tls.forget(connection, "example.com"), tls.listing(connection)), (0, ([], [])))

    def test_purge(self) -> None:
        """What is over goes, and what is too much, the oldest first."""
        self.patch(tls, "MOST", 3)
        with self.writing() as connection:
            for number in range(5):
                tls.had(connection, f"{number}.example", NOW + number, "encrypt", "x")
                tls.keep(connection, replace(POLICY, domain=f"{number}.example", used=NOW + number))
            self.assertFalse(tls.purge(connection, NOW + 50))
            policies, memory = tls.listing(connection)
            self.assertEqual([each.domain[0] for each in policies], ["2", "3", "4"])
            self.assertEqual([each.domain[0] for each in memory], ["2", "3", "4"])
            tls.purge(connection, NOW + tls.KEPT + 4)
            policies, memory = tls.listing(connection)
            self.assertEqual((policies, [each.domain[0] for each in memory]), ([], ["4"]))


class TlsOnSqlite(TlsContract, SqliteCase):
    pass


class TlsOnPostgresql(TlsContract, PostgresqlCase):
    pass
