"""``smarthost``: mail for some domains, or for all that are not ours, goes to one server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from zope.interface import implementer

from mailserver.address import Address, domain_key, parse_domain
from mailserver.destination import Destination, Remote
from mailserver.errors import BadAddress
from mailserver.interfaces import IForwarder, IServer
from mailserver.net.connect import read_host


def _host(instance: Any, attribute: Any, value: str) -> None:
    try:
        read_host(value)
    except ValueError:
        raise ValueError(
            f"'{attribute.name}' needs to be like \"tcp:relay.example.net:587\", not {value!r}"
        ) from None


def _domains(instance: Any, attribute: Any, value: list[str]) -> None:
    for each in value:
        try:
            parse_domain(each)
        except BadAddress as error:
            raise ValueError(f"in '{attribute.name}' {each!r} is no domain: {error}") from None


@attrs.frozen
class SmarthostOptions:
    """`host` is like ``tcp:relay.example.net:587``; without `domains`, for all that are not local."""

    host: str = attrs.field(validator=_host)
    domains: list[str] = attrs.field(factory=list, validator=_domains)


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
