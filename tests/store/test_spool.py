"""The spool: who tries an entry holds its lease, and whoever lost it does nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from mailserver.content import Content
from mailserver.errors import NotFound
from mailserver.store import contents, queue, spool
from mailserver.store.schema import content
from mailserver.store.spool import Entry
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

US, THEM = "us/1", "them/2"


class SpoolContract(Contract):
    def put(self, *entries: Entry) -> None:
        with self.writing() as connection:
            for id in sorted({each.content_id for each in entries}):
                uses = sum(each.content_id == id for each in entries)
                contents.insert_many(connection, [(id, Content.of(b"x"), uses)])
            spool.insert_many(connection, entries)

    def claim(self, owner: str, now: float = NOW, limit: int = 10, lease: float = 60) -> list[int]:
        with self.writing() as connection:
            return [each.id for each in spool.claim(connection, owner, now, limit, lease)]

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
            self.assertEqual(spool.note_attempt(connection, [entry.id], THEM, NOW + 300), [])
            self.assertEqual(spool.note_attempt(connection, [entry.id], US, NOW + 300), [entry.id])
        with self.reading() as connection:
            noted = queue.show(connection, entry.id)
        self.assertEqual((noted.attempts, noted.next_attempt, noted.owner), (1, NOW + 300, US))

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
            spool.free_all(connection)
        self.assertEqual(self.claim(US, NOW + 63), [entry.id])

    def test_postponed(self) -> None:
        """The remote's last words stand there until the next attempt."""
        entry = self.entry(1)
        self.put(entry)
        self.claim(US)
        with self.writing() as connection:
            spool.note_attempt(connection, [entry.id], US, NOW + 300)
            self.assertTrue(spool.postpone(connection, entry.id, US, "451 4.7.1 Greylisted"))
        self.assertEqual(self.claim(US), [])
        with self.reading() as connection:
            self.assertEqual(queue.show(connection, entry.id).reason, "451 4.7.1 Greylisted")
        self.assertEqual(self.claim(US, NOW + 300), [entry.id])


class SpoolOnSqlite(SpoolContract, SqliteCase):
    def test_a_long_queue_is_not_read_whole(self) -> None:
        """Claims, the next time and the heartbeat find what they want by an index."""
        asked: list[Any] = []
        engine = self.database._writing
        assert engine is not None
        with self.writing() as connection:
            event.listen(engine, "before_cursor_execute", lambda *what: asked.append((what[2], what[3])))
            spool.claim(connection, US, NOW, 10, 60)
            spool.next_due(connection, NOW)
            spool.renew(connection, US, NOW)
            spool.free(connection, US)
            spool.free_all(connection)
            statements = list(asked)
            plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", p).fetchall() for s, p in statements]
        self.assertEqual(len(plans), 5)
        for plan in plans:
            self.assertIn("USING INDEX spool_", str(plan))


class SpoolOnPostgresql(SpoolContract, PostgresqlCase):
    def test_claims_pass_each_other(self) -> None:
        """Somebody claims and has not committed: others take what is left, and do not wait."""
        entries = [self.entry(1) for _ in range(4)]
        self.put(*entries)
        with self.writing() as slow:
            first = [each.id for each in spool.claim(slow, US, NOW, 2, 60)]
            second = self.claim(THEM)
        self.assertEqual(sorted(first + second), [each.id for each in entries])
        self.assertEqual(len(first), 2)
