"""All open connections of one server: one clock for their timers, one door, one way to stop them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailserver.net.limits import Limits
from mailserver.net.turns import Turns

if TYPE_CHECKING:
    from mailserver.net.conversation import Conversation

log = Logger()


class Conversations:
    """Every second it looks who is too slow: a timer for each connection would cost more than the look.

    `idle` is how long a peer may be silent while it is its turn, `longest` how long a connection may last
    in all, both in seconds.
    """

    def __init__(
        self,
        clock: Any,
        limits: Limits,
        idle: float = 300.0,                # RFC 5321 4.5.3.2.7: at least five minutes
        longest: float = 4 * 3600.0,
    ) -> None:
        self.clock = clock
        self.idle = idle
        self.longest = longest
        self.limits = limits
        self.turns = Turns(clock)
        self._open: set[Conversation] = set()
        self._stopping = False
        self._empty: Deferred[None] | None = None
        self._look = LoopingCall(self._look_round)
        self._look.clock = clock

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Conversation]:
        """Those that are open, the oldest first."""
        return iter(sorted(self._open, key=lambda conversation: conversation.began))

    def start(self) -> None:
        """Begin to look at the clock."""
        self._look.start(1.0, now=False)

    def enter(self, conversation: Conversation) -> bool:
        """One more; False when there are too many, of it or in all."""
        if self._stopping:
            return False
        conversation.counted = self.limits.enter(conversation.address)
        if not conversation.counted:
            return False
        self._open.add(conversation)
        return True

    def leave(self, conversation: Conversation) -> None:
        """It is gone."""
        self._open.discard(conversation)
        self.limits.leave(conversation.counted)
        if self._empty is not None and not self._open:
            empty, self._empty = self._empty, None
            empty.callback(None)

    async def stop(self, patience: float = 20.0) -> None:
        """Tell everybody; those in the middle of an answer get it first.  After `patience` seconds, hang up."""
        self._stopping = True
        await self._all_gone(lambda conversation: conversation.stop(), patience)
        await self._all_gone(lambda conversation: conversation.abort(), 1.0)
        if self._look.running:
            self._look.stop()

    async def _all_gone(self, tell: Callable[[Conversation], None], patience: float) -> None:
        for conversation in list(self._open):
            tell(conversation)
        if not self._open:
            return
        self._empty = Deferred()
        self._empty.addTimeout(patience, self.clock)
        try:
            await self._empty
        except Exception:
            log.warn("{count} connections did not end in time", count=len(self._open))
        self._empty = None

    def _look_round(self) -> None:
        now = self.clock.seconds()
        for conversation in list(self._open):
            deadline = conversation.deadline
            if (deadline is not None and deadline <= now) or conversation.began + self.longest <= now:
                conversation.too_slow()
