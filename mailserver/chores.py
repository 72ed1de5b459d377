"""What a server does by the clock: signs of life for what it holds, and tidying up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailserver.config import Config
from mailserver.crossings import Crossings
from mailserver.retaining import let_go, retain
from mailserver.store import (
    contents,
    feedback,
    locks,
    sights,
    spool,
    suppressions,
    tls,
    tlsreports,
    tlsresults,
    traces,
    viewing,
)
from mailserver.store.database import Database
from mailserver.world import World

log = Logger()

HEARTBEAT = 20.0            # seconds between two signs of life
LEASE = 90.0                # seconds for which what we hold stays ours without one
KEEPING = 3600.0            # seconds between two rounds of tidying up
LOOK = 60.0                 # seconds between two looks at who has nearly used up his quota


class Chores:
    """Renews the leases of `instance`; with `tidies`, forgets what is old, and calls `renew` for the rest."""

    def __init__(
        self, database: Database, world: World, instance: str, config: Callable[[], Config], tidies: bool,
        renew: Callable[[], Awaitable[Any]], crossings: Crossings | None = None,
    ) -> None:
        self._database = database
        self._world = world
        self._instance = instance
        self._config = config
        self._renew = renew
        self._crossings = crossings
        self._calls = [(HEARTBEAT, LoopingCall(self.renew_leases))]
        if tidies:
            self._calls += [(KEEPING, LoopingCall(self.tidy)), (LOOK, LoopingCall(self.look_at_quotas))]

    def start(self) -> None:
        """Begin; the first of each comes after a while."""
        for seconds, call in self._calls:
            call.clock = self._world.clock
            call.start(seconds, now=False)

    def stop(self) -> None:
        """End."""
        for _, call in self._calls:
            call.stop()

    async def renew_leases(self) -> None:
        """We are alive."""
        until = self._world.now() + LEASE
        try:
            await self._database.write(spool.renew, self._instance, until)
            await self._database.write(locks.renew, self._instance, until)
        except Exception:
            log.failure("no heartbeat")

    async def look_at_quotas(self) -> None:
        """Tell those who have to know."""
        config = self._config()
        try:
            if self._crossings is not None:
                await self._crossings.look(config.keeping.warnings, config.usual_quota)
        except Exception:
            log.failure("nobody was told of quotas")

    async def tidy(self) -> None:
        """Forget old stories, what TLS others had long ago, mail that was kept long enough, and files nobody knows."""
        config = self._config()
        try:
            before = self._world.now() - config.trace_days * 86400
            while await self._database.write(traces.purge, before, config.trace_refusals):
                pass
            # Reports about a day are sent on the day after it, and tried again until the next.
            await self._database.write(tlsresults.purge, int(self._world.now() // 86400) - 3)
            await self._database.write(tlsreports.purge, self._world.now() - config.tls_report.life)
            while await self._database.write(tls.purge, self._world.now()):
                pass
            while await self._database.write(feedback.purge, before):
                pass
            while await self._database.write(suppressions.purge, self._world.now()):
                pass
            await retain(self._database, config.keeping, config.usual_quota, self._world.now)
            await let_go(self._database, config.keeping, self._world.now())
            await self._database.write(sights.forget)
            await self._database.write(viewing.forget_expunged, self._world.now())
            await self._database.read(contents.sweep, self._database.contents)
            await self._renew()
        except Exception:
            log.failure("tidying up failed")
