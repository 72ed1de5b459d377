"""What one peer, and one network, may have: connections, messages, recipients, wrong passwords."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mailserver.net.tally import Tally

_EXEMPT = ""
_ALL = "*"
_ALL_ALONE = (_ALL,)
_NO_LIMIT = 1 << 20


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


@lru_cache(maxsize=4096)
def network_key(peer: str) -> str:
    """The network around what `peer_key` says, an IPv4 /24 or an IPv6 /48; "" around what is no address."""
    address = peer.partition("/")[0]
    try:
        return str(ipaddress.ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much there may be; 0 is no limit.

    `network` times as much is what all peers of one network may have together.
    """

    connections: int = 5000                 # open, in all
    connections_per_address: int = 50       # open
    connections_per_minute: int = 120
    messages_per_minute: int = 300          # of one address, or one login
    recipients_per_minute: int = 3000
    failed_logins: int = 20                 # in ten minutes
    network: float = 10.0
    loopback: bool = False                  # whether loopback counts, too


class Limits:
    """Counts in a tally, which the processes of one server share."""

    def __init__(self, allowance: Allowance, tally: Tally) -> None:
        self.allowance = allowance
        self.tally = tally

    def enter(self, address: str) -> tuple[str, ...]:
        """One more connection: what it was counted under, for `leave`; empty when that would be too many."""
        allowance, tally = self.allowance, self.tally
        if not tally.enter(_ALL, allowance.connections or _NO_LIMIT):
            return ()
        peer = self._peer(address)
        if peer == _EXEMPT:
            return _ALL_ALONE
        if not self._take("connect", peer, allowance.connections_per_minute, 60):
            self.leave(_ALL_ALONE)
            return ()
        entered = [_ALL]
        for key, most in self._opens(peer):
            if not tally.enter(key, most):
                self.leave(entered)
                return ()
            entered.append(key)
        return tuple(entered)

    def leave(self, entered: Iterable[str]) -> None:
        """One is gone; by now another configuration may want to count it otherwise, or not at all."""
        for key in entered:
            self.tally.leave(key)

    def message(self, address: str, login: str = "") -> bool:
        """One more message, of a login where there is one."""
        return self._more("message", address, login, self.allowance.messages_per_minute)

    def recipient(self, address: str, login: str = "") -> bool:
        """One more recipient."""
        return self._more("recipient", address, login, self.allowance.recipients_per_minute)

    def may_log_in(self, address: str) -> bool:
        """Whether a peer, and its network, have not guessed too often of late."""
        return all(self.tally.has(key, most, most / 600) for key, most in self._guesses(address))

    def failed_login(self, address: str) -> None:
        """It guessed wrong."""
        for key, most in self._guesses(address):
            self.tally.take(key, most, most / 600)

    def _guesses(self, address: str) -> list[tuple[str, float]]:
        peer, most = self._peer(address), self.allowance.failed_logins
        if peer == _EXEMPT or not most:
            return []
        around, network = self.allowance.network, network_key(peer)
        own = [(f"guess {peer}", float(most))]
        return [*own, (f"guess {network}", most * around)] if around and network else own

    def _more(self, what: str, address: str, login: str, most: int) -> bool:
        if login:
            return not most or self.tally.take(f"{what} {login}", most, most / 60)
        peer = self._peer(address)
        return peer == _EXEMPT or self._take(what, peer, most, 60)

    def _take(self, what: str, peer: str, most: int, period: float) -> bool:
        if not most:
            return True
        if not self.tally.take(f"{what} {peer}", most, most / period):
            return False
        around, network = self.allowance.network, network_key(peer)
        return not (around and network) or self.tally.take(
            f"{what} {network}", most * around, most * around / period
        )

    def _opens(self, peer: str) -> list[tuple[str, int]]:
        # Counted even where there is no limit, so that a reload may set one while connections are open.
        most, around = self.allowance.connections_per_address, self.allowance.network
        network = network_key(peer)
        opens = [(peer, most or _NO_LIMIT)]
        return [*opens, (network, int(most * around) or _NO_LIMIT)] if network else opens

    def _peer(self, address: str) -> str:
        peer = peer_key(address)
        return address if peer == _EXEMPT and self.allowance.loopback else peer
