"""The directory as it is asked for every recipient: remembered, and forgotten when somebody changes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from mailserver.address import Address, domain_key
from mailserver.interfaces import Account, IDirectory
from mailserver.store import delegates, directory, postings
from mailserver.store.database import Database

log = Logger()
T = TypeVar("T")

MOST_REMEMBERED = 8192      # answers, of half a kilobyte each
LOOK = 0.5                  # seconds between two looks at the revision
LATELY = 5.0                # seconds after a change in which an answer may have been begun before it


@implementer(IDirectory)
class Directory:
    """Answers from memory where it can, "no" included.

    Who refuses somebody because of a "no" asks `refreshed` first: another process may have just made the account.
    """

    def __init__(self, database: Database, clock: Any) -> None:
        self._database = database
        self._known: OrderedDict[tuple[str, Any], Any] = OrderedDict()
        self._clock = clock
        self._changes = 0               # how often everything was forgotten
        self._revision: int | None = None
        self._moved = -LATELY           # when a change was last seen
        self._asked = 0                 # looks that were begun, and the newest of them that was answered
        self._answered = 0
        self._look = LoopingCall(self._look_at_revision)
        self._look.clock = clock

    def start(self) -> None:
        """Begin to watch for changes."""
        self._look.start(LOOK)

    def stop(self) -> None:
        """Watch no more."""
        if self._look.running:
            self._look.stop()

    async def is_local(self, domain: str) -> bool:
        name = domain_key(domain)
        return await self._answer("domain", name, directory.find_domain, name) is not None

    async def domains(self) -> Sequence[str]:
        return await self._database.read(directory.domains)

    async def account(self, address: Address) -> Account | None:
        key = address.key
        return await self._answer("account", key, directory.find_account, key)

    async def alias(self, address: Address) -> Sequence[Address] | None:
        key = address.key
        return await self._answer("alias", key, directory.find_alias, key)

    async def catch_all(self, domain: str) -> Sequence[Address] | None:
        key = "@" + domain_key(domain)
        return await self._answer("alias", key, directory.find_alias, key)

    async def posting(self, address: Address) -> tuple[Address, str] | None:
        key = address.key
        return await self._answer("posting", key, postings.find, key)

    async def posting_below(self, owner: Address, name: str) -> tuple[Address, str] | None:
        which = (owner.key, name)
        return await self._answer("below", which, postings.below, which)

    async def delegates(self, address: Address) -> Collection[str]:
        key = address.key
        return await self._answer("delegates", key, delegates.keys, key) or frozenset()

    async def credentials(self, account: Account, kind: str) -> Sequence[bytes]:
        return await self._database.read(directory.find_credentials, account.id, kind)

    @property
    def version(self) -> int | None:
        return None if self._revision is None else self._changes

    def forget(self) -> None:
        """Whatever is remembered may be wrong."""
        self._known.clear()
        self._changes += 1

    async def refreshed(self) -> bool:
        """Look for changes now; True when there were some lately, so that a "no" from memory must be asked again."""
        await self._look_at_revision()
        return self._revision is None or self._clock.seconds() - self._moved < LATELY

    async def _answer(self, what: str, key: Any, question: Callable[..., T | None], argument: Any) -> T | None:
        known = self._known
        if (what, key) in known:
            known.move_to_end((what, key))
            remembered: T | None = known[what, key]
            return remembered
        revision = self._revision
        answer = await self._database.read(question, argument)
        if revision is not None and revision == self._revision:
            known[what, key] = answer
            if len(known) > MOST_REMEMBERED:
                known.popitem(last=False)
        return answer

    async def _look_at_revision(self) -> None:
        self._asked += 1
        asked = self._asked
        try:
            revision: int | None = await self._database.read(directory.current)
        except Exception as error:
            log.error("cannot look for changes of the directory: {error}", error=error)
            revision = None
        if asked < self._answered:
            return      # a later look was faster
        self._answered = asked
        if revision is None or revision != self._revision:
            self._moved = self._clock.seconds()
            self._revision = revision
            self.forget()
