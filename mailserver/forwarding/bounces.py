"""``bounces``: reports that come to a keyed reverse-path of ours (VERP) are booked, and nobody need read them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Drop, Forward
from mailserver.feedback import verp
from mailserver.interfaces import IForwarder, IServer
from mailserver.store.key import load_key

log = Logger()

KEY = "verp.key"        # in the data folder


@attrs.frozen
class BouncesOptions:
    """With `deliver`, the sender whose mail it was gets them too: an account, or an alias, that wants to read them."""

    deliver: bool = False


@implementer(IForwarder)
class Bounces:
    """Takes what is for such a path; the filter ``feedback`` books it.  What was made up is nobody's."""

    Options = BouncesOptions
    from_directory = True

    def __init__(self, options: BouncesOptions, server: IServer) -> None:
        self._deliver = options.deliver
        self._key = key_of(server)

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        path = verp.decode(recipient, self._key) if self._key else None
        if path is None:
            return None
        return (Forward(path.sender),) if self._deliver else (Drop("it is booked as feedback"),)


def key_of(server: IServer) -> bytes:
    """The key of this server's reverse-paths; empty where the data folder cannot be read or written."""
    try:
        return load_key(server.data / KEY)
    except OSError as error:
        log.warn("there is no key for reverse-paths: {why}", why=str(error))
        return b""
