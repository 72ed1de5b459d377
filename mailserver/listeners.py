"""Telling listeners what happened: later, in batches, and never at the expense of mail."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.events import Event
from mailserver.hooks import Asked

log = Logger()

GATHER = 0.1                # seconds in which what happens becomes one batch
MOST_IN_BATCH = 100         # events that a listener gets at a time
MOST_WAITING = 10_000       # events that wait for one listener; what comes then is lost for it
FIRST_WAIT = 1.0            # seconds until a batch that could not be heard is told again; it doubles
LONGEST_WAIT = 60.0
COMPLAIN = 60.0             # seconds between two lines in the log about what was lost
PATIENCE = 5.0              # seconds for what is left when the server stops


class Events:
    """Whom to tell of what.  While nobody listens, telling costs one look into an empty set.

    `tell` takes no time and never raises.  A listener that is slow, broken or at rest makes its own queue grow, up to
    a bound, and nobody else's; one whose ``on_error`` is "skip" misses what it could not hear, others hear it again.
    """

    def __init__(self, clock: Any, listeners: Sequence[Asked] = ()) -> None:
        self._clock = clock
        self._ears: list[Ear] = []
        self._wanted: frozenset[str] = frozenset()
        self.renew(listeners)

    def renew(self, listeners: Sequence[Asked]) -> None:
        """Go on under a new configuration; who listened before and still does, under its name, misses nothing."""
        before = list(self._ears)
        ears = []
        for asked in listeners:
            ear = next((each for each in before if each.asked.plugin is asked.plugin), None)
            if ear is None:
                ear = Ear(asked, self._clock)
            else:
                before.remove(ear)
            ear.asked = asked
            ears.append(ear)
        for gone in before:
            heir = next((each for each in ears if each.asked.name == gone.asked.name), None)
            for event in gone.close():
                if heir is not None and event.kind in heir.kinds:
                    heir.put(event)
        self._ears = ears
        self._wanted = frozenset(kind for ear in ears for kind in ear.kinds)

    def wanted(self, kind: str) -> bool:
        """Whether anybody wants to hear of events of this kind."""
        return kind in self._wanted

    def tell(self, event: Event) -> None:
        """Something happened."""
        if event.kind not in self._wanted:
            return
        for ear in self._ears:
            if event.kind in ear.kinds:
                ear.put(event)

    @property
    def lost(self) -> int:
        """How many events somebody should have heard of and did not."""
        return sum(ear.lost for ear in self._ears)

    async def stop(self) -> None:
        """Tell what is left, as far as it is heard at once."""
        for ear in self._ears:
            await ear.finish()


class Ear:
    """One listener, and what it is still to hear."""

    def __init__(self, asked: Asked, clock: Any) -> None:
        self.asked = asked
        self.kinds = frozenset(asked.plugin.kinds)
        self.lost = 0
        self._clock = clock
        self._waiting: deque[Event] = deque()
        self._timer: Any = None
        self._telling: Deferred[None] | None = None
        self._wait = FIRST_WAIT
        self._closed = False
        self._complained = float("-inf")

    def put(self, event: Event) -> None:
        """One more."""
        if self._closed or len(self._waiting) >= MOST_WAITING:
            self._lose(1)
            return
        self._waiting.append(event)
        if self._timer is None and self._telling is None:
            self._later(GATHER)

    def close(self) -> list[Event]:
        """It is not to hear anything any more; what it has not heard is somebody else's."""
        self._closed = True
        self._cancel()
        left = list(self._waiting)
        self._waiting.clear()
        return left

    async def finish(self) -> None:
        """Let it hear what is left; what it cannot hear now is lost."""
        self._cancel()
        if self._telling is None and self._waiting:
            self._begin()
        if self._telling is not None:
            done: Deferred[None] = Deferred()
            self._telling.addBoth(lambda _: done.callback(None))
            try:
                await done.addTimeout(PATIENCE, self._clock)
            except DeferredTimeout:
                pass
        self._closed = True
        self._cancel()
        if self._waiting:
            self._lose(len(self._waiting))
            self._waiting.clear()

    def _later(self, seconds: float) -> None:
        self._timer = self._clock.callLater(seconds, self._begin)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _begin(self) -> None:
        self._timer = None
        telling = Deferred.fromCoroutine(self._tell())
        if not telling.called:
            self._telling = telling
        telling.addErrback(lambda failure: log.failure("a listener could not be told", failure))

    async def _tell(self) -> None:
        """Batch after batch, until there is none, or one could not be heard."""
        wait = GATHER
        try:
            while self._waiting and not self._closed:
                batch = [self._waiting.popleft() for _ in range(min(MOST_IN_BATCH, len(self._waiting)))]
                try:
                    await self.asked.ask(self.asked.plugin.happened, batch)
                except TemporaryFailure as failure:
                    log.warn("{words}; {count} events wait", words=str(failure), count=len(batch) + len(self._waiting))
                    if self.asked.skips or self._closed:
                        self._lose(len(batch))
                        continue
                    self._waiting.extendleft(reversed(batch))
                    wait, self._wait = self._wait, min(LONGEST_WAIT, 2 * self._wait)
                    return
                self._wait = FIRST_WAIT
        finally:
            self._telling = None
            if self._waiting and not self._closed:
                self._later(wait)

    def _lose(self, count: int) -> None:
        self.lost += count
        now = self._clock.seconds()
        if now - self._complained >= COMPLAIN:
            self._complained = now
            log.error(
                "the listener {name} does not keep up: {lost} events are lost for it", name=self.asked.name,
                lost=self.lost,
            )
