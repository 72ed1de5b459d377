"""``subaddress``: mail for user+detail goes to user (RFC 5233)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Forward
from mailserver.interfaces import IForwarder, IServer


@attrs.frozen
class SubaddressOptions:
    """`separator` stands between the user and the detail."""

    separator: str = attrs.field(default="+", validator=attrs.validators.min_len(1))


@implementer(IForwarder)
class Subaddress:
    """Takes the detail away, if somebody is left; an account or an alias of the whole address goes before."""

    Options = SubaddressOptions
    from_directory = True

    def __init__(self, options: SubaddressOptions, server: IServer) -> None:
        self._separator = options.separator
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        user, separator, _ = recipient.local.partition(self._separator)
        if not separator or not user:
            return None
        plain = Address(user, recipient.domain)
        if not await self._exists(plain) or await self._exists(recipient):
            return None
        return (Forward(plain),)

    async def _exists(self, address: Address) -> bool:
        return await self._directory.account(address) is not None or await self._directory.alias(address) is not None
