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
    """Takes the detail away, if somebody is left: stand it behind ``accounts`` and ``aliases``."""

    Options = SubaddressOptions

    def __init__(self, options: SubaddressOptions, server: IServer) -> None:
        self._separator = options.separator
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        user, separator, _ = recipient.local.partition(self._separator)
        if not separator or not user:
            return None
        plain = Address(user, recipient.domain)
        if await self._directory.account(plain) is None and await self._directory.alias(plain) is None:
            return None
        return (Forward(plain),)
