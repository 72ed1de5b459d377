"""Who shares a limit, in memory and in the database's words."""

from __future__ import annotations

from mailserver.config import Outbound
from mailserver.content import Content
from mailserver.delivery.lanes import Lanes
from mailserver.store import contents, spool
from mailserver.store.spool import Entry
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
        """Each entry's lane; and that the database finds, for each set of full lanes, exactly the others."""
        known = Lanes(outbound)
        self.assertEqual([known.of(each) for each in self.entries], list(lanes))
        for full in ([], *([lane] for lane in set(lanes)), list(set(lanes)), ["unknown"], sorted(set(lanes))[:3]):
            with self.reading() as connection:
                found = spool.due(connection, NOW, 100, known.others(full))
            self.assertEqual(
                {each.id for each in found}, {each.id for each in self.entries if known.of(each) not in full}, full
            )
            for each in found:
                self.assertEqual(known.of(each), known.of(self.by_id(each.id)))

    def by_id(self, id: int) -> Entry:
        return next(each for each in self.entries if each.id == id)

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
