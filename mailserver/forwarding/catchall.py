"""``catchall``: mail for whoever else there might be at a domain goes to the targets of ``@domain``."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Forward
from mailserver.interfaces import IForwarder, IServer, NoOptions


@implementer(IForwarder)
class CatchAll:
    """The aliases of the form ``@domain``; put it last, since it takes everybody."""

    Options = NoOptions
    from_directory = True

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        targets = await self._directory.catch_all(recipient.domain)
        return None if targets is None else tuple(map(Forward, targets))
