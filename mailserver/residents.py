"""Plugins that work by themselves while the server runs (`mailserver.interfaces.IResident`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

log = Logger()

PATIENCE = 10.0             # seconds for one to stop


class Residents:
    """Starts them, and stops those that are not wanted any more.  What one of them does wrong is told in the log."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._here: list[Any] = []

    def renew(self, wanted: Sequence[Any]) -> None:
        """Let these work, and no others."""
        here, self._here = self._here, list(wanted)
        for each in here:
            if not any(each is other for other in wanted):
                self._call(each.stop)
        for each in wanted:
            if not any(each is other for other in here):
                self._call(each.start)

    async def stop(self) -> None:
        """Let none of them work any more."""
        here, self._here = self._here, []
        await DeferredList([self._call(each.stop) for each in reversed(here)])

    def _call(self, work: Callable[[], Any]) -> Deferred[Any]:
        called: Deferred[Any] = maybeDeferred(work)
        called.addTimeout(PATIENCE, self._clock)
        return called.addErrback(self._failed, work)

    def _failed(self, failure: Any, work: Callable[[], Any]) -> None:
        whose = type(getattr(work, "__self__", None)).__name__
        if failure.check(DeferredTimeout):
            log.warn("{plugin} did not start or end in time", plugin=whose)
        else:
            log.failure("the plugin {plugin} failed to start or stop", failure, plugin=whose)
