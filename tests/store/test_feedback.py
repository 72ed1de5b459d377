"""The book of what became of our mail, and who is not written to any more."""

from __future__ import annotations

import json
from typing import Any

from mailserver.address import Address
from mailserver.content import Content
from mailserver.errors import AlreadyExists, NotFound
from mailserver.feedback.kinds import Kind
from mailserver.feedback.rules import DAY, Rules
from mailserver.feedback.told import Sort
from mailserver.ident import spell
from mailserver.store import contents, feedback, spool, suppressions, traces
from mailserver.store.feedback import OWN, TRACE, VERP, Booking
from mailserver.store.schema import feedback as rows
from mailserver.store.schema import suppression
from mailserver.story import event
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase, make_entry

BOB, EVE = Address.parse("Bob@example.com"), Address.parse("eve@example.net")
RULES = Rules()


def bounce(message_id: int = 7, **others: Any) -> Booking:
    values: dict[str, Any] = {
        "at": NOW, "sort": Sort.BOUNCE, "recipient": BOB, "kind": Kind.GONE, "status": "5.1.1",
        "message_id": message_id, "proof": VERP, "reporter": "mx.example.com", "text": "550 5.1.1 No such user",
    }
    return Booking(**(values | others))


class FeedbackContract(Contract):
    def book(self, *bookings: Booking, rules: Rules = RULES) -> list[bool]:
        with self.writing() as connection:
            return feedback.book(connection, bookings, rules)

    def suppressed(self, address: Address = BOB, now: float = NOW) -> Any:
        with self.reading() as connection:
            return suppressions.find(connection, address.key, now)

    def accepted(self, id: int, *recipients: str) -> None:
        with self.writing() as connection:
            traces.add_many(connection, [(id, json.dumps({"id": spell(id), "recipients": recipients}))])

    def test_booked(self) -> None:
        """It stands in the book and in the story of the message; once, however often it is told."""
        self.accepted(7, "bob@example.com")
        self.assertEqual(self.book(bounce()), [True])
        self.assertEqual(self.book(bounce(), bounce(sort=Sort.DELAY)), [False, True])
        with self.reading() as connection:
            [delay, first] = feedback.listing(connection)
            story = traces.story(connection, 7)
        self.assertEqual((first["recipient"], first["kind"], first["message"]), ("Bob@example.com", "gone", spell(7)))
        self.assertEqual((first["proof"], first["reporter"], delay["sort"]), ("verp", "mx.example.com", "delay"))
        self.assertEqual([each["event"] for each in story[1:]], ["feedback", "feedback"])
        self.assertEqual(story[1]["said"], "550 5.1.1 No such user")

    def test_without_a_story(self) -> None:
        """Where it was forgotten already, none begins."""
        self.book(bounce(message_id=8))
        with self.reading() as connection, self.assertRaises(NotFound):
            traces.story(connection, 8)

    def test_bounces(self) -> None:
        """After so many messages, for so long; the story of the last says so."""
        self.accepted(8, "bob@example.com")
        self.book(bounce(7), bounce(7, sort=Sort.DELAY))
        self.assertIsNone(self.suppressed())
        self.book(bounce(8, at=NOW + DAY))
        found = self.suppressed()
        self.assertEqual((found.kind, found.by, found.message_id), ("bounce", "automatic", 8))
        self.assertEqual(found.reason, "2 messages bounced: 550 5.1.1 No such user")
        self.assertEqual(found.until, NOW + 91 * DAY)
        self.assertIsNone(self.suppressed(now=found.until))
        with self.reading() as connection:
            self.assertEqual(traces.story(connection, 8)[-1]["event"], "suppressed")

    def test_what_does_not_count(self) -> None:
        """Other kinds of failures, the same message, what is long ago, and what anybody could have said."""
        for others in (
            {"kind": Kind.FULL}, {"kind": Kind.POLICY}, {"proof": TRACE}, {"sort": Sort.DELAY}, {"at": NOW - 15 * DAY},
        ):
            address = Address.parse(f"u{abs(hash(str(others)))}@example.com")
            self.book(bounce(1, recipient=address, **others), bounce(2, recipient=address))
            self.assertIsNone(self.suppressed(address), others)

    def test_own_failures_count(self) -> None:
        self.book(bounce(1, proof=OWN), bounce(2))
        self.assertEqual(self.suppressed().kind, "bounce")

    def test_complaints(self) -> None:
        """At once and for ever, when a keyed path proves whose it is."""
        complaint = {"sort": Sort.COMPLAINT, "kind": Kind.UNKNOWN, "status": "", "text": "abuse"}
        self.book(bounce(3, proof=TRACE, **complaint))
        self.assertIsNone(self.suppressed())
        self.book(bounce(4, **complaint))
        self.assertEqual((self.suppressed().kind, self.suppressed().until), ("complaint", 0.0))
        self.book(bounce(5, sort=Sort.OTHER, recipient=EVE))
        self.assertIsNone(self.suppressed(EVE))

    def test_rules(self) -> None:
        """As the operator wants it."""
        self.book(bounce(1), bounce(2), rules=Rules(automatic=False))
        self.assertIsNone(self.suppressed())
        self.book(bounce(3, recipient=EVE), rules=Rules(bounces=1, bounce_until=0.0))
        self.assertEqual(self.suppressed(EVE).until, 0.0)
        carol = Address.parse("carol@example.com")
        self.book(bounce(4, recipient=carol, sort=Sort.COMPLAINT), rules=Rules(complaints=False))
        self.assertIsNone(self.suppressed(carol))

    def test_by_hand(self) -> None:
        """An operator's word stands until it is taken back, whatever happens."""
        with self.writing() as connection:
            suppressions.add(connection, BOB, "he asked", NOW)
            with self.assertRaises(AlreadyExists):
                suppressions.add(connection, BOB, "again", NOW)
        self.book(bounce(1), bounce(2))
        self.assertEqual((self.suppressed().by, self.suppressed().reason), ("operator", "he asked"))
        with self.writing() as connection:
            found = suppressions.listing(connection, NOW, "EXAMPLE.com")
            self.assertEqual([each.address for each in found], [str(BOB)])
            self.assertEqual(suppressions.listing(connection, NOW, "example.org"), [])
            self.assertEqual(suppressions.listing(connection, NOW, "ample.com"), [])
            suppressions.remove(connection, Address.parse("bob@EXAMPLE.com"))
            with self.assertRaises(NotFound):
                suppressions.remove(connection, BOB)
            with self.assertRaises(NotFound):
                suppressions.show(connection, BOB, NOW)

    def test_listing(self) -> None:
        """By time, by a part of the address, by what it is about or of which sort."""
        full = bounce(2, at=NOW + 9, recipient=EVE, kind=Kind.FULL)
        self.book(bounce(1), full, bounce(3, sort=Sort.DELAY, at=NOW + 5))
        for wanted, ids in (
            ({}, [2, 3, 1]), ({"since": NOW + 5}, [2, 3]), ({"recipient": "EVE"}, [2]), ({"kind": "gone"}, [3, 1]),
            ({"kind": "delay"}, [3]), ({"limit": 1}, [2]), ({"recipient": "%"}, []),
        ):
            with self.reading() as connection:
                found = feedback.listing(connection, **wanted)              # type: ignore[arg-type]
            self.assertEqual([each["message"] for each in found], list(map(spell, ids)), wanted)

    def test_recipients(self) -> None:
        """To whom a message went: by the names that its sender used, and by those that it was sent to."""
        self.accepted(7, "bob@example.com", "no address")
        with self.writing() as connection:
            traces.append(connection, 7, '{"event":"attempt","recipient":"bob@example.com","target":"b@example.net"}')
        with self.reading() as connection:
            self.assertEqual(
                [str(each) for each in feedback.recipients_of(connection, 7)], ["bob@example.com", "b@example.net"]
            )
            self.assertEqual(feedback.recipients_of(connection, 8), [])

    def test_who_got_it_elsewhere(self) -> None:
        """Whom another server has taken it for, and whom it is being tried for; nobody who has his mailbox here."""
        self.accepted(7, "bob@example.com", "carol@example.org")
        ends = (
            {"recipient": "bob@example.com", "target": "b@example.net", "result": "delivered", "host": "mx:25"},
            {"recipient": "eve@example.net", "target": "eve@example.net", "result": "failed", "host": "mx:25"},
            {"recipient": "carol@example.org", "target": "carol@example.org", "result": "delivered"},
        )
        with self.writing() as connection:
            traces.append_many(connection, [(7, event(NOW, "attempt", **each)) for each in ends])
            self.assertEqual(
                [str(each) for each in feedback.sent_to(connection, 7)], ["bob@example.com", "b@example.net"]
            )
            contents.insert_many(connection, [(8, Content.of(b"x"), 2)])
            tried = make_entry(1, 8, "u1@example.net", owner="somebody", lease=NOW + 60)
            spool.insert_many(connection, [tried, make_entry(2, 8, "u2@example.net")])
            self.assertEqual([str(each) for each in feedback.sent_to(connection, 8)], ["u1@example.net"])
            self.assertEqual(feedback.sent_to(connection, 9), [])

    def test_forgotten(self) -> None:
        """What is old, what is too much, and suppressions whose time is over."""
        self.patch(feedback, "MOST", 3)
        self.patch(suppressions, "MOST_AUTOMATIC", 2)
        self.book(*(bounce(number, at=NOW + number, recipient=Address(f"u{number}", "example.com"))
                    for number in range(6)), rules=Rules(bounces=1, bounce_until=100.0))
        with self.writing() as connection:
            suppressions.add(connection, BOB, "he asked", NOW)
            while feedback.purge(connection, NOW + 4):
                pass
            while suppressions.purge(connection, NOW + 102):
                pass
        self.assertEqual((self.count(rows), self.count(suppression)), (2, 3))
        with self.reading() as connection:
            self.assertEqual(
                sorted(each.address for each in suppressions.listing(connection, NOW)),
                ["Bob@example.com", "u4@example.com", "u5@example.com"],
            )


class SqliteFeedbackTests(FeedbackContract, SqliteCase):
    pass


class PostgresqlFeedbackTests(FeedbackContract, PostgresqlCase):
    pass
