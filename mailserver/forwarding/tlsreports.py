"""``tls-reports``: the address that TLS reports come to needs no mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Drop
from mailserver.errors import BadAddress
from mailserver.interfaces import IForwarder, IServer


def _address(instance: Any, attribute: Any, value: str) -> None:
    try:
        if Address.parse(value).domain:
            return
        why = "the domain is missing"
    except BadAddress as error:
        why = str(error)
    raise ValueError(f"'{attribute.name}' needs to be an address, not {value!r}: {why}")


@attrs.frozen
class TlsReportsOptions:
    """`address` is where they come to."""

    address: str = attrs.field(validator=_address)


@implementer(IForwarder)
class TlsReports:
    """Takes what comes to the address, unless an account or an alias there wants it too.

    The filter of the same name has read it before; ``[tls_report]`` in the configuration brings both.
    """

    Options = TlsReportsOptions
    from_directory = True

    def __init__(self, options: TlsReportsOptions, server: IServer) -> None:
        self._key = Address.parse(options.address).key
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        if recipient.key != self._key:
            return None
        if await self._directory.account(recipient) or await self._directory.alias(recipient) is not None:
            return None
        return (Drop("TLS reports are kept in the database"),)
