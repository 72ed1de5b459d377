"""The spool as its operator sees it: what is meant is found, looked at and changed, and the stories tell of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from mailserver.content import Content
from mailserver.store import contents, destinations, queue, spool, traces
from mailserver.store.destinations import Learned
from mailserver.store.queue import Choice, Sums
from mailserver.store.schema import content
from mailserver.store.spool import Entry
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase


def lane(row: Any) -> str:
    """Who shares a limit, where nothing is configured."""
    return str(row.domain)


class QueueContract(Contract):
    def put(self, *entries: Entry) -> None:
        with self.writing() as connection:
            for id in sorted({each.content_id for each in entries}):
                uses = sum(each.content_id == id for each in entries)
                contents.insert_many(connection, [(id, Content.of(b"x"), uses)])
                traces.add_many(connection, [(id, '{"id":"x","at":0}')])
            spool.insert_many(connection, entries)

    def entry_now(self, entry: Entry) -> Entry:
        with self.reading() as connection:
            return queue.show(connection, entry.id)

    def events(self, id: int) -> list[dict[str, Any]]:
        """What the story of a message tells behind its acceptance."""
        with self.reading() as connection:
            return traces.story(connection, id)[1:]

    def change(self, work: Any, *args: Any) -> int:
        with self.writing() as connection:
            return int(work(connection, *args, NOW))

    def test_whom_it_means(self) -> None:
        """By id of an entry or of its message, by domain, sender, recipient, a part of the reason, state and age."""
        one = self.entry(1, "carol@example.com", reason="451 Too busy", next_attempt=NOW + 900)
        two = self.entry(2, "dave@example.net", sender=None, reason="421 100% full_up", created=NOW - 7200)
        three = self.entry(3, "erin@example.net", held=True)
        self.put(one, two, three)
        with self.reading() as connection:
            for wanted, found in (
                ({"ids": [one.id]}, [one]), ({"ids": [2]}, [two]), ({"domain": "EXAMPLE.com"}, [one]),
                ({"sender": "Alice@Example.net"}, [one, three]), ({"sender": "<>"}, [two]), ({"sender": ""}, [two]),
                ({"recipient": "Dave@example.NET"}, [two]), ({"reason": "too BUSY"}, [one]),
                ({"reason": "0% full_"}, [two]), ({"reason": "%"}, [two]), ({"state": "held"}, [three]),
                ({"state": "waiting"}, [one]), ({"state": "ready"}, [two]), ({"older": 3600.0}, [two]),
                ({"domain": "example.net", "state": "held"}, [three]), ({}, [one, two, three]),
            ):
                ids = queue.chosen(connection, Choice(NOW, **wanted))  # type: ignore[arg-type]
                self.assertEqual(list(ids), [each.id for each in found], wanted)
            self.assertEqual(list(queue.chosen(connection, Choice(NOW), 2)), [one.id, two.id])

    def test_states_are_those_of_an_entry(self) -> None:
        """One that is being tried is ready, though its next attempt is noted already."""
        entries = [
            self.entry(1), self.entry(1, held=True), self.entry(1, next_attempt=NOW + 1),
            self.entry(1, next_attempt=NOW + 1, owner="us/1", lease=NOW + 9),
            self.entry(1, next_attempt=NOW + 1, owner="us/1", lease=NOW - 9),
        ]
        self.put(*entries)
        with self.reading() as connection:
            for state in queue.STATES:
                ids = queue.chosen(connection, Choice(NOW, state=state))
                self.assertEqual(list(ids), [each.id for each in entries if each.state(NOW) == state], state)

    def test_hold_and_release(self) -> None:
        one, two = self.entry(1, "carol@example.com"), self.entry(1, "dave@example.com")
        self.put(one, two)
        self.assertEqual(self.change(queue.hold, [one.id, two.id], "they ask for it"), 2)
        self.assertEqual(self.change(queue.hold, [one.id], "again"), 0)
        self.assertEqual(self.entry_now(one).reason, "held: they ask for it")
        with self.writing() as connection:
            self.assertEqual(spool.claim(connection, "us/1", NOW + 900, 10, {one.id: NOW + 960, two.id: NOW + 960}), [])
        self.assertEqual(self.change(queue.free, [one.id]), 1)
        with self.writing() as connection:
            claimed = spool.claim(connection, "us/1", NOW, 10, {one.id: NOW + 60, two.id: NOW + 60})
        self.assertEqual([each.id for each in claimed], [one.id])
        told = [(each["event"], each["recipients"], each.get("why"), each["by"]) for each in self.events(1)]
        self.assertEqual(told, [
            ("held", ["carol@example.com", "dave@example.com"], "they ask for it", "an operator"),
            ("released", ["carol@example.com"], None, "an operator"),
        ])

    def test_retry(self) -> None:
        """What is held is not tried for it."""
        one, two = self.entry(1, next_attempt=NOW + 900), self.entry(2, next_attempt=NOW + 900, held=True)
        self.put(one, two)
        self.assertEqual(self.change(queue.retry, [one.id, two.id, 4711], lane), 1)
        self.assertEqual(self.entry_now(one).next_attempt, NOW)
        self.assertEqual(self.entry_now(two).next_attempt, NOW + 900)

    def test_reroute(self) -> None:
        """What has failed goes at once, what was to wait waits; a mailbox is no way for a host."""
        failed = self.entry(1, attempts=2, next_attempt=NOW + 900)
        later = self.entry(2, next_attempt=NOW + 900)
        box = self.entry(3, kind="mailbox", place="maildir/INBOX")
        self.put(failed, later, box)
        self.assertEqual(self.change(queue.reroute, [failed.id, later.id, box.id], "tcp:127.0.0.1:25"), 2)
        found = [self.entry_now(each) for each in (failed, later, box)]
        self.assertEqual([each.place for each in found], ["tcp:127.0.0.1:25", "tcp:127.0.0.1:25", "maildir/INBOX"])
        self.assertEqual([each.next_attempt for each in found], [NOW, NOW + 900, NOW])
        self.assertEqual(self.change(queue.reroute, [failed.id], ""), 1)
        self.assertEqual(self.entry_now(failed).place, "")
        self.assertEqual([each["host"] for each in self.events(1)], ["tcp:127.0.0.1:25", "mx"])

    def test_remove(self) -> None:
        """The last entry takes the content away."""
        one, two = self.entry(1), self.entry(1)
        self.put(one, two)
        self.assertEqual(self.change(queue.remove, self.database.contents, [one.id, 4711]), 1)
        self.assertEqual(self.count(content), 1)
        self.assertEqual(self.change(queue.remove, self.database.contents, [two.id]), 1)
        self.assertEqual(self.count(content), 0)
        self.assertEqual([each["event"] for each in self.events(1)], ["removed", "removed"])

    def test_cancel(self) -> None:
        """It is due at once, on a way of its own, and is neither held nor rerouted any more."""
        one = self.entry(1, held=True, next_attempt=NOW + 900)
        box = self.entry(2, kind="mailbox", place="maildir/INBOX")
        self.put(one, box)
        self.assertEqual(self.change(queue.cancel, [one.id, box.id]), 2)
        self.assertEqual(self.change(queue.cancel, [one.id, box.id]), 0)
        self.assertEqual(self.change(queue.hold, [one.id], "no"), 0)
        self.assertEqual(self.change(queue.reroute, [one.id], "tcp:127.0.0.1:25"), 0)
        found = self.entry_now(one)
        self.assertEqual((found.place, found.expires, found.held, found.next_attempt), ("none", 0.0, False, NOW))
        self.assertEqual(self.entry_now(box).place, "maildir/INBOX")
        self.assertTrue(self.events(1)[0]["bounce"])

    def test_many_recipients_are_one_event(self) -> None:
        entries = [self.entry(1, f"user{number}@example.com") for number in range(700)]
        self.put(*entries)
        self.assertEqual(self.change(queue.hold, [each.id for each in entries], ""), 700)
        [told] = self.events(1)
        self.assertEqual((len(told["recipients"]), told["more"]), (100, 600))

    def test_retry_ends_rests(self) -> None:
        """Of the lanes where something is tried for it; what else was learned of them holds."""
        self.let_rest("example.com", "example.net")
        self.let_rest("example.org", until=NOW - 1)
        tried, held, other = self.entry(1, "a@example.com"), self.entry(1, "b@example.net", held=True), self.entry(1)
        slow = self.entry(1, "c@example.org")
        self.put(tried, held, other, slow)
        self.change(queue.retry, [tried.id, held.id, slow.id], lane)
        with self.reading() as connection:
            self.assertEqual([each.name for each in destinations.listing(connection)], ["example.net", "example.org"])
        with self.writing() as connection:
            self.assertEqual(spool.retry_domain(connection, "example.net", lane, NOW), 0)
            self.assertEqual(list(queue.resting(connection, NOW)), ["example.net"])
            spool.insert_many(connection, [self.entry(1, "d@example.net", attempts=1)])
            self.assertEqual(spool.retry_domain(connection, "example.net", lane, NOW), 1)
            self.assertEqual(list(queue.resting(connection, NOW)), [])

    def let_rest(self, *names: str, until: float = NOW + 60) -> None:
        """Write down that these rest."""
        with self.writing() as connection:
            destinations.put(connection, [
                Learned(name, until, "unreachable", "connection refused", NOW, 3, 0) for name in names
            ])

    def test_resting(self) -> None:
        """What rests, and what gets less at a time than it would."""
        self.let_rest("example.com")
        self.let_rest("example.net", until=NOW - 1)
        with self.writing() as connection:
            destinations.put(connection, [Learned("example.org", 0.0, "busy", "421 Too many", NOW, 0, 2)])
        with self.reading() as connection:
            found = queue.resting(connection, NOW)
        self.assertEqual(list(found), ["example.com", "example.org"])
        self.assertEqual((found["example.com"].until, found["example.com"].failures), (NOW + 60, 3))
        self.assertRegex(queue.in_words(found["example.com"], NOW), "^destination rests until .*: unreachable: conn")
        self.assertEqual(
            queue.in_words(found["example.org"], NOW), "destination gets 2 at a time: busy: 421 Too many"
        )

    def test_sums(self) -> None:
        self.put(
            self.entry(1, "a@example.com", reason="451 busy 17", created=NOW - 9),
            self.entry(1, "b@example.com", reason="451 busy 18", next_attempt=NOW - 5),
            self.entry(1, "c@example.com", reason="451 busy 19", held=True),
            self.entry(1, "d@example.net", reason=""), self.entry(1, "e@example.org", reason=""),
        )
        sums = Sums(NOW, lambda reason: reason[:3], most=3)
        with self.reading() as connection:
            for some in queue.pages(queue.chosen(connection, Choice(NOW)), 2):
                sums.add(queue.rows(connection, some, Sums.COLUMNS))
        told = [(each["count"], each["domain"], each["state"], each["reason"]) for each in sums.told()]
        self.assertEqual(told, [
            (2, "example.com", "ready", "451"), (1, "example.com", "held", "451"), (1, "example.net", "ready", ""),
            (1, "…", "ready", ""),
        ])
        self.assertEqual((sums.told()[0]["oldest"], sums.told()[0]["next_attempt"]), (NOW - 9, NOW - 5))


class QueueOnSqlite(QueueContract, SqliteCase):
    def test_by_index(self) -> None:
        """Neither a domain nor a batch of ids is looked for among all entries."""
        asked: list[Any] = []
        engine = self.database._writing
        assert engine is not None
        with self.writing() as connection:
            event.listen(engine, "before_cursor_execute", lambda *what: asked.append((what[2], what[3])))
            queue.chosen(connection, Choice(NOW, domain="example.com"))
            queue.hold(connection, [1, 2], "", NOW)
            queue.free(connection, [1, 2], NOW)
            queue.retry(connection, [1, 2], lane, NOW)
            queue.reroute(connection, [1, 2], "", NOW)
            queue.remove(connection, self.database.contents, [1, 2], NOW)
            statements = [each for each in asked if " spool" in each[0]]
            plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", p).fetchall() for s, p in statements]
        self.assertEqual(len(plans), 6)
        self.assertIn("COVERING INDEX spool_domain", str(plans[0]))
        for plan in plans[1:]:
            self.assertIn("PRIMARY KEY", str(plan))


class QueueOnPostgresql(QueueContract, PostgresqlCase):
    pass
