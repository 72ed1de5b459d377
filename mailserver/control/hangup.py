"""SIGHUP: whoever sends it wants the configuration to be read again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Hangup:
    """Calls `work` in the reactor's thread for each SIGHUP; several servers in one process each have theirs."""

    def __init__(self, reactor: Any, work: Callable[[], Any]) -> None:
        self._reactor = reactor
        self._work = work
        self._before: Any = None
        self._listens = False

    def install(self) -> None:
        """Begin to listen; outside the main thread, which alone may, nothing happens."""
        try:
            self._before = signal.signal(signal.SIGHUP, self._heard)
            self._listens = True
        except ValueError:
            pass

    def remove(self) -> None:
        """Listen no more."""
        if self._listens and signal.getsignal(signal.SIGHUP) == self._heard:
            before = self._before
            while isinstance(owner := getattr(before, "__self__", None), Hangup) and not owner._listens:
                before = owner._before          # it was below us, and has gone meanwhile
            signal.signal(signal.SIGHUP, before or signal.SIG_DFL)
        self._listens = False

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._listens:
            self._reactor.callFromThread(self._work)
        if callable(self._before):
            self._before(number, frame)
