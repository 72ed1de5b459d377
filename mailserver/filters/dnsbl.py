"""``dnsbl``: what DNS lists say of a peer's address (RFC 5782)."""

from __future__ import annotations

import ipaddress
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import MailserverError
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import Reply
from mailserver.verdict import Verdicts, reject

log = Logger()

_ANSWERS = ipaddress.IPv4Network("127.0.0.0/8")         # RFC 5782 2.1; all else is a parked domain


def _domains(instance: Any, attribute: Any, value: list[str]) -> None:
    if not all("." in each.strip(".") for each in value):
        raise ValueError(f'"{attribute.name}" holds something that is no DNS zone')


@attrs.frozen
class DnsblOptions:
    """A peer is refused when the `weights` (1 where none is given) of the `zones` that list it reach `threshold`.

    A peer in any of the zones `allow` is never refused.  Peers of loopback and private networks are not asked for.
    """

    zones: list[str] = attrs.field(validator=[attrs.validators.min_len(1), _domains])
    allow: list[str] = attrs.field(factory=list, validator=_domains)
    weights: dict[str, float] = attrs.Factory(dict)
    threshold: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))
    private: bool = False


@implementer(IFilter)
class Dnsbl:
    """Refuses at RCPT, so that the trace names who was meant; a zone that does not answer has no opinion."""

    Options = DnsblOptions
    origins = frozenset({Origin.ARRIVAL})
    dry = True

    def __init__(self, options: DnsblOptions, server: IServer) -> None:
        self._options = options
        self._resolver = server.resolver

    async def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts:
        name = reversed_address(client.address, self._options.private)
        if name is None:
            return None
        zones = [*self._options.allow, *self._options.zones]
        answers = await gatherResults([Deferred.fromCoroutine(self._listed(name, zone)) for zone in zones])
        listed = [zone for zone, answer in zip(zones, answers, strict=True) if answer]
        if any(zone in self._options.allow for zone in listed):
            return None
        points = sum(self._options.weights.get(zone, 1.0) for zone in listed)
        if points < self._options.threshold:
            return None
        why = await self._reason(name, listed[0])
        return reject(Reply(554, "7.1", f"{client.address} is listed by {', '.join(listed)}{why}"))

    async def _listed(self, name: str, zone: str) -> bool:
        try:
            records = await self._resolver.query(f"{name}.{zone}", "A")
        except MailserverError:
            return False                # it does not exist, or nobody could say
        return any(ipaddress.ip_address(record.address) in _ANSWERS for record in records)

    async def _reason(self, name: str, zone: str) -> str:
        try:
            records = await self._resolver.query(f"{name}.{zone}", "TXT")
        except MailserverError:
            return ""
        texts = [b"".join(record.strings).decode("ascii", "replace") for record in records]
        return f": {texts[0][:200]}" if texts else ""


def reversed_address(address: str, private: bool = False) -> str | None:
    """The labels that stand before a zone (RFC 5782 2.1, 2.4); None for an address that no list knows."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if not private and not ip.is_global:
        return None
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
