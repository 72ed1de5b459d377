"""What is learned of a destination: when it rests, how it comes back, and what of that outlives a restart."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from mailserver.delivery import scheduler as scheduler_module
from mailserver.delivery.classify import Kind
from mailserver.delivery.result import DEFERRED, DELIVERED, FAILED, Result
from mailserver.delivery.shaping import MOST, RECOVERY, RULES, Shaping
from mailserver.store import destinations
from mailserver.store.destinations import Learned
from tests.delivery.house import HouseCase

reactor: Any = installed_reactor
NOW = 1_800_000_000.0
NAME = "example.com"


class LearningTests(SynchronousTestCase):
    """With ten connections as the usual number."""

    def setUp(self) -> None:
        self.shaping = Shaping(random.Random(7))
        self.now = NOW

    def fails(self, kind: Kind | None, times: int = 1, name: str = NAME) -> None:
        for _ in range(times):
            self.shaping.learn(name, 10, Result(DEFERRED, f"because of {kind}"), kind, self.now)

    def works(self, times: int = 1) -> None:
        for _ in range(times):
            self.shaping.learn(NAME, 10, Result(DELIVERED, "250 Ok"), None, self.now)

    def rests(self) -> float:
        """For how long from now; 0 is not at all."""
        rest = self.shaping.rest(NAME, self.now)
        return rest.until - self.now if rest is not None else 0.0

    def connections(self) -> int:
        return self.shaping.connections(NAME, 10)

    def test_patience(self) -> None:
        """Each rule has its own."""
        for kind, rule in RULES.items():
            self.shaping = Shaping(random.Random(7))
            self.fails(kind, rule.patience - 1)
            self.assertEqual(self.rests(), 0.0, kind)
            self.fails(kind)
            self.assertApproximates(self.rests(), rule.first, rule.first * 0.1001)
            rest = self.shaping.rest(NAME, self.now)
            assert rest is not None
            self.assertEqual((rest.rule, rest.why), (rule.name, f"because of {kind}"))
            self.assertEqual(self.shaping.resting(self.now), {NAME})

    def test_what_is_about_the_message(self) -> None:
        """Greylisting, a full mailbox, spam, nobody there: nothing rests for that, however often it is said."""
        for kind in set(Kind) - RULES.keys():
            self.fails(kind, 50)
            self.assertEqual((self.rests(), self.connections()), (0.0, 10), kind)
        self.assertEqual(self.shaping.take_changed(), ([], []))

    def test_doubling(self) -> None:
        """Each failure after a rest makes the next one twice as long, up to the longest; one probe at a time."""
        self.fails(Kind.UNREACHABLE, 3)
        seen = [60.0]
        for _ in range(8):
            self.now += self.rests() + 1
            self.assertEqual((self.rests(), self.connections()), (0.0, 1))
            self.fails(Kind.UNREACHABLE)
            seen.append(min(1800.0, seen[-1] * 2))
            self.assertApproximates(self.rests(), seen[-1], seen[-1] * 0.1001)

    def test_those_under_way(self) -> None:
        """What fails when it rests already is no reason to rest longer."""
        self.fails(Kind.RATE)
        rest = self.rests()
        self.fails(Kind.RATE, 20)
        self.assertEqual(self.rests(), rest)

    def test_a_success_between(self) -> None:
        """Failures count that are in a row."""
        for _ in range(5):
            self.fails(Kind.UNREACHABLE, 2)
            self.works()
        self.assertEqual(self.rests(), 0.0)

    def test_an_answer_between(self) -> None:
        """Who refuses a message can be reached."""
        for _ in range(5):
            self.fails(Kind.UNREACHABLE, 2)
            self.shaping.learn(NAME, 10, Result(FAILED, "550 no"), Kind.GONE, self.now)
        self.assertEqual(self.rests(), 0.0)

    def test_halving_and_recovery(self) -> None:
        """10, 5, 2, 1, 1; and back by one for every twenty that were delivered, until nothing is known any more."""
        seen = []
        for _ in range(4):
            self.fails(Kind.RATE)
            self.now += self.rests() + 1
            [learned] = [each for each in self.shaping.take_changed()[0] if each.name == NAME]
            seen.append(learned.connections)
        self.assertEqual(seen, [5, 2, 1, 1])
        self.works()
        self.assertEqual(self.connections(), 1)
        for wanted in range(2, 10):
            self.works(RECOVERY)
            self.assertEqual(self.connections(), wanted)
        self.works(RECOVERY)
        self.assertEqual(self.connections(), 10)
        self.assertEqual(self.shaping.take_changed(), ([], [NAME]))

    def test_memory(self) -> None:
        """Of so many at most: the oldest are forgotten, in the database too."""
        for number in range(MOST + 10):
            self.fails(Kind.RATE, name=f"d{number}.example")
        learned, forgotten = self.shaping.take_changed()
        self.assertEqual((len(learned), len(forgotten)), (MOST, 10))
        self.assertIn("d9.example", forgotten)

    def test_words(self) -> None:
        """No more of them is kept than can be shown."""
        self.shaping.learn(NAME, 10, Result(DEFERRED, "x" * 1000), Kind.RATE, self.now)
        rest = self.shaping.rest(NAME, self.now)
        assert rest is not None
        self.assertEqual(len(rest.why), 200)


class RestTests(HouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(scheduler_module, "LOOK", 0.1)
        self.patch(scheduler_module, "FLUSH", 0.01)

    async def learned(self) -> list[Learned]:
        return await self.database.read(destinations.listing)

    async def is_resting(self) -> Learned:
        async def found() -> Any:
            return [each for each in await self.learned() if each.until > self.world.now()]

        [learned] = await self.until(found)
        return learned

    async def test_three_refused_connections(self) -> None:
        """Then nothing is tried for a minute, then one; when that is delivered, the rest follows."""
        peer = self.peer()
        endpoint, port = peer.endpoint, peer.port
        await peer.stop()
        scheduler = self.work(route={"example.com": endpoint}, retry_first=1.0, retry_longest=1.0)
        for number in range(9):
            await self.send(f"u{number}@example.com")
        learned = await self.is_resting()
        self.assertEqual((learned.name, learned.rule), (endpoint, "unreachable"))
        self.assertEqual(learned.why, f"connection refused by 127.0.0.1:{port}")
        self.assertApproximates(learned.until - self.world.now(), 60, 8)
        await self.until(lambda: not scheduler._attempts)
        tried = [each.attempts for each in await self.queue()]
        self.later(30)
        await deferLater(reactor, 0.4)
        self.assertEqual([each.attempts for each in await self.queue()], tried)

        peer = self.peer(port=port)
        at_once: list[int] = []

        def probe(talk: Any) -> bytes:
            at_once.append(sum(not each.gone.called for each in peer.talks))
            return b"250 2.0.0 Taken\r\n"

        peer.replies = {".": probe}
        self.later(60)
        await self.empty()
        self.assertEqual((len(peer.messages), at_once[0]), (9, 1))

        async def forgotten() -> bool:
            return not await self.learned()

        await self.until(forgotten)

    async def test_one_probe(self) -> None:
        """Not all that has waited knocks at once at the end of a rest."""
        now = self.world.now()
        peer = self.peer()
        peer.replies = {"": b"421 4.3.2 Too busy now, try again later\r\n"}
        with self.writing() as connection:
            destinations.put(connection, [Learned(peer.endpoint, now - 1, "busy", "421 x", now - 99, 2, 4)])
        for number in range(20):
            await self.send(f"u{number}@example.com")
        scheduler = self.route(to=peer)
        learned = await self.is_resting()
        await self.until(lambda: not scheduler._attempts)
        self.assertEqual((learned.failures, len(peer.talks), learned.connections), (3, 1, 2))

    async def test_the_next_start(self) -> None:
        """Knows what was learned, and tries nothing before its time."""
        peer = self.peer()
        peer.replies = {"MAIL": b"451 4.7.28 You are sending too fast, rate limited\r\n"}
        scheduler = self.route(to=peer, connections_per_host=8)
        await self.send("bob@example.com")
        entry = await self.reason("451 4.7.28")
        await scheduler.stop()
        [learned] = await self.learned()
        self.assertEqual((learned.rule, learned.connections), ("rate", 4))
        self.assertGreaterEqual(entry.next_attempt, learned.until)
        talks, peer.replies = len(peer.talks), {}
        scheduler = self.route(to=peer, connections_per_host=8)
        await self.send("eve@example.com")
        await deferLater(reactor, 0.4)
        self.assertEqual(len(peer.talks), talks)
        self.later(learned.until - self.world.now() + 1)
        await self.until(lambda: peer.messages)
        self.later(400)
        await self.empty()
        whole = [each for each in peer.messages if each[2]]     # not the empty one of a refused MAIL
        self.assertEqual((len(whole), scheduler._shaping.connections(peer.endpoint, 8)), (2, 4))

    async def test_the_operator_forgets(self) -> None:
        """And it goes on at the next look."""
        now = self.world.now()
        peer = self.peer()
        with self.writing() as connection:
            destinations.put(connection, [Learned(peer.endpoint, now + 9000, "busy", "421 x", now, 2, 1)])
        self.route(to=peer)
        await self.send("bob@example.com")
        await deferLater(reactor, 0.4)
        self.assertEqual(peer.talks, [])
        with self.writing() as connection:
            destinations.forget(connection, [peer.endpoint])
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_greylisting(self) -> None:
        """Is said to each message, and keeps none waiting that is not greylisted."""
        peer = self.peer()
        peer.replies = {"RCPT TO:<u": b"450 4.7.1 Greylisted, come back in 5 minutes\r\n"}
        self.route(to=peer)
        for number in range(20):
            await self.send(f"u{number}@example.com")
        await self.send("bob@example.com")
        await self.until(lambda: peer.messages)
        self.assertEqual(await self.learned(), [])

    async def test_others_do_not_wait(self) -> None:
        """Thousands that are due to a domain that rests, before all others: the one behind them goes at once."""
        self.patch(scheduler_module, "LOOKED_AT", 5)
        now = self.world.now()
        resting, quick = self.peer(), self.peer()
        with self.writing() as connection:
            destinations.put(connection, [
                Learned(name, now + 900, "busy", "421 x", now, 2, 1) for name in (resting.endpoint, "resting.example")
            ])
        id = await self.send(*(f"u{number}@resting.example" for number in range(5000)))
        for number in range(8):
            await self.send(f"v{number}@routed.example")
        await self.send("bob@zebra.example", "eve@aardvark.example")
        route = dict.fromkeys(("zebra.example", "aardvark.example"), quick.endpoint)
        route["routed.example"] = resting.endpoint
        began = reactor.seconds()
        self.work(route=route)
        await self.until(lambda: sum(len(each[1]) for each in quick.messages) == 2, 20)
        self.assertLess(reactor.seconds() - began, 5)
        self.assertEqual((resting.talks, await self.attempts(id)), ([], []))

        async def left() -> bool:
            return len(await self.queue()) == 5008

        await self.until(left)
