"""The exclusive-access lock on a maildrop (RFC 1939 4): a lease, which ends by itself when the server dies."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import succeed
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.store import locks
from mailserver.store.database import Database

log = Logger()


class MaildropLock:
    """Of one session; `owner` begins with the server's instance, which renews all its leases."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._name: str | None = None

    async def take(self, account_id: int, now: float, lease: float) -> bool:
        """Take it for `lease` seconds; False when somebody else has it."""
        name = f"pop3/{account_id}"
        if not await self._database.write(locks.take, name, self._owner, now, now + lease):
            return False
        self._name = name
        return True

    def release(self) -> Awaitable[None]:
        """Let others open the mailbox, if it is held; never fails."""
        name, self._name = self._name, None
        if name is None:
            return succeed(None)
        try:
            freed = self._database.write(locks.release, name, self._owner)
        except (RuntimeError, TemporaryFailure):
            return succeed(None)        # the server stops, and gives back all that it holds
        return freed.addErrback(lambda failure: log.failure("a lock was not given back; it will lapse", failure))
