"""The master: holds what there is once, and sees to it that all workers live."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mailserver.config import Config
from mailserver.control.front import Front
from mailserver.control.lines import Order, OrderFailed
from mailserver.errors import StartRefused
from mailserver.figures import Told, merged
from mailserver.ident import Ids, spell
from mailserver.metering import LARGEST
from mailserver.net.listen import Listener
from mailserver.net.tally import SHARED, Shared
from mailserver.net.tls import Keys
from mailserver.orders import checked, status_of, stopping
from mailserver.renewal import read_anew, renewed
from mailserver.rooms import data_folder, find_plugins, mistakes
from mailserver.station import Opened, Station, context_of, of_mail, read_keys
from mailserver.store import interrupted, locks
from mailserver.store.database import Database
from mailserver.store.tenancy import Tenancy
from mailserver.workers.charge import FIRST_SOCKET, Anew, Charge, packed
from mailserver.workers.link import Link

log = Logger()

LONG = 10.0             # seconds of a life after which a worker's death is no sign that the next will die as well
FIRST_WAIT = 0.5        # seconds before one that died young is replaced; it doubles
LONGEST_WAIT = 30.0
PATIENCE = 45.0         # seconds for workers to end: they have their own for those who are connected
REBUILD = 100.0         # seconds for a worker to build all plugins anew


class Nobody(Factory):
    """Listens for others."""

    noisy = False


class Master(Service):
    """The service for ``workers`` above 1; where `MailServer` serves, it lets others serve.

    `logs_events`: workers hand their logs to this process, whose observers write them down; without it they write
    lines to standard error themselves.  Each of `on_death` is called with the number of a worker that has died.
    """

    def __init__(self, config: Config, reactor: Any, logs_events: bool = True) -> None:
        self.config = replace(config, path=config.path.absolute())      # a daemon goes to another folder
        self.reactor = reactor
        self.listeners: list[Listener] = []
        self._lent: list[Listener] = []             # those that workers accept on
        self._web: Any = None
        self.links: dict[int, Link] = {}
        self.on_death: list[Callable[[int], None]] = []
        self.end: Callable[[], Any] = reactor.stop
        self.keys: Sequence[Keys] = ()
        self.deaths = 0
        self._logs_events = logs_events
        self._failures: dict[int, int] = {}         # deaths in youth, in a row, by number
        self._timers: dict[int, Any] = {}
        self._stopping = False
        self._front: Front | None = None
        self._database: Database | None = None
        self._tenancy: Tenancy | None = None
        self._tally: Shared | None = None       # what all workers count in
        self._ids = Ids(time.time)
        self._since = 0.0

    # -- starting

    def privilegedStartService(self) -> None:
        self._or_refuse(self._bind)
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        self._or_refuse(self._bind)
        self._or_refuse(self._start)
        super().startService()  # type: ignore[no-untyped-call]

    def _or_refuse(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StartRefused as refused:
            stopped = Deferred.fromCoroutine(self._stop())
            stopped.addErrback(lambda failure: log.failure("stopping failed", failure))
            raise SystemExit(f"mailserver: {refused}") from None

    def _bind(self) -> None:
        """Take every port, or none; does nothing the second time."""
        if self.listeners:
            return
        Tenancy(self.config.data / "lock").await_orphans()
        self.keys = read_keys(self.config)
        context_of(self.keys)
        self._lent.clear()
        for listen in of_mail(self.config.listen):
            listener = Listener(self.reactor, listen.endpoint, Nobody(), listen.service)
            self.listeners.append(listener)
            self._lent.append(listener)
            listener.bind()
            listener.lend()
        if any(each.service == "http" for each in self.config.listen):
            from mailserver.workers.web import Web

            self._web = Web(self)
            self.listeners += self._web.bind()

    def _start(self) -> None:
        config = self.config
        wrong = mistakes(config, find_plugins(config))
        if wrong:
            raise StartRefused("\n".join(map(str, wrong)))
        self._stopping = False
        self._since = time.time()
        data = data_folder(config)
        self._tenancy = Tenancy(data / "lock")
        self._tenancy.begin()
        self._database = Database(config.database, data)
        self._database.open(migrate=True)
        if config.database is None:
            # Nobody else works on these data, so whatever leases there are belonged to processes that died.
            self._free_dead("")
            with self._database.transaction() as connection:
                locks.free(connection, "")
        Shared.reset(data / SHARED)
        self._tally = Shared(data / SHARED, 0, time.monotonic)
        self.on_death = [self._tally.clear]
        self._front = Front(self.reactor, data, self.orders())
        self._front.open()
        begun = [self._begin(number) for number in range(config.workers)]
        for link in begun:
            link.wait()
        for link in begun:
            link.attach()
        for listener in self.listeners:
            log.info("{listener}", listener=str(listener))
        self._front.ready()

    def _begin(self, number: int) -> Link:
        """Start a worker; it is not ready yet."""
        assert self._tenancy is not None and self._tenancy.descriptor is not None
        sockets = [listener.socket for listener in self._lent]
        station = Station(
            number,
            f"{self.config.hostname}/{os.getpid()}/{spell(self._ids())}",
            os.getpid() + 1 + number,
            tuple(Opened(FIRST_SOCKET + place, each.family) for place, each in enumerate(sockets)),
            tuple(self.keys),
        )
        charge = Charge(self.config, station, type(self.reactor).__module__, self._logs_events)
        link = self.links[number] = Link(self.reactor, charge, self._ready, self._told, self._ended)
        link.start(self._tenancy.descriptor, [each.fileno() for each in sockets])
        return link

    # -- living

    def _ready(self, link: Link) -> None:
        log.info("worker {number} serves, as process {pid}", number=link.number, pid=link.pid)
        if link.charge.config is not self.config:
            renewing = Deferred.fromCoroutine(self._renew([link], Anew(self.config, self.keys)))
            renewing.addErrback(lambda failure: log.failure("worker {number} has an old configuration", failure,
                                                            number=link.number))

    def _told(self, link: Link, value: Mapping[str, Any]) -> None:
        if value["event"] == "spooled" and 0 in self.links:
            self.links[0].tell("wake")

    def _ended(self, link: Link, how: str) -> None:
        if self.links.get(link.number) is link:
            del self.links[link.number]
        if self._stopping:
            return
        number = link.number
        self.deaths += 1
        log.error("worker {number} {how} and is replaced; what it had promised is kept", number=number, how=how)
        for each in self.on_death:
            each(number)
        lived = self.reactor.seconds() - link.began
        failures = self._failures[number] = 0 if lived > LONG else self._failures.get(number, 0) + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1)) if failures > 1 else 0.0
        freed = deferToThreadPool(self.reactor, self.reactor.getThreadPool(), self._free, link.charge.station.instance)
        freed.addErrback(lambda failure: log.failure("what it had leased will lapse", failure))
        freed.addCallback(lambda _: self._later(number, wait))

    def _free(self, instance: str) -> None:
        """Whoever held these leases is dead."""
        if self._database is not None:
            self._free_dead(instance)
            with self._database.transaction() as connection:
                locks.free(connection, instance)

    def _free_dead(self, instance: str) -> None:
        """What it was trying, or without a name everybody, is nobody's now."""
        more = True
        while more:
            assert self._database is not None
            with self._database.transaction() as connection:
                more = interrupted.free_dead(connection, time.time(), instance)

    def _later(self, number: int, wait: float) -> None:
        if not self._stopping:
            self._timers[number] = self.reactor.callLater(wait, self._replace, number)

    def _replace(self, number: int) -> None:
        self._timers.pop(number, None)
        self._begin(number).attach()

    # -- what an operator wants

    def orders(self) -> Mapping[str, Order]:
        """What it does when it is told to."""
        return {
            "who": self._who, "kick": self._kick, "reload": self._reload, "status": self._status,
            "queue": self._queue, "wake": self._wake, "figures": self._figures,
            "stop": stopping(self.reactor, self.end),
        }

    def _serving(self) -> list[Link]:
        return [link for _, link in sorted(self.links.items()) if link.is_ready]

    async def _all(self, order: str, patience: float = 10.0, **details: Any) -> list[Any]:
        """What each worker answers; one that does not is told of in the log, and left out."""
        answers = await DeferredList(
            [link.ask(order, patience, **details) for link in self._serving()], consumeErrors=True
        )
        for succeeded, answer in answers:
            if not succeeded:
                log.warn("a worker did not answer to {order}: {why}", order=order, why=answer.getErrorMessage())
        return [answer for succeeded, answer in answers if succeeded]

    async def _who(self, value: Mapping[str, Any]) -> list[Any]:
        told = [each for answer in await self._all("who") for each in answer]
        return sorted(told, key=lambda each: float(each["since"]))

    async def _kick(self, value: Mapping[str, Any]) -> int:
        checked(value)
        return sum(await self._all("kick", whom=value["whom"]))

    async def _queue(self, value: Mapping[str, Any]) -> Any:
        told = await self._all("queue")
        rates: Counter[str] = Counter()
        for each in told:
            rates.update(each["rates"])
        return {"at_work": [attempt for each in told for attempt in each["at_work"]], "rates": rates}

    async def _wake(self, value: Mapping[str, Any]) -> None:
        await self._all("changed")

    async def figures(self) -> Told:
        """What all workers have counted."""
        return merged(await self._all("figures"), LARGEST)

    @property
    def database(self) -> Database | None:
        """Open while it runs."""
        return self._database

    @property
    def missing(self) -> int:
        """How many workers do not serve."""
        return self.config.workers - len(self._serving())

    async def _figures(self, value: Mapping[str, Any]) -> Told:
        return await self.figures()

    async def _status(self, value: Mapping[str, Any]) -> Any:
        workers = [each for answer in await self._all("status") for each in answer["workers"]]
        return {**status_of(self.config, self._since, self.listeners, workers), "deaths": self.deaths}

    async def _reload(self, value: Mapping[str, Any]) -> Any:
        config, keys = await deferToThreadPool(
            self.reactor, self.reactor.getThreadPool(), read_anew, self.config
        )
        taken, needs_restart = renewed(self.config, config)
        if "tls" in needs_restart:
            keys = self.keys
        context_of(keys)
        serving = self._serving()
        if not serving:
            wrong = mistakes(taken, find_plugins(taken))
            if wrong:
                raise OrderFailed("\n".join(map(str, wrong)))
        # First everybody builds what is new; only when all could, they go on under it.
        await self._prepare(serving, Anew(taken, keys))
        self.config, self.keys = taken, keys
        if self._web is not None:
            self._web.renew()
        await self._all("renew")
        return {"needs_restart": needs_restart}

    async def _prepare(self, links: Sequence[Link], anew: Anew) -> None:
        try:
            await gatherResults(
                [link.ask("prepare", REBUILD, anew=packed(anew)) for link in links], consumeErrors=True
            )
        except FirstError as first:
            raise OrderFailed(str(first.subFailure.value)) from None

    async def _renew(self, links: Sequence[Link], anew: Anew) -> None:
        await self._prepare(links, anew)
        for link in links:
            await link.ask("renew")

    # -- stopping

    def stopService(self) -> Deferred[None]:
        """No new connections; each worker tells those who wait, and commits what it had begun; then we end."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        if self._front is not None:
            await self._front.close()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        links = list(self.links.values())
        for link in links:
            link.stop()
        for listener in self.listeners:
            await listener.stop()
        self.listeners.clear()
        late = self.reactor.callLater(PATIENCE, self._kill, links)
        await DeferredList([link.has_ended for link in links])
        if late.active():
            late.cancel()
        if self._database is not None:
            self._database.close()
        if self._tally is not None:
            self._tally.close()
        if self._tenancy is not None:
            self._tenancy.end()
        self._front = self._database = self._tenancy = self._tally = None
        log.info("stopped")

    def _kill(self, links: Sequence[Link]) -> None:
        for link in links:
            if not link.has_ended.called:
                log.error("worker {number} does not end, and is killed", number=link.number)
                link.kill()
