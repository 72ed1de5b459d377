"""The spool: who tries an entry holds its lease, and whoever lost it does nothing."""

from __future__ import annotations

from typing import Any

from mailserver.content import Content
from mailserver.errors import NotFound
from mailserver.store import contents, interrupted, queue, spool, traces
from mailserver.store.schema import content
from mailserver.store.spool import Entry
from mailserver.wishes import Wishes
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

US, THEM = "us/1", "them/2"
AGAIN = 0.5             # seconds until what is claimed would be tried again


class SpoolContract(Contract):
    def put(self, *entries: Entry) -> None:
        with self.writing() as connection:
            for id in sorted({each.content_id for each in entries}):
                uses = sum(each.content_id == id for each in entries)
                contents.insert_many(connection, [(id, Content.of(b"x"), uses)])
            spool.insert_many(connection, entries)

    def claim(self, owner: str, now: float = NOW, limit: int = 10, lease: float = 60) -> list[int]:
        with self.writing() as connection:
            due = {each.id: now + AGAIN for each in spool.due(connection, now, limit)}
            return [each.id for each in spool.claim(connection, owner, now, lease, due)]

    def test_an_entry_comes_back_as_it_was(self) -> None:
        """All its values, the null reverse-path too."""
        one = self.entry(1, "carol@example.com", reason="451 later", attempts=3, held=True)
        two = self.entry(1, "dave@example.com", sender=None, kind="mailbox", place="maildir/INBOX")
        self.put(one, two)
        with self.reading() as connection:
            self.assertEqual(queue.listing(connection), [one, two])
            self.assertEqual(queue.show(connection, two.id), two)
            with self.assertRaises(NotFound):
                queue.show(connection, 5)

    def test_an_entry_is_claimed_once(self) -> None:
        """Two servers ask: each entry is tried by one of them."""
        entries = [self.entry(1, f"user{number}@example.com") for number in range(5)]
        self.put(*entries)
        ours, theirs = self.claim(US, limit=2), self.claim(THEM)
        self.assertEqual((len(ours), len(theirs)), (2, 3))
        self.assertEqual(sorted(ours + theirs), [each.id for each in entries])
        self.assertEqual(self.claim(US), [])

    def test_what_is_not_due_or_is_held_waits(self) -> None:
        due, later, held = self.entry(1), self.entry(1, next_attempt=NOW + 10), self.entry(1, held=True)
        self.put(due, later, held)
        with self.reading() as connection:
            self.assertEqual(spool.next_due(connection, NOW), NOW)
        self.assertEqual(self.claim(US), [due.id])
        with self.reading() as connection:
            self.assertEqual(spool.next_due(connection, NOW), NOW + 10)
        self.assertEqual([each.state(NOW) for each in (due, later, held)], ["ready", "waiting", "held"])

    def test_the_next_attempt_is_noted_first(self) -> None:
        """Whoever dies while it tries has counted the attempt already."""
        entry = self.entry(1)
        self.put(entry)
        self.claim(US)
        with self.writing() as connection:
            self.assertEqual(spool.claim(connection, THEM, NOW, 60, {entry.id: NOW + 300}), [])
        with self.reading() as connection:
            noted = queue.show(connection, entry.id)
        self.assertEqual((noted.attempts, noted.next_attempt, noted.owner), (1, NOW + AGAIN, US))

    def test_a_claim_is_run_again(self) -> None:
        """Its answer was lost: the second time it finds what is ours already, and counts it once."""
        entry = self.entry(1)
        self.put(entry)
        with self.writing() as connection:
            for _ in range(2):
                [claimed] = spool.claim(connection, US, NOW, 60, {entry.id: NOW + 300})
                self.assertEqual((claimed.attempts, claimed.next_attempt, claimed.owner), (1, NOW + 300, US))
            self.assertEqual(queue.show(connection, entry.id), claimed)

    def test_not_tried_after_all(self) -> None:
        """What is given back with a time is due then, and was no attempt."""
        entry = self.entry(1)
        self.put(entry)
        self.claim(US)
        with self.writing() as connection:
            spool.give_back(connection, [entry.id], THEM, NOW)
            self.assertEqual(queue.show(connection, entry.id).owner, US)
            spool.give_back(connection, [entry.id], US, NOW)
            self.assertEqual(queue.show(connection, entry.id), entry)

    def test_priorities(self) -> None:
        """The most urgent first (RFC 6710), then who waits longest; up to the limit, over all of them."""
        entries = [
            self.entry(1, next_attempt=NOW - age, wishes=Wishes(priority=priority))
            for priority, age in ((0, 5), (0, 9), (-4, 90), (9, 1), (0, 7), (3, 2))
        ]
        self.put(*entries)
        for limit in (1, 2, 4, 6, 50):
            with self.reading() as connection:
                found = [(each.priority, each.id) for each in spool.due(connection, NOW, limit)]
            wanted = [(9, 3), (3, 5), (0, 1), (0, 4), (0, 0), (-4, 2)][:limit]
            self.assertEqual(found, [(priority, entries[number].id) for priority, number in wanted])

    def test_elsewhere(self) -> None:
        """The domains in turn, some of each, those left out that have to wait; and where to go on."""
        self.put(*(
            self.entry(1, f"u{number}@{name}.example", next_attempt=NOW - number, held=name == "d" and not number)
            for name in "abcd" for number in range(3)
        ), self.entry(1, "u@e.example", next_attempt=NOW + 5))
        with self.reading() as connection:
            found, after = spool.due_elsewhere(connection, NOW, "", 3, 2, lambda name: name == "b.example")
            self.assertEqual([each.target for each in found], [
                "u2@a.example", "u1@a.example", "u2@c.example", "u1@c.example",
            ])
            self.assertEqual(after, "c.example")
            found, after = spool.due_elsewhere(connection, NOW, after, 3, 9, lambda name: False)
        self.assertEqual(([each.target for each in found], after), (["u2@d.example", "u1@d.example"], ""))

    def test_a_lease_that_lapsed_is_lost(self) -> None:
        """Another server took over: the first one may neither finish nor postpone, and sends no final dot."""
        entry = self.entry(1)
        self.put(entry)
        self.claim(US)
        self.assertEqual(self.claim(THEM, NOW + 61), [entry.id])
        with self.writing() as connection:
            self.assertFalse(spool.owned(connection, [entry.id], US, NOW + 61))
            self.assertFalse(spool.postpone(connection, entry.id, US, "late"))
            self.assertFalse(spool.finish(connection, self.database.contents, entry.id, US))
            self.assertTrue(spool.owned(connection, [entry.id], THEM, NOW + 61))
            self.assertTrue(spool.finish(connection, self.database.contents, entry.id, THEM))
        self.assertEqual(self.count(content), 0)

    def test_a_lease_that_is_renewed_stays(self) -> None:
        entry = self.entry(1)
        self.put(entry)
        self.claim(US)
        with self.writing() as connection:
            spool.renew(connection, US, NOW + 120)
        self.assertEqual(self.claim(THEM, NOW + 61), [])
        with self.writing() as connection:
            spool.free(connection, US)
        self.assertEqual(self.claim(THEM, NOW + 62), [entry.id])
        with self.writing() as connection:
            self.assertFalse(interrupted.free_dead(connection, NOW + 63))
        self.assertEqual(self.claim(US, NOW + 63), [entry.id])

    def interruptions(self, id: int) -> list[tuple[str, int, str]]:
        with self.reading() as connection:
            story = [each for each in traces.story(connection, id) if each.get("event") == "interrupted"]
        return [(each["recipient"], each["attempt"], each["said"]) for each in story]

    def test_what_the_dead_tried_is_told(self) -> None:
        """The stories name the attempts that have no end; what the living try stays theirs."""
        first, second, ours = self.entry(1), self.entry(1, "dave@example.com"), self.entry(2)
        self.put(first, second)
        with self.writing() as connection:
            traces.add_many(connection, [(1, "{}"), (2, "{}")])
        self.claim(THEM)
        self.put(ours)
        self.claim(US)
        with self.writing() as connection:
            self.assertFalse(interrupted.free_dead(connection, NOW, living=US))
            self.assertTrue(spool.has_leases(connection, [ours.id], US))
        self.assertEqual(self.interruptions(1), [
            ("carol@example.com", 1, interrupted.WHY), ("dave@example.com", 1, interrupted.WHY),
        ])
        with self.reading() as connection:
            self.assertEqual(queue.show(connection, first.id).reason, interrupted.WHY)
        with self.writing() as connection:
            interrupted.free_dead(connection, NOW, dead=THEM)
            self.assertTrue(spool.has_leases(connection, [ours.id], US))
            interrupted.free_dead(connection, NOW, dead=US)
            self.assertFalse(spool.has_leases(connection, [ours.id], US))
        self.assertEqual(len(self.interruptions(2)), 1)

    def test_the_dead_are_told_of_in_bounded_transactions(self) -> None:
        self.patch(interrupted, "MOST_FREED", 2)
        self.put(*(self.entry(1, f"user{number}@example.com") for number in range(3)))
        self.claim(US)
        with self.writing() as connection:
            self.assertTrue(interrupted.free_dead(connection, NOW))
            self.assertFalse(interrupted.free_dead(connection, NOW))
        self.assertEqual(len(self.interruptions(1)), 3)

    def test_a_lapsed_lease_is_told(self) -> None:
        """Where several servers work, the next one takes it over; the first time it was nobody's."""
        self.put(self.entry(1))
        with self.writing() as connection:
            traces.add_many(connection, [(1, "{}")])
        self.claim(US)
        self.assertEqual(self.interruptions(1), [])
        self.claim(THEM, NOW + 61)
        self.assertEqual(self.interruptions(1), [("carol@example.com", 1, interrupted.LAPSED)])

    def test_the_words_of_an_operator_stay(self) -> None:
        """They go into the report of what shall fail."""
        entry = self.entry(1, expires=spool.CANCELLED, reason="removed")
        self.put(entry)
        self.claim(US)
        with self.writing() as connection:
            interrupted.free_dead(connection, NOW)
        with self.reading() as connection:
            self.assertEqual(queue.show(connection, entry.id).reason, "removed")

    def test_postponed(self) -> None:
        """The remote's last words stand there until the next attempt."""
        entry = self.entry(1)
        self.put(entry)
        self.claim(US)
        with self.writing() as connection:
            self.assertTrue(spool.postpone(connection, entry.id, US, "451 4.7.1 Greylisted"))
        self.assertEqual(self.claim(US), [])
        with self.reading() as connection:
            self.assertEqual(queue.show(connection, entry.id).reason, "451 4.7.1 Greylisted")
        self.assertEqual(self.claim(US, NOW + 300), [entry.id])


class SpoolOnSqlite(SpoolContract, SqliteCase):
    def test_a_long_queue_is_not_read_whole(self) -> None:
        """Claims, the next time and the heartbeat find what they want by an index."""
        asked: list[str] = []
        self.put(self.entry(1))
        with self.writing() as connection:
            driver: Any = connection.connection.dbapi_connection
            driver.set_trace_callback(asked.append)
            spool.due(connection, NOW, 10)
            spool.due_elsewhere(connection, NOW, "", 10, 10, lambda name: False)
            [entry] = spool.due(connection, NOW, 10)
            spool.claim(connection, US, NOW, 60, {entry.id: NOW + 300})
            spool.next_due(connection, NOW)
            spool.renew(connection, US, NOW)
            spool.free(connection, US)
            interrupted.free_dead(connection, NOW)
            interrupted.free_dead(connection, NOW, US)
            driver.set_trace_callback(None)
            plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each}").fetchall() for each in asked]
        self.assertGreater(len(plans), 10)
        for statement, plan in zip(asked, plans, strict=True):
            self.assertRegex(str(plan), "USING (COVERING )?INDEX spool_|USING INTEGER PRIMARY KEY", statement)
            self.assertNotIn("TEMP B-TREE", str(plan), statement)


class SpoolOnPostgresql(SpoolContract, PostgresqlCase):
    def test_claims_pass_each_other(self) -> None:
        """Somebody claims and has not committed: others take what is left, and do not wait."""
        entries = [self.entry(1) for _ in range(4)]
        self.put(*entries)
        with self.writing() as slow:
            ids = [each.id for each in spool.due(slow, NOW, 2)]
            first = [each.id for each in spool.claim(slow, US, NOW, 60, dict.fromkeys(ids, NOW + AGAIN))]
            second = self.claim(THEM)
        self.assertEqual(sorted(first + second), [each.id for each in entries])
        self.assertEqual(len(first), 2)
