"""The forward-confirmed reverse name of an address (RFC 8601 2.7.3, "iprev")."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from mailserver.envelope import Reverse
from mailserver.errors import MailserverError, NotFound
from mailserver.interfaces import IResolver
from mailserver.net.limits import peer_key

MOST_NAMES = 10         # of one address that are looked at
PATIENCE = 5.0          # seconds for all of it

# A label may hold any octets in the DNS; those of a host may not, and its name stands in header fields.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_\-.]{0,253}[a-z0-9_])?")

LOOPBACK = Reverse("pass", "localhost")


def known(address: str) -> Reverse | None:
    """What needs no question: this machine itself."""
    return LOOPBACK if not peer_key(address) else None


async def reverse(resolver: IResolver, clock: Any, address: str) -> Reverse:
    """What the DNS says of who has an address; loopback is known without it.  Never raises."""
    if (ours := known(address)) is not None:
        return ours
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return Reverse("permerror", "")
    try:
        return await Deferred.fromCoroutine(_look(resolver, ip)).addTimeout(PATIENCE, clock)
    except TookTooLong:
        return Reverse("temperror", "")


async def _look(resolver: IResolver, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Reverse:
    try:
        pointers = await resolver.query(ip.reverse_pointer, "PTR")
    except NotFound:
        return Reverse("permerror", "")
    except MailserverError:
        return Reverse("temperror", "")
    result = "permerror"        # no name at all
    for pointer in pointers[:MOST_NAMES]:
        name = pointer.target.to_text(omit_final_dot=True).lower()
        try:
            if _HOST.fullmatch(name) is None:
                raise NotFound(f"{name} is no name of a host")
            addresses = await resolver.query(name, "A" if ip.version == 4 else "AAAA")
        except NotFound:
            addresses = ()
        except MailserverError:
            result = "temperror"
            continue
        if any(ipaddress.ip_address(each.address) == ip for each in addresses):
            return Reverse("pass", name)
        if result != "temperror":
            result = "fail"
    return Reverse(result, "")
