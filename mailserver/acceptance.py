"""The one door: a message and all its destinations become durable in one transaction, or none of it does.

What lies in the server's own database is delivered inside that transaction, accepted and delivered at
once.  All other destinations become entries of the spool, which `mailserver.delivery` works off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from twisted.logger import Logger

from mailserver.address import Address, domain_key
from mailserver.content import CHUNK, Content
from mailserver.destination import Drop, Mailbox, Remote
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.events import Event
from mailserver.header import remove_fields, tls_is_optional, whole_fields
from mailserver.ident import spell
from mailserver.interfaces import JUNK, Delivery, IMailboxStore, ITransactionalStore
from mailserver.listeners import Events
from mailserver.received import delivered_to, mail_date, received, return_path
from mailserver.reply import Reply
from mailserver.routing import Routed, Router
from mailserver.store.accepting import Accepting, is_there, write_many
from mailserver.store.contents import Incoming
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.story import Story
from mailserver.verdict import RemoveHeader
from mailserver.wishes import NONE, Wishes
from mailserver.world import World

log = Logger()

OURSELVES = Client("", service="internal")


class ITaker(Protocol):
    """Whoever sends on: takes entries while they are accepted, so that it need not look for them in the spool."""

    def take(self, entries: Sequence[Entry], content: Content) -> tuple[Sequence[Entry], Sequence[Any]] | None:
        """The entries as they shall be written, and what `begin` or `forget` is given afterwards; None: not now."""

    def begin(self, attempts: Sequence[Any]) -> None:
        """They are written down."""

    def forget(self, attempts: Sequence[Any]) -> None:
        """They are not, or nobody knows."""


class Receipts(Protocol):
    """Writes what senders are told of mail that was at its end here (`mailserver.delivery.reports.receipts`)."""

    def __call__(
        self, delivered: Sequence[Entry], expanded: Sequence[Entry], content: Content, is_known: bool
    ) -> Sequence[bytes]:
        """A report for each kind that is wanted; `is_known`: whoever sent it logged in, or is trusted."""


class Acceptance:
    """Takes messages in.

    `life` is how long an entry of the spool is tried, in seconds; `reserve` is how many octets of the disk must
    stay free for anything to be taken; `hides_clients`: where a login sits is not told.
    """

    def __init__(
        self,
        database: Database,
        router: Router,
        stores: Mapping[str, IMailboxStore],
        directory: Any,
        world: World,
        hostname: str,
        life: float,
        reserve: int = 0,
        hides_clients: bool = True,
        events: Events | None = None,
    ) -> None:
        self._events = events
        self._database = database
        self._router = router
        self._stores = stores
        self._directory = directory
        self._world = world
        self._hostname = hostname
        self._life = life
        self._reserve = reserve
        self._hides_clients = hides_clients
        self._has_room = True
        self._disk_looked = float("-inf")
        self._transactional = {
            name: store for name, store in stores.items() if ITransactionalStore.providedBy(store)
        }
        self._when_spooled: list[Callable[[], None]] = []
        self._taker: ITaker | None = None
        self.receipts: Receipts | None = None       # None: nobody is told of successes

    def renew(self, router: Router, life: float, reserve: int, hides_clients: bool) -> None:
        """Go on under a new configuration."""
        self._router = router
        self._life = life
        self._reserve = reserve
        self._hides_clients = hides_clients

    def on_spooled(self, callback: Callable[[], None]) -> None:
        """Call this whenever the spool got entries."""
        self._when_spooled.append(callback)

    def tell_no_more(self, callback: Callable[[], None]) -> None:
        """Whoever asked to be called is not any more."""
        if callback in self._when_spooled:
            self._when_spooled.remove(callback)

    def hand_to(self, taker: ITaker) -> None:
        """Offer `taker` what is accepted for other servers, before it is written."""
        self._taker = taker

    def hand_no_more(self, taker: ITaker) -> None:
        """It takes nothing any more."""
        if self._taker is taker:
            self._taker = None

    async def submit(self, sender: Address | None, recipients: Sequence[Address], content: Content) -> int:
        """Mail that is made here (a DSN, a report): it is routed, and not judged.  Returns its id."""
        id = self._world.new_id()
        story = Story(id)
        routes = [await self._router.route(recipient, story) for recipient in recipients]
        envelope = Envelope(id, Origin.INTERNAL, sender, tuple(recipients), content.size, "8BITMIME")
        for routed in routes:
            if routed.refusal is not None:
                raise PermanentFailure(f"{routed.recipient}: {routed.refusal}")
        await self.accept(envelope, content, OURSELVES, story, routes)
        return id

    def has_room(self) -> bool:
        """Whether the disk has more free than its reserve; the answer may be a second old."""
        now = self._world.clock.seconds()
        if now - self._disk_looked >= 1.0:
            self._disk_looked = now
            disk = os.statvfs(self._database.data)
            self._has_room = disk.f_bavail * disk.f_frsize > self._reserve
        return self._has_room

    async def without(
        self, id: int, content: Content, removals: Sequence[RemoveHeader]
    ) -> tuple[Content, Incoming | None]:
        """The content without some of its header fields.

        A large one is written anew: it is then the second value's, which takes the place of where the first one came.
        """
        header = content.header
        if content.is_large and len(header) == len(content.beginning):
            header = whole_fields(header)       # it goes on behind what lies in memory
        left = remove_fields(header, [(each.name, each.which) for each in removals])
        if len(left) == len(header):
            return content, None
        if not content.is_large:
            return Content.of(left + content.beginning[len(header):]), None
        incoming = Incoming(self._database.contents, f"{spell(id)}.without", self._world.in_thread)
        try:
            await incoming.write(left)
            start = len(header)
            while octets := await self._world.in_thread(content.read, start, CHUNK):
                start += len(octets)
                await incoming.write(octets)
            return await incoming.finish(), incoming
        except BaseException:
            incoming.discard()
            raise

    async def may_be_taken(self, id: int) -> bool:
        """Whether a message whose acceptance failed might lie in the database after all; then its file must stay."""
        try:
            return await self._database.read(is_there, id)
        except Exception:
            return True                 # the sweep removes the file if nobody speaks of it

    async def accept(
        self,
        envelope: Envelope,
        content: Content,
        client: Client,
        story: Story,
        routes: Sequence[Routed],
        added: bytes = b"",
        junk: Collection[Address] = (),
    ) -> Reply:
        """Make it durable; returns the reply that promises it.

        `added` are header lines to stand above the content; `junk` are the recipients whose copy goes to Junk.
        Raises `TemporaryFailure` when it cannot be promised now: then nothing was written.
        """
        if self._database.writer.full:
            await self._database.writer.drained()
        reply = Reply(250, "0.0", f"Ok, accepted as {spell(envelope.id)}")
        accepting = await self._accepting(envelope, content, client, story, routes, str(reply), added, junk)
        taker, handed = self._taker, None
        if accepting.entries and taker is not None and not content.is_large:
            handed = taker.take(accepting.entries, content)
            if handed is not None:
                accepting = replace(accepting, entries=handed[0])
        try:
            await self._database.write_with(write_many, accepting, len(content.beginning))
        except BaseException:
            if handed is not None and taker is not None:
                taker.forget(handed[1])
            raise
        log.info(
            "{id}: accepted {size} octets from <{sender}> by {address} for {recipients}",
            id=spell(envelope.id), size=content.size, sender=str(envelope.sender or ""), address=client.address,
            recipients=", ".join(f"<{each}>" for each in envelope.recipients[:10]),
        )
        if self._events is not None and self._events.wanted("accepted"):
            self._events.tell(_accepted(self._world.now(), envelope, content, client))
        if handed is not None and taker is not None:
            taker.begin(handed[1])
            if accepting.also:
                self.spooled(accepting)
        else:
            self.spooled(accepting)
        return reply

    async def _accepting(
        self,
        envelope: Envelope,
        content: Content,
        client: Client,
        story: Story,
        routes: Sequence[Routed],
        reply: str,
        added: bytes = b"",
        junk: Collection[Address] = (),
    ) -> Accepting:
        """What is to be written for a message."""
        now = self._world.now()
        above = received(client, envelope, self._hostname, mail_date(now), self._hides_clients) + added
        # What is to be released later waits in the spool, wherever it goes (RFC 4865).
        release = envelope.wishes.release if envelope.wishes is not NONE else 0.0
        waits = release > now
        login = client.login.key if client.login is not None else ""
        deliveries: dict[tuple[str, int, str], Delivery] = {}
        entries: dict[tuple[str, str, str], Entry] = {}
        delivered: list[Entry] = []         # whose senders asked to hear of it
        expanded: list[Entry] = []
        for routed in routes:
            told = self.receipts is not None and "SUCCESS" in routed.notify.upper()
            if told and len(routed.destinations) > 1:
                expanded.append(self._entry(
                    envelope, content, routed, "expanded", routed.recipient, "", above, now, login,
                ))
                # Of each of the many nobody hears any more (RFC 3461 5.2.7.1).
                others = [each for each in routed.notify.upper().split(",") if each != "SUCCESS"]
                routed, told = replace(routed, notify=",".join(others) or "NEVER"), False
            for destination in routed.destinations:
                if isinstance(destination, Mailbox):
                    box = JUNK if routed.recipient in junk else destination.name
                    if destination.store in self._transactional and not waits:
                        await self._deliver(deliveries, destination, box, envelope, content, above, now)
                        if told:
                            delivered.append(self._entry(
                                envelope, content, routed, "mailbox", destination.account, destination.store, above,
                                now, login,
                            ))
                        continue
                    if destination.store not in self._stores:
                        raise TemporaryFailure(f"there is no mailbox store called {destination.store}")
                    entry = self._entry(
                        envelope, content, routed, "mailbox", destination.account,
                        f"{destination.store}/{box}",
                        return_path(envelope.sender) + delivered_to(destination.account) + above, max(now, release),
                        login,
                    )
                elif isinstance(destination, Remote):
                    prefix = above
                    if destination.address.key != routed.recipient.key:
                        # Who is forwarded to us again for the same recipient has gone in a circle (RFC 9228).
                        prefix = delivered_to(routed.recipient) + above
                    entry = self._entry(
                        envelope, content, routed, "remote", destination.address, destination.host or "", prefix,
                        max(now, release), login,
                    )
                else:
                    assert isinstance(destination, Drop)
                    continue
                entries.setdefault((entry.kind, entry.target.key, entry.place), entry)
        also = await self._receipts(delivered, expanded, content, client) if delivered or expanded else ()
        return Accepting(
            envelope.id,
            content,
            story.record(now, client, envelope, content.size, reply),
            tuple(
                (self._transactional[name].write, delivery) for (name, _, _), delivery in deliveries.items()
            ),
            tuple(entries.values()),
            also,
        )

    async def _receipts(
        self, delivered: Sequence[Entry], expanded: Sequence[Entry], content: Content, client: Client
    ) -> Sequence[Accepting]:
        """The reports of what is delivered in this transaction: they are accepted in the same one."""
        assert self.receipts is not None
        found = []
        for octets in self.receipts(delivered, expanded, content, client.may_relay):
            first = (delivered or expanded)[0]
            assert first.sender is not None
            try:
                found.append(await self.report(first.sender, octets, first.wishes.require_tls))
            except PermanentFailure as failure:
                log.warn("nobody can be told of a delivery: {why}", why=str(failure))
        return found

    async def report(self, recipient: Address, octets: bytes, require_tls: bool = False) -> Accepting:
        """A report for somebody, as it is to be written in the transaction that it tells of.

        What it tells of may have had to go by TLS (`require_tls`): so has the report (RFC 8689 5).
        Raises `PermanentFailure` when there is nobody who could get it; `spooled` follows when it is written.
        """
        id = self._world.new_id()
        story = Story(id)
        routed = await self._router.route(recipient, story)
        if routed.refusal is not None:
            raise PermanentFailure(f"{recipient}: {routed.refusal}")
        content = Content.of(octets)
        wishes = Wishes(require_tls=True) if require_tls else NONE
        envelope = Envelope(id, Origin.INTERNAL, None, (recipient,), content.size, "8BITMIME", wishes)
        return await self._accepting(envelope, content, OURSELVES, story, [routed], "a report, accepted")

    def spooled(self, accepted: Accepting) -> None:
        """It is written: whoever works off the spool may look."""
        if accepted.entries or any(each.entries for each in accepted.also):
            for callback in self._when_spooled:
                callback()

    async def _deliver(
        self,
        deliveries: dict[tuple[str, int, str], Delivery],
        destination: Mailbox,
        box: str,
        envelope: Envelope,
        content: Content,
        above: bytes,
        now: float,
    ) -> None:
        account = await self._directory.account(destination.account)
        if account is None:
            raise TemporaryFailure(f"the account {destination.account} has just gone")
        place = (destination.store, account.id, box)
        if place not in deliveries:
            prefix = return_path(envelope.sender) + delivered_to(account.address) + above
            key = self._world.new_id()
            deliveries[place] = Delivery(key, envelope.id, account, box, prefix, content, now)

    def _entry(
        self,
        envelope: Envelope,
        content: Content,
        routed: Routed,
        kind: str,
        target: Address,
        place: str,
        prefix: bytes,
        due: float,
        login: str,
    ) -> Entry:
        wishes = envelope.wishes.of_recipient(routed.notify, routed.orcpt)
        if kind == "remote" and not wishes.require_tls and tls_is_optional(content):
            wishes = replace(wishes, tls_optional=True)         # REQUIRETLS outweighs the field (RFC 8689 4.1)
        return Entry(
            id=self._world.new_id(),
            content_id=envelope.id,
            origin=envelope.origin,
            sender=envelope.sender,
            recipient=routed.recipient,
            kind=kind,
            target=target,
            place=place,
            domain=target.domain if target.domain.isascii() else domain_key(target.domain),
            prefix=prefix,
            body=envelope.body,
            created=self._world.now(),
            expires=due + self._life,
            next_attempt=due,
            attempts=0,
            held=False,
            reason="",
            wishes=wishes,
            login=login,
        )


def _accepted(now: float, envelope: Envelope, content: Content, client: Client) -> Event:
    about = {
        "recipients": [str(each) for each in envelope.recipients], "size": content.size,
        "origin": envelope.origin.value, "service": client.service, "client": client.address,
        "login": str(client.login) if client.login is not None else "",
    }
    return Event("accepted", envelope.id, now, str(envelope.sender or ""), "", about)
