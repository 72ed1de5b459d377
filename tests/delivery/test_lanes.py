"""Who shares a limit, in memory and in the database's words."""

from __future__ import annotations

from mailserver.config import Outbound
from mailserver.content import Content
from mailserver.delivery.lanes import Lanes
from mailserver.settings import Manner, Smarthost, Source
from mailserver.store import contents, spool
from mailserver.wishes import NONE
from tests.store.cases import NOW, SqliteCase


class LanesTests(SqliteCase):
    def setUp(self) -> None:
        super().setUp()
        self.entries = [
            self.entry(1, "a@example.com"),
            self.entry(1, "b@example.net"),
            self.entry(1, "c@routed.example"),
            self.entry(1, "d@twin.example"),
            self.entry(1, "e@example.com", place="tcp:192.0.2.1"),
            self.entry(1, "f@example.org", kind="mailbox", place="maildir/INBOX"),
            self.entry(1, "g@example.org", kind="mailbox", place="maildir_2/Junk"),
        ]
        with self.writing() as connection:
            contents.insert_many(connection, [(1, Content.of(b"x"), len(self.entries))])
            spool.insert_many(connection, self.entries)
        self.route = {"routed.example": "tcp:192.0.2.9", "twin.example": "tcp:192.0.2.9"}

    def check(self, outbound: Outbound, *lanes: str) -> None:
        """Each entry's lane, as the entry tells of it and as what is due does."""
        known = Lanes(outbound)
        self.assertEqual([known.of(each) for each in self.entries], list(lanes))
        with self.reading() as connection:
            due = spool.due(connection, NOW, 100)
        self.assertEqual({each.id: known.of(each) for each in due}, {
            each.id: lane for each, lane in zip(self.entries, lanes, strict=True)
        })

    def test_by_domain(self) -> None:
        """Those with one route share it; a domain without one is its own lane."""
        self.check(
            Outbound(route=self.route),
            "example.com", "example.net", "tcp:192.0.2.9", "tcp:192.0.2.9", "tcp:192.0.2.1", "mailbox of maildir",
            "mailbox of maildir_2",
        )

    def test_smarthost(self) -> None:
        """Everything that has no other way shares it."""
        self.check(
            Outbound(route=self.route, smarthost="tcp:192.0.2.5"),
            "tcp:192.0.2.5", "tcp:192.0.2.5", "tcp:192.0.2.9", "tcp:192.0.2.9", "tcp:192.0.2.1", "mailbox of maildir",
            "mailbox of maildir_2",
        )

    def test_smarthost_that_is_a_route_too(self) -> None:
        self.check(
            Outbound(route=self.route, smarthost="tcp:192.0.2.9"),
            "tcp:192.0.2.9", "tcp:192.0.2.9", "tcp:192.0.2.9", "tcp:192.0.2.9", "tcp:192.0.2.1", "mailbox of maildir",
            "mailbox of maildir_2",
        )

    def test_smarthosts(self) -> None:
        """By domain, login or sender: the first that is for it; others have the usual one."""
        known = Lanes(Outbound(route=self.route, smarthost="tcp:192.0.2.5", smarthosts=(
            Smarthost("tcp:192.0.2.6", domains=("example.net",)),
            Smarthost("tcp:192.0.2.7", "ours", "secret", senders=("@news.example.org", "ann@example.org")),
            Smarthost("tcp:192.0.2.8", logins=("eve@example.org",)),
        )))
        for domain, sender, login, host in (
            ("example.net", "ann@example.org", "", "192.0.2.6"), ("example.com", "Ann@Example.org", "", "192.0.2.7"),
            ("example.com", "x@news.example.org", "eve@example.org", "192.0.2.7"), ("example.com", "", "", "192.0.2.5"),
            ("example.com", "bob@example.org", "eve@example.org", "192.0.2.8"),
            ("routed.example", "ann@example.org", "", "192.0.2.9"),
        ):
            self.assertEqual(known.route(domain, "", sender, login).host, f"tcp:{host}")
        way = known.way(self.entries[0], "ann@example.org", NONE)
        self.assertEqual((way.lane, way.login), ("tcp:192.0.2.7", "ours"))

    def test_sources(self) -> None:
        """One address of each family: the sender's own, else the same for a destination each time."""
        known = Lanes(Outbound(sources=(
            Source("192.0.2.1"), Source("192.0.2.2"), Source("2001:db8::1"),
            Source("192.0.2.9", "news.example.org", ("@news.example.org",)),
        )))
        self.assertEqual([each.address for each in known.sources("a.example", "x@news.example.org")], ["192.0.2.9"])
        seen = set()
        for number in range(20):
            [four, six] = known.sources(f"d{number}.example", "ann@example.org")
            self.assertEqual(known.sources(f"d{number}.example", ""), [four, six])
            self.assertEqual(six.address, "2001:db8::1")
            seen.add(four.address)
        self.assertEqual(seen, {"192.0.2.1", "192.0.2.2"})

    def test_manners(self) -> None:
        """The name itself, else the nearest one above; what is not said is as usual."""
        known = Lanes(Outbound(connections_per_host=7, per_minute=60, manners=(
            Manner((".example.com",), 2), Manner(("mx.example.com",), 3, 10), Manner((".com",), 0, 5),
        )))
        for domain, wanted in (
            ("mx.example.com", (3, 10)), ("a.b.example.com", (2, 60)), ("example.com", (7, 5)),
            ("example.org", (7, 60)),
        ):
            manner = known.manner(domain)
            self.assertEqual((manner.connections, manner.per_minute), wanted, domain)
