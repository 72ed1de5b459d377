"""All that goes to one host, or into one store, while there is something to do: what waits, and who is at work."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mailserver.delivery.attempt import Attempt

MOST_AHEAD = 400        # attempts claimed beyond those that are being tried


@dataclass(eq=False, slots=True)
class Lane:
    """`limit` is how many connections it may have; `ahead`, how many attempts more than those it is given.

    It is given more than it works at only as far as it was quick: one more for each that it has delivered, none after
    one that failed, so that what goes to a slow host waits in the spool, where everybody can see it.
    """

    name: str
    limit: int
    ahead: int = 0
    at_hand: int = 0                                        # attempts that wait or are being tried
    rides: int = 0
    waiting: deque[Attempt] = field(default_factory=deque)

    @property
    def room(self) -> int:
        """How many attempts may still be claimed for it."""
        return self.limit + self.ahead - self.at_hand

    def add(self, attempt: Attempt) -> None:
        """One more that waits."""
        self.at_hand += 1
        self.waiting.append(attempt)

    def take(self) -> Attempt | None:
        """The one that waits longest."""
        return self.waiting.popleft() if self.waiting else None

    def tried(self, delivered: bool) -> None:
        """One has ended; it is at hand until that is written down."""
        self.ahead = min(MOST_AHEAD, self.ahead + 1) if delivered else 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody needs it any more."""
        return not self.at_hand and not self.rides
