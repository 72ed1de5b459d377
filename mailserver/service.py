"""A whole server as one Twisted service: built from its configuration, started and stopped in order."""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.config import Config, KeyFiles, Listen
from mailserver.delivery import HONOURED
from mailserver.delivery.scheduler import Scheduler
from mailserver.errors import StartRefused
from mailserver.ident import spell
from mailserver.lent import Lent
from mailserver.net.answer import Talker
from mailserver.net.conversations import Conversations
from mailserver.net.limits import ConnectionLimits
from mailserver.net.listen import ConversationFactory, Listener
from mailserver.net.resolver import Resolver
from mailserver.net.tls import KeyPair, server_tls
from mailserver.rooms import Rooms, data_folder, find_plugins, furnish
from mailserver.session.offers import Offers
from mailserver.session.policy import SmtpPolicy
from mailserver.session.pop3 import Pop3Policy, Pop3Session
from mailserver.session.refuse import NoMail
from mailserver.session.smtp import SmtpSession
from mailserver.store import contents, locks, spool, traces
from mailserver.store.contents import Incoming
from mailserver.store.database import Database
from mailserver.store.lookup import Directory
from mailserver.tomlvalues import Network
from mailserver.world import World

log = Logger()

HEARTBEAT = 20.0            # seconds between two signs of life
LEASE = 90.0                # seconds for which what we hold stays ours without one
POP3_IDLE = 600.0           # seconds, RFC 1939 3: at least ten minutes
KEEPING = 3600.0            # seconds between two rounds of tidying up


class MailServer(Service):
    """Everything that one configuration describes; two of them live in one process.

    Ports are bound and keys are read in `privilegedStartService`, before privileges are dropped; files, the
    database and threads are opened in `startService`.
    """

    def __init__(self, config: Config, reactor: Any) -> None:
        self.config = config
        self.reactor = reactor
        self.rooms: Rooms | None = None
        self.listeners: list[Listener] = []
        self._factories: list[tuple[ConversationFactory, Listen]] = []
        self._lock: int | None = None
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
        config, limits = self.config, self.config.limits
        tls = None
        if config.tls is not None:
            tls = server_tls(_pair(config.tls), [_pair(each) for each in config.tls_names])
        self._conversations = Conversations(
            self.reactor,
            ConnectionLimits(limits.connections_per_address, limits.connections),
            limits.idle,
            limits.longest,
        )
        for listen in config.listen:
            factory = ConversationFactory(
                _not_yet,
                self._conversations,
                tls if listen.tls != "none" else None,
                listen.tls == "implicit",
                POP3_IDLE if listen.service == "pop3" else 0.0,
            )
            listener = Listener(self.reactor, listen.endpoint, factory, listen.service)
            self._factories.append((factory, listen))
            self.listeners.append(listener)
            listener.bind()

    def _start(self) -> None:
        config, reactor = self.config, self.reactor
        registry = find_plugins(config)
        data = data_folder(config)
        self._lock = _lock_data(data / "lock")
        self.database = database = Database(config.database, data)
        database.open(migrate=True)
        self._started.append(database.close)
        self.world = world = World(reactor, Resolver(reactor, config.outbound.resolvers or None))
        self.directory = directory = Directory(database, reactor)
        self.instance = f"{config.hostname}/{os.getpid()}/{spell(world.new_id())}"
        self.rooms = rooms = furnish(config, registry, Lent(config.hostname, data, directory, database, world))
        # Nothing that can refuse the start comes behind the first thread.
        database.start(reactor)
        self._started.append(database.stop)
        world.threads.start()
        self._started.append(self._stop_threads)
        directory.start()
        self._started.append(directory.stop)
        self.acceptance = Acceptance(
            database, rooms.router, rooms.stores, directory, world, config.hostname,
            config.outbound.life, config.limits.reserve, config.smtp.hide_clients,
        )
        self.scheduler = Scheduler(
            database, self.acceptance, rooms.stores, directory, config.outbound, world, config.hostname, self.instance
        )
        if config.database is None:
            # One server works on these data, so whatever leases there are belonged to one that died.
            database.write(spool.free_all)
            database.write(locks.free, "")
        self.scheduler.start()
        self._started.append(self.scheduler.stop)
        self._every(HEARTBEAT, self._heartbeat)
        self._every(KEEPING, self._keep)
        trusted = _inside(config.networks)
        for factory, listen in self._factories:
            factory.talk = self._talker(listen, trusted)
        self._conversations.start()
        self._started.append(self._conversations.stop)
        for listener in self.listeners:
            log.info("{listener}", listener=str(listener))

    def _talker(self, listen: Listen, trusted: Callable[[str], bool]) -> Callable[[str, int], Talker]:
        config, rooms = self.config, self.rooms
        assert rooms is not None
        if listen.service == "pop3":
            pop3 = Pop3Policy(
                hostname=config.hostname,
                world=self.world,
                authentication=rooms.authentication,
                store=next(iter(rooms.stores.values())),
                database=self.database,
                instance=self.instance,
                tls=listen.tls != "none",
                clear_passwords=config.clear_passwords,
                lease=LEASE,
            )
            return lambda address, port: Pop3Session(pop3, address, port)
        if listen.service == "no-mail":
            return lambda address, port: NoMail()
        limits, tls = config.limits, listen.tls != "none"
        offers = Offers(
            hostname=config.hostname,
            service=listen.service,
            size=limits.size,
            recipients=limits.recipients,
            tls=tls,
            kept=HONOURED,
            vrfy=config.smtp.vrfy,
            no_soliciting=config.smtp.no_soliciting,
            longest_hold=int(config.smtp.longest_hold),
            xclient=_inside(config.smtp.xclient),
            xforward=_inside(config.smtp.xforward),
        )
        smtp = SmtpPolicy(
            service=listen.service,
            hostname=config.hostname,
            world=self.world,
            pipeline=rooms.pipeline,
            router=rooms.router,
            directory=self.directory,
            authentication=rooms.authentication,
            acceptance=self.acceptance,
            incoming=self._incoming,
            refused=self._refused,
            trusted=trusted,
            offers=offers,
            relays=config.relays,
            retry=self._retry,
            tls=tls,
            size=limits.size,
            recipients=limits.recipients,
            errors=limits.errors,
            tarpit_after=limits.tarpit_after,
            tarpit=limits.tarpit,
            early_talkers=config.smtp.early_talkers == "allow",
            normalises=config.smtp.bare_line_ends == "normalise",
        )
        return lambda address, port: SmtpSession(smtp, address, port)

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
        self._unlock()
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

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    # -- while it runs

    def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        call = LoopingCall(work)
        call.clock = self.reactor
        call.start(seconds, now=False)
        self._started.append(call.stop)

    def _incoming(self, id: int) -> Incoming:
        return Incoming(self.database.contents, spell(id), self.world.in_thread)

    def _refused(self, id: int, record: str) -> None:
        """Keep the story of a refusal, if the database has time for it."""
        if not self.database.writer.full:
            written = self.database.write_with(traces.refuse_many, (id, record), len(record))
            written.addErrback(lambda failure: log.failure("a refusal was not written down", failure))

    async def _retry(self, domain: str) -> int:
        """Make what waits for a domain due now (ETRN)."""
        count = await self.database.write(spool.retry_domain, domain, self.world.now())
        if count:
            self.scheduler.wake()
        return count

    async def _heartbeat(self) -> None:
        until = self.world.now() + LEASE
        try:
            await self.database.write(spool.renew, self.instance, until)
            await self.database.write(locks.renew, self.instance, until)
        except Exception:
            log.failure("no heartbeat")

    async def _keep(self) -> None:
        config = self.config
        try:
            before = self.world.now() - config.trace_days * 86400
            while await self.database.write(traces.purge, before, config.trace_refusals):
                pass
            await self.database.read(contents.sweep, self.database.contents)
        except Exception:
            log.failure("tidying up failed")


def _not_yet(address: str, port: int) -> Talker:
    raise RuntimeError("the server has not started")


def _pair(files: KeyFiles) -> KeyPair:
    return KeyPair(files.certificate, files.key, files.names)


def _lock_data(path: Any) -> int:
    """One server on one set of data; raises `StartRefused`."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StartRefused(f"another server works on {path.parent} already") from None
    return lock


def _inside(networks: Sequence[Network]) -> Callable[[str], bool]:
    """Whether an address is inside any of these."""
    if not networks:
        return lambda address: False

    @lru_cache(maxsize=4096)
    def inside(address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(ip in network for network in networks)

    return inside
