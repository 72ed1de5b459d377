"""``dev``: one password for everybody, who need not have existed before."""

from __future__ import annotations

import hmac

import attrs
from zope.interface import implementer

from mailserver.address import Address
from mailserver.envelope import Client
from mailserver.errors import BadAddress
from mailserver.interfaces import IAuthenticator, IServer
from mailserver.store.database import Database
from mailserver.store.ondemand import ensure_account


@attrs.frozen
class DevOptions:
    """The `password`."""

    password: str = attrs.field(repr=False, validator=attrs.validators.min_len(1))


@implementer(IAuthenticator)
class Dev:
    """For a developer's server only: whoever logs in has a mailbox."""

    Options = DevOptions

    def __init__(self, options: DevOptions, server: IServer) -> None:
        self._password = options.password.encode()
        self._server = server
        self._database: Database = server.database

    async def check(self, name: str, password: str, client: Client) -> Address | None:
        if not hmac.compare_digest(password.encode(), self._password):
            return None
        try:
            who = Address.parse(name)
        except BadAddress:
            return None
        if not who.domain:
            return None
        account = await self._database.write(ensure_account, who, self._server.now())
        await self._server.directory.refreshed()
        return account.address
