"""Asking a plugin: plain, ``async def`` or Deferred, in bounded time, and never fatal to whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.net.begun import Done, all_of, begin

log = Logger()

BUDGET = 10.0               # seconds for one answer
FAILURES = 10               # in a row, after which a plugin is rested
REST = 30.0                 # seconds


class Broken(TemporaryFailure):
    """A plugin raised, took too long, or is at rest after failing again and again; the text says which."""


class _Gone(CancelledError):
    """Whoever asked does not want the answer any more."""


@dataclass(slots=True)
class Counts:
    """What a plugin was asked, how it did, and what it said."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)         # by kind: "reject", "add header" ...


class Asked:
    """One configured plugin, with its time budget, its fail policy and its breaker.

    `on_error` is "defer" (whoever asked says "not now") or "skip" (as if it had no opinion).  `clock` is
    an IReactorTime.
    """

    def __init__(self, name: str, plugin: Any, clock: Any, on_error: str = "defer", budget: float = BUDGET) -> None:
        self.name = name
        self.plugin = plugin
        self.on_error = on_error
        self.budget = budget
        self.counts = Counts()
        self._clock = clock
        self._failures = 0          # in a row
        self._rests_until = 0.0

    @property
    def skips(self) -> bool:
        """Whether its failures are passed over."""
        return self.on_error == "skip"

    async def ask(self, hook: Callable[..., Any], *args: Any, check: Callable[[Any], None] | None = None) -> Any:
        """What `hook` answers; raises `Broken` for everything but an answer, and `TemporaryFailure` if it said so.

        `check` raises `ValueError` for what is no answer.  A hook that answers at once costs no timer and no Deferred.
        """
        clock = self._clock
        counts = self.counts
        began = clock.seconds()
        if self._rests_until > began:
            raise Broken(f"{self.name} is at rest after {FAILURES} failures")
        counts.calls += 1
        try:
            answer = hook(*args)
            waiting: Deferred[Any] | None = None
            if iscoroutine(answer):
                begun = begin(answer)
                if isinstance(begun, Done):
                    answer = begun.value
                else:
                    waiting = Deferred.fromCoroutine(all_of(begun))
            elif isinstance(answer, Deferred):
                waiting = answer
            elif answer is not None and isawaitable(answer):
                waiting = Deferred.fromCoroutine(_awaited(answer))
            if clock.seconds() - began > self.budget:
                log.warn(
                    "the plugin {name} blocked the whole server for {seconds:.1f} s in {hook}: what takes long"
                    " belongs in a thread", name=self.name, seconds=clock.seconds() - began, hook=_called(hook),
                )
            if waiting is not None:
                answer = await self._wait(waiting)
            if check is not None and answer is not None:
                self._check(check, answer)
        except _Gone:
            raise
        except Broken:
            self._failed(began)
            raise
        except TemporaryFailure:
            # It works, and says that it cannot know now.
            counts.seconds += clock.seconds() - began
            self._failures = 0
            raise
        except Exception as error:
            self._failed(began)
            log.failure("the plugin {name} failed in {hook}", name=self.name, hook=_called(hook))
            raise Broken(f"{self.name} failed: {type(error).__name__}: {error}") from error
        counts.seconds += clock.seconds() - began
        self._failures = 0
        return answer

    def _check(self, check: Callable[[Any], None], answer: Any) -> None:
        try:
            check(answer)
        except ValueError as wrong:
            raise Broken(f"{self.name} failed: {wrong}") from None

    async def _wait(self, waiting: Deferred[Any]) -> Any:
        """The answer, or `Broken` when the budget is spent; then the hook is left to itself."""
        gate: Deferred[Any] = Deferred()

        def late() -> None:
            # A coroutine may swallow its cancellation, so the answer does not wait for its end.
            gate.errback(Broken(f"{self.name} did not answer within {self.budget:g} s"))
            waiting.cancel()

        timer = self._clock.callLater(self.budget, late)

        def done(result: Any) -> None:
            if timer.active():
                timer.cancel()
                gate.callback(result)

        waiting.addBoth(done)
        try:
            return await gate
        except CancelledError:
            # The hook's own, or was it whoever asked that was cancelled?
            raise _Gone if timer.active() else Broken(f"{self.name} gave up") from None
        finally:
            if timer.active():
                # Nobody waits for the answer any more.
                timer.cancel()
                waiting.cancel()

    def _failed(self, began: float) -> None:
        now = self._clock.seconds()
        self.counts.errors += 1
        self.counts.seconds += now - began
        self._failures += 1
        if self._failures >= FAILURES:
            self._failures = 0
            self._rests_until = now + REST
            log.error("the plugin {name} rests for {rest:g} s: it failed too often", name=self.name, rest=REST)


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def _called(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", "its hook")
