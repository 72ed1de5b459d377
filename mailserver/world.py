"""The world as it comes in through the door: reactor, clock, chance, threads, names.

Nothing below asks the operating system for these by itself, so that a test can give others and two
servers can live in one process.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from mailserver.ident import Ids
from mailserver.interfaces import IResolver

T = TypeVar("T")


@dataclass
class World:
    """What one server may use of the machine.

    `now` gives seconds since the epoch (schedules, dates); `reactor` is the clock for waits.  The thread
    pool is started and stopped by the service.
    """

    reactor: Any                                            # IReactorTime, IReactorTCP, IReactorThreads ...
    resolver: IResolver
    now: Callable[[], float] = time.time
    random: random.Random = field(default_factory=random.SystemRandom)
    threads: ThreadPool = field(default_factory=lambda: ThreadPool(0, 4, "mailserver"))
    new_id: Ids = field(init=False)

    def __post_init__(self) -> None:
        self.new_id = Ids(self.now)

    @property
    def clock(self) -> IReactorTime:
        """For `callLater` and monotonic `seconds`."""
        return self.reactor             # type: ignore[no-any-return]

    def in_thread(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        """Run blocking `work` off the reactor's thread; the Deferred fires with what it returns."""
        return deferToThreadPool(self.reactor, self.threads, work, *args, **kwargs)
