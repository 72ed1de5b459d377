"""``rate``: how much one peer, or one login, may send in a while."""

from __future__ import annotations

from typing import Any

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client, Envelope, Origin
from mailserver.interfaces import IFilter, IServer
from mailserver.net.limits import network_key, peer_key
from mailserver.net.tally import Tally
from mailserver.reply import Reply
from mailserver.verdict import Defer, Verdicts, defer


def _none_or_some(instance: Any, attribute: Any, value: float) -> None:
    if value and value < 1:
        raise ValueError(f"'{attribute.name}' needs to be 0 or at least 1: a network has no less than a peer in it")


@attrs.frozen
class RateOptions:
    """How many connections, messages and recipients one peer may have in `period` seconds; 0 is no limit.

    This is for limits that come at another place among the filters, or for another time, than those of ``[limits]``.

    A peer is a login, an IPv4 address, or an IPv6 /64.  All peers without a login of one network, an IPv4 /24 or an
    IPv6 /48, may have `network` times as much together; 0 is no limit.  Loopback is exempt unless `loopback`.
    """

    period: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    connections: int = attrs.field(default=60, validator=attrs.validators.ge(0))
    messages: int = attrs.field(default=120, validator=attrs.validators.ge(0))
    recipients: int = attrs.field(default=600, validator=attrs.validators.ge(0))
    network: float = attrs.field(default=10.0, validator=[attrs.validators.ge(0), _none_or_some])
    loopback: bool = False


class Limit:
    """How much of one thing each peer may have, and each network; all processes of the server count together."""

    def __init__(self, what: str, size: int, options: RateOptions, tally: Tally) -> None:
        self.what = what
        self._tally = tally
        self._size = size
        self._around = size * options.network
        self._period = options.period
        self._name = f"rate {size}/{options.period:g} {what}"

    def take(self, peer: str, network: str) -> bool:
        """One more for `peer`; `network` is empty where none counts."""
        return self._take(peer, self._size) and (not network or self._take(network, self._around))

    def _take(self, whom: str, size: float) -> bool:
        return not size or self._tally.take(f"{self._name} {whom}", size, size / self._period)


@implementer(IFilter)
class Rate:
    """Answers 451 to who is too quick."""

    Options = RateOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})

    def __init__(self, options: RateOptions, server: IServer) -> None:
        self._loopback = options.loopback
        tally = server.limits.tally
        self._connections = Limit("connections", options.connections, options, tally)
        self._messages = Limit("messages", options.messages, options, tally)
        self._recipients = Limit("recipients", options.recipients, options, tally)

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
