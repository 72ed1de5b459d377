"""What sending to an address would do, told without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailserver.address import Address, domain_key
from mailserver.config import Outbound
from mailserver.delivery.booking import refusal
from mailserver.delivery.hosts import Hosts
from mailserver.delivery.lanes import Lanes, Route
from mailserver.delivery.result import Unroutable
from mailserver.delivery.tls.demands import Demands
from mailserver.delivery.tls.told import told
from mailserver.destination import Remote
from mailserver.envelope import Origin
from mailserver.errors import MailserverError, TemporaryFailure
from mailserver.net.connect import Host
from mailserver.store import queue, suppressions
from mailserver.store.database import Database
from mailserver.store.spool import Entry
from mailserver.world import World

MOST_WAITS = 8              # of a retry schedule that are told one by one


@dataclass(frozen=True)
class Prospect:
    """Asks the DNS and the database, and nobody else."""

    outbound: Outbound
    world: World
    hostname: str
    database: Database

    async def to(self, destination: Remote, sender: Address | None, login: str) -> dict[str, Any]:
        """An object: by which rule, to which hosts, in which lane, within which limits, and how often it is tried."""
        entry = self._entry(destination, sender, login)
        lane = Lanes(self.outbound).of(entry)
        now = self.world.now()
        resting = (await self.database.read(queue.resting, now)).get(lane)
        found: dict[str, Any] = {
            "address": str(destination.address), "by": self._rule(entry), "hosts": [], "error": "", "lane": lane,
            "rests": queue.in_words(resting, now) if resting is not None else "",
            "limits": limits(self.outbound, entry.domain),
            "retry": list(waits(self.outbound)), "life": self.outbound.life,
            "policies": await self._policies(entry),
        }
        try:
            hosts = await Hosts(self.outbound, self.world.resolver, self.hostname, self.world.random).find(
                entry.domain, self._route(entry).host
            )
            found["hosts"] = [_host(each, preference) for each, preference in await self._preferred(entry, hosts)]
        except TemporaryFailure as failure:
            found["error"] = f"not now: {failure}"
        except Unroutable as failure:
            found["error"] = f"never: {failure}"
        return found

    async def _policies(self, entry: Entry) -> list[str]:
        """What else decides about it, in words: TLS that it must have, a recipient who is suppressed."""
        said = []
        route = self._route(entry)
        if not route.host and not entry.domain.startswith("["):
            demands = Demands(self.database, self.outbound.tls, self.world, self.hostname)
            try:
                said += [
                    f"TLS of {host or entry.domain}: {level} ({why})"
                    for host, level, why in await told(demands, entry.domain)
                ]
            finally:
                await demands.stop()
        elif route.smarthost is not None and route.smarthost.login:
            said.append("TLS of the smarthost: verify (a login is sent there)")
        suppression = await self.database.read(suppressions.find, entry.target.key, self.world.now())
        if suppression is not None and self.outbound.suppression.applies != "none":
            said.append(f"{refusal(suppression).words}; this applies to {self.outbound.suppression.applies} mail")
        return said

    def _entry(self, destination: Remote, sender: Address | None, login: str) -> Entry:
        """What the spool would have."""
        address, now = destination.address, self.world.now()
        domain = address.domain if address.domain.isascii() else domain_key(address.domain)
        return Entry(
            0, 0, Origin.SUBMISSION, sender, address, "remote", address, destination.host or "", domain, b"", "7BIT",
            now, now + self.outbound.life, now, 0, False, "", login=login,
        )

    def _rule(self, entry: Entry) -> str:
        if entry.place:
            return "a forwarder's host"
        route = self._route(entry)
        if route.host:
            return "smarthost" if route.smarthost is not None else "route"
        return "address" if entry.domain.startswith("[") else "MX"

    def _route(self, entry: Entry) -> Route:
        return Lanes(self.outbound).route(entry.domain, entry.place, str(entry.sender or ""), entry.login)

    async def _preferred(self, entry: Entry, hosts: Sequence[Host]) -> list[tuple[Host, int | None]]:
        """The hosts with what the DNS says of their order."""
        known: dict[str, int] = {}
        if self._rule(entry) == "MX":
            try:
                for record in await self.world.resolver.query(domain_key(entry.domain), "MX"):
                    known[record.exchange.to_text(omit_final_dot=True).lower()] = int(record.preference)
            except MailserverError:
                pass                # it was asked a moment ago, and is told above
        return [(each, known.get(each.name)) for each in hosts]


def limits(outbound: Outbound, domain: str) -> Mapping[str, int]:
    """What its destination gets at a time, and in a minute (0: any number)."""
    manner = Lanes(outbound).manner(domain)
    return {
        "connections": manner.connections,
        "messages_per_connection": outbound.messages_per_connection,
        "per_minute": manner.per_minute,
    }


def waits(outbound: Outbound) -> Iterator[float]:
    """The waits between the first attempts, in seconds, until they stay the same; what is shaken is left out."""
    if outbound.retry:
        yield from outbound.retry[:MOST_WAITS]
        return
    wait = outbound.retry_first
    for _ in range(MOST_WAITS - 1):
        if wait >= outbound.retry_longest:
            break
        yield wait
        wait *= 2
    yield min(wait, outbound.retry_longest)


def _host(host: Host, preference: int | None) -> dict[str, Any]:
    return {
        "name": host.name, "port": host.port, "path": host.path, "preference": preference,
        "addresses": list(host.addresses), "speaks": "LMTP" if host.lmtp else "SMTP",
        "tls": "implicit" if host.implicit_tls else "where it is offered",
    }
