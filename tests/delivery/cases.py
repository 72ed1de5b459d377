"""Where the tests of couriers stand: a server of their own, and how our side talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailserver.address import Address
from mailserver.delivery.consignment import Consignment, Recipient
from mailserver.delivery.courier import Courier, Outcome
from mailserver.delivery.line import Line, Unusable
from mailserver.net.connect import Host, connect
from tests.delivery.peers import Peer

reactor: Any = installed_reactor
ALICE, BOB, EVE = (Address.parse(f"{name}@example.com") for name in ("alice", "bob", "eve"))


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


class CourierCase(TestCase):
    """A server, `self.peer`, and how our side talks to it, with a clock that only the test moves."""

    timeout = 30

    def setUp(self) -> None:
        self.clock = Clock()
        self.peer = self.listen(Peer())

    def listen(self, peer: Peer) -> Peer:
        peer.listen()
        self.addCleanup(peer.stop)
        return peer

    async def call(self, lmtp: bool = False) -> Courier:
        """A connection on which nothing was said yet."""
        line = Line(self.clock)
        await connect(reactor, Host("mx", self.peer.port, ()), "127.0.0.1", line)
        self.addCleanup(lambda: line.gone)
        self.addCleanup(line.abort)
        return Courier(line, "us.example.org", deferToThread, lmtp)

    async def begin(self, lmtp: bool = False) -> Courier:
        courier = await self.call(lmtp)
        try:
            await courier.begin()
        except Unusable:
            courier.line.abort()
            raise
        return courier

    async def send(
        self, *recipients: Address, content: bytes = b"Subject: x\r\n\r\nx\r\n", **others: Any
    ) -> Sequence[Outcome]:
        courier = await self.begin(others.pop("lmtp", False))
        return await self.transact(courier, *recipients, content=content, **others)

    async def transact(
        self,
        courier: Courier,
        *recipients: Address,
        content: bytes = b"Subject: x\r\n\r\nx\r\n",
        sender: Address | None = ALICE,
        may_send: Any = yes,
    ) -> Sequence[Outcome]:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        try:
            outcomes = await courier.transact(Consignment(
                sender, [Recipient(each) for each in recipients], len(content), "8BITMIME", None, pieces, may_send,
            ))
        except Unusable:
            courier.line.abort()
            raise
        courier.line.quit()
        return outcomes

    def load(self, content: Callable[[], AsyncIterator[bytes]], may_send: Any = yes, **others: Any) -> Consignment:
        """From alice to bob, in pieces."""
        return Consignment(ALICE, [Recipient(BOB)], 0, "7BIT", None, content, may_send, **others)

    async def patience(self, work: Any, seconds: float) -> Any:
        """Let `work` wait for the peer, and the clock go on just before and just past `seconds`."""
        waiting = Deferred.fromCoroutine(work)
        await deferLater(reactor, 0.1)
        self.clock.advance(seconds - 1)
        self.assertNoResult(waiting)
        self.clock.advance(2)
        return await waiting
