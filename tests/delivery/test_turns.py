"""Whose turn it is: rates, priorities, times by which something has to be there, and too many recipients at once."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from mailserver.acceptance import OURSELVES
from mailserver.address import Address
from mailserver.delivery import scheduler as scheduler_module
from mailserver.delivery.lanes import Lanes
from mailserver.delivery.rates import BURST, Rates
from mailserver.envelope import Origin
from mailserver.settings import Manner, Outbound, Source
from mailserver.store import destinations, queue
from mailserver.wishes import Wishes
from tests.delivery.house import ALICE, HouseCase
from tests.delivery.peers import Talk
from tests.delivery.test_attempts import statuses

reactor: Any = installed_reactor


class BucketTests(SynchronousTestCase):
    def test_so_many_a_minute(self) -> None:
        """Whoever asks comes when he was told to: sixty a minute, after ten seconds' worth at once."""
        rates, now, gone = Rates(), 1000.0, 0
        waiting = [now] * 200
        while waiting and now < 1060:
            due = [each for each in waiting if each <= now]
            waiting = [each for each in waiting if each > now]
            for _ in due:
                if until := rates.may_go("x", 60, now):
                    waiting.append(until)
                else:
                    rates.gone("x", 60, now)
                    gone += 1
            now = min(waiting, default=now)
        self.assertApproximates(gone, 60 + BURST, 3)

    def test_a_clock_that_jumps_back(self) -> None:
        """Nobody waits for a year that is over."""
        rates = Rates()
        for _ in range(10):
            rates.gone("x", 60, 1e9)
        self.assertEqual(rates.may_go("x", 60, 1e8), 0.0)


class RateTests(HouseCase):
    async def turns(self, count: int, **outbound: Any) -> tuple[int, list[float], set[str]]:
        """Of so many messages: how many went at once, when the others will, in seconds, and why so late."""
        peer = self.peer()
        scheduler = self.route(to=peer, **outbound)
        began = self.world.now()
        for number in range(count):
            await self.send(f"u{number}@example.com")
        await deferLater(reactor, 0.3)
        await self.until(lambda: not scheduler._attempts)
        left = await self.queue()
        self.assertEqual({each.attempts for each in left} | {0}, {0})
        times = sorted(each.next_attempt - began for each in left)
        return len(peer.messages), times, {each.reason for each in left}

    def check(self, found: tuple[int, list[float], set[str]], whose: str) -> None:
        """Thirty messages, sixty a minute, ten of them at once."""
        count, times, reasons = found
        self.assertApproximates(count, 10, 2)
        self.assertEqual(reasons, {f"waits for its turn: 60 messages a minute for {whose}"})
        self.assertApproximates(times[-1], 20, 3)

    async def test_to_a_destination(self) -> None:
        """What was told to wait once is not counted twice."""
        self.check(await self.turns(30, manners=(Manner(("example.com",), 0, 60),)), "this destination")

    async def test_of_a_sender(self) -> None:
        self.check(await self.turns(30, sender_per_minute=60), "<alice@example.org>")

    async def test_from_an_address(self) -> None:
        self.check(await self.turns(30, sources=(Source("127.0.0.1", "us.example", (), 60),)), "127.0.0.1")

    async def test_the_turn_comes(self) -> None:
        """And all are delivered, none of them tried more than once."""
        self.patch(scheduler_module, "LOOK", 0.1)
        _, times, _ = await self.turns(20, per_minute=60)
        self.later(times[-1] + 1)
        self.later(15)
        await deferLater(reactor, 0.3)
        self.later(15)
        await self.empty()


    async def test_the_turns_of_an_operator(self) -> None:
        """Who makes all of them due does not put them behind the turns that they had."""
        _, times, _ = await self.turns(30, manners=(Manner(("example.com",), 0, 60),))
        for _ in range(3):
            ids = [each.id for each in await self.queue()]
            await self.database.write(queue.retry, ids, Lanes(Outbound()).of, self.world.now())
            self.schedulers[0].changed()
            await self.until(self._all_wait)
        late = max(each.next_attempt for each in await self.queue()) - self.world.now()
        self.assertLess(late, times[-1] + 3)

    async def _all_wait(self) -> bool:
        return all(each.next_attempt > self.world.now() + 0.2 for each in await self.queue())


class OrderTests(HouseCase):
    async def test_priorities(self) -> None:
        """What is more urgent goes first (RFC 6710)."""
        peer = self.peer()
        for priority in (0, -3, 4, 0, 9, -9):
            await self.send(f"p{priority}@example.com", wishes=Wishes(priority=priority))
        self.route(to=peer, connections_per_host=1)
        await self.empty()
        self.assertEqual([int(each[1][0][1:].partition("@")[0]) for each in peer.messages], [9, 4, 0, 0, -3, -9])

    async def test_too_many_recipients(self) -> None:
        """452 for who is too many: the others have it, and these get it at once (RFC 5321 4.5.3.1.10)."""
        peer = self.peer()

        def rcpt(talk: Talk) -> bytes:
            return b"452 4.5.3 Too many recipients\r\n" if len(talk.recipients) >= 3 else b"250 2.1.5 Ok\r\n"

        peer.replies = {"RCPT": rcpt}
        self.route(to=peer)
        await self.send(*(f"u{number}@example.com" for number in range(10)))
        await self.empty()
        self.assertEqual([len(each[1]) for each in peer.messages], [3, 3, 3, 1])
        self.assertEqual(len({name for each in peer.messages for name in each[1]}), 10)
        self.assertEqual(await self.database.read(destinations.listing), [])


class DelayTests(HouseCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(scheduler_module, "LOOK", 0.1)
        self.to = self.peer()
        self.to.replies = {"RCPT": b"450 4.2.0 Not now\r\n"}

    async def pass_by(self, *ages: float) -> None:
        """Let it become so old, in seconds, and be tried at each age."""
        for age in ages:
            [entry] = await self.queue()
            self.later(entry.created + age - self.world.now())
            attempts = entry.attempts

            async def tried(attempts: int = attempts) -> bool:
                return all(each.attempts > attempts and not each.owner for each in await self.queue())

            await self.until(tried)

    async def test_warned_once(self) -> None:
        """At each age once, however often it is tried in between."""
        self.route(to=self.to, retry=(60.0,), delay_warnings=(3600.0, 7200.0))
        await self.send("bob@example.com")
        await self.reason("450")
        await self.pass_by(1800)
        self.assertEqual(await self.inbox_of(self.alice), [])
        await self.pass_by(3700, 3900, 4500)
        self.assertEqual([statuses(each) for each in await self.reports()], [[("rfc822; bob@example.com", "4.2.0")]])
        await self.pass_by(7300, 7500, 9000)
        self.assertEqual(len(await self.inbox_of(self.alice)), 2)

    async def test_never_for_nobody(self) -> None:
        """Nor for who does not want it."""
        self.route(to=self.to, retry=(60.0,), delay_warnings=(3600.0,))
        await self.send("bob@example.com", sender=None)
        await self.reason("450")
        await self.pass_by(3700, 4000)
        await self.send_off()
        await self.send("bob@example.com", notify="FAILURE")
        await self.reason("450")
        await self.pass_by(3700, 4000)
        self.assertEqual(await self.inbox_of(self.alice), [])

    async def send_off(self) -> None:
        self.to.replies, replies = {}, self.to.replies
        self.later(4000)
        await self.empty()
        self.to.replies = replies

    async def test_strangers(self) -> None:
        """Who did not log in, and whose mail is only passed on, is not written to for that."""
        self.route(to=self.to, retry=(60.0,), delay_warnings=(3600.0,))
        await self.send("bob@example.com", sender=ALICE, origin=Origin.ARRIVAL, client=OURSELVES)
        await self.reason("450")
        await self.pass_by(3700, 4000)
        self.assertEqual(await self.inbox_of(self.alice), [])

    async def test_deliver_by_or_return(self) -> None:
        """R: when the time is over it comes back, and is not tried any more (RFC 2852)."""
        self.route(to=self.to, retry=(60.0,))
        by = Wishes(deliver_by=self.world.now() + 600, by_mode="R")
        # A server that can promise it takes the promise over; this one says that it can, and "not now".
        self.to.extensions.append("DELIVERBY")
        await self.send("bob@example.com", wishes=by)
        await self.reason("450")
        self.assertRegex(next(each for each in self.to.heard if each.startswith("MAIL")), r" BY=(600|599);R$")
        talks = len(self.to.talks)
        self.later(700)
        await self.empty()
        [report] = await self.reports()
        self.assertEqual(statuses(report), [("rfc822; bob@example.com", "5.4.7")])
        self.assertEqual(len(self.to.talks), talks)

    async def test_deliver_by_or_notify(self) -> None:
        """N: when the time is over the sender hears so, once, and it goes on."""
        self.route(to=self.to, retry=(60.0,), delay_warnings=())
        await self.send("bob@example.com", wishes=Wishes(deliver_by=self.world.now() + 600, by_mode="N"))
        await self.reason("450")
        await self.pass_by(300)
        self.assertEqual(await self.inbox_of(self.alice), [])
        await self.pass_by(700, 900)
        [report] = await self.reports()
        self.assertIn(b"Action: delayed\r\n", report)
        await self.send_off()
        self.assertEqual((len(self.to.messages), len(await self.inbox_of(self.alice))), (1, 1))

    async def test_a_schedule(self) -> None:
        """The waits one by one, the last again and again."""
        self.route(to=self.to, retry=(60.0, 600.0, 6000.0))
        await self.send("bob@example.com")
        for wanted in (60.0, 600.0, 6000.0, 6000.0):
            entry = await self.reason("450")
            wait = entry.next_attempt - self.world.now()
            self.assertApproximates(wait, wanted, wanted * 0.1 + 3)
            attempts = entry.attempts
            self.later(wait + 1)

            async def again(attempts: int = attempts) -> bool:
                return (await self.queue())[0].attempts > attempts

            await self.until(again)


class SourceTests(HouseCase):
    async def test_another_source_is_another_connection(self) -> None:
        """One sender's address is not lent to another's mail, and a connection is only shared by whoever may."""
        peer = self.peer()
        news = Address.parse("news@example.org")
        for number in range(6):
            await self.send(f"u{number}@example.com", sender=news if number % 2 else ALICE)
        self.route(to=peer, connections_per_host=1, sources=(
            Source("127.0.0.1"), Source("127.0.0.5", "news.example.org", ("news@example.org",)),
        ))
        await self.empty()
        came = {talk.transport.getPeer().host for talk in peer.talks}
        self.assertEqual(came, {"127.0.0.1", "127.0.0.5"})
        self.assertIn("EHLO news.example.org", peer.heard)
        self.assertEqual(len(peer.messages), 6)

    async def test_so_many_messages_a_connection(self) -> None:
        peer = self.peer()
        for number in range(10):
            await self.send(f"u{number}@example.com")
        self.route(to=peer, connections_per_host=1, messages_per_connection=3)
        await self.empty()
        self.assertEqual((len(peer.messages), len(peer.talks)), (10, 4))

    async def test_a_connection_is_kept(self) -> None:
        """For a while; what comes within it has no greeting of its own, and then it is said goodbye to."""
        from mailserver.delivery import kept as kept_module

        self.patch(kept_module, "IDLE", 0.6)
        peer = self.peer()
        self.route(to=peer)
        for number in range(3):
            await self.send(f"u{number}@example.com")
            await self.empty()
        self.assertEqual((len(peer.talks), len(peer.messages), peer.verbs().count("EHLO")), (1, 3, 1))
        await self.until(lambda: "QUIT" in peer.verbs())
        await self.send("u4@example.com")
        await self.empty()
        self.assertEqual(len(peer.talks), 2)

    async def test_one_that_was_left(self) -> None:
        """Who hangs up on an idle connection is called again, and nobody sees anything of it."""
        peer = self.peer()
        self.route(to=peer)
        id = 0
        for number in range(2):
            id = await self.send(f"u{number}@example.com")
            await self.empty()
            if not number:
                peer.talks[0].transport.write(b"421 4.4.2 Idle for too long\r\n")
                peer.talks[0].transport.loseConnection()
        self.assertEqual([each["result"] for each in await self.attempts(id)], ["delivered"])
        self.assertEqual((len(peer.talks), len(peer.messages)), (2, 2))
