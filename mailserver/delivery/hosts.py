"""From an entry of the spool to the hosts that take it (RFC 5321 5.1)."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from mailserver.address import domain_key, parse_domain
from mailserver.config import Outbound
from mailserver.delivery.result import Unroutable
from mailserver.errors import BadAddress, TemporaryFailure
from mailserver.interfaces import IResolver
from mailserver.net.connect import SMTP, Host, in_turn, read_host
from mailserver.net.resolver import NoSuchName

MOST_EXCHANGES = 10         # of one domain that are looked at


class Hosts:
    """Finds the hosts for a domain: the one that is named for it (see `lanes`), those of its MX, the domain itself."""

    def __init__(self, outbound: Outbound, resolver: IResolver, hostname: str, random: random.Random) -> None:
        self._outbound = outbound
        self._resolver = resolver
        self._hostname = hostname.lower()
        self._random = random

    async def find(self, domain: str, fixed: str = "") -> list[Host]:
        """The hosts to try in turn, each with its addresses.

        Raises `Unroutable` when there will never be one, `TemporaryFailure` when it cannot be known.
        """
        if fixed == "none":
            raise Unroutable(f"{domain} takes no mail", "1.10")
        if fixed:
            return [await self._fixed(fixed)]
        if not self._outbound.enabled:
            raise Unroutable("this server sends no mail to other servers", "7.1")
        if domain.startswith("["):
            literal = re.sub("^ipv6:", "", domain[1:-1], flags=re.IGNORECASE)
            addresses = self._allowed([literal])
            if not addresses:
                raise Unroutable(f"{literal} is this machine", "4.6")
            return [Host(literal, SMTP, addresses)]
        return await self._by_mx(domain_key(domain))

    async def _fixed(self, text: str) -> Host:
        """A host that somebody here has named: where it leads is his business."""
        try:
            host = read_host(text)
        except ValueError as error:
            raise TemporaryFailure(f"{error}; it needs to be like tcp:name:port") from None
        if host.path:
            return replace(host, addresses=(host.path,))
        if host.name == "localhost":
            return replace(host, addresses=("127.0.0.1",))
        try:
            ipaddress.ip_address(host.name)
        except ValueError:
            try:
                addresses = await self._addresses(host.name)
            except NoSuchName as error:
                raise TemporaryFailure(str(error)) from None
            if not addresses:
                raise TemporaryFailure(f"{host.name} has no address") from None
            return replace(host, addresses=tuple(in_turn(addresses)))
        return replace(host, addresses=(host.name,))

    async def _by_mx(self, domain: str) -> list[Host]:
        try:
            records = await self._resolver.query(domain, "MX")
        except NoSuchName:
            raise Unroutable(f"the domain {domain} does not exist", "1.2") from None
        # RFC 5321 5.1: without MX the domain is its own.
        exchanges = self._in_order(records, domain) if records else [domain]
        hosts = []
        to_us, unknown = False, None
        for name, found in zip(exchanges, await self._all_addresses(exchanges), strict=True):
            if isinstance(found, Exception):
                unknown = found if isinstance(found, TemporaryFailure) else unknown
            elif addresses := self._allowed(found):
                hosts.append(Host(name, SMTP, addresses))
            else:
                to_us = to_us or bool(found)
        if hosts:
            return hosts
        if unknown is not None:
            raise unknown
        if to_us:
            raise Unroutable(f"the mail servers of {domain} are this machine, which does not know it", "4.6")
        raise Unroutable(f"no mail server of {domain} has an address", "4.4")

    def _in_order(self, records: Sequence[Any], domain: str) -> list[str]:
        """Names by preference, shuffled where it is equal; of a list with us in it, only who is before us."""
        shuffled = list(records)
        self._random.shuffle(shuffled)
        shuffled.sort(key=lambda record: int(record.preference))
        pairs = [(int(each.preference), each.exchange.to_text(omit_final_dot=True).lower()) for each in shuffled]
        if all(name in ("", ".") for _, name in pairs):
            raise Unroutable(f"{domain} takes no mail (null MX)", "1.10")       # RFC 7505 4
        ours = [preference for preference, name in pairs if name == self._hostname]
        if ours:
            pairs = [each for each in pairs if each[0] < min(ours)]
            if not pairs:
                raise Unroutable(f"the mail servers of {domain} are this server, which does not know it", "4.6")
        names = [name for _, name in pairs if _is_name(name)]
        if not names:
            raise Unroutable(f"no mail server of {domain} has a name that can be used", "4.4")
        return names[:MOST_EXCHANGES]

    async def _all_addresses(self, names: Sequence[str]) -> Sequence[Any]:
        """The addresses of each name, or the error, all asked for at once."""
        asking = [Deferred.fromCoroutine(self._addresses(name)) for name in names]
        answers: Any = await DeferredList(asking, consumeErrors=True)
        return [answer if success else answer.value for success, answer in answers]

    async def _addresses(self, name: str) -> list[str]:
        """IPv4 and IPv6; raises `TemporaryFailure` only when neither is known."""
        found: list[str] = []
        failure: Exception | None = None
        for type in ("A", "AAAA"):
            try:
                found += [record.address for record in await self._resolver.query(name, type)]
            except TemporaryFailure as error:
                failure = error
            except NoSuchName as error:
                failure = failure or error
        if not found and failure is not None:
            raise failure
        return found

    def _allowed(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """Without loopback, the unspecified address and groups, to which no stranger's DNS may lead us."""
        if self._outbound.allow_loopback:
            return tuple(in_turn(addresses))
        return tuple(in_turn([each for each in addresses if not _is_ourselves(each)]))


def _is_name(text: str) -> bool:
    """Whether a host may be called so: a name of the DNS can hold any octets."""
    try:
        return parse_domain(text.replace("_", "-")) != ""
    except BadAddress:
        return False


def _is_ourselves(address: str) -> bool:
    ip: Any = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return bool(ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip in _THIS_NETWORK)


_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")       # of which Linux takes every address for itself
