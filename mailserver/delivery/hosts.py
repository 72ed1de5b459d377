"""From an entry of the spool to the hosts that take it (RFC 5321 5.1)."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mailserver.config import Outbound
from mailserver.errors import PermanentFailure, TemporaryFailure
from mailserver.interfaces import IResolver
from mailserver.net.connect import Host, in_turn, read_host
from mailserver.net.resolver import NoSuchName
from mailserver.store.spool import Entry

PORT = 25


class Hosts:
    """Finds hosts by, in this order: the entry's own, ``[outbound.route]``, the smarthost, MX, the domain itself."""

    def __init__(self, outbound: Outbound, resolver: IResolver, hostname: str, random: random.Random) -> None:
        self._outbound = outbound
        self._resolver = resolver
        self._hostname = hostname.lower()
        self._random = random

    async def find(self, entry: Entry) -> list[Host]:
        """The hosts to try in turn, each with its addresses.

        Raises `PermanentFailure` when there will never be one, `TemporaryFailure` when it cannot be known.
        """
        fixed = entry.place or self._outbound.route.get(entry.domain) or self._outbound.smarthost
        if fixed:
            return [await self._fixed(read_host(fixed))]
        if not self._outbound.enabled:
            raise PermanentFailure("this server sends no mail to other servers")
        if entry.domain.startswith("["):
            literal = entry.domain[1:-1].removeprefix("IPv6:")
            return [Host(literal, PORT, self._allowed([literal], literal))]
        return await self._by_mx(entry.domain)

    def is_smarthost(self, entry: Entry) -> bool:
        """Whether the entry goes through the smarthost, where we log in."""
        return not entry.place and entry.domain not in self._outbound.route and self._outbound.smarthost is not None

    async def _fixed(self, host: Host) -> Host:
        if host.path:
            return replace(host, addresses=(host.path,))
        try:
            ipaddress.ip_address(host.name)
        except ValueError:
            if host.name == "localhost":
                return replace(host, addresses=("127.0.0.1",))
            addresses = await self._addresses(host.name)
            if not addresses:
                raise TemporaryFailure(f"{host.name} has no address") from None
            return replace(host, addresses=tuple(in_turn(addresses)))
        return replace(host, addresses=(host.name,))

    async def _by_mx(self, domain: str) -> list[Host]:
        try:
            records = await self._resolver.query(domain, "MX")
        except NoSuchName:
            raise PermanentFailure(f"the domain {domain} does not exist") from None
        if not records:
            exchanges = [domain]                # RFC 5321 5.1: the domain is its own MX
        else:
            exchanges = self._in_order(records, domain)
        hosts, unknown = [], None
        for name in exchanges:
            try:
                addresses = self._allowed(await self._addresses(name), name)
            except (TemporaryFailure, NoSuchName) as failure:
                unknown = failure if isinstance(failure, TemporaryFailure) else unknown
                continue
            except PermanentFailure:
                continue
            if addresses:
                hosts.append(Host(name, PORT, addresses))
        if hosts:
            return hosts
        if unknown is not None:
            raise unknown
        raise PermanentFailure(f"no mail server of {domain} has an address that can be used")

    def _in_order(self, records: Sequence[Any], domain: str) -> list[str]:
        """Names by preference, shuffled where it is equal; of a list with us in it, only who is before us."""
        shuffled = list(records)
        self._random.shuffle(shuffled)
        shuffled.sort(key=lambda record: int(record.preference))
        names = [(int(each.preference), each.exchange.to_text(omit_final_dot=True).lower()) for each in shuffled]
        if [name for _, name in names] in ([""], ["."]):
            raise PermanentFailure(f"{domain} takes no mail (null MX)")         # RFC 7505 4
        ours = [preference for preference, name in names if name == self._hostname]
        if ours:
            names = [each for each in names if each[0] < min(ours)]
            if not names:
                raise PermanentFailure(f"the mail servers of {domain} are this server, which does not know it")
        return [name for _, name in names if name not in ("", ".")]

    async def _addresses(self, name: str) -> list[str]:
        """IPv4 and IPv6; raises `TemporaryFailure` only when neither is known."""
        found: list[str] = []
        failure: Exception | None = None
        for type in ("A", "AAAA"):
            try:
                found += [record.address for record in await self._resolver.query(name, type)]
            except (TemporaryFailure, NoSuchName) as error:
                failure = error
        if not found and failure is not None:
            raise failure
        return found

    def _allowed(self, addresses: Sequence[str], name: str) -> tuple[str, ...]:
        """Without loopback and the unspecified address, to which no stranger's DNS may lead us."""
        if self._outbound.allow_loopback:
            return tuple(in_turn(addresses))
        allowed = []
        for each in addresses:
            ip = ipaddress.ip_address(each)
            if not (ip.is_loopback or ip.is_unspecified or ip.is_multicast):
                allowed.append(each)
        if addresses and not allowed:
            raise PermanentFailure(f"{name} points to this machine")
        return tuple(in_turn(allowed))
