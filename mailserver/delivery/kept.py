"""Connections to other servers that have nothing to do just now, and may have in a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mailserver.delivery.attempt import Way
from mailserver.delivery.courier import Courier

IDLE = 4.0              # seconds for which one is kept; servers wait longer than that (RFC 5321 4.5.3.2.7)
MOST = 100              # of all ways together


@dataclass(eq=False, slots=True)
class Kept:
    """A courier at the door of a host, and what the trace tells of how it got there."""

    way: Way
    courier: Courier
    host: str
    address: str
    policy: str = ""            # which TLS it had to have, and why
    source: str = ""            # our address
    timer: Any = field(default=None, repr=False)


class Pool:
    """Keeps each for some seconds; the longest idle goes when there are too many."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._idle: dict[Way, list[Kept]] = {}
        self._count = 0

    def take(self, way: Way) -> Kept | None:
        """One that goes that way and is still good."""
        waiting = self._idle.get(way)
        while waiting:
            kept = waiting.pop()
            self._gone(kept)
            if kept.courier.line.is_good:
                return kept
            kept.courier.line.quit()
        return None

    def keep(self, kept: Kept) -> None:
        """It may be wanted again; not where the envelope of a message was said that will not be sent."""
        if kept.courier.ahead is not None:
            kept.courier.line.abort()
            return
        if not kept.courier.line.is_good:
            kept.courier.line.quit()
            return
        if self._count >= MOST:
            self._leave(next(iter(self._idle.values()))[0])
        self._idle.setdefault(kept.way, []).append(kept)
        self._count += 1
        kept.timer = self._clock.callLater(IDLE, self._leave, kept)

    def _leave(self, kept: Kept) -> None:
        self._idle[kept.way].remove(kept)
        self._gone(kept)
        kept.courier.line.quit()

    def _gone(self, kept: Kept) -> None:
        if not self._idle[kept.way]:
            del self._idle[kept.way]
        self._count -= 1
        if kept.timer is not None and kept.timer.active():
            kept.timer.cancel()

    def close(self) -> None:
        """Say goodbye on all of them."""
        for waiting in list(self._idle.values()):
            for kept in list(waiting):
                self._leave(kept)
