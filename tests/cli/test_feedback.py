"""Who is not written to any more, and what others said."""

from __future__ import annotations

import time

from mailserver.address import Address
from mailserver.config import load
from mailserver.feedback.kinds import Kind
from mailserver.feedback.rules import Rules
from mailserver.feedback.told import Sort
from mailserver.store import feedback
from mailserver.store.database import Database
from mailserver.store.feedback import VERP, Booking
from tests.cli.commands import HouseTestCase


class SuppressionTests(HouseTestCase):
    """mailserver suppression ..."""

    def test_by_hand(self) -> None:
        self.assertEqual(self.done("suppression", "list").out, "everybody is written to\n")
        self.assertEqual(
            self.done("suppression", "add", "bob@example.com", "--reason", "he asked").out,
            "bob@example.com is not written to any more\n",
        )
        self.done("suppression", "add", "eve@example.net", "--for", "30d")
        found = self.done("suppression", "list", "--json").json
        self.assertEqual({each["address"] for each in found}, {"bob@example.com", "eve@example.net"})
        [bob] = self.done("suppression", "list", "--domain", "example.com", "--json").json
        self.assertEqual((bob["reason"], bob["by"], bob["until"], bob["message"]), ("he asked", "operator", 0, ""))
        eve = self.done("suppression", "show", "EVE@example.net", "--json").json
        self.assertLess(abs(eve["until"] - time.time() - 30 * 86400), 60)
        self.assertIn("for ever", self.done("suppression", "show", "bob@example.com").out)
        self.assertIn("he asked", self.done("suppression", "list").out)
        again = self.done("suppression", "remove", "bob@example.com").out
        self.assertEqual(again, "bob@example.com is written to again\n")
        self.assertIn("written to as usual", self.fails("suppression", "remove", "bob@example.com"))
        self.assertIn("written to as usual", self.fails("suppression", "show", "bob@example.com"))

    def test_mistakes(self) -> None:
        self.assertIn("no address", self.fails("suppression", "add", "bob"))
        self.assertIn("--for needs to be seconds", self.fails("suppression", "add", "bob@example.com", "--for", "soon"))
        self.assertIn("one line", self.fails("suppression", "add", "bob@example.com", "--reason", "a\nb"))


class FeedbackTests(HouseTestCase):
    """mailserver feedback ..."""

    def test_list(self) -> None:
        self.assertEqual(self.done("feedback", "list").out, "nothing was booked\n")
        config = load(self.config)
        database = Database(config.database, config.data)
        database.open()
        now = time.time()
        bookings = [
            Booking(now, Sort.BOUNCE, Address.parse("bob@example.com"), Kind.GONE, "5.1.1", 7, VERP, "mx", "550 No"),
            Booking(
                now - 9e5, Sort.COMPLAINT, Address.parse("eve@example.net"), Kind.UNKNOWN, "", 8, VERP, "", "abuse"
            ),
        ]
        with database.transaction() as connection:
            feedback.book(connection, bookings, Rules())
        database.close()
        bob, eve = self.done("feedback", "list", "--json").json
        self.assertEqual((bob["recipient"], bob["kind"], bob["text"]), ("bob@example.com", "gone", "550 No"))
        self.assertEqual(self.done("feedback", "list", "--since", "2d", "--json").json, [bob])
        self.assertEqual(self.done("feedback", "list", "--kind", "complaint", "--json").json, [eve])
        self.assertEqual(self.done("feedback", "list", "--recipient", "bob", "--json").json, [bob])
        self.assertIn("550 No", self.done("feedback", "list").out)
        self.assertEqual(self.say("feedback", "list", "--kind", "nonsense").code, 2)
        self.assertEqual(len(self.done("suppression", "list", "--json").json), 1)
