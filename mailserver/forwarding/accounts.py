"""``accounts``: mail for an account goes to its INBOX."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.destination import Destination, Mailbox
from mailserver.interfaces import INBOX, IForwarder, IServer


@attrs.frozen
class AccountsOptions:
    """`store` is the mailbox store that keeps the mail."""

    store: str = "sql"


@implementer(IForwarder)
class Accounts:
    """The accounts of the directory."""

    Options = AccountsOptions
    from_directory = True

    def __init__(self, options: AccountsOptions, server: IServer) -> None:
        self._options = options
        self._directory = server.directory

    async def forward(self, recipient: Address) -> Sequence[Destination] | None:
        account = await self._directory.account(recipient)
        if account is None or not account.address.local:        # who has public mailboxes gets no mail
            return None
        return (Mailbox(account.address, self._options.store, INBOX),)
