"""``shared``: mail for a mailbox in which anyone may post goes there ("p", RFC 4314 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Mailbox
from mailserver.interfaces import IForwarder, IServer


@attrs.frozen
class SharedOptions:
    """`separator` stands between an account and its mailbox; `store` keeps the mail."""

    separator: str = attrs.field(default="+", validator=attrs.validators.min_len(1))
    store: str = "sql"


@implementer(IForwarder)
class Shared:
    """The addresses of mailboxes (``mailserver mailbox address``), and user+Mailbox; "p" has to be anyone's there."""

    Options = SharedOptions
    from_directory = True

    def __init__(self, options: SharedOptions, server: IServer) -> None:
        self._options = options
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        found = await self._directory.posting(recipient)
        if found is None:
            user, separator, name = recipient.local.partition(self._options.separator)
            if not user or not name or not separator:
                return None
            found = await self._directory.posting_below(Address(user, recipient.domain), name)
        return None if found is None else (Mailbox(found[0], self._options.store, found[1]),)
