"""Who shares a limit, and who shares a connection: where an entry goes, as far as the configuration says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from zlib import crc32

from mailserver.address import Address, domain_key
from mailserver.delivery.attempt import Way
from mailserver.errors import BadAddress
from mailserver.settings import Manner, Outbound, Smarthost, Source
from mailserver.wishes import Wishes


class Bound(Protocol):
    """As much of an entry of the spool as its way depends on."""

    @property
    def kind(self) -> str: ...

    @property
    def domain(self) -> str: ...

    @property
    def place(self) -> str: ...

    @property
    def login(self) -> str: ...


class Route(NamedTuple):
    """A host that the configuration or the entry names, "" for MX; and the login there."""

    host: str
    smarthost: Smarthost | None = None


class Lanes:
    """Knows, for an entry and its sender, the host, the lane (all that goes to one host, or into one store), the way.

    The host is, in this order: the entry's own, ``[outbound.route]``, the first ``[[outbound.smarthosts]]`` that is
    for it, the smarthost; otherwise the DNS says (RFC 5321 5.1).
    """

    def __init__(self, outbound: Outbound) -> None:
        self._route = outbound.route
        self._smarthosts = outbound.smarthosts
        self._usual = Route("")
        if outbound.smarthost is not None:
            self._usual = Route(outbound.smarthost, Smarthost(
                outbound.smarthost, outbound.smarthost_login, outbound.smarthost_password
            ))
        self._sources = outbound.sources
        self._manners = {domain: manner for manner in reversed(outbound.manners) for domain in manner.domains}
        self._outbound = outbound

    def route(self, domain: str, place: str, sender: str, login: str) -> Route:
        """The host that is named for it."""
        if place:
            return Route(place)
        fixed = self._route.get(domain)
        if fixed:
            return Route(fixed)
        for each in self._smarthosts:
            if domain in each.domains or is_among(login, each.logins) or is_among(sender, each.senders):
                return Route(each.host, each)
        return self._usual

    def of(self, entry: Bound, sender: str | None = None) -> str:
        """The lane's name: "mailbox of STORE", the host that is named, or the domain."""
        if entry.kind == "mailbox":
            return "mailbox of " + entry.place.partition("/")[0]
        return self.route(entry.domain, entry.place, sender or _sender(entry), entry.login).host or entry.domain

    def way(self, entry: Bound, sender: str, wishes: Wishes) -> Way:
        """What those who share a connection with it must have in common."""
        if entry.kind == "mailbox":
            return Way(self.of(entry, sender), "")
        route = self.route(entry.domain, entry.place, sender, entry.login)
        login = route.smarthost.login or "" if route.smarthost is not None else ""
        source = " ".join(each.address for each in self.sources(entry.domain, sender))
        return Way(
            route.host or entry.domain, "" if route.host else entry.domain, source, login,
            self._outbound.tls.domains.get(entry.domain, ""), wishes.require_tls, wishes.tls_optional,
        )

    def sources(self, domain: str, sender: str) -> Sequence[Source]:
        """The addresses of this machine to leave from, one of a family; none: whichever.

        One destination always sees the same one, for as long as the configuration does not change.
        """
        if not self._sources:
            return ()
        theirs = [each for each in self._sources if is_among(sender, each.senders)]
        theirs = theirs or [each for each in self._sources if not each.senders]
        found = []
        for six in (False, True):
            family = [each for each in theirs if (":" in each.address) is six]
            if family:
                found.append(family[crc32(domain.encode()) % len(family)])
        return found

    def manner(self, domain: str) -> Manner:
        """How a destination is treated: as its name says, or the nearest name above it that stands there."""
        found = self._manners.get(domain)
        above = domain
        while found is None and (above := above.partition(".")[2]):
            found = self._manners.get("." + above)
        usual = self._outbound
        if found is None:
            return Manner((), usual.connections_per_host, usual.per_minute)
        return Manner(
            found.domains, found.connections or usual.connections_per_host, found.per_minute or usual.per_minute
        )


def is_among(address: str, whose: Sequence[str]) -> bool:
    """Whether an address is named, or everybody at its domain is (``@domain``)."""
    if not address or not whose:
        return False
    try:
        key = Address.parse(address).key
    except BadAddress:
        return False
    return key in whose or "@" + domain_key(key.rpartition("@")[2]) in whose


def _sender(entry: Bound) -> str:
    sender = getattr(entry, "sender", None)
    return str(sender) if sender else ""
