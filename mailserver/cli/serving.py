"""Running a server in the foreground: the log on standard error, until a signal ends it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from mailserver.collector import spare
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
    reactor.callWhenRunning(spare)
    reactor.run()
