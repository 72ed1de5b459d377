"""The http service of a master: what all its workers have counted, as one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from twisted.internet.threads import deferToThreadPool

from mailserver.errors import TemporaryFailure
from mailserver.figures import Told, merged
from mailserver.metering import Stock, expiries
from mailserver.net.listen import Listener
from mailserver.station import context_of
from mailserver.talkers import inside
from mailserver.web.site import Pages, site

if TYPE_CHECKING:
    from mailserver.workers.master import Master


class Web:
    """Listens in the master, so that nobody needs to know which worker counted what."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self._stock: Stock | None = None
        self._pages = Pages(self._told, self._wrong, inside(master.config.http.metrics))

    def bind(self) -> list[Listener]:
        """Take the ports; raises `mailserver.errors.StartRefused`."""
        master, listeners = self._master, []
        for listen in master.config.listen:
            if listen.service == "http":
                tls = (lambda: context_of(master.keys)) if listen.tls == "implicit" else None
                listeners.append(Listener(master.reactor, listen.endpoint, site(self._pages, tls), listen.service))
                listeners[-1].bind()
        return listeners

    def renew(self) -> None:
        """Go on under a new configuration."""
        self._pages.may_measure = inside(self._master.config.http.metrics)

    async def _told(self) -> Told:
        now = time.time()
        return merged([await self._master.figures(), await self._stocked(now), expiries(self._master.keys, now)])

    async def _wrong(self) -> str:
        if missing := self._master.missing:
            return f"{missing} of {self._master.config.workers} workers do not serve"
        await self._stocked(time.time())
        return ""

    async def _stocked(self, now: float) -> Told:
        master = self._master
        if master.database is None:
            raise TemporaryFailure("the server does not run")
        if self._stock is None or self._stock.database is not master.database:
            self._stock = Stock(master.database)
        return await deferToThreadPool(master.reactor, master.reactor.getThreadPool(), self._stock.told, now)
