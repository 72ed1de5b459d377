"""Running a server in the foreground: the log on standard error, until a signal ends it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from mailserver.config import Config


def serve(config: Config, ready: Callable[[], None] = lambda: None) -> None:
    """Start it, call `ready` once it listens, and return when it has stopped.

    Ends the process with one sentence when it may not start.
    """
    from twisted.internet import reactor

    from mailserver import logs
    from mailserver.workers.choice import server as made

    logs.begin(sys.stderr)
    server = made(config, reactor, logs_events=False)
    server.privilegedStartService()  # type: ignore[no-untyped-call]
    server.startService()  # type: ignore[no-untyped-call]
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    reactor.callWhenRunning(ready)
    _spare_the_collector()
    reactor.run()


def _spare_the_collector() -> None:
    """Let the cyclic collector look at what sessions make, and seldom: a message makes no circles of its own.

    What was imported stays as long as the process, and looking through it took a twentieth of each message's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 20)
