"""Reaching a host: its addresses of both families in a race, the first that answers wins (RFC 8305)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailserver.delivery.line import Line
from mailserver.errors import TemporaryFailure
from mailserver.net.connect import CONNECT, Host, connect

HEAD_START = 0.25           # seconds until the next address is tried beside those that have not answered (RFC 8305 5)


async def reach(
    reactor: Any, host: Host, addresses: Sequence[str], timeout: float = CONNECT,
    source: Callable[[str], str] = lambda address: "",
) -> tuple[Line, str]:
    """A line to one of the addresses, and which; raises `TemporaryFailure` with the last one's reason.

    `source` says for an address of theirs from which of ours to connect; "" is any.
    """
    race = _Race(reactor, host, addresses, timeout, source)
    return await race.won


class _Race:
    def __init__(
        self, reactor: Any, host: Host, addresses: Sequence[str], timeout: float, source: Callable[[str], str]
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._left = list(addresses)
        self._timeout = timeout
        self._source = source
        self._running: list[Deferred[Any]] = []
        self._timer: Any = None
        self._is_over = False
        self.won: Deferred[tuple[Line, str]] = Deferred(self._stop)
        self._begin()

    def _begin(self) -> None:
        self._timer = None
        if not self._left:
            return
        address = self._left.pop(0)
        line = Line(self._reactor)
        running: Deferred[Any] = Deferred.fromCoroutine(
            connect(self._reactor, self._host, address, line, self._timeout, self._source(address))
        )
        self._running.append(running)
        if self._left:
            self._timer = self._reactor.callLater(HEAD_START, self._begin)
        running.addCallbacks(self._reached, self._failed, (line, address, running), {}, (running,))

    def _reached(self, result: Any, line: Line, address: str, running: Deferred[Any]) -> None:
        if self._is_over:
            line.abort()
            return
        self._running.remove(running)
        self._stop()
        self.won.callback((line, address))

    def _failed(self, failure: Failure, running: Deferred[Any]) -> None:
        if running in self._running:
            self._running.remove(running)
        if self._is_over:
            return                  # it was let go: that is no answer to whoever waits for the winner
        if self._left:
            # It said no before its time: nobody waits for the next one any longer.
            if self._timer is not None:
                self._timer.cancel()
            self._begin()
        elif not self._running:
            why: BaseException | None = failure.value
            if not isinstance(why, TemporaryFailure):
                why = TemporaryFailure(f"no connection to {self._host}: {failure.getErrorMessage()}")
            self._is_over = True
            self.won.errback(why)

    def _stop(self, _: Any = None) -> None:
        """Nobody wants the others any more."""
        self._is_over = True
        self._left.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        running, self._running = self._running, []
        for each in running:
            each.addErrback(lambda failure: None)
            each.cancel()
