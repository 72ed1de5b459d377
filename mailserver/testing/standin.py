"""A server that only lends: for plugins under test."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import dns.rdata
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from mailserver.address import Address
from mailserver.errors import TemporaryFailure
from mailserver.events import Event
from mailserver.feedback.rules import Rules
from mailserver.interfaces import Account, Answer, IResolver, IServer
from mailserver.keeping import Keeping
from mailserver.net.limits import Allowance, Limits
from mailserver.net.resolver import NoSuchName
from mailserver.net.tally import Private
from mailserver.store import credentials, directory
from mailserver.store.database import Database
from mailserver.store.lookup import Directory

T = TypeVar("T")

NOW = 1_800_000_000.0       # 15 January 2027, 08:00 UTC


@implementer(IServer)
class StandIn:
    """An `IServer` whose time is `clock`, which only the test moves, and whose DNS is `resolver`.

    The database and the threads are real, and there once they are asked for.  `stop` ends them.
    """

    def __init__(self, data: Path, hostname: str = "mx.example.org", now: float = NOW) -> None:
        from twisted.internet import reactor

        self.hostname = hostname
        self.data = data
        self.clock = Clock()
        self.reactor: Any = reactor
        self.random = random.Random(1)
        self.resolver = Names()
        self.suppression = Rules()
        self.keeping = Keeping(undelete=0.0)        # what is removed is gone at once
        self.told: list[Event] = []         # what listeners would have heard
        self.limits = Limits(Allowance(), Private(self.clock.seconds))
        self._began = now
        self._threads: ThreadPool | None = None
        self._database: Database | None = None
        self._directory: Directory | None = None
        self._is_running = False
        self._is_building = False

    @property
    def database(self) -> Database:
        if self._database is None:
            self.data.mkdir(parents=True, exist_ok=True)
            self._database = Database(None, self.data)
            self._database.open(migrate=True)
        if not self._is_running and not self._is_building:
            self._database.start(self.reactor)
            self._is_running = True
        return self._database

    @property
    def directory(self) -> Directory:
        if self._directory is None:
            # It is not started, so that it looks into the database for every answer.
            self._directory = Directory(self.database, self.clock)
        return self._directory

    def now(self) -> float:
        return self._began + self.clock.seconds()

    def tell(self, event: Event) -> None:
        self.told.append(event)

    def in_thread(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        if self._threads is None:
            self._threads = ThreadPool(0, 4, "stand-in")
            self._threads.start()
        return deferToThreadPool(self.reactor, self._threads, work, *args, **kwargs)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Meanwhile nothing runs yet: a server builds its plugins before it starts its database."""
        self._is_building = True
        try:
            yield
        finally:
            self._is_building = False
            if self._database is not None:
                self._database = self.database      # starts it

    async def stop(self) -> None:
        """Give everything back."""
        if self._database is not None:
            if self._is_running:
                await self._database.stop()
            self._database.close()
        if self._threads is not None:
            await deferToThreadPool(self.reactor, self.reactor.getThreadPool(), self._threads.stop)

    # -- who lives here

    def add_domain(self, name: str) -> None:
        """Mail for `name` ends here from now on."""
        with self.database.transaction() as connection:
            directory.add_domain(connection, name, self.now())
        self.directory.forget()

    def add_account(self, address: str, password: str | None = None) -> Account:
        """A new account, and its domain if that is new."""
        parsed = Address.parse(address)
        with self.database.transaction() as connection:
            if directory.find_domain(connection, parsed.domain) is None:
                directory.add_domain(connection, parsed.domain, self.now())
            account = directory.add_account(connection, parsed, self.now())
            if password is not None:
                directory.set_credentials(connection, account.id, credentials.derive(password))
        self.directory.forget()
        return account

    def add_alias(self, address: str, *targets: str) -> None:
        """A new alias of a domain that is here; ``@domain`` is everybody else there."""
        with self.database.transaction() as connection:
            directory.add_alias(connection, address, list(targets), self.now(), self.database.contents)
        self.directory.forget()


@implementer(IResolver)
class Names:
    """The DNS of a test: it knows what it was told, and nobody else is asked."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._silent: set[str] = set()
        self._signed: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    def add(self, name: str, type: str, *texts: str) -> None:
        """Records as a zone file writes them: ``add("example.net", "MX", "10 mx.example.net.")``."""
        records = tuple(dns.rdata.from_text("IN", type, text) for text in texts)
        self._records[name.rstrip(".").lower(), type] = records

    def fail(self, name: str) -> None:
        """Nobody can say anything about `name` now."""
        self._silent.add(name.rstrip(".").lower())

    def sign(self, domain: str) -> None:
        """Whatever is said about `domain`, and about names below it, was validated from now on."""
        self._signed.add(domain.rstrip(".").lower())

    async def query(self, name: str, type: str) -> Sequence[Any]:
        answer = await self.ask(name, type)
        if not answer.exists:
            raise NoSuchName(f"{name} does not exist")
        return answer.records

    async def ask(self, name: str, type: str) -> Answer:
        key = name.rstrip(".").lower()
        self.asked.append((key, type))
        alias, validated = "", True
        while True:
            if key in self._silent:
                raise TemporaryFailure(f"no name server answers for {name}")
            validated = validated and any(f".{key}".endswith(f".{each}") for each in self._signed)
            pointers = () if type == "CNAME" else self._records.get((key, "CNAME"), ())
            if not pointers:
                break
            alias = key = pointers[0].target.to_text(omit_final_dot=True).lower()
        exists = any(known == key for known, _ in self._records)
        return Answer(self._records.get((key, type), ()), exists, validated, alias)
