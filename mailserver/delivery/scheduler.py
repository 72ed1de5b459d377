"""The scheduler: looks what is due, and lets so much of it be tried at a time as the limits allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.config import Outbound
from mailserver.delivery.attempts import Attempt, Attempts
from mailserver.delivery.lanes import Lanes
from mailserver.figures import Figures
from mailserver.interfaces import IDirectory, IMailboxStore
from mailserver.listeners import Events
from mailserver.store import spool
from mailserver.store.database import Database
from mailserver.store.spool import Due, Entry
from mailserver.world import World

log = Logger()

LOOK = 5.0              # seconds between two looks at the spool: another process may have put something there
SOON = 0.05             # seconds at least until what becomes due is looked for
LEASE = 90.0            # seconds; the service's heartbeat renews it
PATIENCE = 10.0         # seconds for what is being sent when the server stops
MOST_GROUPED = 100      # recipients of one transaction
MOST_LOOKED_AT = 500    # entries of one look
LOOKED_AT = 10          # entries for each attempt that may begin: recipients go together, and lanes fill up


class Scheduler:
    """Works the spool off: `outbound.connections` attempts at a time, `connections_per_host` of them in one lane."""

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
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._world = world
        self._instance = instance
        self._attempts = Attempts(
            database, acceptance, stores, directory, outbound, world, hostname, instance, events, figures
        )
        self._lanes = Lanes(outbound)
        self._at_work: set[Attempt] = set()
        self._in_lane: Counter[str] = Counter()
        self._stray: list[int] = []             # entries that may be leased to us without being tried
        self._timer: Any = None
        self._looking: Deferred[None] | None = None
        self._look_again = False
        self._running = False
        acceptance.on_spooled(self.wake)

    def start(self) -> None:
        """Begin to work."""
        self._running = True
        self.wake()

    async def stop(self) -> None:
        """Claim nothing more; what is behind its final dot may end, the rest ends now; give back what is left."""
        self._running = False
        self._put_timer(None)
        if self._looking is not None:
            await self._looking
        for attempt in list(self._at_work):
            attempt.stop()
        if self._at_work:
            late = self._world.clock.callLater(PATIENCE, self._give_up)
            await DeferredList([attempt.work for attempt in self._at_work])
            if late.active():
                late.cancel()
        await self._attempts.stop()
        try:
            await self._database.write(spool.free, self._instance)
        except Exception:
            log.failure("the leases were not given back; they will lapse")

    async def retire(self) -> None:
        """Claim nothing more, and let what is being sent end by itself: another one works under our name."""
        self._running = False
        self._put_timer(None)
        if self._looking is not None:
            await self._looking
        await DeferredList([attempt.work for attempt in self._at_work])
        await self._attempts.stop()
        if self._stray:
            await self._database.write(spool.give_back, self._stray, self._instance)

    def _give_up(self) -> None:
        for attempt in list(self._at_work):
            attempt.work.cancel()

    def wake(self) -> None:
        """Something new lies in the spool, or there is room for more."""
        if not self._running or len(self._at_work) >= self._outbound.connections:
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
        room = self._outbound.connections - len(self._at_work)
        if room <= 0:
            return LOOK
        if self._stray:
            stray, self._stray = self._stray, []
            await self._claimed(stray, spool.give_back, stray, self._instance)
        now = self._world.now()
        most = self._outbound.connections_per_host
        full = [lane for lane, count in self._in_lane.items() if count >= most]
        look_at = min(MOST_LOOKED_AT, MOST_GROUPED + room * LOOKED_AT)
        due = await self._database.read(spool.due, now, look_at, self._lanes.others(full))
        chosen = self._choose(due, room)
        if not chosen:
            following = await self._database.read(spool.next_due, now)
            if following is None or following <= now:
                return LOOK                 # nothing, or only what waits for its lane: an attempt's end wakes us
            return min(LOOK, max(SOON, following - now))
        ids = [id for group in chosen for id in group]
        claimed: list[Entry] = await self._claimed(ids, spool.claim, self._instance, now, len(ids), LEASE, ids)
        ours = {each.id: each for each in claimed}
        for group in chosen:
            entries = [ours[id] for id in group if id in ours]
            if entries and self._running:
                self._begin(entries)
            elif entries:
                self._stray += [each.id for each in entries]
        return 0.0

    async def _claimed(self, ids: Sequence[int], job: Callable[..., Any], *args: Any) -> Any:
        """Write something about the leases of these; if it is not known to be done they are given back later."""
        try:
            return await self._database.write(job, *args)
        except Exception:
            self._stray += ids
            raise

    def _choose(self, due: Sequence[Due], room: int) -> list[list[int]]:
        """Groups that may begin now: recipients of one message that go the same way, `MOST_GROUPED` of them at most."""
        most = self._outbound.connections_per_host
        chosen: list[list[int]] = []
        open_groups: dict[Any, list[int]] = {}
        taken = Counter(self._in_lane)
        ours = {each.id for attempt in self._at_work for each in attempt.entries}
        for entry in due:
            if entry.id in ours:
                continue                    # our lease has lapsed, as when the clock jumps; but we do try it
            lane = self._lanes.of(entry)
            way = (entry.content_id, lane, entry.sender, entry.prefix if entry.kind == "remote" else b"")
            group = open_groups.get(way)
            if group is None or len(group) >= MOST_GROUPED:
                if len(chosen) >= room or taken[lane] >= most:
                    continue
                group = open_groups[way] = []
                chosen.append(group)
                taken[lane] += 1
            group.append(entry.id)
        return chosen

    def _begin(self, entries: Sequence[Entry]) -> None:
        attempt = Attempt(entries, self._lanes.of(entries[0]))
        self._at_work.add(attempt)
        self._in_lane[attempt.lane] += 1
        attempt.work = Deferred.fromCoroutine(self._attempts.make(attempt))
        attempt.work.addErrback(self._failed, attempt)
        attempt.work.addCallback(lambda _: self._ended(attempt))

    def _failed(self, failure: Any, attempt: Attempt) -> None:
        self._stray += [each.id for each in attempt.entries]
        if self._running:
            log.failure("an attempt was not written down", failure)

    def _ended(self, attempt: Attempt) -> None:
        self._at_work.discard(attempt)
        self._in_lane[attempt.lane] -= 1
        if not self._in_lane[attempt.lane]:
            del self._in_lane[attempt.lane]
        self.wake()
