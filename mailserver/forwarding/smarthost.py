"""``smarthost``: mail for some domains, or for all that are not ours, goes to one server."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from zope.interface import implementer

from mailserver.address import Address, domain_key
from mailserver.destination import Destination, Remote
from mailserver.interfaces import IForwarder, IServer


@attrs.frozen
class SmarthostOptions:
    """`host` is like ``tcp:relay.example.net:587``; without `domains`, for all that are not local."""

    host: str
    domains: list[str] = attrs.Factory(list)


@implementer(IForwarder)
class Smarthost:
    """Who may relay is not its business: that was decided before it is asked."""

    Options = SmarthostOptions

    def __init__(self, options: SmarthostOptions, server: IServer) -> None:
        self._host = options.host
        self._domains = {domain_key(each) for each in options.domains}
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        if self._domains:
            mine = domain_key(recipient.domain) in self._domains
        else:
            mine = not await self._directory.is_local(recipient.domain)
        return (Remote(recipient, self._host),) if mine else None
