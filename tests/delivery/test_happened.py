"""What listeners hear of messages and attempts."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor

from mailserver.acceptance import Acceptance
from mailserver.hooks import Asked
from mailserver.listeners import Events
from tests.delivery.house import HOSTNAME, HouseCase
from tests.test_listeners import Ear


class Whole(Ear):
    """Keeps the events, not their ids."""

    def happened(self, events: Any) -> None:
        self.heard += [each.told() for each in events]


class HappenedTests(HouseCase):
    def listen(self, *kinds: str) -> Whole:
        """A listener to the house, and to the schedulers that are started from now on."""
        ear = Whole(*kinds)
        events = Events(reactor, [Asked("ear", ear, reactor)])
        self.addCleanup(events.stop)
        self.acceptance = Acceptance(
            self.database, self.acceptance._router, self.stores, self.directory, self.world, HOSTNAME, life=432000.0,
            events=events,
        )
        self.events = events
        return ear

    async def test_accepted(self) -> None:
        ear = self.listen("accepted")
        await self.send("carol@example.com", "dave@example.com")
        [told] = await self.until(lambda: ear.heard)
        self.assertEqual(told["recipients"], ["carol@example.com", "dave@example.com"])
        self.assertEqual((told["sender"], told["size"], told["origin"]), ("alice@example.org", 17, "submission"))

    async def test_attempts(self) -> None:
        """One is delivered, one refused, one later; each is attempted."""
        ear = self.listen("attempted", "delivered", "bounced", "deferred")
        peer = self.peer()
        peer.replies = {"RCPT TO:<b": b"550 5.1.1 Nobody\r\n", "RCPT TO:<c": b"451 4.2.1 Later\r\n"}
        await self.send("a@example.com", "b@example.com", "c@example.com")
        self.route(to=peer)
        heard = await self.until(lambda: ear.heard if len(ear.heard) >= 6 else None)
        told = {(each["recipient"][0], each["kind"]): each for each in heard if "example.com" in each["recipient"]}
        self.assertEqual(sorted(told), [
            ("a", "attempted"), ("a", "delivered"), ("b", "attempted"), ("b", "bounced"), ("c", "attempted"),
            ("c", "deferred"),
        ])
        self.assertEqual(told["a", "delivered"]["host"], f"127.0.0.1:{peer.port}")
        self.assertEqual((told["b", "bounced"]["class"], told["b", "bounced"]["reply"]), ("gone", "550 5.1.1 Nobody"))
        self.assertEqual((told["c", "deferred"]["status"], told["c", "deferred"]["attempt"]), ("4.2.1", 1))
        self.assertGreater(told["c", "deferred"]["next"], told["c", "deferred"]["at"])

    async def test_expired(self) -> None:
        ear = self.listen("expired", "bounced")
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.2.1 Later\r\n"}
        await self.send("a@example.com")
        self.moved += 432000.0
        self.route(to=peer)
        [told] = await self.until(lambda: ear.heard)
        self.assertEqual((told["kind"], told["status"]), ("expired", "4.4.7"))
