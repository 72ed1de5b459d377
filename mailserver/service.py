"""A whole server as one Twisted service: built from its configuration, started and stopped in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.chores import LEASE, Chores
from mailserver.config import Config, Listen, Outbound
from mailserver.control.front import Front
from mailserver.control.lines import Order, OrderFailed
from mailserver.crossings import Crossings
from mailserver.delivery.lanes import Lanes
from mailserver.delivery.reports.receipts import Receipts
from mailserver.delivery.scheduler import Scheduler
from mailserver.delivery.tlsrpt.records import Records
from mailserver.delivery.tlsrpt.reporter import Reporter
from mailserver.errors import StartRefused
from mailserver.figures import Figures, Told, merged
from mailserver.forwarding.bounces import KEY
from mailserver.ident import Ids, spell
from mailserver.lent import Lent
from mailserver.listeners import Events
from mailserver.metering import Lag, Stock, expiries, of_process
from mailserver.net.answer import Talker
from mailserver.net.conversations import Conversations
from mailserver.net.limits import Limits
from mailserver.net.listen import ConversationFactory, Listener
from mailserver.net.resolver import Resolver
from mailserver.net.tally import SHARED, Private, Shared, Tally
from mailserver.net.tls import Keys
from mailserver.orders import Present, Work, status_of, stopping
from mailserver.renewal import Renewal, read_anew, renewed
from mailserver.residents import Residents
from mailserver.rooms import Rooms, data_folder, find_plugins, furnish
from mailserver.station import Station, context_of, of_mail, read_keys
from mailserver.store import interrupted, locks, spool
from mailserver.store.database import Database
from mailserver.store.key import load_key
from mailserver.store.lookup import Directory
from mailserver.store.tenancy import Tenancy
from mailserver.talkers import House, existence, inside, talker
from mailserver.world import World

log = Logger()



class MailServer(Service):
    """Everything that one configuration describes, in one process; two of them live in one process.

    Ports are bound and keys are read in `privilegedStartService`, before privileges are dropped; files, the
    database and threads are opened in `startService`.  With a `station` it is one of several workers, and has these
    things from its master (`mailserver.workers`).
    """

    def __init__(self, config: Config, reactor: Any, station: Station | None = None) -> None:
        self.config = replace(config, path=config.path.absolute())      # a daemon goes to another folder
        self.reactor = reactor
        self.station = station
        self.delivers = station is None or station.delivers
        self.keys: Sequence[Keys] = ()
        self.spooled: Callable[[], None] = lambda: None     # tells the worker that delivers
        self.end: Callable[[], Any] = reactor.stop          # what the order to stop comes to
        self.rooms: Rooms | None = None
        self.figures = Figures()
        self._pages: Any = None                         # of the http service
        self._lag: Lag | None = None
        self.listeners: list[Listener] = []
        self._factories: list[tuple[ConversationFactory, Listen]] = []
        self._renewal: Renewal | None = None            # what `prepare` built
        self._retiring: set[Scheduler] = set()
        self._front: Front | None = None
        self._since = 0.0
        self._started: list[Callable[[], Any]] = []     # what stops, in reverse order, what was started

    # -- starting

    def privilegedStartService(self) -> None:
        try:
            self._bind()
        except StartRefused as refused:
            self._let_go()
            raise SystemExit(f"mailserver: {refused}") from None
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        try:
            self._bind()
            self._start()
        except StartRefused as refused:
            self._let_go()
            raise SystemExit(f"mailserver: {refused}") from None
        super().startService()  # type: ignore[no-untyped-call]

    def _bind(self) -> None:
        """Take every port, or none; does nothing the second time."""
        if self.listeners:
            return
        config, limits, station = self.config, self.config.limits, self.station
        if station is None and config.workers > 1:
            raise StartRefused(f"workers = {config.workers} needs a master: mailserver.workers.choice.server makes one")
        if station is None:
            Tenancy(config.data / "lock").await_orphans()
        self.keys = read_keys(config) if station is None else station.keys
        tls = context_of(self.keys)
        self._limits = Limits(limits.allowance, self._tally())
        self._conversations = Conversations(
            self.reactor,
            self._limits,
            limits.idle,
            limits.longest,
        )
        for number, listen in enumerate(of_mail(config.listen)):
            factory = ConversationFactory(
                _not_yet,
                self._conversations,
                tls if listen.tls != "none" else None,
                listen.tls == "implicit",
                inside(listen.proxy),
            )
            listener = Listener(self.reactor, listen.endpoint, factory, listen.service)
            self._factories.append((factory, listen))
            self.listeners.append(listener)
            if station is None:
                listener.bind()
            else:
                listener.adopt(station.sockets[number].descriptor, station.sockets[number].family)
        if station is None:
            self._bind_web()

    def _bind_web(self) -> None:
        """The listeners for HTTP; several processes leave them to their master."""
        for listen in self.config.listen:
            if listen.service == "http":
                from mailserver.web.site import Pages, site

                if self._pages is None:
                    self._pages = Pages(self._measured, self._is_ready, inside(self.config.http.metrics))
                tls = (lambda: context_of(self.keys)) if listen.tls == "implicit" else None
                listener = Listener(self.reactor, listen.endpoint, site(self._pages, tls), listen.service)
                self.listeners.append(listener)
                listener.bind()

    def _start(self) -> None:
        config, reactor, station = self.config, self.reactor, self.station
        registry = find_plugins(config)
        data = data_folder(config)
        if station is None:
            tenancy = Tenancy(data / "lock")
            tenancy.begin()
            self._started.append(tenancy.end)
        self.database = database = Database(config.database, data)
        database.open(migrate=station is None)
        self._started.append(database.close)
        self.world = world = World(reactor, resolver_of(reactor, config.outbound))
        if station is not None:
            world.new_id = Ids(world.now, station.process)
        self._since = world.now()
        self.directory = directory = Directory(database, reactor)
        self.instance = instance_of(config.hostname, world) if station is None else station.instance
        self._lent = Lent(
            config.hostname, data, directory, database, world, self._limits,
            lambda: self.config.outbound.suppression, lambda event: self.events.tell(event),
            lambda: self.config.keeping,
        )
        self.rooms = rooms = furnish(config, registry, self._lent)
        if station is None:
            self._front = Front(reactor, data, self.orders())
            self._front.open()
            self._started.append(self._front.close)
        # Nothing that can refuse the start comes behind the first thread.
        database.start(reactor)
        self._started.append(database.stop)
        world.threads.start()
        self._started.append(self._stop_threads)
        directory.start()
        self._started.append(directory.stop)
        self.residents = Residents(reactor)
        self.residents.renew(rooms.residents())
        self._started.append(self.residents.stop)
        self.events = Events(reactor, rooms.listeners)
        self._started.append(self.events.stop)
        self.acceptance = Acceptance(
            database, rooms.router, rooms.stores, directory, world, config.hostname,
            config.outbound.life, config.limits.reserve, config.smtp.hide_clients, self.events,
        )
        self.acceptance.receipts = Receipts(config.hostname, world)
        self.tls_records = Records(database, world, lambda: self.config.outbound)
        self.scheduler = self._new_scheduler()
        if station is None and config.database is None:
            # One server works on these data, so whatever leases there are belonged to one that died.
            freeing = Deferred.fromCoroutine(self._free_dead())
            freeing.addErrback(lambda failure: log.failure("not all that was interrupted is told of", failure))
            database.write(locks.free, "")
        if self.delivers:
            self.tls_reporter = Reporter(
                database, self.acceptance, world, config.hostname, lambda: self.config.outbound
            )
            for each in (self.tls_records, self.tls_reporter):
                each.start()
                self._started.append(each.stop)
            self.scheduler.start()
            self._started.append(self._stop_delivering)
        else:
            self.acceptance.on_spooled(self.wake)
        if any(each.service == "http" for each in config.listen):
            self._lag = Lag(reactor)
            self._lag.start()
            self._started.append(self._lag.stop)
        self._stock = Stock(database)
        chores = Chores(
            database, world, self.instance, lambda: self.config, self.delivers, self._renew,
            Crossings(database, self.acceptance, world, config.hostname),
        )
        chores.start()
        self._started.append(chores.stop)
        self._seat_talkers()
        self._conversations.start()
        self._started.append(self._conversations.stop)
        if self._front is not None:
            for listener in self.listeners:
                log.info("{listener}", listener=str(listener))
            self._front.ready()

    async def _free_dead(self) -> None:
        """Its first transaction comes before the scheduler's first."""
        assert self.database is not None
        while await self.database.write(interrupted.free_dead, self.world.now(), "", self.instance):
            pass

    def _tally(self) -> Tally:
        if self.station is None:
            return Private(self.reactor.seconds)
        shared = Shared(self.config.data / SHARED, self.station.number, time.monotonic)
        self._started.append(shared.close)
        return shared

    def _new_scheduler(self) -> Scheduler:
        config, rooms = self.config, self.rooms
        assert rooms is not None
        return Scheduler(
            self.database, self.acceptance, rooms.stores, self.directory, config.outbound, self.world, config.hostname,
            self.instance, self.events, self.figures, self.tls_records.note, load_key(config.data / KEY),
        )

    def _seat_talkers(self) -> None:
        """Who talks on each listener from now on."""
        assert self.rooms is not None
        house = House(
            self.config, self.world, self.database, self.directory, self.rooms, self.acceptance, self._limits,
            self.instance, LEASE, self._retry, existence(self.config, self.world), self.figures,
        )
        for factory, listen in self._factories:
            factory.talk = talker(house, listen)

    # -- stopping

    async def _stop(self) -> None:
        for listener in self.listeners:
            await listener.stop()
        self.listeners.clear()
        self._factories.clear()
        while self._started:
            stopping = self._started.pop()()
            if stopping is not None:
                await stopping
        self._front = None
        log.info("stopped")

    def stopService(self) -> Deferred[None]:
        """No new connections; 421 for those that wait; what is being committed is; then everything is closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    def _let_go(self) -> None:
        """The start failed: give back what was taken, as far as that can be done at once."""
        Deferred.fromCoroutine(self._stop()).addErrback(lambda failure: log.failure("stopping failed", failure))

    async def _stop_threads(self) -> None:
        await deferToThreadPool(self.reactor, self.reactor.getThreadPool(), self.world.threads.stop)

    async def _stop_delivering(self) -> None:
        for each in (self.scheduler, *self._retiring):
            await each.stop()

    # -- what an operator wants

    def orders(self) -> Mapping[str, Order]:
        """What it does when it is told to."""
        present = Present(self._conversations, self.station.number if self.station else 0, self.world.now)
        work = Work(
            lambda: self.scheduler if self.delivers else None, self.changed,
            lambda: self.figures.pace.told(self.world.now()),
        )
        return {
            "who": present.who,
            "kick": present.kick,
            "queue": work.queue,
            "wake": work.wake,
            "figures": self._figures,
            "reload": self._reload,
            "status": self._status,
            "stop": stopping(self.reactor, self.end),
        }

    async def _figures(self, value: Mapping[str, Any]) -> Told:
        """What this process has counted."""
        assert self.rooms is not None
        return of_process(
            self.figures, self.rooms, self._conversations, self.database, self._lag, self.events.lost
        )

    async def _measured(self) -> Told:
        """The same, with what lies in the database."""
        now = self.world.now()
        stock = await self.world.in_thread(self._stock.told, now)
        return merged([await self._figures({}), stock, expiries(self.keys, now)])

    async def _is_ready(self) -> str:
        """What is wrong; "" when mail can be taken."""
        if not self.running:
            return "the server does not run"
        if not self.acceptance.has_room():
            return "the disk is full"
        await self.world.in_thread(self._stock.told, self.world.now())
        return ""

    async def _status(self, value: Mapping[str, Any]) -> Any:
        worker = {"number": self.station.number if self.station else 0, "pid": os.getpid(), "since": self._since,
                  "connections": len(self._conversations)}
        return status_of(self.config, self._since, self.listeners, [worker])

    async def _reload(self, value: Mapping[str, Any]) -> Any:
        self.prepare(*await self.world.in_thread(read_anew, self.config))
        return {"needs_restart": self.renew()}

    def prepare(self, config: Config, keys: Sequence[Keys]) -> None:
        """Build all that a new configuration wants; raises `StartRefused`, and changes nothing yet."""
        self._renewal = None
        taken, needs_restart = renewed(self.config, config)
        if "tls" in needs_restart:
            keys = self.keys
        rooms = furnish(taken, find_plugins(taken), self._lent, self.rooms)
        self._renewal = Renewal(taken, keys, context_of(keys), rooms, needs_restart)

    def renew(self) -> Sequence[str]:
        """Go on under what `prepare` built; whoever is connected goes on under the old.  Returns what it could not."""
        renewal, self._renewal = self._renewal, None
        if renewal is None:
            raise OrderFailed("there is nothing to renew")
        before, self.config = self.config, renewal.config
        config, limits, outbound = self.config, self.config.limits, self.config.outbound
        self.keys, self.rooms = renewal.keys, renewal.rooms
        if (outbound.resolvers, outbound.trust_ad) != (before.outbound.resolvers, before.outbound.trust_ad):
            self.world.resolver = resolver_of(self.reactor, outbound)
        self._limits.allowance = limits.allowance
        self._conversations.idle, self._conversations.longest = limits.idle, limits.longest
        self.events.renew(self.rooms.listeners)
        self.residents.renew(self.rooms.residents())
        self.acceptance.renew(self.rooms.router, outbound.life, limits.reserve, config.smtp.hide_clients)
        if outbound != before.outbound and self.delivers:
            self._retire(self.scheduler)
            self.scheduler = self._new_scheduler()
            self.scheduler.start()
        factories = [factory for factory, _ in self._factories]
        self._factories = list(zip(factories, of_mail(config.listen), strict=True))
        if self._pages is not None:
            self._pages.may_measure = inside(config.http.metrics)
        for factory, listen in self._factories:
            factory.tls = renewal.tls if listen.tls != "none" else None
            factory.is_proxy = inside(listen.proxy)
        self._seat_talkers()
        return renewal.needs_restart

    def _retire(self, scheduler: Scheduler) -> None:
        self._retiring.add(scheduler)
        retired = Deferred.fromCoroutine(scheduler.retire())
        retired.addErrback(lambda failure: log.failure("what was being sent did not end well", failure))
        retired.addCallback(lambda _: self._retiring.discard(scheduler))

    async def _renew(self) -> None:
        """MTA-STS policies are fetched anew before their time is over."""
        await self.scheduler.renew()

    def wake(self) -> None:
        """Something lies in the spool."""
        if self.delivers:
            self.scheduler.wake()
        else:
            self.spooled()

    def changed(self) -> None:
        """Somebody has made entries of the spool due, or changed them otherwise."""
        if self.delivers:
            self.scheduler.changed()
        else:
            self.spooled()

    # -- while it runs

    async def _retry(self, domain: str) -> int:
        """Make what waits for a domain due now (ETRN)."""
        lane = Lanes(self.config.outbound).of
        count = await self.database.write(spool.retry_domain, domain, lane, self.world.now())
        if count:
            self.changed()
        return count


def _not_yet(address: str, port: int) -> Talker:
    raise RuntimeError("the server has not started")


def resolver_of(reactor: Any, outbound: Outbound) -> Resolver:
    """Who asks the DNS."""
    return Resolver(reactor, outbound.resolvers or None, outbound.trust_ad)


def instance_of(hostname: str, world: World) -> str:
    """A name for one life of one process, under which it holds leases."""
    return f"{hostname}/{os.getpid()}/{spell(world.new_id())}"
