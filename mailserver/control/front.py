"""What a running server has towards its operator: the control socket, SIGHUP, and news for the service manager."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailserver.control.door import Door
from mailserver.control.hangup import Hangup
from mailserver.control.lines import Order
from mailserver.errors import MailserverError
from mailserver.notify import notify

log = Logger()


class Front:
    """Takes orders; ``reload`` is told to everybody who should know of it, and happens once at a time."""

    def __init__(self, reactor: Any, data: Path, orders: Mapping[str, Order]) -> None:
        self._reload = orders["reload"]
        self._turn = DeferredLock()
        self._door = Door(reactor, data, {**orders, "reload": self.reload})
        self._hangup = Hangup(reactor, self._hung_up)

    def open(self) -> None:
        """Begin to take orders; raises `StartRefused`."""
        self._door.open()
        self._hangup.install()

    def ready(self) -> None:
        """All is up."""
        notify("READY=1")

    async def close(self) -> None:
        """Take no more."""
        notify("STOPPING=1")
        self._hangup.remove()
        await self._door.close()

    async def reload(self, value: Mapping[str, Any]) -> Any:
        """The order, with its outcome in the log."""
        await self._turn.acquire()
        notify("RELOADING=1")
        try:
            done = await self._reload(value)
        except MailserverError as error:
            log.error("not reloaded, and nothing is changed: {why}", why=str(error))
            raise
        finally:
            notify("READY=1")
            self._turn.release()
        later = ", ".join(done["needs_restart"])
        log.info("reloaded" + ("; a restart is needed for: {later}" if later else ""), later=later)
        return done

    def _hung_up(self) -> None:
        Deferred.fromCoroutine(self.reload({})).addErrback(_told)


def _told(failure: Failure) -> None:
    if not isinstance(failure.value, MailserverError):
        log.failure("reloading failed", failure)
