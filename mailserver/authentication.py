"""Whose a login is: the authenticators in their configured order, for every protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.address import Address
from mailserver.envelope import Client
from mailserver.errors import TemporaryFailure
from mailserver.hooks import Asked, Broken
from mailserver.interfaces import Account, IDirectory
from mailserver.net.limits import Limits
from mailserver.sasl.scram import prepare

log = Logger()

GUESSER_WAITS = 2.0         # seconds


class Authentication:
    """Asks each authenticator until one says yes."""

    def __init__(
        self, authenticators: Sequence[Asked], directory: IDirectory, limits: Limits, clock: IReactorTime
    ) -> None:
        self.authenticators = tuple(authenticators)
        self._directory = directory
        self._limits = limits
        self._clock = clock

    async def check(self, name: str, password: str, client: Client) -> Account | None:
        """The account that a right login is for; None for a wrong one, whatever is wrong with it.

        Who has guessed too often of late hears the same for a while, late, and nobody is asked.  Raises
        `TemporaryFailure` when nobody said yes and somebody could not know.
        """
        if not self._limits.may_log_in(client.address):
            log.warn("{address} guesses passwords: it is not listened to for a while", address=client.address)
            await deferLater(self._clock, GUESSER_WAITS)
            return None
        account = await self._asked(name, password, client)
        if account is None:
            self._limits.failed_login(client.address)
        return account

    async def _asked(self, name: str, password: str, client: Client) -> Account | None:
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
