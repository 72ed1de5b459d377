"""Whose a login is: the authenticators in their configured order, for every protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from mailserver.address import Address
from mailserver.envelope import Client
from mailserver.errors import TemporaryFailure
from mailserver.hooks import Asked, Broken
from mailserver.interfaces import Account, IDirectory
from mailserver.sasl.scram import prepare

log = Logger()


class Authentication:
    """Asks each authenticator until one says yes."""

    def __init__(self, authenticators: Sequence[Asked], directory: IDirectory) -> None:
        self.authenticators = tuple(authenticators)
        self._directory = directory

    async def check(self, name: str, password: str, client: Client) -> Account | None:
        """The account that a right login is for; None for a wrong one, whatever is wrong with it.

        Raises `TemporaryFailure` when nobody said yes and somebody could not know.
        """
        try:
            name, password = prepare(name), prepare(password)
        except ValueError:
            return None
        unknown: TemporaryFailure | None = None
        for asked in self.authenticators:
            try:
                address = await asked.ask(asked.plugin.check, name, password, client, check=_check)
            except Broken as broken:
                if not asked.skips:
                    unknown = broken
                continue
            except TemporaryFailure as failure:
                unknown = failure
                continue
            if address is None:
                continue
            account = await self._directory.account(address)
            if account is None and await self._directory.refreshed():
                account = await self._directory.account(address)
            if account is None:
                log.warn("{plugin} knows {address}, which has no account here", plugin=asked.name, address=str(address))
                continue
            return account if account.enabled else None
        if unknown is not None:
            raise unknown
        return None


def _check(answer: Any) -> None:
    if not isinstance(answer, Address):
        # Its words are not repeated: they might be the password.
        raise ValueError(f"it answered with a {type(answer).__name__}, not with an Address")
