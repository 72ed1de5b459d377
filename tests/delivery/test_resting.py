"""A destination that rests: nobody asks it before its time, unless an operator says so; and nobody waits for ever."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection
from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater

from mailserver.delivery import scheduler as scheduler_module
from mailserver.delivery.lanes import Lanes
from mailserver.settings import Outbound
from mailserver.store import destinations, queue, spool
from mailserver.store.destinations import Learned
from mailserver.wishes import Wishes
from tests.delivery.house import HouseCase
from tests.delivery.peers import Peer

reactor: Any = installed_reactor

LIFE = 432000.0         # of `HouseCase`


class RestingTests(HouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(scheduler_module, "LOOK", 0.1)

    async def resting(self, seconds: float) -> Peer:
        """A peer at which nothing is tried for so long."""
        peer = self.peer()
        now = self.world.now()
        rest = Learned(peer.endpoint, now + seconds, "unreachable", "connection refused", now, 3, 0)
        await self.database.write(destinations.put, [rest])
        return peer

    def lane(self, peer: Peer) -> Any:
        return Lanes(Outbound(route={"example.com": peer.endpoint})).of

    async def test_an_operator_does_not_wait(self) -> None:
        peer = await self.resting(1800)
        self.route(to=peer)
        await self.send("bob@example.com")
        [entry] = await self.queue()
        self.assertEqual((entry.attempts, peer.heard), (0, []))
        await self.database.write(queue.retry, [entry.id], self.lane(peer), self.world.now())
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_before_it_is_known(self) -> None:
        """What comes in while a server that has just begun still reads what rests is not sent there."""
        peer = await self.resting(1800)
        listing = destinations.listing

        def slow(connection: Connection) -> list[Learned]:
            time.sleep(0.3)
            return listing(connection)

        self.patch(destinations, "listing", slow)
        self.route(to=peer)
        await self.send("bob@example.com")
        await deferLater(reactor, 0.6)
        self.assertEqual(peer.heard, [])

    async def test_an_operator_is_heard_at_once(self) -> None:
        """Also in the moment in which it begins to rest: what was learned just now does not outlive his word."""
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.7.1 Too many messages from your address, slow down\r\n"}
        self.route(to=peer)
        await self.send("bob@example.com")
        entry = await self.reason("slow down")
        peer.replies = {}
        await self.database.write(queue.retry, [entry.id], self.lane(peer), self.world.now())
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_who_asks_for_his_mail_does_not_wait(self) -> None:
        """ETRN (RFC 1985)."""
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.3.0 Not now\r\n"}
        first = self.route(to=peer)
        await self.send("bob@example.com")
        await self.reason("451")
        await first.stop()
        self.schedulers.remove(first)
        now = self.world.now()
        await self.database.write(
            destinations.put, [Learned(peer.endpoint, now + 1800, "unreachable", "connection refused", now, 3, 0)]
        )
        peer.replies = {}
        self.route(to=peer)
        await self.database.write(spool.retry_domain, "example.com", self.lane(peer), self.world.now())
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_too_late(self) -> None:
        """What had to be there by a time that is over comes back then (RFC 2852 4.1.5), not when the rest is over."""
        peer = await self.resting(1800)
        self.route(to=peer)
        await self.send("bob@example.com", wishes=Wishes(deliver_by=self.world.now() + 60, by_mode="R"))
        self.later(61)
        [report] = await self.reports()
        await self.empty()
        self.assertIn(b"the time that the sender gave for the delivery is over", report)
        self.assertEqual(peer.heard, [])

    async def test_given_up(self) -> None:
        """What was tried is given up in its time, with what was said last; nobody is asked for that."""
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.3.0 Not now\r\n"}
        first = self.route(to=peer)
        await self.send("bob@example.com")
        await self.reason("451")
        await first.stop()
        self.schedulers.remove(first)
        heard, now = list(peer.heard), self.world.now()
        await self.database.write(
            destinations.put, [Learned(peer.endpoint, now + 2 * LIFE, "unreachable", "no answer", now, 3, 0)]
        )
        self.route(to=peer)
        self.later(LIFE + 1)
        [report] = await self.reports()
        await self.empty()
        self.assertRegex(report, rb"given up after 5 days: 451")
        self.assertEqual(peer.heard, heard)
