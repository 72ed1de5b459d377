"""Who talks on a listener: a session, under what the configuration says of its service."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.address import Address
from mailserver.config import Config, Listen
from mailserver.delivery.recipients import Called, Listed
from mailserver.envelope import Reverse
from mailserver.errors import StartRefused
from mailserver.figures import Figures
from mailserver.ident import spell
from mailserver.imap.referrals import Referral
from mailserver.imapstore import IImapStore
from mailserver.interfaces import Account
from mailserver.net.answer import Talker
from mailserver.net.limits import Limits
from mailserver.net.reverse import reverse
from mailserver.reply import Reply
from mailserver.rooms import Rooms
from mailserver.session.imap.boards import Boards
from mailserver.session.imap.policy import ImapPolicy
from mailserver.session.imap.session import ImapSession
from mailserver.session.links import Links
from mailserver.session.offers import Offers
from mailserver.session.policy import SmtpPolicy, everybody
from mailserver.session.pop3 import Pop3Session
from mailserver.session.pop3policy import Pop3Policy
from mailserver.session.refuse import NoMail
from mailserver.session.room import Room
from mailserver.session.smtp import SmtpSession
from mailserver.store import referring, traces
from mailserver.store.contents import Incoming
from mailserver.store.database import Database
from mailserver.store.lookup import Directory
from mailserver.tomlvalues import Network
from mailserver.world import World

log = Logger()


@dataclass(frozen=True)
class House:
    """What sessions need of a server; `lease` is in seconds."""

    config: Config
    world: World
    database: Database
    directory: Directory
    rooms: Rooms
    acceptance: Acceptance
    limits: Limits
    instance: str                               # the owner of locks on mailboxes
    lease: float
    retry: Callable[[str], Awaitable[int]]      # what waits for a domain is made due (ETRN)
    exists: Callable[[Address], Awaitable[Reply | None]]
    figures: Figures = field(default_factory=Figures)
    room: Room = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "room", Room(self.rooms.stores, self.directory, self.world.clock))

    @cached_property
    def boards(self) -> Boards:
        """Mailboxes that are open, whichever listener their sessions came by."""
        return Boards(next(iter(self.rooms.stores.values())), self.world.clock.seconds)

    @cached_property
    def links(self) -> Links | None:
        """Where URLs of messages lead to; None: the mailbox store is not for IMAP."""
        store = next(iter(self.rooms.stores.values()), None)
        if not IImapStore.providedBy(store):
            return None
        hosts = {self.config.hostname, *self.config.imap.hosts}
        return Links(store, self.directory, hosts, lambda: self.world.now(), self.world.random)

    def incoming(self, id: int) -> Incoming:
        """A place for the octets of the content with this id."""
        return Incoming(self.database.contents, spell(id), self.world.in_thread)

    async def referred(self, account: Account) -> Referral | None:
        """Where the mailboxes of an account are, if they are elsewhere."""
        found: Referral | None = await self.database.read(referring.find, account.id)
        return found

    def reverse(self, address: str) -> Coroutine[Any, Any, Reverse]:
        """Who has an address, by the DNS."""
        return reverse(self.world.resolver, self.world.clock, address)

    def refused(self, id: int, record: str) -> None:
        """Keep the story of a refusal, if the database has time for it."""
        if not self.database.writer.full:
            written = self.database.write_with(traces.refuse_many, (id, record), len(record))
            written.addErrback(lambda failure: log.failure("a refusal was not written down", failure))


def talker(house: House, listen: Listen) -> Callable[[str, int], Talker]:
    """What makes the session of each peer of a listener, from its address and port."""
    if listen.service == "pop3":
        pop3 = pop3_policy(house, listen)
        return lambda address, port: Pop3Session(pop3, address, port)
    if listen.service == "imap":
        imap = imap_policy(house, listen)
        return lambda address, port: ImapSession(imap, address, port)
    if listen.service == "no-mail":
        return lambda address, port: NoMail()
    smtp = smtp_policy(house, listen)
    return lambda address, port: SmtpSession(smtp, address, port)


def pop3_policy(house: House, listen: Listen) -> Pop3Policy:
    """For POP3."""
    pop3 = house.config.pop3
    return Pop3Policy(
        hostname=house.config.hostname,
        world=house.world,
        authentication=house.rooms.authentication,
        store=next(iter(house.rooms.stores.values())),
        database=house.database,
        instance=house.instance,
        tls=listen.tls != "none",
        clear_passwords=house.config.clear_passwords,
        lease=house.lease,
        tally=house.limits.tally,
        login_delay=pop3.login_delay,
        expire=pop3.expire,
        language=pop3.language,
        utf8_messages=pop3.utf8_messages,
        figures=house.figures,
    )


def imap_policy(house: House, listen: Listen) -> ImapPolicy:
    """For IMAP; raises `StartRefused` when the mailboxes are kept by a store that is not for it."""
    name, store = next(iter(house.rooms.stores.items()))
    if not IImapStore.providedBy(store):
        raise StartRefused(f"the mailbox store {name} cannot be served by IMAP; sql and maildir can")
    imap = house.config.imap
    return ImapPolicy(
        hostname=house.config.hostname,
        world=house.world,
        authentication=house.rooms.authentication,
        store=store,
        boards=house.boards,
        incoming=house.incoming,
        size=house.config.limits.size,
        tls=listen.tls != "none",
        clear_passwords=house.config.clear_passwords,
        links=house.links,
        message_limit=house.config.imap.message_limit,
        save_limit=house.config.imap.save_limit,
        figures=house.figures,
        comment=imap.comment,
        admin=imap.admin,
        has_small_literals=imap.literals == "small",
        referral=imap.referral,
        referred=house.referred,
        other_users=imap.other_users,
        shared=imap.shared,
        own_seen=imap.shared_seen == "own",
        with_anyone=imap.share_with == "anyone",
    )


def smtp_policy(house: House, listen: Listen) -> SmtpPolicy:
    """For SMTP, submission and LMTP."""
    config, rooms = house.config, house.rooms
    limits, tls = config.limits, listen.tls != "none"
    links = house.links if house.links is not None and house.links.keys is not None else None
    offers = Offers(
        hostname=config.hostname,
        service=listen.service,
        size=limits.size,
        recipients=limits.recipients,
        tls=tls,
        vrfy=config.smtp.vrfy,
        no_soliciting=config.smtp.no_soliciting,
        longest_hold=int(config.smtp.longest_hold),
        urls=links is not None,
        xclient=inside(config.smtp.xclient),
        xforward=inside(config.smtp.xforward),
    )
    return SmtpPolicy(
        service=listen.service,
        hostname=config.hostname,
        world=house.world,
        pipeline=rooms.pipeline,
        router=rooms.router,
        directory=house.directory,
        room=house.room,
        authentication=rooms.authentication,
        acceptance=house.acceptance,
        incoming=house.incoming,
        refused=house.refused,
        trusted=inside(config.networks),
        offers=offers,
        limits=house.limits,
        reverse=house.reverse,
        relays=config.relays,
        exists=house.exists,
        retry=house.retry,
        links=links,
        tls=tls,
        size=limits.size,
        recipients=limits.recipients,
        errors=limits.errors,
        tarpit_after=limits.tarpit_after,
        tarpit=limits.tarpit,
        early_talkers=config.smtp.early_talkers == "allow",
        normalises=config.smtp.bare_line_ends == "normalise",
        figures=house.figures,
    )


def existence(config: Config, world: World) -> Callable[[Address], Awaitable[Reply | None]]:
    """How it is known whether a recipient of a relay domain exists."""
    if config.relay_recipients == "call":
        return Called(config.outbound, world, config.hostname).refusal
    if config.relay_list is not None:
        return Listed(config.relay_list, world).refusal
    return everybody


def inside(networks: Sequence[Network]) -> Callable[[str], bool]:
    """Whether an address is inside any of these."""
    if not networks:
        return lambda address: False

    @lru_cache(maxsize=4096)
    def is_inside(address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(ip in network for network in networks)

    return is_inside
