"""``aliases``: mail for an alias goes to its targets."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Forward
from mailserver.interfaces import IForwarder, IServer, NoOptions


@implementer(IForwarder)
class Aliases:
    """The aliases of the directory (``mailserver alias``)."""

    Options = NoOptions
    from_directory = True

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        targets = await self._directory.alias(recipient)
        return None if targets is None else tuple(map(Forward, targets))
