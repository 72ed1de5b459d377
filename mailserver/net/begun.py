"""Running a coroutine as far as it goes by itself.

Most commands are answered without waiting for anybody.  A Deferred for each of them, and the machinery that drives it,
would be a sixth of what a session costs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The coroutine has ended; this is what it returned."""

    value: T


class Rest(Awaitable[T]):
    """What is left of a coroutine that waits for something: await it, once."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine, waits_for = self._coroutine, self._waits_for
        try:
            while True:
                try:
                    result = yield waits_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:
                    waits_for = coroutine.throw(error)
                else:
                    waits_for = coroutine.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value


def begin(coroutine: Coroutine[Any, Any, T]) -> Done[T] | Rest[T]:
    """Run it until it waits or ends; raises what it raises."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        return Done(stop.value)
    return Rest(coroutine, waits_for)


async def all_of(rest: Rest[T]) -> T:
    """The rest as a coroutine, for `Deferred.fromCoroutine`."""
    return await rest
