"""Taking messages to the server of their recipients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailserver.content import LARGE, Content
from mailserver.delivery.attempt import Attempt, Way
from mailserver.delivery.booking import Booking
from mailserver.delivery.consignment import Consignment, Recipient
from mailserver.delivery.courier import Courier
from mailserver.delivery.hosts import Hosts
from mailserver.delivery.kept import Kept
from mailserver.delivery.lanes import Lanes
from mailserver.delivery.line import Line, TlsFailed, Unanswered, Unusable
from mailserver.delivery.reach import reach
from mailserver.delivery.result import DEFERRED, Result, by_error, by_reply
from mailserver.delivery.tls.demand import Demand, Policy
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.outcome import Outcome
from mailserver.envelope import Origin
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.net.connect import Host, verified
from mailserver.reply import Reply
from mailserver.settings import Outbound, Smarthost
from mailserver.store import contents
from mailserver.store.contents import Stored
from mailserver.store.database import Database
from mailserver.world import World

MOST_ADDRESSES = 10         # of one attempt

MaySend = Callable[[Attempt], Awaitable[bool]]
Following = Callable[[], Consignment | None]


@dataclass(frozen=True, slots=True)
class _How:
    """To which address of which host, and what it must have."""

    host: Host
    address: str
    policy: Policy
    demand: Demand
    login: Smarthost | None
    tls: bool = True            # where it is offered


class Remote:
    """Delivers by SMTP or LMTP: hosts in turn, their addresses in a race, TLS where it can be had."""

    def __init__(
        self, database: Database, outbound: Outbound, lanes: Lanes, demands: Demands, booking: Booking, world: World,
        hostname: str, may_send: MaySend,
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._world = world
        self._hostname = hostname
        self._may_send = may_send
        self._hosts = Hosts(outbound, world.resolver, hostname, world.random)
        self._demands = demands
        self._booking = booking
        self._most = outbound.messages_per_connection
        self._hello = {each.address: each.hello for each in outbound.sources if each.hello}
        self._lines: set[Line] = set()

    async def deliver(
        self, attempt: Attempt, kept: Kept | None, following: Following
    ) -> tuple[Sequence[Result], Kept | None]:
        """A result for each entry, and the connection that there is now, if it is still good.

        `kept` is one that goes this way.  `following` gives the next message for it, if there is one to begin with.
        """
        load = self.at_hand(attempt) or await self._load(attempt)
        if kept is not None:
            attempt.host = kept.host
            try:
                return await self._carry(kept, load, following), self._still(kept)
            except Unusable:
                # What has waited may have been left meanwhile; nothing was promised, and a new one is made.
                kept.courier.line.abort()
        return await self._anew(attempt, load, following)

    # -- what is carried

    def at_hand(self, attempt: Attempt) -> Consignment | None:
        """What an attempt carries, if nothing has to be read for it."""
        if attempt.load is None:
            stored, first = attempt.stored, attempt.entries[0]
            if stored is None or stored.whole is None:
                return None
            beyond_ascii = first.wishes.utf8 and not Content.of(stored.whole).header.isascii()
            attempt.load = self._consignment(attempt, stored, first.prefix + stored.whole, beyond_ascii)
        return attempt.load

    async def _load(self, attempt: Attempt) -> Consignment:
        first = attempt.entries[0]
        if attempt.stored is None:
            attempt.stored = await self._database.read(contents.load, first.content_id)
            if (load := self.at_hand(attempt)) is not None:
                return load
        beyond_ascii = first.wishes.utf8 and not (await self.header(attempt)).isascii()
        return self._consignment(attempt, attempt.stored, None, beyond_ascii)

    async def header(self, attempt: Attempt) -> bytes:
        """The header section of what an attempt carries."""
        octets = attempt.stored.whole if attempt.stored is not None else None
        if octets is None:
            id = attempt.entries[0].content_id
            octets = await self._database.read(contents.beginning, self._database.contents, id, LARGE)
        return Content.of(octets).header

    def _consignment(self, attempt: Attempt, stored: Stored, whole: bytes | None, beyond_ascii: bool) -> Consignment:
        first = attempt.entries[0]
        return Consignment(
            self._booking.sender_for(first),
            [Recipient(each.target, each.wishes.notify, each.wishes.orcpt) for each in attempt.entries],
            len(first.prefix) + stored.size,
            first.body,
            whole,
            lambda: self._content(first.prefix, stored.id),
            lambda: self._may_send(attempt),
            beyond_ascii,
            first.wishes,
        )

    async def _content(self, prefix: bytes, id: int) -> AsyncIterator[bytes]:
        yield prefix
        async for octets in contents.stream(self._database, id, self._world.in_thread):
            yield octets

    # -- how

    async def _carry(self, kept: Kept, load: Consignment, following: Following) -> Sequence[Result]:
        """Over a connection; raises `Unusable` when there is no telling how it ended, since nothing was sent."""
        courier, line = kept.courier, kept.courier.line
        try:
            last = courier.carried + 1 >= self._most
            outcomes = await courier.transact(load) if last else await courier.transact(load, following)
        except Unanswered as failure:
            outcomes = [failure] * len(load.recipients)
        except BaseException:
            line.abort()
            raise
        how = (kept.host, kept.address, line.tls, kept.policy, kept.source, courier.is_lmtp, "DSN" in courier.offered)
        return [
            by_reply(outcome, *how) if isinstance(outcome, Reply) else by_error(outcome, *how) for outcome in outcomes
        ]

    def _still(self, kept: Kept) -> Kept | None:
        """The connection, if more may be carried over it."""
        courier = kept.courier
        # The answers to the next envelope, which was said already, may be here as well.
        if courier.carried < self._most and (courier.ahead is not None or courier.line.is_good):
            return kept
        kept.courier.line.quit()
        return None

    async def _anew(
        self, attempt: Attempt, load: Consignment, following: Following
    ) -> tuple[Sequence[Result], Kept | None]:
        """Over a new connection: to the first host, and the first of its addresses, that can be talked to."""
        first, count = attempt.entries[0], len(attempt.entries)
        route = self._lanes.route(
            first.domain, first.place, str(first.sender) if first.sender else "", first.login
        )
        try:
            hosts = await self._hosts.find(first.domain, route.host)
            policy = await self._demands.of_domain(first.domain, first.wishes, not route.host)
            # Whether DNSSEC vouches for the MX: it was asked for just now, and is remembered.
            validated = (
                not route.host and not first.domain.startswith("[")
                and (await self._world.resolver.ask(policy.domain, "MX")).validated
            )
        except (PermanentFailure, TemporaryFailure) as failure:
            return [by_error(failure)] * count, None
        login = route.smarthost if route.smarthost is not None and route.smarthost.login is not None else None
        last = Result(DEFERRED, f"no mail server of {first.domain} could be reached")
        tried = 0
        for host in hosts:
            left = [each for each in host.addresses if self._may_leave_for(each, attempt.way)]
            if not left:
                last = Result(DEFERRED, f"{host} has no address that can be reached from {attempt.way.source}")
                continue
            try:
                demand = await self._demands.of_host(policy, host, validated)
            except TemporaryFailure as failure:
                last = by_error(failure, str(host))
                continue
            if not demand.allowed:
                last = Result(DEFERRED, demand.refusal, None, str(host), detail=demand.detail, policy=demand.why)
                continue
            attempt.host = str(host)
            while left and tried < MOST_ADDRESSES:
                address = left[0] if len(left) == 1 else ""
                try:
                    line, address = await self._reach(host, left[: MOST_ADDRESSES - tried], attempt.way)
                except TemporaryFailure as failure:
                    last = by_error(failure, str(host), address)
                    break
                left.remove(address)
                tried += 1
                how = _How(host, address, policy, demand, login)
                try:
                    kept = await self._greet(line, attempt, how)
                    return await self._carry(kept, load, following), self._still(kept)
                except TlsFailed as failure:
                    last = by_error(failure, str(host), address)
                    if login is None and not host.implicit_tls and demand.permits_clear and how.tls:
                        try:
                            line, _ = await self._reach(host, [address], attempt.way)
                            kept = await self._greet(line, attempt, replace(how, tls=False))
                            return await self._carry(kept, load, following), self._still(kept)
                        except TemporaryFailure as again:
                            last = by_error(again, str(host), address)
                except TemporaryFailure as failure:
                    last = by_error(failure, str(host), address)
                last = replace(last, policy=demand.why)
        return [last] * count, None

    async def _reach(self, host: Host, addresses: Sequence[str], way: Way) -> tuple[Line, str]:
        return await reach(self._world.reactor, host, addresses, source=lambda theirs: _source(theirs, way))

    def _may_leave_for(self, address: str, way: Way) -> bool:
        """Whether one of our addresses that it may leave from is of the same family."""
        return not way.source or "/" in address or bool(_source(address, way))

    async def _greet(self, line: Line, attempt: Attempt, how: _How) -> Kept:
        """From the connection to where messages can be said; raises `Unusable`, with nothing said that matters."""
        self._lines.add(line)
        line.gone.addCallback(lambda _: self._lines.discard(line))
        source, host, demand = _source(how.address, attempt.way), how.host, how.demand
        courier = Courier(
            line, self._hello.get(source, self._hostname), self._world.in_thread, host.lmtp, self._world.now
        )
        proof = demand.context(host.name)
        context: Any = verified(host.name) if how.login is not None else proof
        try:
            try:
                if host.implicit_tls:
                    await courier.start_tls(context, already=True)
                await courier.begin()
                if not line.tls and "STARTTLS" in courier.offered and how.tls and demand.level != "none":
                    await courier.start_tls(context)
            except TlsFailed as failure:
                self._note(how, source, Outcome.failed(failure, proof), attempt)
                raise
            if line.tls:
                self._note(how, source, Outcome.secured(line.tls, proof), attempt)
            elif demand.permits_clear:
                if how.tls:                 # else its failure is told already
                    self._note(how, source, Outcome.in_clear(), attempt)
            else:
                self._note(how, source, Outcome.missing(), attempt)
                raise TlsFailed("the server offers no TLS")
            if how.login is not None:
                await courier.log_in(how.login.login or "", how.login.password or "")
        except BaseException:
            line.abort()
            raise
        return Kept(attempt.way, courier, str(host), how.address, demand.why, source)

    def _note(self, how: _How, source: str, outcome: Outcome, attempt: Attempt) -> None:
        first = attempt.entries[0]
        # Reports on TLS are no part of what they report (RFC 8460 3), or two servers would go on for ever.
        if not (first.origin is Origin.INTERNAL and first.wishes.tls_optional):
            self._demands.note(how.policy, how.demand, how.host, how.address, source, outcome)

    async def stop(self) -> None:
        """Close what is still open: nobody waits for the answer to a QUIT any more."""
        for line in list(self._lines):
            line.abort()
            await line.gone


def _source(address: str, way: Way) -> str:
    """Which of our addresses to leave from for one of theirs: the one of the same family."""
    return next((each for each in way.source.split() if (":" in each) is (":" in address)), "")
