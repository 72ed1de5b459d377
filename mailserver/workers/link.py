"""One life of one worker, as its master sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, eventFromJSON, globalLogPublisher
from twisted.python.failure import Failure

from mailserver.control.lines import Asker, Given, OrderFailed
from mailserver.errors import StartRefused
from mailserver.workers.charge import CHANNEL, FIRST_SOCKET, Charge, packed

log = Logger()

PATIENCE = 120.0        # seconds for a worker to come up
MOST_SAID = 1 << 20     # octets of a line of its log


class Link(ProcessProtocol):
    """Starts a process, talks with it, and tells when it is ready and when it has ended."""

    def __init__(
        self,
        reactor: Any,
        charge: Charge,
        ready: Callable[[Link], None],
        told: Callable[[Link, Mapping[str, Any]], None],
        ended: Callable[[Link, str], None],
    ) -> None:
        self._reactor = reactor
        self.charge = charge
        self.number = charge.station.number
        self.began = reactor.seconds()
        self.is_ready = False
        self.has_ended: Deferred[None] = Deferred()
        self._ready = ready
        self._told = told
        self._ended = ended
        self._asker = Asker(self._heard, lambda: None)
        self._channel: socket.socket | None = None
        self._said = b""

    @property
    def pid(self) -> int:
        """Of the process; 0: it has none any more."""
        return (self.transport.pid if self.transport is not None else None) or 0

    # -- starting

    def start(self, lock: int, sockets: Sequence[int]) -> None:
        """Begin the process, which inherits the lock on the data and the sockets that listen."""
        self._channel, theirs = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDONLY)
        speech: int | str = "r" if self.charge.logs_events else 2
        descriptors: dict[int, int | str] = {0: nothing, 1: speech, 2: speech}
        descriptors |= {CHANNEL: theirs.fileno(), CHANNEL + 1: lock}
        descriptors |= {FIRST_SOCKET + number: each for number, each in enumerate(sockets)}
        try:
            self._reactor.spawnProcess(
                self, sys.executable, [sys.executable, "-P", "-m", "mailserver.workers", str(self.number)],
                environment(), childFDs=descriptors,
            )
        finally:
            theirs.close()
            os.close(nothing)
        self._channel.settimeout(PATIENCE)
        try:
            self._channel.sendall(packed(self.charge).encode() + b"\n")
        except OSError:
            pass            # it has ended already, and that will be told

    def wait(self) -> None:
        """Wait, while nothing else happens, until it is ready; raises `StartRefused` when it is not to be."""
        assert self._channel is not None
        line = b""
        try:
            while not line.endswith(b"\n"):
                octet = self._channel.recv(1)
                if not octet:
                    raise StartRefused(f"worker {self.number} ended before it was ready; its log says why")
                line += octet
        except TimeoutError:
            raise StartRefused(f"worker {self.number} was not ready after {PATIENCE:.0f} seconds") from None
        event = json.loads(line)
        if event.get("event") != "ready":
            raise StartRefused(str(event.get("why")))
        self._heard(event)

    def attach(self) -> None:
        """Talk by the reactor from now on."""
        assert self._channel is not None
        channel, self._channel = self._channel, None
        channel.setblocking(False)
        self._reactor.adoptStreamConnection(channel.fileno(), socket.AF_UNIX, Given(self._asker))
        channel.close()

    # -- talking

    def ask(self, order: str, patience: float = 10.0, **details: Any) -> Deferred[Any]:
        """What an order came to; fails with `mailserver.control.lines.OrderFailed`, also when no answer comes."""

        def late(result: Any, seconds: float) -> Any:
            raise OrderFailed(f"worker {self.number} did not answer in {seconds:g} seconds")

        return self._asker.ask(order, **details).addTimeout(patience, self._reactor, late)

    def tell(self, order: str) -> None:
        """An order whose outcome is nothing to us."""
        if self.is_ready and self._asker.transport is not None:
            self._asker.say({"order": order})

    def stop(self) -> None:
        """Ask it to end."""
        if self.is_ready and self._asker.transport is not None:
            self.tell("stop")
        else:
            self.let_go()

    def let_go(self) -> None:
        """Close the line: it ends by itself."""
        if self._channel is not None:
            self._channel.close()
        if self._asker.transport is not None:
            self._asker.transport.loseConnection()

    def kill(self) -> None:
        """End it now."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def _heard(self, value: Mapping[str, Any]) -> None:
        event = value.get("event")
        if event == "ready":
            self.is_ready = True
            self._ready(self)
        elif event == "refused":
            log.error("worker {number} cannot start: {why}", number=self.number, why=str(value.get("why")))
        elif event is not None:
            self._told(self, value)

    # -- a ProcessProtocol

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        *lines, self._said = (self._said + data).split(b"\n")
        if len(self._said) > MOST_SAID:
            lines, self._said = [*lines, self._said], b""
        for line in lines:
            self._write_down(line)

    def _write_down(self, line: bytes) -> None:
        if line.startswith(b"\x1e"):
            try:
                globalLogPublisher(eventFromJSON(line[1:].decode()))
                return
            except ValueError:
                pass
        if line:
            log.warn("worker {number} says: {line}", number=self.number, line=line.decode("utf-8", "replace"))

    def processEnded(self, reason: Failure) -> None:
        self.is_ready = False
        self.let_go()
        self._ended(self, _told(reason.value))
        self.has_ended.callback(None)


def _told(status: Any) -> str:
    if status.signal is not None:
        return f"was ended by {signal.Signals(status.signal).name}"
    return f"ended with {status.exitCode}"


def environment() -> dict[str, str]:
    """Ours, but for what the service manager said to us alone; whatever we can import, a worker can."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("NOTIFY_", "LISTEN_", "WATCHDOG_"))}
    return {**env, "PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in sys.path)}
