"""Taking one message to the server of its recipients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from twisted.logger import Logger

from mailserver.config import Outbound
from mailserver.delivery.courier import Courier, TlsFailed
from mailserver.delivery.hosts import Hosts
from mailserver.delivery.result import Result, by_reply
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.net.connect import Host, Opportunistic, connect, verified
from mailserver.store import contents
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.world import World

log = Logger()


class Remote:
    """Delivers by SMTP: hosts in turn, addresses in turn, TLS where it can be had."""

    def __init__(self, database: Database, outbound: Outbound, world: World, hostname: str) -> None:
        self._database = database
        self._outbound = outbound
        self._world = world
        self._hostname = hostname
        self._hosts = Hosts(outbound, world.resolver, hostname, world.random)

    async def deliver(
        self, entries: Sequence[Entry], size: int, may_send: Callable[[], Awaitable[bool]]
    ) -> list[Result]:
        """A result for each entry; they share message, domain and host."""
        first = entries[0]
        try:
            hosts = await self._hosts.find(first)
        except PermanentFailure as failure:
            return [Result("failed", str(failure))] * len(entries)
        except TemporaryFailure as failure:
            return [Result("deferred", str(failure))] * len(entries)
        login = self._hosts.is_smarthost(first) and self._outbound.smarthost_login is not None
        last = Result("deferred", f"no mail server of {first.domain} could be reached")
        for host in hosts:
            for address in host.addresses:
                for in_clear in (False, True):
                    try:
                        return await self._talk(host, address, entries, size, login, in_clear, may_send)
                    except TlsFailed as failure:
                        last = Result("deferred", str(failure), None, str(host), address)
                        if login or host.implicit_tls:
                            break
                    except TemporaryFailure as failure:
                        last = Result("deferred", str(failure), None, str(host), address)
                        break
        return [last] * len(entries)

    async def _talk(
        self,
        host: Host,
        address: str,
        entries: Sequence[Entry],
        size: int,
        login: bool,
        in_clear: bool,
        may_send: Callable[[], Awaitable[bool]],
    ) -> list[Result]:
        courier = Courier(self._world.clock, self._hostname)
        await connect(self._world.reactor, host, address, courier)
        done = False
        try:
            context: Any = verified(host.name) if login else Opportunistic().to(host.name)
            if host.implicit_tls:
                await courier.start_tls(context, already=True)
            await courier.begin()
            if not courier.tls and "STARTTLS" in courier.offered and not in_clear:
                await courier.start_tls(context)
            if login:
                await courier.log_in(self._outbound.smarthost_login or "", self._outbound.smarthost_password or "")
            first = entries[0]
            replies = await courier.transact(
                first.sender,
                [each.target for each in entries],
                size + len(first.prefix),
                first.body,
                lambda: self._content(first),
                may_send,
            )
            done = True
            return [by_reply(reply, str(host), address, courier.tls) for reply in replies]
        finally:
            if done:
                courier.quit()
            else:
                courier.abort()

    async def _content(self, entry: Entry) -> AsyncIterator[bytes]:
        yield entry.prefix
        async for octets in contents.stream(self._database, entry.content_id, self._world.in_thread):
            yield octets


