"""One connection at work: attempts of one lane, one after the other, as long as there are some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from mailserver.delivery.attempt import NO_WAY, Attempt
from mailserver.delivery.booking import Booking, refusal
from mailserver.delivery.consignment import Consignment
from mailserver.delivery.ends import too_late
from mailserver.delivery.kept import Kept, Pool
from mailserver.delivery.lane import Lane
from mailserver.delivery.local import Local
from mailserver.delivery.remote import Remote
from mailserver.delivery.result import DEFERRED, FAILED, Result
from mailserver.errors import MailserverError
from mailserver.ident import spell
from mailserver.store.spool import CANCELLED, Entry
from mailserver.world import World

log = Logger()

Ended = Callable[[Attempt, Sequence[Result]], None]


class Ride:
    """Tries what waits in `lane`; each attempt that has ended is handed to `ended`."""

    def __init__(
        self, lane: Lane, remote: Remote, local: Local, booking: Booking, pool: Pool, world: World, ended: Ended
    ) -> None:
        self.lane = lane
        self._remote = remote
        self._local = local
        self._booking = booking
        self._pool = pool
        self._world = world
        self._ended = ended
        self._kept: Kept | None = None
        self._is_stopped = False
        self.current: Attempt | None = None
        self.ahead: Attempt | None = None       # whose envelope was said behind the content of the current one
        self.work: Deferred[None] = Deferred()

    def start(self) -> None:
        """Begin; `work` fires at the end."""
        self.work = Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        try:
            while (attempt := self._next()) is not None:
                self.current = attempt
                results = await self._unwanted(attempt) or await self._results(attempt)
                self._ended(attempt, results)
                self.current = None
        finally:
            if self._kept is not None:
                self._pool.keep(self._kept)

    def _next(self) -> Attempt | None:
        attempt, self.ahead = self.ahead, None
        if attempt is None and not self._is_stopped:
            attempt = self.lane.take()
        if attempt is None or self._is_stopped:
            if attempt is not None:
                self.lane.waiting.appendleft(attempt)       # not tried, only named: it is given back with the others
            return None
        if self._kept is not None and self._kept.way != attempt.way:
            self._pool.keep(self._kept)
            self._kept = None
        if self._kept is None and attempt.entries[0].kind == "remote":
            self._kept = self._pool.take(attempt.way)
        return attempt

    async def _unwanted(self, attempt: Attempt) -> Sequence[Result] | None:
        """The end of it when nobody is left whom it may go to; when some are not, theirs apart.  None: it goes on."""
        found = [(each, Result(FAILED, each.reason)) for each in attempt.entries if each.expires <= CANCELLED]
        if self._booking.looks(attempt.entries[0]) and not found:
            try:
                found = await self._suppressed(attempt)
            except MailserverError:
                return None                             # nobody knows: it is tried, and the answer counts
            except CancelledError:
                return [Result(DEFERRED, "it was given up")] * len(attempt.entries)
        if not found:
            return None
        gone, results = [entry for entry, _ in found], [result for _, result in found]
        if len(gone) == len(attempt.entries):
            return results
        self.lane.at_hand += 1
        attempt.entries = [each for each in attempt.entries if each not in gone]
        attempt.load = None
        self._ended(replace(attempt, entries=gone, ended=Deferred()), results)
        return None

    async def _suppressed(self, attempt: Attempt) -> list[tuple[Entry, Result]]:
        header = await self._remote.header(attempt)
        found = []
        for each in attempt.entries:
            if self._booking.applies(each, header):
                suppression = await self._booking.suppressed(each.target)
                if suppression is not None:
                    found.append((each, refusal(suppression)))
        return found

    async def _results(self, attempt: Attempt) -> Sequence[Result]:
        """What became of it, whatever happens."""
        count = len(attempt.entries)
        if (late := too_late(attempt.entries[0], self._world.now())) is not None:
            return [late] * count
        if attempt.way == NO_WAY:
            return [Result(DEFERRED, each.reason) for each in attempt.entries]      # as it was; it is given up
        try:
            if attempt.entries[0].kind == "mailbox":
                attempt.is_final = True
                return [await self._local.deliver(each) for each in attempt.entries]
            kept, self._kept = self._kept, None
            results, self._kept = await self._remote.deliver(attempt, kept, self._following)
            return results
        except MailserverError as error:
            return [Result(DEFERRED, str(error))] * count
        except CancelledError:
            return [Result(DEFERRED, "it was given up")] * count
        except Exception as error:
            if not attempt.is_stopped:
                log.failure("{id}: the attempt failed", id=spell(attempt.entries[0].content_id))
            return [Result(DEFERRED, f"internal error: {type(error).__name__}")] * count

    def _following(self) -> Consignment | None:
        """The next message that may go along with the current one."""
        current = self.current
        if current is None or self._is_stopped:
            return None
        if self.ahead is None:
            waiting = self.lane.waiting
            if not waiting or waiting[0].way != current.way or self._remote.at_hand(waiting[0]) is None:
                return None
            self.ahead = waiting.popleft()
        return self._remote.at_hand(self.ahead)

    def stop(self) -> None:
        """End it now, unless it would be unknown whether they have what is being sent."""
        self._is_stopped = True
        if self.current is not None:
            self.current.is_stopped = True
            if not self.current.is_final:
                self.work.cancel()

    def give_up(self) -> None:
        """End it, known or not."""
        self.work.cancel()
