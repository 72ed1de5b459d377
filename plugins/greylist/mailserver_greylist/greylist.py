"""The filter: the first mail from somebody to somebody is taken when it comes again."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.reply import Reply
from mailserver.verdict import Verdicts, defer
from mailserver_greylist import triples
from mailserver_greylist.triples import Triple

MOST_REMEMBERED = 50_000    # known triples, of a quarter of a kilobyte each
REFRESH = 3600.0            # seconds after which a known triple's row is looked at again
PURGE = 600.0               # seconds between two rounds of forgetting

_DIGITS = re.compile(r"\d+")


def _networks(options: Any, field: Any, value: tuple[str, ...]) -> None:
    for each in value:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise ValueError(f"'{field.name}': {each!r} is no network") from None


def _behind_delay(options: Any, field: Any, value: float) -> None:
    if value <= options.delay:
        raise ValueError(f"'{field.name}' must be longer than the delay of {options.delay:g} seconds")


@attrs.frozen
class GreylistOptions:
    """The keys of the table; README.rst tells them.  Times are in seconds."""

    delay: float = attrs.field(default=300.0, validator=attrs.validators.ge(0))
    window: float = attrs.field(default=2 * 86400.0, validator=_behind_delay)
    lifetime: float = attrs.field(default=36 * 86400.0, validator=attrs.validators.gt(0))
    trust_after: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    prefix4: int = attrs.field(default=24, validator=[attrs.validators.ge(1), attrs.validators.le(32)])
    prefix6: int = attrs.field(default=64, validator=[attrs.validators.ge(1), attrs.validators.le(128)])
    exempt: tuple[str, ...] = attrs.field(default=(), validator=_networks)
    recipients: tuple[str, ...] = ("postmaster",)
    loopback: bool = False


@implementer(IFilter)
class Greylist:
    """Answers 451 at RCPT.  The LMTP service is left alone: its peers are programs of ours."""

    Options = GreylistOptions
    origins = frozenset({Origin.ARRIVAL})

    def __init__(self, options: GreylistOptions, server: IServer) -> None:
        self._options = options
        self._server = server
        self._exempt = [ipaddress.ip_network(each, strict=False) for each in options.exempt]
        self._recipients = {each.lower() for each in options.recipients}
        self._known: OrderedDict[Triple, float] = OrderedDict()         # until when its row needs no look
        self._is_prepared = False
        self._purged = -math.inf

    def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts | Awaitable[Verdicts]:
        if client.may_relay or client.service == "lmtp":
            return None
        if address.local.lower() in self._recipients or address.key in self._recipients:
            return None
        network = self._network(client.address)
        if network is None:
            return None
        triple = Triple(network, general_sender(envelope.sender), address.key)
        if self._known.get(triple, -math.inf) > self._server.now():
            self._known.move_to_end(triple)
            return None
        return self._judge(triple)

    async def _judge(self, triple: Triple) -> Verdicts:
        now, options, database = self._server.now(), self._options, self._server.database
        if not self._is_prepared:
            await database.write(triples.prepare)
            self._is_prepared = True
        if now - self._purged >= PURGE:
            self._purged = now
            await database.write(triples.purge, now)
        seen = await database.read(triples.find, triple, now)
        if seen is None:
            if not await self._is_trusted(triple.network, now):
                await database.write(triples.begin, triple, now, options.window)
                return self._later(options.delay)
        elif not seen.known:
            # A clock that was set back does not make anybody wait for longer than the delay.
            wait = min(options.delay, seen.first + options.delay - now)
            if wait > 0:
                return self._later(wait)
        await database.write(triples.know, triple, now, options.lifetime)
        self._remember(triple, now + min(REFRESH, options.lifetime / 2))
        return None

    async def _is_trusted(self, network: str, now: float) -> bool:
        enough = self._options.trust_after
        return enough > 0 and await self._server.database.read(triples.count_known, network, now, enough) >= enough

    def _remember(self, triple: Triple, until: float) -> None:
        self._known[triple] = until
        self._known.move_to_end(triple)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def _later(self, seconds: float) -> Verdicts:
        minutes = max(1, math.ceil(seconds / 60))
        return defer(Reply(451, "7.1", f"Greylisted, please try again in {minutes} minute{'s' if minutes > 1 else ''}"))

    def _network(self, address: str) -> str | None:
        """The network of a peer; None for one that does not wait."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return address or None
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if (ip.is_loopback and not self._options.loopback) or any(ip in each for each in self._exempt):
            return None
        prefix = self._options.prefix4 if ip.version == 4 else self._options.prefix6
        return str(ipaddress.ip_network((ip, prefix), strict=False))


def general_sender(sender: Address | None) -> str:
    """A sender without what changes from message to message: lists put numbers and recipients into it (VERP)."""
    if sender is None:
        return ""
    local, _, domain = sender.key.rpartition("@")
    return f"{_DIGITS.sub('#', local.partition('+')[0])}@{domain}"
