"""A worker: a whole server on the sockets of its master, until that has gone."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, globalLogBeginner, jsonFileLogObserver
from twisted.python.failure import Failure

from mailserver import logs
from mailserver.collector import spare
from mailserver.control.lines import LONGEST_INSIDE, Desk, Given, Order, spelled
from mailserver.workers.charge import CHANNEL, Anew, Charge, unpacked

log = Logger()

GATHER = 0.02           # seconds in which all that comes into the spool is told of as one


def main() -> int:
    """Read the charge, serve, and end when the master is gone or says so; the exit code."""
    # A terminal sends these to us as well as to the master, who tells us what follows from them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    channel = socket.socket(fileno=CHANNEL)
    with channel.makefile("rb") as lines:
        line = lines.readline()
    if not line.endswith(b"\n"):
        return 1            # the master has gone before we began
    charge: Charge = unpacked(line.decode("ascii"))
    for descriptor in (CHANNEL, CHANNEL + 1, *(each.descriptor for each in charge.station.sockets)):
        os.set_inheritable(descriptor, False)
    install = getattr(import_module(charge.reactor), "install", None)
    if install is not None:
        install()
    from twisted.internet import reactor

    if charge.logs_events:
        globalLogBeginner.beginLoggingTo([jsonFileLogObserver(sys.stderr)], redirectStandardIO=False)
    else:
        logs.begin(sys.stderr)
    return Worker(charge, channel, reactor).run()


class Worker:
    """Serves under a charge."""

    def __init__(self, charge: Charge, channel: socket.socket, reactor: Any) -> None:
        from mailserver.service import MailServer

        self._channel = channel
        self._reactor = reactor
        self._server = MailServer(charge.config, reactor, charge.station)
        self._server.spooled = self._spooled
        self._server.end = self._end
        self._line: Line | None = None
        self._telling = False

    def run(self) -> int:
        """Start, say that we are ready, and serve."""
        try:
            self._server.privilegedStartService()
            self._server.startService()
        except SystemExit as refused:
            return self._refuse(str(refused).removeprefix("mailserver: "))
        except Exception as error:
            log.failure("the start failed")
            return self._refuse(f"{type(error).__name__}: {error}")
        reactor = self._reactor
        self._line = Line(self._orders(), self._end)
        self._channel.setblocking(False)
        reactor.adoptStreamConnection(self._channel.fileno(), socket.AF_UNIX, Given(self._line))
        self._channel.close()
        reactor.addSystemEventTrigger("before", "shutdown", self._server.stopService)
        reactor.callWhenRunning(self._line.say, {"event": "ready"})
        reactor.callWhenRunning(spare)
        reactor.run()
        return 0

    def _refuse(self, why: str) -> int:
        self._channel.sendall(spelled({"event": "refused", "why": why}))
        return 1

    def _orders(self) -> Mapping[str, Order]:
        mine: dict[str, Order] = {
            "prepare": self._prepare, "renew": self._renew, "wake": self._wake, "changed": self._changed,
        }
        return {**self._server.orders(), **mine}

    async def _prepare(self, value: Mapping[str, Any]) -> None:
        anew: Anew = unpacked(value["anew"])
        self._server.prepare(anew.config, anew.keys)

    async def _renew(self, value: Mapping[str, Any]) -> None:
        self._server.renew()

    async def _wake(self, value: Mapping[str, Any]) -> None:
        self._server.wake()

    async def _changed(self, value: Mapping[str, Any]) -> None:
        self._server.changed()

    def _spooled(self) -> None:
        if not self._telling:
            self._telling = True
            self._reactor.callLater(GATHER, self._tell_spooled)

    def _tell_spooled(self) -> None:
        self._telling = False
        if self._line is not None and self._line.transport.connected:
            self._line.say({"event": "spooled"})

    def _end(self) -> None:
        if self._reactor.running:
            self._reactor.stop()


class Line(Desk):
    """The line to the master."""

    def __init__(self, orders: Mapping[str, Order], lost: Any) -> None:
        super().__init__(orders, LONGEST_INSIDE)
        self._lost = lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()
