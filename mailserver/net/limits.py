"""How many connections may be open, in all and from one address."""

from __future__ import annotations

import ipaddress
from collections import Counter
from functools import lru_cache

_EXEMPT = ""


@lru_cache(maxsize=4096)
def peer_key(address: str) -> str:
    """What counts as one peer: an IPv4 address, the /64 of an IPv6 address; "" for loopback, which is exempt."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return peer_key(str(ip.ipv4_mapped))
        if ip.is_loopback:
            return _EXEMPT
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    return _EXEMPT if ip.is_loopback else str(ip)


class ConnectionLimits:
    """Counts open connections; memory is bounded by `total`.

    Loopback is exempt from `per_address` (not from `total`), unless `count_loopback`.
    """

    def __init__(self, per_address: int = 50, total: int = 5000, count_loopback: bool = False) -> None:
        self.per_address = per_address
        self.total = total
        self.count_loopback = count_loopback
        self.open = 0
        self._by_peer: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more; False when that would be too many: then it is not counted."""
        if self.open >= self.total:
            return False
        peer = self._peer(address)
        if peer != _EXEMPT:
            if self._by_peer[peer] >= self.per_address:
                return False
            self._by_peer[peer] += 1
        self.open += 1
        return True

    def leave(self, address: str) -> None:
        """One that entered is gone."""
        self.open -= 1
        peer = self._peer(address)
        if peer != _EXEMPT:
            self._by_peer[peer] -= 1
            if self._by_peer[peer] <= 0:
                del self._by_peer[peer]

    def _peer(self, address: str) -> str:
        peer = peer_key(address)
        return address if peer == _EXEMPT and self.count_loopback else peer
