"""``dev``: everybody at every domain has a mailbox, made when the first mail for it comes."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Mailbox
from mailserver.interfaces import INBOX, IForwarder, IServer
from mailserver.store.database import Database
from mailserver.store.ondemand import ensure_account


@attrs.frozen
class DevOptions:
    """`store` keeps the mail; what stands behind `separator` in a local part is not part of the mailbox's name."""

    store: str = "sql"
    separator: str = "+"


@implementer(IForwarder)
class Dev:
    """Put it last: it takes everybody, so that nothing leaves the machine."""

    Options = DevOptions
    dry = False                 # asking it makes accounts, so ``explain`` does not

    def __init__(self, options: DevOptions, server: IServer) -> None:
        self._options = options
        self._server = server
        self._database: Database = server.database

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        user = recipient.local.partition(self._options.separator)[0] or recipient.local
        who = Address(user, recipient.domain)
        account = await self._server.directory.account(who)
        if account is None:
            account = await self._database.write(ensure_account, who, self._server.now())
            await self._server.directory.refreshed()
        return (Mailbox(account.address, self._options.store, INBOX),)
