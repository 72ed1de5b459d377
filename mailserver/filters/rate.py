"""``rate``: how much one peer, or one login, may send in a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.net.limits import peer_key
from mailserver.reply import Reply
from mailserver.verdict import Defer, Verdicts, defer

MOST_PEERS = 50_000


@attrs.frozen
class RateOptions:
    """How many connections, messages and recipients one peer may have in `period` seconds; 0 is no limit.

    A peer is a login, an IPv4 address, or an IPv6 /64.  Loopback is exempt unless `loopback`.
    """

    period: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    connections: int = attrs.field(default=60, validator=attrs.validators.ge(0))
    messages: int = attrs.field(default=120, validator=attrs.validators.ge(0))
    recipients: int = attrs.field(default=600, validator=attrs.validators.ge(0))
    loopback: bool = False


class Buckets:
    """A token bucket for each peer; whoever was away for longest is forgotten first, with a full bucket."""

    def __init__(self, size: int, period: float, seconds: Callable[[], float], most: int = MOST_PEERS) -> None:
        self._size = float(size)
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


@implementer(IFilter)
class Rate:
    """Answers 451 to who is too quick."""

    Options = RateOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})

    def __init__(self, options: RateOptions, server: IServer) -> None:
        self._loopback = options.loopback
        seconds = server.clock.seconds
        self._connections = Buckets(options.connections, options.period, seconds)
        self._messages = Buckets(options.messages, options.period, seconds)
        self._recipients = Buckets(options.recipients, options.period, seconds)

    def connected(self, client: Client) -> Verdicts:
        return self._judge(self._connections, client, "connections")

    def sender(self, client: Client, envelope: Envelope) -> Verdicts:
        return self._judge(self._messages, client, "messages")

    def recipient(self, client: Client, envelope: Envelope, address: Address) -> Verdicts:
        return self._judge(self._recipients, client, "recipients")

    def _judge(self, buckets: Buckets, client: Client, what: str) -> Defer | None:
        if client.login is not None:
            peer = client.login.key
        else:
            peer = peer_key(client.address) or (client.address if self._loopback else "")
        if not peer or buckets.take(peer):
            return None
        return defer(Reply(451, "7.1", f"Too many {what} in a short time, try again later"))
