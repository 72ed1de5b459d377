"""``dnsbl``: what DNS lists say of a peer's address (RFC 5782)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import MailserverError, NotFound
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import Reply
from mailserver.verdict import LONGEST_PAUSE, Verdicts, pause, reject

log = Logger()

FAILURES = 3                # in a row, after which a zone is left alone
REST = 60.0                 # seconds
LONGEST_REASON = 200        # characters of a list's own words

_ANSWERS = ipaddress.IPv4Network("127.0.0.0/8")         # RFC 5782 2.1; all else is a parked domain
_COMPLAINTS = ipaddress.IPv4Network("127.255.255.0/24")     # how lists say that they do not serve our resolver


def _domains(instance: Any, attribute: Any, value: list[str]) -> None:
    for each in value:
        if "." not in each.strip("."):
            raise ValueError(f"in '{attribute.name}' {each!r} is no DNS zone")


def _of_zones(instance: Any, attribute: Any, value: dict[str, float]) -> None:
    for each in value:
        if each not in instance.zones:
            raise ValueError(f"'{attribute.name}' speaks of {each!r}, which is none of the zones")


@attrs.frozen
class DnsblOptions:
    """A peer is refused when the `weights` (1 where none is given) of the `zones` that list it reach `threshold`.

    A peer in any of the zones `allow` is never refused.  Peers of loopback and private networks are not asked for,
    unless `private`.  A zone that does not answer within `timeout` seconds has no opinion.

    With `pause`, who is listed is greeted so many seconds late and not refused: programs that send spam seldom wait,
    and who speaks before the greeting is sent away.
    """

    zones: list[str] = attrs.field(validator=[attrs.validators.min_len(1), _domains])
    allow: list[str] = attrs.field(factory=list, validator=_domains)
    weights: dict[str, float] = attrs.field(factory=dict, validator=_of_zones)
    threshold: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))
    private: bool = False
    timeout: float = attrs.field(default=4.0, validator=attrs.validators.gt(0))
    pause: float = attrs.field(
        default=0.0, validator=[attrs.validators.ge(0), attrs.validators.le(LONGEST_PAUSE)]
    )


@dataclass(slots=True)
class Zone:
    """A list, and how well it answers: one that does not is left alone for a while, or each recipient waited for it."""

    name: str
    failures: int = 0           # in a row
    rests_until: float = 0.0

    def failed(self, now: float, why: str) -> None:
        self.failures += 1
        if self.failures >= FAILURES:
            self.failures = 0
            self.rests_until = now + REST
            log.warn("the list {zone} is not asked for {rest:g} s: {why}", zone=self.name, rest=REST, why=why)


@implementer(IFilter)
class Dnsbl:
    """Refuses at RCPT, so that the trace names who was meant; or pauses at once."""

    Options = DnsblOptions
    origins = frozenset({Origin.ARRIVAL})
    dry = True

    def __init__(self, options: DnsblOptions, server: IServer) -> None:
        self._options = options
        self._resolver = server.resolver
        self._clock = server.clock
        self._zones = [Zone(each) for each in (*options.allow, *options.zones)]


    async def connected(self, client: Client) -> Verdicts:
        listed = await self._listed(client) if self._options.pause else []
        return pause(self._options.pause, f"listed by {', '.join(listed)}") if listed else None

    async def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts:
        listed = await self._listed(client) if not self._options.pause else []
        if not listed:
            return None
        name = reversed_address(client.address, self._options.private)
        why = await self._reason(f"{name}.{listed[0]}")
        return reject(Reply(554, "7.1", f"{client.address} is listed by {', '.join(listed)}{why}"))

    async def _listed(self, client: Client) -> list[str]:
        """The zones that list a peer, if they weigh enough."""
        name = reversed_address(client.address, self._options.private)
        if name is None:
            return []
        asked = [Deferred.fromCoroutine(self._lists(zone, name)) for zone in self._zones]
        answers = await gatherResults(asked, consumeErrors=True)
        listed = [zone.name for zone, answer in zip(self._zones, answers, strict=True) if answer]
        if any(zone in self._options.allow for zone in listed):
            return []
        points = sum(self._options.weights.get(zone, 1.0) for zone in listed)
        return listed if points >= self._options.threshold else []

    async def _lists(self, zone: Zone, name: str) -> bool:
        if zone.rests_until > self._clock.seconds():
            return False
        try:
            answers = [ipaddress.ip_address(each.address) for each in await self._ask(f"{name}.{zone.name}", "A")]
        except NotFound:
            answers = []
        except (MailserverError, TookTooLong) as error:
            zone.failed(self._clock.seconds(), str(error) or "it does not answer")
            return False
        if any(each in _COMPLAINTS for each in answers):
            zone.failed(self._clock.seconds(), f"it answers {answers[0]}, it does not serve us")
            return False
        zone.failures = 0
        return any(each in _ANSWERS for each in answers)

    async def _reason(self, name: str) -> str:
        try:
            records = await self._ask(name, "TXT")
        except (MailserverError, TookTooLong):
            return ""
        words = [b"".join(record.strings).decode("ascii", "backslashreplace") for record in records]
        return ": " + "".join(c if c.isprintable() else "?" for c in words[0][:LONGEST_REASON]) if words else ""

    async def _ask(self, name: str, type: str) -> Sequence[Any]:
        async def query() -> Sequence[Any]:
            return await self._resolver.query(name, type)

        return await Deferred.fromCoroutine(query()).addTimeout(self._options.timeout, self._clock)


def reversed_address(address: str, private: bool = False) -> str | None:
    """The labels that stand before a zone (RFC 5782 2.1, 2.4); None for an address that no list knows."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if not private and not ip.is_global:
        return None
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
