"""A house with a spool: what is accepted is worked off by a scheduler, and the peers are real ones on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from mailserver.acceptance import OURSELVES, Acceptance
from mailserver.address import Address
from mailserver.config import Outbound
from mailserver.content import Content
from mailserver.delivery.reports.receipts import Receipts
from mailserver.delivery.scheduler import Scheduler
from mailserver.envelope import Client, Envelope, Origin
from mailserver.forwarding.accounts import Accounts, AccountsOptions
from mailserver.hooks import Asked
from mailserver.interfaces import Account
from mailserver.lent import Lent
from mailserver.listeners import Events
from mailserver.mailbox.maildir import Maildir, MaildirOptions
from mailserver.mailbox.sql import Sql, SqlOptions
from mailserver.net.limits import Allowance, Limits
from mailserver.net.tally import Private
from mailserver.routing import Router
from mailserver.store import queue, traces
from mailserver.store.lookup import Directory
from mailserver.store.spool import Entry
from mailserver.story import Story
from mailserver.testing import Names
from mailserver.wishes import NONE, Wishes
from mailserver.world import World
from tests.delivery.peers import Peer
from tests.store.cases import SqliteCase

reactor: Any = installed_reactor
ALICE = Address.parse("alice@example.org")
HOSTNAME = "us.example.org"


class HouseCase(SqliteCase):
    """alice@example.org lives here; `moved` seconds are added to the time of day."""

    box_store = "sql"           # where the mail of accounts is kept

    def setUp(self) -> None:
        super().setUp()
        self.moved = 0.0
        self.names = Names()
        self.world = World(reactor, self.names, now=lambda: time.time() + self.moved)
        self.world.threads.start()
        self.addCleanup(deferToThread, self.world.threads.stop)
        self.alice: Account = self.account("alice")
        self.start()
        directory = self.directory = Directory(self.database, reactor)
        limits = Limits(Allowance(), Private(self.world.clock.seconds))
        lent = Lent(HOSTNAME, self.data, directory, self.database, self.world, limits)
        self.stores: dict[str, Any] = {
            "sql": Sql(SqlOptions(), lent), "maildir": Maildir(MaildirOptions("maildir/{domain}/{local}"), lent),
        }
        accounts = Asked("accounts", Accounts(AccountsOptions(self.box_store), lent), reactor)
        self.acceptance = Acceptance(
            self.database, Router([accounts], directory, HOSTNAME), self.stores, directory, self.world, HOSTNAME,
            life=432000.0,
        )
        self.acceptance.receipts = Receipts(HOSTNAME, self.world)
        self.schedulers: list[Scheduler] = []
        self.events: Events | None = None
        self.addCleanup(self.stop_all)

    def peer(self, *, interface: str = "127.0.0.1", port: int = 0, **how: Any) -> Peer:
        peer = Peer(**how)
        peer.listen(port, interface)
        self.addCleanup(peer.stop)
        return peer

    # -- the scheduler

    def work(self, instance: str = "us/1", **outbound: Any) -> Scheduler:
        """A scheduler that has begun."""
        scheduler = Scheduler(
            self.database, self.acceptance, self.stores, self.directory, Outbound(**outbound), self.world, HOSTNAME,
            instance, self.events,
        )
        self.schedulers.append(scheduler)
        scheduler.start()
        return scheduler

    def route(self, *domains: str, to: Peer, **others: Any) -> Scheduler:
        """A scheduler that sends the mail of these domains to a peer."""
        return self.work(route=dict.fromkeys(domains or ("example.com",), to.endpoint), **others)

    async def stop_all(self) -> None:
        while self.schedulers:
            await self.schedulers.pop().stop()

    def later(self, seconds: float) -> None:
        """Let time pass by, and the schedulers look at the clock."""
        self.moved += seconds
        for each in self.schedulers:
            each.wake()

    # -- mail

    async def send(
        self, *recipients: str, sender: Address | None = ALICE, content: Content | bytes = b"Subject: x\r\n\r\nx\r\n",
        notify: str = "", orcpt: str = "", wishes: Wishes = NONE, client: Client = OURSELVES,
        origin: Origin = Origin.SUBMISSION, body: str = "8BITMIME",
    ) -> int:
        """Accept a message; its id."""
        content = Content.of(content) if isinstance(content, bytes) else content
        id = self.world.new_id()
        story = Story(id)
        addresses = tuple(map(Address.parse, recipients))
        envelope = Envelope(id, origin, sender, addresses, content.size, body, wishes)
        routes = [
            replace(await self.acceptance._router.route(each, story), notify=notify, orcpt=orcpt) for each in addresses
        ]
        await self.acceptance.accept(envelope, content, client, story, routes)
        return id

    async def queue(self) -> list[Entry]:
        return await self.database.read(queue.listing)

    async def empty(self) -> None:
        """Wait until nothing is left in the queue."""
        await self.until(lambda: self._is_empty())

    async def _is_empty(self) -> bool:
        return not await self.queue()

    async def reason(self, part: str) -> Entry:
        """Wait for the entry that is in the queue for this reason."""

        async def found() -> Any:
            return [each for each in await self.queue() if part in each.reason and not each.owner]

        [entry, *_] = await self.until(found)
        return entry

    async def attempts(self, id: int) -> list[dict[str, Any]]:
        """The attempts of which the story of a message tells."""
        return [each for each in await self.database.read(traces.story, id) if each.get("event") == "attempt"]

    async def inbox_of(self, account: Account) -> list[bytes]:
        mailbox = await self.stores[self.box_store].open(account, "INBOX")
        return [
            b"".join([octets async for octets in mailbox.read(message.uid)]) for message in await mailbox.messages()
        ]

    async def reports(self, count: int = 1) -> list[bytes]:
        """Wait for so many reports in alice's mailbox."""

        async def arrived() -> Any:
            found = await self.inbox_of(self.alice)
            return found if len(found) >= count else None

        return await self.until(arrived)

    async def until(self, question: Callable[[], Any], patience: float = 10.0) -> Any:
        for _ in range(int(patience / 0.02)):
            if answer := await maybeDeferred(question):
                return answer
            await deferLater(reactor, 0.02)
        raise AssertionError("it did not come to that in time")
