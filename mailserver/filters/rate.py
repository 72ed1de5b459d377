"""``rate``: how much one peer, or one login, may send in a while."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.net.limits import peer_key
from mailserver.reply import Reply
from mailserver.verdict import Defer, Verdicts, defer

MOST_PEERS = 50_000


def _none_or_some(instance: Any, attribute: Any, value: float) -> None:
    if value and value < 1:
        raise ValueError(f"'{attribute.name}' needs to be 0 or at least 1: a network has no less than a peer in it")


@attrs.frozen
class RateOptions:
    """How many connections, messages and recipients one peer may have in `period` seconds; 0 is no limit.

    A peer is a login, an IPv4 address, or an IPv6 /64.  All peers without a login of one network, an IPv4 /24 or an
    IPv6 /48, may have `network` times as much together; 0 is no limit.  Loopback is exempt unless `loopback`.
    """

    period: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    connections: int = attrs.field(default=60, validator=attrs.validators.ge(0))
    messages: int = attrs.field(default=120, validator=attrs.validators.ge(0))
    recipients: int = attrs.field(default=600, validator=attrs.validators.ge(0))
    network: float = attrs.field(default=10.0, validator=[attrs.validators.ge(0), _none_or_some])
    loopback: bool = False


class Buckets:
    """A token bucket for each peer; whoever was away for longest is forgotten first, with a full bucket."""

    def __init__(self, size: float, period: float, seconds: Callable[[], float], most: int = MOST_PEERS) -> None:
        self._size = size
        self._per_second = size / period
        self._seconds = seconds
        self._most = most
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, peer: str) -> bool:
        """Take one token; False when there is none."""
        if not self._size:
            return True
        now = self._seconds()
        tokens, then = self._peers.pop(peer, (self._size, now))
        tokens = min(self._size, tokens + (now - then) * self._per_second)
        enough = tokens >= 1
        self._peers[peer] = (tokens - 1 if enough else tokens, now)
        if len(self._peers) > self._most:
            self._peers.popitem(last=False)
        return enough


class Limit:
    """How much of one thing each peer may have, and each network."""

    def __init__(self, what: str, size: int, options: RateOptions, seconds: Callable[[], float]) -> None:
        self.what = what
        self._peers = Buckets(size, options.period, seconds)
        self._networks = Buckets(size * options.network, options.period, seconds)

    def take(self, peer: str, network: str) -> bool:
        """One more for `peer`; `network` is empty where none counts."""
        return self._peers.take(peer) and (not network or self._networks.take(network))


@lru_cache(maxsize=4096)
def network_key(peer: str) -> str:
    """The network around what `peer_key` says; "" around what is no address."""
    address = peer.partition("/")[0]
    try:
        return str(ipaddress.ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))
    except ValueError:
        return ""


@implementer(IFilter)
class Rate:
    """Answers 451 to who is too quick."""

    Options = RateOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})

    def __init__(self, options: RateOptions, server: IServer) -> None:
        self._loopback = options.loopback
        seconds = server.clock.seconds
        self._connections = Limit("connections", options.connections, options, seconds)
        self._messages = Limit("messages", options.messages, options, seconds)
        self._recipients = Limit("recipients", options.recipients, options, seconds)

    def connected(self, client: Client) -> Verdicts:
        return self._judge(self._connections, client)

    def sender(self, client: Client, envelope: Envelope) -> Verdicts:
        return self._judge(self._messages, client)

    def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts:
        return self._judge(self._recipients, client)

    def _judge(self, limit: Limit, client: Client) -> Defer | None:
        network = ""
        if client.login is not None:
            peer = client.login.key
        elif peer := peer_key(client.address):
            network = network_key(peer)
        else:
            peer = client.address if self._loopback else ""
        if not peer or limit.take(peer, network):
            return None
        return defer(Reply(451, "7.1", f"Too many {limit.what} in a short time, try again later"))
