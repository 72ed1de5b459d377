"""A host's addresses in a race (RFC 8305): who answers first, who is not waited for, what is told of nobody."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailserver.delivery import hosts as hosts_module
from mailserver.delivery import reach as reach_module
from mailserver.delivery.line import Line
from mailserver.delivery.reach import reach
from mailserver.errors import TemporaryFailure
from mailserver.net.connect import Host
from tests.delivery.house import HouseCase
from tests.delivery.peers import Peer

reactor: Any = installed_reactor


class BlackHole:
    """An address that answers nothing: its listener is full, so that the system drops whoever knocks."""

    def __init__(self, address: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind((address, port))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._knocking = []
        for _ in range(3):
            knocking = socket.socket(family)
            knocking.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                knocking.connect((address, self.port))
            self._knocking.append(knocking)

    def close(self) -> None:
        for each in (*self._knocking, self._listener):
            each.close()


class RaceTests(TestCase):
    """Between addresses of loopback that all listen, or do not, on one port."""

    timeout = 30

    def setUp(self) -> None:
        self.port = 0

    def hole(self, address: str) -> None:
        hole = BlackHole(address, self.port)
        self.port = hole.port
        self.addCleanup(hole.close)

    def peer(self, address: str) -> Peer:
        peer = Peer()
        self.port = peer.listen(self.port, address)
        self.addCleanup(peer.stop)
        return peer

    async def reach(self, *addresses: str, timeout: float = 5.0) -> str:
        """Who wins; its line is closed again."""
        line, address = await reach(reactor, Host("mx", self.port, addresses), addresses, timeout)
        self.assertIsInstance(line, Line)
        self.assertTrue(line.is_good)
        line.abort()
        await line.gone
        return address

    async def test_a_black_hole_costs_the_head_start(self) -> None:
        """IPv6 leads nowhere: after a quarter of a second IPv4 is tried beside it, and wins."""
        self.hole("::1")
        peer = self.peer("127.0.0.1")
        began = reactor.seconds()
        self.assertEqual(await self.reach("::1", "127.0.0.1"), "127.0.0.1")
        took = reactor.seconds() - began
        self.assertGreaterEqual(took, reach_module.HEAD_START - 0.01)
        self.assertLess(took, 2.0)
        self.assertEqual(len(peer.talks), 1)

    async def test_the_other_family(self) -> None:
        """The same the other way round."""
        self.hole("127.0.0.1")
        self.peer("::1")
        self.assertEqual(await self.reach("127.0.0.1", "::1"), "::1")

    async def test_many_black_holes(self) -> None:
        """One head start for each; all of them are let go when one wins."""
        for number in range(2, 6):
            self.hole(f"127.0.0.{number}")
        self.peer("127.0.0.6")
        began = reactor.seconds()
        self.assertEqual(await self.reach(*(f"127.0.0.{number}" for number in range(2, 7))), "127.0.0.6")
        self.assertLess(reactor.seconds() - began, 3.0)
        self.assertEqual([each for each in reactor.getDelayedCalls() if "_begin" in str(each)], [])

    async def test_a_refusal_is_not_waited_for(self) -> None:
        """Who says no at once lets the next one begin at once."""
        self.patch(reach_module, "HEAD_START", 5.0)
        self.peer("127.0.0.4")
        began = reactor.seconds()
        self.assertEqual(await self.reach("127.0.0.2", "127.0.0.3", "127.0.0.4"), "127.0.0.4")
        self.assertLess(reactor.seconds() - began, 1.0)

    async def test_the_first_has_its_head_start(self) -> None:
        """Who answers in time is the only one that is asked."""
        first = self.peer("127.0.0.2")
        second = self.peer("127.0.0.3")
        for _ in range(5):
            self.assertEqual(await self.reach("127.0.0.2", "127.0.0.3"), "127.0.0.2")
        await deferLater(reactor, reach_module.HEAD_START + 0.1)
        self.assertEqual((len(first.talks), len(second.talks)), (5, 0))

    async def test_nobody(self) -> None:
        """The last one's reason, in words; those that hang are given up after their time."""
        self.hole("127.0.0.2")
        with self.assertRaisesRegex(TemporaryFailure, r"^no connection to 127\.0\.0\.2:\d+ within 0\.7 s$"):
            await self.reach("127.0.0.2", "127.0.0.3", timeout=0.7)

    async def test_all_refuse(self) -> None:
        self.peer("127.0.0.9")
        with self.assertRaisesRegex(TemporaryFailure, r"^connection refused by 127\.0\.0\.3:"):
            await self.reach("127.0.0.2", "127.0.0.3")

    async def test_given_up(self) -> None:
        """Who waits for it may stop waiting: nothing is left that runs."""
        self.hole("127.0.0.2")
        racing = Deferred.fromCoroutine(self.reach("127.0.0.2", "127.0.0.3", timeout=20.0))
        await deferLater(reactor, 0.05)
        racing.cancel()
        with self.assertRaises(Exception):  # noqa: B017 - whichever way it says so
            await racing
        self.assertEqual([each for each in reactor.getDelayedCalls() if "_begin" in str(each)], [])


class DeliveryTests(HouseCase):
    async def test_both_families(self) -> None:
        """A domain whose IPv6 leads nowhere gets its mail by IPv4, within a second, and the story says so."""
        hole = BlackHole("::1")
        self.addCleanup(hole.close)
        self.patch(hosts_module, "SMTP", hole.port)
        peer = self.peer(interface="127.0.0.1", port=hole.port)
        self.names.add("example.com", "MX", "10 mx.example.com.")
        self.names.add("mx.example.com", "A", "127.0.0.1")
        self.names.add("mx.example.com", "AAAA", "::1")
        self.work(allow_loopback=True)
        began = reactor.seconds()
        id = await self.send("bob@example.com")
        await self.empty()
        self.assertLess(reactor.seconds() - began, 3.0)
        [attempt] = await self.attempts(id)
        self.assertEqual((attempt["address"], len(peer.messages)), ("127.0.0.1", 1))
