"""Taking one message to the server of its recipients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from mailserver.address import domain_key
from mailserver.config import Outbound
from mailserver.content import LARGE, Content
from mailserver.delivery.courier import Courier
from mailserver.delivery.hosts import Hosts
from mailserver.delivery.line import Line, TlsFailed, Unanswered
from mailserver.delivery.result import DEFERRED, Result, by_error, by_reply
from mailserver.delivery.tls.demand import Demand, Policy
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.outcome import Outcome
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.net.connect import Host, connect, verified
from mailserver.reply import Reply
from mailserver.store import contents
from mailserver.store.contents import Stored
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.world import World

MOST_ADDRESSES = 10         # of one attempt


class Remote:
    """Delivers by SMTP or LMTP: hosts in turn, addresses in turn, TLS where it can be had."""

    def __init__(self, database: Database, outbound: Outbound, world: World, hostname: str) -> None:
        self._database = database
        self._outbound = outbound
        self._world = world
        self._hostname = hostname
        self._hosts = Hosts(outbound, world.resolver, hostname, world.random)
        self._demands = Demands(database, outbound.tls, world, hostname)
        self._lines: set[Line] = set()

    async def deliver(
        self, entries: Sequence[Entry], stored: Stored, may_send: Callable[[], Awaitable[bool]]
    ) -> Sequence[Result]:
        """A result for each entry; they share message, sender, prefix and host.  `stored` is their content."""
        first = entries[0]
        try:
            hosts = await self._hosts.find(first)
        except (PermanentFailure, TemporaryFailure) as failure:
            return [by_error(failure)] * len(entries)
        by_mx = not (first.place or self._outbound.route.get(domain_key(first.domain)) or self._outbound.smarthost)
        policy = await self._demands.of_domain(domain_key(first.domain), first.wishes, by_mx)
        validated = by_mx and (await self._world.resolver.ask(policy.domain, "MX")).validated
        login = self._hosts.is_smarthost(first) and self._outbound.smarthost_login is not None
        last = Result(DEFERRED, f"no mail server of {first.domain} could be reached")
        pairs = [(host, address) for host in hosts for address in host.addresses]
        for host, address in pairs[:MOST_ADDRESSES]:
            try:
                demand = await self._demands.of_host(policy, host, validated)
            except TemporaryFailure as failure:
                last = by_error(failure, str(host), address)
                continue
            if not demand.allowed:
                last = Result(DEFERRED, demand.refusal, None, str(host), address, "", demand.detail, policy=demand.why)
                continue
            for in_clear in (False, True):
                try:
                    results = await self._talk(
                        host, address, entries, stored, login, in_clear, may_send, policy, demand
                    )
                    return [replace(each, policy=demand.why) for each in results]
                except TlsFailed as failure:
                    last = replace(by_error(failure, str(host), address), policy=demand.why)
                    if login or host.implicit_tls or not demand.permits_clear:
                        break
                except Unanswered as failure:
                    return [by_error(failure, str(host), address)] * len(entries)
                except TemporaryFailure as failure:
                    last = replace(by_error(failure, str(host), address), policy=demand.why)
                    break
        return [last] * len(entries)

    async def _talk(
        self,
        host: Host,
        address: str,
        entries: Sequence[Entry],
        stored: Stored,
        login: bool,
        in_clear: bool,
        may_send: Callable[[], Awaitable[bool]],
        policy: Policy,
        demand: Demand,
    ) -> Sequence[Result]:
        line = Line(self._world.clock)
        await connect(self._world.reactor, host, address, line)
        self._lines.add(line)
        line.gone.addCallback(lambda _: self._lines.discard(line))
        courier = Courier(line, self._hostname, host.lmtp)
        try:
            proof = demand.context(host.name)
            context: Any = verified(host.name) if login else proof
            try:
                if host.implicit_tls:
                    await courier.start_tls(context, already=True)
                await courier.begin()
                if not line.tls and "STARTTLS" in courier.offered and not in_clear and demand.level != "none":
                    await courier.start_tls(context)
            except TlsFailed as failure:
                self._demands.note(policy, demand, host, address, "", Outcome.failed(failure, proof))
                raise
            if line.tls:
                self._demands.note(policy, demand, host, address, "", Outcome.secured(line.tls, proof))
            elif demand.permits_clear:
                self._demands.note(policy, demand, host, address, "", Outcome.in_clear())
            else:
                self._demands.note(policy, demand, host, address, "", Outcome.missing())
                raise TlsFailed("the server offers no TLS")
            if demand.must_offer_requiretls and "REQUIRETLS" not in courier.offered:
                raise TemporaryFailure("the server does not offer REQUIRETLS")
            if login:
                await courier.log_in(self._outbound.smarthost_login or "", self._outbound.smarthost_password or "")
            first = entries[0]
            outcomes = await courier.transact(
                first.sender,
                [each.target for each in entries],
                stored.size + len(first.prefix),
                first.body,
                lambda: self._content(first.prefix, stored),
                may_send,
                first.wishes.utf8 and not await self._has_ascii_header(stored),
            )
        except BaseException:
            line.abort()
            raise
        line.quit()
        return [
            by_reply(each, str(host), address, line.tls) if isinstance(each, Reply)
            else by_error(each, str(host), address, line.tls)
            for each in outcomes
        ]

    async def _has_ascii_header(self, stored: Stored) -> bool:
        octets = stored.whole
        if octets is None:
            octets = await self._database.read(contents.beginning, self._database.contents, stored.id, LARGE)
        return Content.of(octets).header.isascii()

    async def _content(self, prefix: bytes, stored: Stored) -> AsyncIterator[bytes]:
        if stored.whole is not None:
            yield prefix + stored.whole
            return
        yield prefix
        async for octets in contents.stream(self._database, stored.id, self._world.in_thread):
            yield octets

    async def stop(self) -> None:
        """Close what is still open: nobody waits for the answer to a QUIT any more."""
        await self._demands.stop()
        for line in list(self._lines):
            line.abort()
            await line.gone
