"""Whose turn it is: who pipelines without end must not keep those waiting who say one thing and listen."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred

IN_ROUND = 400      # commands that were pipelined, of all connections, between two looks at the sockets: some 10 ms
IN_TURN = 20        # of one connection before it is the next one's turn


class Turns:
    """Counts what is answered in one round of the reactor; who waits is served in order, in the rounds after it.

    The first command of what came at once needs no turn: only for those behind it there is a queue.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._answered = 0
        self._is_counting = False
        self._waiting: deque[Deferred[None]] = deque()

    def is_over(self, answered: int) -> bool:
        """Whether somebody who has answered so many commands in his turn must wait for the next."""
        self._answered += 1
        self._count()
        return answered >= IN_TURN or self._answered >= IN_ROUND

    def next(self) -> Deferred[None]:
        """Fires when it is his turn again."""
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        self._count()
        return turn

    def _count(self) -> None:
        if not self._is_counting:
            self._is_counting = True
            self._clock.callLater(0, self._round)

    def _round(self) -> None:
        self._is_counting = False
        self._answered = 0
        # Those who queue up again meanwhile are for the next round.
        for _ in range(len(self._waiting)):
            if self._answered >= IN_ROUND:
                break
            self._waiting.popleft().callback(None)
        if self._waiting:
            self._count()
