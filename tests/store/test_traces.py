"""Stories: told in order, found by address, forgotten in time."""

from __future__ import annotations

import json
import threading
from typing import Any

from mailserver.errors import NotFound
from mailserver.ident import first_at, spell
from mailserver.store import locks, traces
from mailserver.store.schema import refusal, trace
from mailserver.story import event
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase


def at(time: float) -> int:
    return first_at(time) + 1


class TracesContract(Contract):
    def told(self, id: int, sender: str = "alice@example.net", *recipients: str) -> tuple[int, str]:
        record = {"id": spell(id), "sender": sender, "recipients": list(recipients), "destinations": []}
        return id, json.dumps(record, ensure_ascii=False)

    def test_a_story_is_told_in_order(self) -> None:
        with self.writing() as connection:
            traces.add_many(connection, [self.told(7), self.told(8)])
            for number in range(3):
                traces.append(connection, 7, f'{{"event":"attempt","number":{number}}}')
        with self.reading() as connection:
            story = traces.story(connection, 7)
            self.assertEqual([each.get("number") for each in story], [None, 0, 1, 2])
            self.assertEqual(len(traces.story(connection, 8)), 1)
            with self.assertRaises(NotFound):
                traces.story(connection, 9)

    def test_a_refusal_is_found_by_its_id_too(self) -> None:
        with self.writing() as connection:
            self.assertEqual(traces.refuse_many(connection, [self.told(7), self.told(8)]), [None, None])
        with self.reading() as connection:
            self.assertEqual(traces.story(connection, 7)[0]["id"], spell(7))

    def test_search(self) -> None:
        """By a part of an address in any case, newest first, refusals too; quotes and percents are themselves."""
        with self.writing() as connection:
            traces.add_many(connection, [
                self.told(at(NOW), "alice@example.net", "bob@example.org"),
                self.told(at(NOW + 2), "", 'o"brien@example.org', "100%_sure@example.org"),
                self.told(at(NOW + 3), "Ünal@example.net", "carol@example.org"),
            ])
            traces.refuse_many(connection, [self.told(at(NOW + 1), "alice@example.net", "nobody@example.org")])
        expected: tuple[tuple[dict[str, Any], list[int]], ...] = (
            ({}, [3, 2, 1, 0]), ({"sender": "ALICE@"}, [1, 0]), ({"recipient": "Bob@"}, [0]),
            ({"recipient": 'O"B'}, [2]), ({"recipient": "%_s"}, [2]), ({"recipient": "_s"}, [2]),
            ({"recipient": "%"}, [2]), ({"sender": "ünal"}, [3]), ({"since": NOW + 2}, [3, 2]), ({"limit": 2}, [3, 2]),
            ({"sender": "alice", "recipient": "nobody"}, [1]), ({"recipient": "alice"}, []),
        )
        with self.reading() as connection:
            for wanted, found in expected:
                ids = [each["id"] for each in traces.search(connection, **wanted)]
                self.assertEqual(ids, [spell(at(NOW + each)) for each in found], wanted)

    def test_search_passes_over_what_is_left_of_stories(self) -> None:
        """What an operator held is touched again after its story was forgotten: that event alone is no message."""
        with self.writing() as connection:
            traces.append(connection, at(NOW), event(NOW, "released", recipients=["bob@example.org"]))
            traces.add_many(connection, [self.told(at(NOW + 1), "alice@example.net", "bob@example.org")])
        with self.reading() as connection:
            for wanted in ({"recipient": "bob"}, {"since": NOW}):
                found = [each["id"] for each in traces.search(connection, **wanted)]    # type: ignore[arg-type]
                self.assertEqual(found, [spell(at(NOW + 1))])
            self.assertEqual(len(traces.story(connection, at(NOW))), 1)

    def test_purge(self) -> None:
        """Old stories go, and all refusals but the newest; so much at a time that nobody waits for it."""
        with self.writing() as connection:
            traces.add_many(connection, [self.told(at(NOW + number)) for number in range(30)])
            traces.refuse_many(connection, [self.told(at(NOW + number)) for number in range(30)])
        self.patch(traces, "MOST_FORGOTTEN", 4)
        rounds = 1
        while True:
            with self.writing() as connection:
                if not traces.purge(connection, NOW + 10, 15):
                    break
            rounds += 1
            self.assertLess(rounds, 20)
        self.assertGreater(rounds, 2)
        self.assertEqual((self.count(trace), self.count(refusal)), (20, 15))
        with self.reading() as connection:
            self.assertEqual(len(traces.story(connection, at(NOW + 29))), 2)
            with self.assertRaises(NotFound):
                traces.story(connection, at(NOW + 9))

    def test_two_couriers_tell_at_once(self) -> None:
        """Both events are there, in whatever order."""
        with self.writing() as connection:
            traces.add_many(connection, [self.told(7)])
        other = self.open()

        def tell(database: object) -> None:
            for _ in range(30):
                with database.transaction() as connection:  # type: ignore[attr-defined]
                    traces.append(connection, 7, '{"event":"attempt"}')

        threads = [threading.Thread(target=tell, args=(each,)) for each in (self.database, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self.reading() as connection:
            self.assertEqual(len(traces.story(connection, 7)), 61)

    def test_locks(self) -> None:
        """One holder at a time; whoever dies loses it by time, whoever stops gives it back."""
        def take(owner: str, now: float, name: str = "maildrop 1") -> bool:
            with self.writing() as connection:
                return locks.take(connection, name, owner, now, now + 60)

        self.assertTrue(take("us/1", NOW))
        self.assertFalse(take("them/1", NOW + 59))
        self.assertFalse(take("us/1", NOW + 59))
        self.assertTrue(take("them/1", NOW, "maildrop 2"))
        with self.writing() as connection:
            locks.renew(connection, "us/", NOW + 200)
        self.assertFalse(take("them/1", NOW + 100))
        self.assertTrue(take("them/1", NOW + 201))
        with self.writing() as connection:
            locks.release(connection, "maildrop 1", "us/1")
        self.assertFalse(take("us/1", NOW + 202))
        with self.writing() as connection:
            locks.free(connection, "them/")
        self.assertTrue(take("us/1", NOW + 203))
        self.assertTrue(take("us/1", NOW + 203, "maildrop 2"))


class TracesOnSqlite(TracesContract, SqliteCase):
    pass


class TracesOnPostgresql(TracesContract, PostgresqlCase):
    pass
