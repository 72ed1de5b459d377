"""So many messages a minute: to a destination, of a sender, from an address of ours."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST = 20_000           # of whom is known when the next may go
BURST = 10.0            # seconds' worth that may go at once


@dataclass(slots=True)
class _Pace:
    free: float         # when the bucket would be full again
    last: float         # the time that the last one was told to come back at


class Rates:
    """A bucket for each name (the generic cell rate algorithm); times are seconds since the epoch."""

    def __init__(self) -> None:
        self._paces: OrderedDict[str, _Pace] = OrderedDict()

    def may_go(self, name: str, per_minute: int, now: float, waits: bool = True) -> float:
        """0 when one may go now; else when to ask again: each who `waits` for it is told a later time."""
        interval = 60.0 / per_minute
        burst = max(interval, BURST)
        pace = self._paces.get(name)
        if pace is None or pace.free < now or pace.free > now + burst + interval:      # or the clock has jumped
            pace = self._paces[name] = _Pace(now, now)
        self._paces.move_to_end(name)
        if len(self._paces) > MOST:
            self._paces.popitem(last=False)
        earliest = pace.free + interval - burst
        if earliest <= now:
            return 0.0
        if not waits:
            return earliest
        pace.last = max(pace.last + interval, earliest)
        return pace.last

    def forget_turns(self) -> None:
        """All who wait ask again now, for an operator has made them due: the turns that they had are nobody's."""
        for pace in self._paces.values():
            pace.last = 0.0

    def gone(self, name: str, per_minute: int, now: float) -> None:
        """One goes."""
        pace = self._paces.get(name)
        if pace is None:
            pace = self._paces[name] = _Pace(now, now)
        pace.free = max(pace.free, now) + 60.0 / per_minute
