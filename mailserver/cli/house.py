"""The rooms of the server without its listeners: for commands that ask plugins, or bring a message in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailserver.acceptance import Acceptance
from mailserver.config import Config
from mailserver.delivery.reports.receipts import Receipts
from mailserver.ident import spell
from mailserver.lent import Lent
from mailserver.net.limits import Limits
from mailserver.net.reverse import reverse
from mailserver.net.tally import Private
from mailserver.rooms import Rooms, find_plugins, furnish
from mailserver.service import resolver_of
from mailserver.session.offers import Offers
from mailserver.session.policy import SmtpPolicy
from mailserver.session.room import Room
from mailserver.session.smtp import SmtpSession
from mailserver.store import traces
from mailserver.store.contents import Incoming
from mailserver.store.database import Database
from mailserver.store.lookup import Directory
from mailserver.world import World

log = Logger()
T = TypeVar("T")


@dataclass(frozen=True)
class House:
    """What `MailServer` has too, but for listeners and the scheduler: a running server works the spool off."""

    config: Config
    database: Database
    world: World
    directory: Directory
    rooms: Rooms
    acceptance: Acceptance
    limits: Limits

    def local_session(self) -> SmtpSession:
        """An SMTP session for a program on this machine, which may send to everybody."""
        policy = SmtpPolicy(
            service="sendmail",
            hostname=self.config.hostname,
            world=self.world,
            pipeline=self.rooms.pipeline,
            router=self.rooms.router,
            directory=self.directory,
            room=Room(self.rooms.stores, self.directory, self.world.clock),
            authentication=self.rooms.authentication,
            acceptance=self.acceptance,
            incoming=lambda id: Incoming(self.database.contents, spell(id), self.world.in_thread),
            refused=self._refused,
            trusted=lambda address: True,
            limits=self.limits,
            reverse=lambda address: reverse(self.world.resolver, self.world.clock, address),
            offers=Offers(self.config.hostname, "sendmail", self.config.limits.size, self.config.limits.recipients),
            size=self.config.limits.size,
            recipients=self.config.limits.recipients,
            errors=self.config.limits.errors,
        )
        return SmtpSession(policy, "", 0)

    def _refused(self, id: int, record: str) -> None:
        written = self.database.write_with(traces.refuse_many, (id, record), len(record))
        written.addErrback(lambda failure: log.failure("a refusal was not written down", failure))


@asynccontextmanager
async def opened_house(config: Config, reactor: Any) -> AsyncIterator[House]:
    """Furnish it, and clear it out afterwards; raises `StartRefused`."""
    database = Database(config.database, config.data)
    database.open()
    try:
        world = World(reactor, resolver_of(reactor, config.outbound))
        directory = Directory(database, reactor)
        limits = Limits(config.limits.allowance, Private(reactor.seconds))
        lent = Lent(
            config.hostname, config.data, directory, database, world, limits, lambda: config.outbound.suppression,
            keeps=lambda: config.keeping,
        )
        rooms = furnish(config, find_plugins(config), lent)
        acceptance = Acceptance(
            database, rooms.router, rooms.stores, directory, world, config.hostname,
            config.outbound.life, config.limits.reserve,
        )
        acceptance.receipts = Receipts(config.hostname, world)
        database.start(reactor)
        world.threads.start()
        directory.start()
        try:
            yield House(config, database, world, directory, rooms, acceptance, limits)
        finally:
            directory.stop()
            await deferToThreadPool(reactor, reactor.getThreadPool(), world.threads.stop)
            await database.stop()
    finally:
        database.close()


def in_reactor(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Run the reactor for as long as one coroutine takes; returns what it returns."""
    from twisted.internet import reactor

    outcome: list[Any] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(work(reactor))
        done.addBoth(outcome.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if not outcome:
        raise click.Abort
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    result: T = outcome[0]
    return result
