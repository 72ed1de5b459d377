"""Whom we write to, and whom no more; and the whole way of a bounce that comes back."""

from __future__ import annotations

from typing import Any

from mailserver.address import Address
from mailserver.config import Outbound
from mailserver.content import Content
from mailserver.delivery import booking
from mailserver.delivery.booking import Booking, is_bulk, refusal
from mailserver.delivery.classify import Kind, classify
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.compose import compose
from mailserver.delivery.reports.original import Original
from mailserver.delivery.result import DEFERRED, FAILED, Result, by_reply
from mailserver.envelope import Client, Envelope, Origin
from mailserver.feedback.rules import Rules
from mailserver.filters.feedback import Feedback
from mailserver.forwarding.bounces import KEY, Bounces, BouncesOptions
from mailserver.hooks import Asked
from mailserver.interfaces import NoOptions
from mailserver.lent import Lent
from mailserver.reply import Reply
from mailserver.store import feedback, suppressions, traces
from mailserver.store.key import load_key
from mailserver.story import Story
from mailserver.testing.cases import answer
from mailserver.wishes import Wishes
from tests.delivery.house import HOSTNAME, HouseCase
from tests.store.cases import make_entry

BOB = Address.parse("bob@example.com")
NEWS = Address.parse("news@example.org")
GONE = by_reply(Reply(550, "1.1", "No such user"), "mx.example.com:25")


class BookingTests(HouseCase):
    def booking(self, **outbound: Any) -> Booking:
        return Booking(self.database, Outbound(**outbound), self.world, load_key(self.data / KEY))

    async def hold(self) -> None:
        await self.database.write(suppressions.add, BOB, "he asked", self.world.now())

    async def test_keyed_senders(self) -> None:
        """Mail of the senders that are named leaves with a path of its own; reports and others as they are."""
        found = self.booking(verp=("news@example.org", "@lists.example.org"))
        entry = make_entry(1, 77, "bob@example.com", sender=NEWS)
        self.assertRegex(str(found.sender_for(entry)), r"^news\+\w{10}=\w{13}=bob=example\.com@example\.org$")
        other = Address.parse("anybody@lists.example.org")
        self.assertIn("+", str(found.sender_for(make_entry(1, 77, sender=other))))
        here = make_entry(1, 77, sender=NEWS, kind="mailbox")
        for plain in (make_entry(1, 77), make_entry(1, 77, sender=None), here):
            self.assertEqual(found.sender_for(plain), plain.sender)

    async def test_to_which_mail_it_applies(self) -> None:
        """Usually to what is for many only: a letter from one to another is not held back by a bounce."""
        letter = make_entry(1, 1, sender=NEWS)
        bulk, plain = b"List-Unsubscribe: <mailto:x@example.org>\r\n", b"Subject: x\r\n"
        usual = self.booking()
        self.assertTrue(usual.applies(letter, bulk))
        self.assertFalse(usual.applies(letter, plain))
        self.assertTrue(self.booking(verp=(NEWS.key,)).applies(letter, plain))
        self.assertTrue(self.booking(suppression=Rules(applies="all")).applies(letter, plain))
        self.assertFalse(self.booking(suppression=Rules(applies="none")).applies(letter, bulk))
        self.assertFalse(self.booking(suppression=Rules(applies="all")).applies(make_entry(1, 1, sender=None), plain))

    def test_bulk(self) -> None:
        for header, bulk in (
            (b"Precedence: bulk\r\n", True), (b"precedence: List\r\n", True), (b"List-Id: <x.example>\r\n", True),
            (b"Precedence: first-class\r\n", False), (b"X-List-Id: x\r\n", False),
            (b"Subject: precedence: bulk\r\n", False),
        ):
            self.assertEqual(is_bulk(header), bulk, header)

    async def test_suppressed(self) -> None:
        """By whom, why, and how to lift it; the sender's report says so, and it is no failure to book."""
        found = self.booking()
        self.assertIsNone(await found.suppressed(BOB))
        await self.hold()
        self.assertIsNone(await found.suppressed(BOB))          # remembered, for a moment
        known = await self.booking().suppressed(Address.parse("BOB@example.com"))
        assert known is not None
        result = refusal(known)
        self.assertEqual((result.kind, result.status, classify(result)), (FAILED, "5.7.1", Kind.POLICY))
        self.assertIn("by an operator: he asked (mailserver suppression remove bob@example.com lifts it)", result.words)
        self.assertEqual(found.bookings([(make_entry(1, 1, "bob@example.com"), result)]), [])
        self.assertEqual(await self.database.read(feedback.listing), [])

    async def test_memory_is_bounded(self) -> None:
        self.patch(booking, "MOST_REMEMBERED", 3)
        found = self.booking()
        for number in range(10):
            await found.suppressed(Address(f"u{number}", "example.com"))
        self.assertEqual(len(found._known), 3)

    async def test_own_failures(self) -> None:
        """What failed for good here counts as well; what waits, or failed in a mailbox here, does not."""
        found = self.booking(suppression=Rules(bounces=1))
        await found.suppressed(BOB)
        await self.database.write(feedback.book, found.bookings([
            (make_entry(1, 77, "bob@example.com"), GONE),
            (make_entry(2, 77, "eve@example.com"), Result(DEFERRED, "later")),
            (make_entry(3, 77, "alice@example.org", kind="mailbox"), GONE),
        ]), Rules(bounces=1))
        [row] = await self.database.read(feedback.listing)
        self.assertEqual((row["recipient"], row["kind"], row["proof"]), ("bob@example.com", "gone", "own"))
        self.assertEqual(row["reporter"], "mx.example.com")
        known = await found.suppressed(BOB)                     # what it booked itself it knows at once
        assert known is not None
        self.assertEqual(known.kind, "bounce")

    async def test_the_whole_way(self) -> None:
        """A message leaves with a keyed path; the bounce comes to it, is booked, and lies in nobody's mailbox."""
        lent = Lent(
            HOSTNAME, self.data, self.directory, self.database, self.world, None,           # type: ignore[arg-type]
            lambda: Rules(bounces=1),
        )
        bounces = Asked("bounces", Bounces(BouncesOptions(), lent), self.world.clock)
        self.acceptance._router.forwarders = (bounces, *self.acceptance._router.forwarders)
        id = await self.send("bob@example.com", sender=NEWS)
        [entry] = await self.queue()
        path = self.booking(verp=(NEWS.key,)).sender_for(entry)
        assert path is not None
        there = make_entry(5, 5, "bob@example.com", sender=path, wishes=Wishes(ret="HDRS"))
        back = Original(b"Subject: x\r\n", None, 9)
        report = compose(Action.FAILED, [(there, GONE)], back, "mx.example.com", self.world.now(), "B")
        arrived = self.world.new_id()
        story = Story(arrived)
        envelope = Envelope(arrived, Origin.ARRIVAL, None, (path,), len(report), "8BITMIME")
        routes = [await self.acceptance._router.route(path, story)]
        said: Any = await answer(
            Feedback(NoOptions(), lent).content(Client("192.0.2.9"), envelope, Content.of(report))
        )
        self.assertEqual(said.why, "a report, booked: bounce of bob@example.com (gone)")
        await self.acceptance.accept(envelope, Content.of(report), Client("192.0.2.9"), story, routes)
        self.assertEqual(await self.inbox_of(self.alice), [])
        self.assertEqual(
            [each.get("event") for each in await self.database.read(traces.story, id)], [None, "feedback", "suppressed"]
        )
        known = await self.booking().suppressed(BOB)
        assert known is not None
        self.assertIn("550 5.1.1 No such user", known.reason)
