"""The scheduler: looks what is due, and lets so much of it be tried at a time as the limits allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.config import Outbound
from mailserver.content import Content
from mailserver.delivery.attempt import NO_WAY, Attempt, Way
from mailserver.delivery.backoff import Backoff
from mailserver.delivery.booking import Booking
from mailserver.delivery.classify import Kind
from mailserver.delivery.ends import Ends, is_over
from mailserver.delivery.kept import Pool
from mailserver.delivery.lane import Lane
from mailserver.delivery.lanes import Lanes
from mailserver.delivery.local import Local
from mailserver.delivery.rates import Rates
from mailserver.delivery.remote import Remote
from mailserver.delivery.result import DELIVERED, Result
from mailserver.delivery.ride import Ride
from mailserver.delivery.shaping import Shaping
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.outcome import Seen
from mailserver.figures import Figures
from mailserver.interfaces import IDirectory, IMailboxStore
from mailserver.listeners import Events
from mailserver.store import contents, destinations, spool
from mailserver.store.contents import Stored
from mailserver.store.database import Database
from mailserver.store.spool import Due, Entry
from mailserver.wishes import Wishes
from mailserver.world import World

log = Logger()

LOOK = 5.0              # seconds between two looks at the spool: another process may have put something there
SOON = 0.05             # seconds at least until what becomes due is looked for
LEASE = 90.0            # seconds; the service's heartbeat renews it
PATIENCE = 10.0         # seconds for what is being sent when the server stops
MOST_GROUPED = 100      # recipients of one transaction (RFC 5321 4.5.3.1.8)
LOOKED_AT = 300         # entries of one look
DOMAINS = 300           # of which more are looked at, where those entries have to wait
EACH = 20               # entries of each
MOST_OCTETS = 16 * 1024 * 1024      # of contents that are at hand before their turn comes
FLUSH = 0.5             # seconds after which what was learned is written down
MOST_LANES = 1000       # that are remembered while nothing goes there


class Scheduler:
    """Works the spool off: `outbound.connections` at a time, `connections_per_host` of them in one lane."""

    def __init__(
        self,
        database: Database,
        acceptance: Acceptance,
        stores: Mapping[str, IMailboxStore],
        directory: IDirectory,
        outbound: Outbound,
        world: World,
        hostname: str,
        instance: str,
        events: Events | None = None,
        figures: Figures | None = None,
        seen: Callable[[Seen], None] | None = None,
        key: bytes = b"",
    ) -> None:
        """`seen` is told how TLS went on each connection; `key` is that of keyed reverse-paths (VERP)."""
        self._database = database
        self._acceptance = acceptance
        self._outbound = outbound
        self._world = world
        self._instance = instance
        self._lanes = Lanes(outbound)
        self._backoff = Backoff(outbound.retry_first, outbound.retry_longest, world.random, outbound.retry)
        self._shaping = Shaping(world.random)
        self._rates = Rates()
        self._recalled = False                  # whether what was learned before was read
        self._flushing: Any = None              # the timer after which what was learned is written down
        self._flushes = 0                       # that are being written
        self._booking = Booking(database, outbound, world, key)
        self._ends = Ends(
            database, acceptance, outbound, world, hostname, instance, self._booking, self._learn, events, figures
        )
        self._demands = Demands(database, outbound.tls, world, hostname)
        if seen is not None:
            self._demands.on_outcome(seen)
        self._remote = Remote(
            database, outbound, self._lanes, self._demands, self._booking, world, hostname, self._ends.may_send
        )
        self._local = Local(database, stores, directory, world)
        self._pool = Pool(world.clock)
        self._open: dict[str, Lane] = {}
        self._rides: set[Ride] = set()
        self._attempts: set[Attempt] = set()    # from the claim until their end is written down
        self._ours: set[int] = set()            # their entries
        self._octets = 0                        # of their contents that are at hand
        self._stray: list[int] = []             # entries that may be leased to us without being tried
        self._timer: Any = None
        self._looking: Deferred[None] | None = None
        self._look_again = False
        self._backlog = True                    # whether something due may lie in the spool that was not begun
        self._after = ""                        # the domain from which `due_elsewhere` goes on
        self._running = False
        acceptance.on_spooled(self._spooled)

    def start(self) -> None:
        """Begin to work."""
        self._running = True
        self._acceptance.hand_to(self)
        self.wake()

    async def stop(self) -> None:
        """Claim nothing more; what is behind its final dot may end, the rest ends now; give back what is left."""
        await self._begin_no_more()
        for ride in list(self._rides):
            ride.stop()
        late = self._world.clock.callLater(PATIENCE, self._give_up)
        await DeferredList([ride.work for ride in self._rides])
        await self._put_back()
        await DeferredList([attempt.ended for attempt in self._attempts])
        if late.active():
            late.cancel()
        self._pool.close()
        await self._remote.stop()
        await self._demands.stop()
        await self._write_learned()
        try:
            await self._database.write(spool.free, self._instance)
        except Exception:
            log.failure("the leases were not given back; they will lapse")

    async def retire(self) -> None:
        """Claim nothing more, and let what is being sent end by itself: another one works under our name."""
        await self._begin_no_more()
        await self._put_back()
        await DeferredList([attempt.ended for attempt in self._attempts])
        self._pool.close()
        await self._remote.stop()
        await self._demands.stop()
        await self._write_learned()
        if self._stray:
            await self._database.write(spool.give_back, self._stray, self._instance)

    async def _begin_no_more(self) -> None:
        self._running = False
        self._acceptance.hand_no_more(self)
        self._acceptance.tell_no_more(self._spooled)
        self._put_timer(None)
        if self._looking is not None:
            await self._looking

    async def _put_back(self) -> None:
        """What was claimed and is not being tried waits for somebody else, and was no attempt."""
        left: list[Entry] = []
        for lane in self._open.values():
            while (attempt := lane.take()) is not None:
                lane.at_hand -= 1
                left += attempt.entries
                self._forget(attempt)
        if left:
            await self._give_back([each.id for each in left])

    def _give_up(self) -> None:
        for ride in list(self._rides):
            ride.give_up()

    async def renew(self) -> None:
        """Let what is known of the TLS of others be renewed, where it is a day old."""
        await self._demands.renew()

    # -- looking

    def _spooled(self) -> None:
        """Something new lies in the spool; where much does already, it is looked for soon, and not each time."""
        if not self._backlog:
            self.wake()
        elif self._looking is None and self._running:
            timer = self._timer
            if timer is None or not timer.active() or timer.getTime() > self._world.clock.seconds() + SOON:
                self._put_timer(SOON)

    def changed(self) -> None:
        """An operator, or who asks for his mail, has made entries due."""
        self._rates.forget_turns()
        self.wake()

    def wake(self) -> None:
        """It is to be looked: something came, or there is room for more."""
        if not self._running:
            return
        if self._looking is not None:
            self._look_again = True
            return
        self._put_timer(None)
        self._looking = Deferred()
        Deferred.fromCoroutine(self._look()).addBoth(self._looked)

    def _looked(self, result: Any) -> None:
        if not isinstance(result, float):
            log.failure("looking at the spool failed", result)
            result = LOOK
        looking, self._looking = self._looking, None
        again, self._look_again = self._look_again, False
        if self._running:
            self._put_timer(0.0 if again else result)
        assert looking is not None
        looking.callback(None)

    def _put_timer(self, wait: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if wait is not None:
            self._timer = self._world.clock.callLater(wait, self.wake)

    async def _look(self) -> float:
        """Begin what is due; returns how long to wait before the next look, in seconds."""
        if self._stray:
            stray, self._stray = self._stray, []
            await self._claimed(stray, spool.give_back, stray, self._instance)
        now = self._world.now()
        await self._recall(now)
        self._backlog = False                   # what comes while we look sets it again
        due = await self._database.read(spool.due, now, LOOKED_AT)
        chosen = await self._choose(due, now)
        if len(due) == LOOKED_AT:
            self._backlog = True
        if len(due) == LOOKED_AT and not chosen:
            # Nothing of these may begin: there may be others behind them, and nobody knows how far.
            waits = self._waiting_domains(now)
            due, self._after = await self._database.read(
                spool.due_elsewhere, now, self._after, DOMAINS, EACH, waits
            )
            chosen = await self._choose(due, now)
            if not chosen and self._after:
                return SOON
        if not chosen:
            following = await self._database.read(spool.next_due, now)
            if following is None or following <= now:
                return LOOK                 # nothing, or only what waits for its lane: an attempt's end wakes us
            return min(LOOK, max(SOON, following - now))
        following_of: dict[int, float] = {}
        for _, group in chosen:
            wait = now + self._backoff.wait(group[0].attempts)
            following_of |= {each.id: wait for each in group}
        claimed: list[Entry] = await self._claimed(
            list(following_of), spool.claim, self._instance, now, LEASE, following_of
        )
        ours = {each.id: each for each in claimed}
        first = [group[0].content_id for _, group in chosen]
        try:
            stored: dict[int, Stored] = await self._database.read(
                contents.load_many, first, max(0, MOST_OCTETS - self._octets)
            )
        except Exception:
            self._stray += ours             # nobody tries them, and the lease would be renewed for ever
            raise
        if not self._running:
            await self._give_back(list(ours))
            return 0.0
        for way, group in chosen:
            entries = [ours[each.id] for each in group if each.id in ours]
            if not entries:
                continue
            attempt = Attempt(entries, way, following_of[entries[0].id], now, stored.get(entries[0].content_id))
            self._begin(attempt, self._lane(way))
        return 0.0

    async def _claimed(self, ids: Sequence[int], job: Callable[..., Any], *args: Any) -> Any:
        """Write something about the leases of these; if it is not known to be done they are given back later."""
        try:
            return await self._database.write(job, *args)
        except Exception:
            self._stray += ids
            raise

    async def _choose(self, due: Sequence[Due], now: float) -> list[tuple[Way, list[Due]]]:
        """Groups that may begin now: recipients of one message that go the same way, `MOST_GROUPED` of them at most.

        What goes beyond a rate is not due any more, but when its turn comes.
        """
        waits: list[tuple[int, float, str]] = []
        chosen: list[tuple[Way, list[Due]]] = []
        groups: dict[Any, list[Due]] = {}
        taken: Counter[str] = Counter()
        free = self._outbound.connections - len(self._rides)
        for entry in due:
            if entry.id in self._ours:
                continue                    # our lease has lapsed, as when the clock jumps; but we do try it
            wishes = Wishes.read(entry.wishes)
            way = self._lanes.way(entry, entry.sender, wishes)
            if is_over(entry, wishes, now) and self._shaping.rest(way.lane, now) is not None:
                way = NO_WAY
            key = (
                entry.content_id, way, entry.sender, entry.prefix if entry.kind == "remote" else b"",
                entry.target if self._booking.is_apart(entry.sender) else "",
            )
            group = groups.get(key)
            if group is None or len(group) >= MOST_GROUPED:
                if self._shaping.rest(way.lane, now) is not None:
                    continue
                lane = self._lane(way)
                begun = lane.rides + taken[way.lane]
                if lane.room <= taken[way.lane] or (free <= 0 and not begun):
                    self._backlog = True
                    continue
                if (turn := self._turn(way, entry.domain, entry.sender, now)) is not None:
                    waits.append((entry.id, *turn))
                    continue
                if begun < lane.limit:
                    free -= 1
                group = groups[key] = []
                chosen.append((way, group))
                taken[way.lane] += 1
            group.append(entry)
        if waits:
            await self._database.write(spool.wait, waits)
        return chosen

    def _turn(
        self, way: Way, domain: str, sender: str, now: float, waits: bool = True
    ) -> tuple[float, str] | None:
        """When it may go, and which rate it is that it has to wait for; None: now, and it goes.

        Who `waits` until then has the turn; others would only make it later for the next.
        """
        rates = [(f"to {way.lane}", self._lanes.manner(domain).per_minute, "this destination")]
        if sender:
            rates.append((f"of {sender}", self._outbound.sender_per_minute, f"<{sender}>"))
        if way.source:
            rates += [
                (f"from {each.address}", each.per_minute, each.address)
                for each in self._outbound.sources if each.address in way.source.split()
            ]
        rates = [each for each in rates if each[1]]
        for name, per_minute, whose in rates:
            if until := self._rates.may_go(name, per_minute, now, waits):
                return until, f"waits for its turn: {per_minute} messages a minute for {whose}"
        for name, per_minute, _ in rates:
            self._rates.gone(name, per_minute, now)
        return None

    def _waiting_domains(self, now: float) -> Callable[[str], bool]:
        """Says, in a reader's thread, of which domains nothing can begin now."""
        full = {name for name, lane in self._open.items() if lane.room <= 0} | self._shaping.resting(now)
        lanes = self._lanes
        return lambda domain: (lanes.route(domain, "", "", "").host or domain) in full

    # -- what acceptance hands over

    def take(self, entries: Sequence[Entry], content: Content) -> tuple[Sequence[Entry], Sequence[Attempt]] | None:
        """Entries of a message that is being accepted, as they shall be written, claimed already; None: as they are.

        So that what can be sent at once is not looked for, claimed and read again.  `begin` follows, or `forget`.
        """
        if not self._recalled:
            return None                     # what rests is not known yet
        now = self._world.now()
        groups: dict[Any, list[Entry]] = {}
        for entry in entries:
            if entry.kind != "remote" or entry.next_attempt > now or len(entries) > MOST_GROUPED:
                return None
            if self._octets + content.size > MOST_OCTETS:
                return None
            sender = str(entry.sender) if entry.sender else ""
            way = self._lanes.way(entry, sender, entry.wishes)
            apart = entry.id if self._booking.is_apart(sender) else 0
            groups.setdefault((way, entry.prefix, apart), []).append(entry)
        free = self._outbound.connections - len(self._rides)
        for way, _, _ in groups:
            lane = self._lane(way)
            # What waits in the spool has its half of the room.
            if lane.at_hand >= lane.limit + lane.ahead // 2 or (free < len(groups) and not lane.rides):
                return None
            if self._shaping.rest(way.lane, now) is not None:
                return None
        for way, _, _ in groups:
            if self._turn(way, entries[0].domain, str(entries[0].sender or ""), now, waits=False) is not None:
                return None
        following = now + self._backoff.wait(0)
        stored = Stored(entries[0].content_id, content.size, None, content.beginning)
        written: list[Entry] = []
        attempts = []
        for (way, _, _), group in groups.items():
            ours = [
                replace(each, owner=self._instance, lease=now + LEASE, attempts=1, next_attempt=following)
                for each in group
            ]
            written += ours
            attempts.append(Attempt(ours, way, following, now, stored))
            self._lane(way).at_hand += 1
        return written, attempts

    def begin(self, attempts: Sequence[Attempt]) -> None:
        """They are written down."""
        for attempt in attempts:
            lane = self._lane(attempt.way)
            lane.at_hand -= 1
            if self._running:
                self._begin(attempt, lane)
            else:
                self._hand_back(attempt)

    def forget(self, attempts: Sequence[Attempt]) -> None:
        """They are not written down, or nobody knows."""
        for attempt in attempts:
            self._lane(attempt.way).at_hand -= 1
            if self._running:
                self._stray += [each.id for each in attempt.entries]
            else:
                self._hand_back(attempt)

    def _hand_back(self, attempt: Attempt) -> None:
        """It was handed over when nobody works here any more: else our heartbeat would renew its lease for ever."""
        Deferred.fromCoroutine(self._give_back([each.id for each in attempt.entries]))

    async def _give_back(self, ids: Sequence[int]) -> None:
        """They were no attempt, and are due."""
        try:
            await self._database.write(spool.give_back, ids, self._instance, self._world.now())
        except Exception:
            log.failure("what was not tried was not given back; its leases will lapse")

    # -- working

    def _lane(self, way: Way) -> Lane:
        lane = self._open.get(way.lane)
        if lane is None:
            lane = self._open[way.lane] = Lane(way.lane, self._connections(way))
        return lane

    def _connections(self, way: Way) -> int:
        return self._shaping.connections(way.lane, self._lanes.manner(way.domain).connections)

    def _begin(self, attempt: Attempt, lane: Lane) -> None:
        self._attempts.add(attempt)
        self._ours.update(each.id for each in attempt.entries)
        if attempt.stored is not None and attempt.stored.whole is not None:
            attempt.octets = len(attempt.stored.whole)
            self._octets += attempt.octets
        lane.add(attempt)
        self._start_rides(lane)

    def _start_rides(self, lane: Lane) -> None:
        while lane.waiting and lane.rides < lane.limit and len(self._rides) < self._outbound.connections:
            ride = Ride(lane, self._remote, self._local, self._booking, self._pool, self._world, self._tried)
            lane.rides += 1
            self._rides.add(ride)
            ride.start()
            ride.work.addErrback(lambda failure: log.failure("a courier failed", failure))
            ride.work.addCallback(self._rode, ride)

    def _rode(self, result: None, ride: Ride) -> None:
        self._rides.discard(ride)
        lane = ride.lane
        lane.rides -= 1
        if lane.is_empty and (not lane.ahead or len(self._open) > MOST_LANES):
            self._open.pop(lane.name, None)
        if self._running:
            for each in [lane, *self._open.values()]:
                if each.waiting:
                    self._start_rides(each)

    # -- learning

    async def _recall(self, now: float) -> None:
        """What was learned before; and which rests an operator has ended."""
        if not self._recalled:
            self._shaping.recall(await self._database.read(destinations.listing))
            self._recalled = True
        resting = self._shaping.resting(now) - self._shaping.changed
        if resting and self._flushing is None and not self._flushes:
            for name in resting - await self._database.read(destinations.rests, resting, now):
                self._shaping.forget(name)
                if name in self._open:
                    self._open[name].limit = self._lanes.manner(name).connections

    def _learn(self, attempt: Attempt, result: Result, kind: Kind | None) -> tuple[float, str]:
        """One more result; until when its lane rests now, and by which rule."""
        way, now = attempt.way, self._world.now()
        if way == NO_WAY:
            return 0.0, ""              # nobody was asked
        self._shaping.learn(way.lane, self._lanes.manner(way.domain).connections, result, kind, now)
        if self._shaping.changed:
            self._lane(way).limit = self._connections(way)
            if self._flushing is None and self._running:
                self._flushing = self._world.clock.callLater(FLUSH, self._flush)
        rest = self._shaping.rest(way.lane, now)
        if rest is not None and way.lane in self._shaping.changed and self._running:
            # Written before the attempt's end is: an operator who reads of the one can end the other.
            self._flush()
        return (rest.until, rest.rule) if rest is not None else (0.0, "")

    def _flush(self) -> None:
        Deferred.fromCoroutine(self._write_learned())

    async def _write_learned(self) -> None:
        timer, self._flushing = self._flushing, None
        if timer is not None and timer.active():
            timer.cancel()
        if not self._shaping.changed:
            return
        learned, forgotten = self._shaping.take_changed()
        self._flushes += 1
        try:
            await self._database.write(destinations.put, learned, forgotten)
        except Exception:
            log.failure("what was learned of destinations is not written down")
        finally:
            self._flushes -= 1

    def at_work(self) -> list[dict[str, Any]]:
        """Who is being sent to, for ``mailserver queue top``."""
        found = []
        for ride in self._rides:
            attempt = ride.current
            if attempt is not None:
                found.append({
                    "lane": ride.lane.name, "host": attempt.host, "since": attempt.claimed,
                    "recipients": [str(each.target) for each in attempt.entries], "waiting": len(ride.lane.waiting),
                    "stage": "content sent" if attempt.is_final else "talking",
                })
        return found

    def _tried(self, attempt: Attempt, results: Sequence[Result]) -> None:
        self._attempts.add(attempt)             # of those that were found to be suppressed it is not known yet
        self._lane(attempt.way).tried(all(each.kind == DELIVERED for each in results))
        concluding = Deferred.fromCoroutine(self._ends.conclude(attempt, results))
        concluding.addErrback(self._failed, attempt)
        concluding.addCallback(self._concluded, attempt)

    def _failed(self, failure: Any, attempt: Attempt) -> None:
        self._stray += [each.id for each in attempt.entries]
        if self._running:
            log.failure("an attempt was not written down", failure)

    def _concluded(self, following: float | None, attempt: Attempt) -> None:
        lane = self._lane(attempt.way)
        lane.at_hand -= 1
        self._forget(attempt)
        if lane.is_empty and not lane.ahead:
            self._open.pop(lane.name, None)
        if following is not None and following < self._world.now() + LOOK:
            self.wake()                     # it is due before we would look again
        elif self._backlog and lane.room > lane.ahead // 2:
            self.wake()

    def _forget(self, attempt: Attempt) -> None:
        if attempt in self._attempts:
            self._attempts.remove(attempt)
            self._octets -= attempt.octets
        self._ours.difference_update([each.id for each in attempt.entries])
        attempt.ended.callback(None)
