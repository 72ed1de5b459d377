"""The queue is worked off: when, how much of it at a time, and what is left when the server stops."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mailserver.delivery import ends as ends_module
from mailserver.delivery import remote as remote_module
from mailserver.delivery import scheduler as scheduler_module
from mailserver.errors import TemporaryFailure
from mailserver.store import contents, queue, spool
from mailserver.store.accepting import write_many
from mailserver.store.schema import content
from mailserver.store.spool import Entry
from tests.delivery.house import HouseCase
from tests.delivery.peers import CLOSE, SILENCE, Talk

reactor: Any = installed_reactor


def later(seconds: float, reply: bytes) -> Any:
    """A peer's answer that takes its time."""

    def answer(talk: Talk) -> str:
        reactor.callLater(seconds, lambda: None if talk.gone.called else talk.transport.write(reply))
        return SILENCE

    return answer


class WorkTests(HouseCase):
    async def test_delivered(self) -> None:
        """At once: the prefix, then the content; nothing is left, and the story tells of it."""
        peer = self.peer()
        self.route(to=peer)
        id = await self.send("bob@example.com")
        await self.empty()
        [(sender, recipients, octets)] = peer.messages
        self.assertEqual((sender, recipients), ("alice@example.org", ["bob@example.com"]))
        self.assertRegex(octets, rb"^Received: by us.example.org id \w{13}\r\n\tfor <bob@example.com>; ")
        self.assertTrue(octets.endswith(b" +0000\r\nSubject: x\r\n\r\nx\r\n"))
        [attempt] = await self.attempts(id)
        self.assertEqual(
            {key: attempt[key] for key in attempt if key != "at"},
            {
                "event": "attempt", "recipient": "bob@example.com", "target": "bob@example.com", "attempt": 1,
                "result": "delivered", "said": "250 2.0.0 Taken", "host": f"127.0.0.1:{peer.port}",
                "address": "127.0.0.1", "policy": "opportunistic",
            },
        )
        self.assertEqual(self.count(content), 0)

    async def test_together(self) -> None:
        """The recipients of one message that go to one host are one transaction, of all domains that it serves."""
        peer = self.peer()
        await self.send("a@example.com", "b@example.com", "c@example.net")
        await self.send("d@example.com")
        self.route("example.com", "example.net", to=peer)
        await self.empty()
        self.assertEqual(
            sorted(sorted(each[1]) for each in peer.messages),
            [["a@example.com", "b@example.com", "c@example.net"], ["d@example.com"]],
        )

    async def test_hundreds_of_recipients(self) -> None:
        """In transactions of a hundred."""
        peer = self.peer()
        await self.send(*(f"u{number}@example.com" for number in range(250)))
        self.route(to=peer)
        await self.empty()
        self.assertEqual(sorted(len(each[1]) for each in peer.messages), [50, 100, 100])
        self.assertEqual(len({name for each in peer.messages for name in each[1]}), 250)

    async def test_the_next_attempt_is_noted_before_this_one(self) -> None:
        """Who dies while it tries has counted it, and does not try again at once."""
        peer, seen = self.peer(), []

        def look(talk: Talk) -> bytes:
            with self.reading() as connection:
                seen.extend(queue.listing(connection))
            return b"220 peer ESMTP\r\n"

        peer.replies = {"": look}
        self.route(to=peer)
        await self.send("bob@example.com")
        await self.empty()
        [entry] = seen
        self.assertEqual((entry.attempts, entry.owner), (1, "us/1"))
        self.assertGreater(entry.next_attempt - self.world.now(), 200)

    async def test_tried_again(self) -> None:
        """The queue shows the remote's last words; the waits double; each attempt stands in the story."""
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.7.1 Greylisted, come back\r\n"}
        self.route(to=peer)
        id = await self.send("bob@example.com")
        entry = await self.reason("451 4.7.1 Greylisted, come back")
        self.assertApproximates(entry.next_attempt - self.world.now(), 300, 45)
        self.assertEqual(entry.state(self.world.now()), "waiting")
        peer.replies = {"RCPT": b"450 4.2.0 Not yet\r\n"}
        self.later(340)
        entry = await self.reason("450 4.2.0 Not yet")
        self.assertApproximates(entry.next_attempt - self.world.now(), 600, 70)
        peer.replies = {}
        self.later(700)
        await self.empty()
        told = await self.attempts(id)
        self.assertEqual([each["attempt"] for each in told], [1, 2, 3])
        self.assertEqual([each["result"] for each in told], ["deferred", "deferred", "delivered"])
        self.assertApproximates(told[1]["next"], entry.next_attempt, 0.01)

    async def test_refused_connection(self) -> None:
        peer = self.peer()
        await peer.stop()
        self.route(to=peer)
        await self.send("bob@example.com")
        entry = await self.reason("connection")
        self.assertEqual(entry.reason, f"connection refused by 127.0.0.1:{peer.port}")

    async def test_no_dns(self) -> None:
        """Said in words, and tried again."""
        self.names.fail("example.com")
        self.work()
        await self.send("bob@example.com")
        await self.reason("no name server answers for example.com")

    async def test_what_others_put_there(self) -> None:
        """An entry of another process, which wakes nobody, is found all the same."""
        self.patch(scheduler_module, "LOOK", 0.2)
        peer = self.peer()
        self.route(to=peer)
        await deferLater(reactor, 0.1)
        self.acceptance._when_spooled.clear()
        await self.send("bob@example.com")
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_the_operator_asks_for_it(self) -> None:
        """A retry from the command line is seen; what is held is not tried."""
        self.patch(scheduler_module, "LOOK", 0.2)
        peer = self.peer()
        peer.replies = {"RCPT": b"451 4.3.0 Not now\r\n"}
        self.route(to=peer)
        await self.send("bob@example.com")
        entry = await self.reason("451")
        peer.replies = {}
        with self.writing() as connection:
            self.assertEqual(queue.retry(connection, [entry.id], lambda row: row.domain, self.world.now()), 1)
        await self.empty()

    async def test_it_sleeps(self) -> None:
        """With an empty queue, and with one that waits, the database is left alone."""
        self.names.fail("example.com")
        self.work()
        await self.send("bob@example.com")
        await self.reason("no name server")
        asked = []
        read = self.database.read
        self.patch(self.database, "read", lambda *args: asked.append(args) or read(*args))
        await deferLater(reactor, 0.5)
        self.assertLess(len(asked), 3)


class LimitsTests(HouseCase):
    async def test_one_host(self) -> None:
        """A slow host has its share of connections, and the mail for another one does not wait for it."""
        slow, quick = self.peer(), self.peer()
        slow.replies = {"": SILENCE}
        for number in range(12):
            await self.send(f"u{number}@slow.example")
        await self.send("bob@quick.example")
        self.work(
            route={"slow.example": slow.endpoint, "quick.example": quick.endpoint}, connections=10,
            connections_per_host=3,
        )
        await self.until(lambda: quick.messages)
        await deferLater(reactor, 0.2)
        self.assertEqual(slow.most, 3)
        owned = [each for each in await self.queue() if each.owner]
        self.assertEqual(len(owned), 3)

    async def test_all_hosts(self) -> None:
        """All together have theirs; and everything is delivered in the end."""
        peers = [self.peer() for _ in range(4)]
        for peer in peers:
            peer.replies = {"MAIL": later(0.02, b"250 Ok\r\n")}
            peer.extensions = []
        for number in range(40):
            await self.send(f"u{number}@d{number % 4}.example")
        most = 0
        scheduler = self.work(
            route={f"d{number}.example": peer.endpoint for number, peer in enumerate(peers)}, connections=5,
            connections_per_host=5,
        )

        async def done() -> bool:
            nonlocal most
            most = max(most, len(scheduler._rides))
            return not await self.queue()

        await self.until(done, 20)
        self.assertEqual(most, 5)
        self.assertEqual([len(peer.messages) for peer in peers], [10, 10, 10, 10])


class LeaseTests(HouseCase):
    def steal(self) -> list[Entry]:
        """Another server, whose clock is ahead, takes what we are trying."""
        self.patch(ends_module, "TRUSTED", 0.0)         # a thief on this machine has our clock, and must wait for it
        now = self.world.now() + 1000
        with self.writing() as connection:
            ids = {each.id: now + 300 for each in queue.listing(connection)}
            return spool.claim(connection, "them/2", now, 5000, ids)

    async def test_two_servers(self) -> None:
        """On one database each entry is sent by one of them."""
        peer = self.peer()
        for number in range(30):
            await self.send(f"u{number}@example.com")
        self.route(to=peer, instance="us/1")
        self.route(to=peer, instance="them/2")
        await self.empty()
        self.assertEqual(len({each[1][0] for each in peer.messages}), 30)
        self.assertEqual(len(peer.messages), 30)

    async def test_who_lost_the_lease_sends_no_final_dot(self) -> None:
        """Another server took over while we sent: we hang up, and leave its entry alone."""
        peer = self.peer()

        def steal(talk: Talk) -> bytes:
            self.assertEqual(len(self.steal()), 1)
            return b"354 Go on\r\n"

        peer.replies = {"DATA": steal}
        # A claim takes what is due: the attempt has moved that, so it is due for them later.
        self.route(to=peer, retry_first=1.0)
        await self.send("bob@example.com")
        await peer.until(lambda: peer.talks and peer.talks[0].gone.called)
        await deferLater(reactor, 0.2)
        self.assertEqual(peer.messages, [])
        [entry] = await self.queue()
        self.assertEqual((entry.owner, entry.reason), ("them/2", ""))

    async def test_a_failure_is_reported_by_who_has_the_lease(self) -> None:
        """Not by us, when it was lost meanwhile."""
        peer = self.peer()

        def steal(talk: Talk) -> bytes:
            self.steal()
            return b"550 5.1.1 No\r\n"

        peer.replies = {"RCPT": steal}
        self.route(to=peer, retry_first=1.0)
        id = await self.send("bob@example.com")

        async def told() -> bool:
            return bool(await self.attempts(id))

        await self.until(told)
        self.assertEqual(self.inbox(self.alice), [])
        [attempt] = await self.attempts(id)
        self.assertEqual(attempt["reported_to"], "nobody: it was not ours to tell any more")
        [entry] = await self.queue()
        self.assertEqual(entry.owner, "them/2")


class StopTests(HouseCase):
    async def test_behind_the_final_dot(self) -> None:
        """What is being promised is waited for."""
        peer = self.peer()
        peer.replies = {".": later(0.4, b"250 2.0.0 Taken\r\n")}
        scheduler = self.route(to=peer)
        await self.send("bob@example.com")
        await peer.until(lambda: peer.messages)
        await scheduler.stop()
        self.assertEqual(await self.queue(), [])

    async def test_but_not_for_ever(self) -> None:
        """It is tried again later, since perhaps they have it."""
        self.patch(scheduler_module, "PATIENCE", 0.2)
        peer = self.peer()
        peer.replies = {".": SILENCE}
        scheduler = self.route(to=peer)
        await self.send("bob@example.com")
        await peer.until(lambda: peer.messages)
        await scheduler.stop()
        [entry] = await self.queue()
        self.assertEqual((entry.owner, entry.reason), ("", "the server was stopped while it was tried"))
        self.assertGreater(entry.next_attempt - self.world.now(), 200)

    async def test_before_it(self) -> None:
        """At whatever point: it ends at once, and is due at once when the server starts again."""
        for command in ("", "EHLO", "MAIL", "DATA"):
            peer = self.peer()
            peer.extensions = []
            peer.replies = {command: SILENCE}
            scheduler = self.route(to=peer)
            await self.send("bob@example.com")
            await peer.until(lambda peer=peer: peer.talks)
            await deferLater(reactor, 0.1)
            began = reactor.seconds()
            await scheduler.stop()
            self.assertLess(reactor.seconds() - began, 2)
            [entry] = await self.queue()
            self.assertEqual((entry.owner, entry.attempts), ("", 1))
            self.assertEqual(entry.state(self.world.now()), "ready")
            peer.replies = {}
            scheduler = self.route(to=peer)
            await self.empty()
            await scheduler.stop()
            self.assertEqual(len(peer.messages), 1)

    async def test_while_it_looks_for_a_host(self) -> None:
        waiting: list[Any] = []

        async def query(name: str, type: str) -> Any:
            from twisted.internet.defer import Deferred

            waiting.append(Deferred())
            return await waiting[-1]

        self.names.query = query            # type: ignore[method-assign]
        scheduler = self.work()
        await self.send("bob@example.com")
        await self.until(lambda: waiting)
        await scheduler.stop()
        [entry] = await self.queue()
        self.assertEqual(entry.state(self.world.now()), "ready")

    async def test_handed_over_when_it_is_too_late(self) -> None:
        """A message is being written down while its scheduler retires, as at a reload: the next one sends it."""
        peer = self.peer()
        scheduler = self.route(to=peer)
        write_with = self.database.write_with

        async def meanwhile(group: Any, item: Any, *args: Any) -> Any:
            answer = await write_with(group, item, *args)
            if group is write_many:
                await scheduler.retire()
            return answer

        self.patch(self.database, "write_with", meanwhile)
        await self.send("bob@example.com")
        self.schedulers.remove(scheduler)
        self.patch(self.database, "write_with", write_with)
        self.route(to=peer)
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_claimed_when_it_is_too_late(self) -> None:
        """What was being claimed when the server stopped was no attempt: no number is missing in its story."""
        peer = self.peer()
        await self.send("bob@example.com")
        load_many, stopping = contents.load_many, []

        def slowly(*args: Any) -> Any:
            reactor.callFromThread(lambda: stopping.append(Deferred.fromCoroutine(scheduler.stop())))
            time.sleep(0.1)
            return load_many(*args)

        self.patch(contents, "load_many", slowly)
        scheduler = self.route(to=peer)
        await self.until(lambda: stopping)
        await stopping[0]
        self.schedulers.remove(scheduler)
        [entry] = await self.queue()
        self.assertEqual((entry.attempts, entry.owner, peer.talks), (0, "", []))
        self.assertLessEqual(entry.next_attempt, self.world.now())

    async def test_nothing_to_do(self) -> None:
        scheduler = self.work()
        await scheduler.stop()
        await scheduler.stop()
        scheduler.wake()
        self.assertIsNone(scheduler._timer)


class TroubleTests(HouseCase):
    async def test_the_end_cannot_be_written_down(self) -> None:
        """What was delivered is not delivered again because the database had a bad moment."""
        self.patch(ends_module, "WRITE_AGAIN", 0.05)
        write_down, times = ends_module.write_down, []

        def fails_twice(*args: Any) -> list[None]:
            times.append(1)
            if len(times) < 3:
                raise TemporaryFailure("the disk is full")
            return write_down(*args)

        self.patch(ends_module, "write_down", fails_twice)
        peer = self.peer()
        self.route(to=peer)
        await self.send("bob@example.com")
        await self.empty()
        self.assertEqual(len(peer.messages), 1)
        self.assertGreaterEqual(len(times), 3)

    async def test_a_claim_that_is_run_again(self) -> None:
        """It was written and the connection went: the second time it finds what is ours already."""
        claim, times = spool.claim, []

        def lost(connection: Any, *args: Any) -> Any:
            found = claim(connection, *args)
            if not times:
                times.append(1)
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                raise TemporaryFailure("the database went away")
            return found

        self.patch(spool, "claim", lost)
        await self._is_delivered_once()

    async def test_a_claim_whose_answer_is_lost(self) -> None:
        """Its leases are given back, else the heartbeat would renew them for ever."""
        self.patch(scheduler_module, "LOOK", 0.1)
        write, times = self.database.write, []

        async def lost(job: Any, *args: Any) -> Any:
            answer = await write(job, *args)
            if job is spool.claim and not times:
                times.append(1)
                raise TemporaryFailure("the database went away")
            return answer

        self.patch(self.database, "write", lost)
        await self._is_delivered_once()
        self.assertEqual(len(self.flushLoggedErrors(TemporaryFailure)), 1)

    async def test_what_was_claimed_cannot_be_read(self) -> None:
        """The same for what was claimed well and cannot be looked at then."""
        self.patch(scheduler_module, "LOOK", 0.1)
        load_many, times = contents.load_many, []

        def fails(*args: Any) -> Any:
            times.append(1)
            if len(times) < 3:
                raise TemporaryFailure("the database went away")
            return load_many(*args)

        self.patch(contents, "load_many", fails)
        await self._is_delivered_once()
        self.assertEqual((len(times), len(self.flushLoggedErrors(TemporaryFailure))), (3, 2))

    async def _is_delivered_once(self) -> None:
        """Of what lay in the queue; its attempt was counted, so it is due a little later."""
        peer = self.peer()
        await self.send("bob@example.com")
        self.route(to=peer, retry_first=0.2)
        await self.empty()
        self.assertEqual(len(peer.messages), 1)

    async def test_the_clock_jumps(self) -> None:
        """A lease that has lapsed by it is not begun a second time by who is at it."""
        peer = self.peer()
        peer.replies = {"MAIL": later(0.5, b"250 Ok\r\n")}
        peer.extensions = []
        self.route(to=peer)
        await self.send("bob@example.com")
        await peer.until(lambda: "EHLO" in peer.verbs())
        self.later(86400)
        await deferLater(reactor, 0.3)
        self.assertEqual(len(peer.talks), 1)
        peer.replies = {}
        await self.empty()
        self.assertEqual((len(peer.talks), len(peer.messages)), (2, 1))

    async def test_a_bug(self) -> None:
        """An attempt that breaks is an attempt that failed; the message stays."""
        self.patch(remote_module.Remote, "deliver", partial(self._break))
        self.work()
        await self.send("bob@example.com")
        entry = await self.reason("internal error: ZeroDivisionError")
        self.assertEqual(entry.attempts, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def _break(self, *args: Any) -> Any:
        return 1 / 0

    async def test_closed_after_the_end(self) -> None:
        """At least once: it is sent again, later."""
        peer = self.peer()
        peer.replies = {".": CLOSE}
        self.route(to=peer)
        await self.send("bob@example.com")
        await self.reason("the message was sent, but the connection was closed by the server")
        peer.replies = {}
        self.later(400)
        await self.empty()
        self.assertEqual(len(peer.messages), 2)
