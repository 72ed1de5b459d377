"""Whether there is room in a mailbox for a message that is about to come: over quota is 452 at RCPT, not a bounce."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from mailserver.destination import Destination, Mailbox
from mailserver.errors import NotFound
from mailserver.imapstore import IImapStore, IMailboxQuotas, Quota
from mailserver.interfaces import IDirectory, IMailboxStore

REMEMBERED = 1.0            # seconds for which an account's quota is not looked at again
MOST_REMEMBERED = 4096      # accounts


class Room:
    """Asks the stores that know quotas.  Where nobody has one it asks nothing, until the directory changes.

    What came within a second, or by an alias that leads to others as well, may go beyond a quota (so may mail of our
    own, which is not asked for here): what was taken is delivered.
    """

    def __init__(self, stores: Mapping[str, IMailboxStore], directory: IDirectory, clock: Any) -> None:
        self._stores: dict[str, Any] = {
            name: store for name, store in stores.items() if IImapStore.providedBy(store)
        }
        self._directory = directory
        self._clock = clock
        self._version: int | None = None        # of the directory, when it was last asked who has a quota
        self._limited: set[str] = set()         # the stores in which somebody has one
        self._known: OrderedDict[tuple[str, str], tuple[float, Quota]] = OrderedDict()
        self._of_mailboxes: OrderedDict[tuple[str, str, str], tuple[float, Quota | None]] = OrderedDict()

    async def is_full(self, destinations: Sequence[Destination], octets: int) -> bool:
        """Whether a message of this size (0: it is not known) has only mailboxes to go to in which is no room.

        Raises `TemporaryFailure` when it cannot be known.
        """
        if not self._stores:
            return False
        version = self._directory.version
        if version is None or version != self._version:
            self._limited = {name for name, store in self._stores.items() if await store.has_quotas()}
            self._known.clear()
            self._of_mailboxes.clear()
            self._version = version
        if not self._limited or not destinations:
            return False
        for each in destinations:
            if not isinstance(each, Mailbox) or each.store not in self._limited:
                return False
            quota = await self._quota(each)
            if quota is None:
                return False
            if quota.has_room(max(octets, 1)) and not await self._is_full_itself(each, octets):
                return False
        return True

    async def _is_full_itself(self, place: Mailbox, octets: int) -> bool:
        """Whether this one mailbox has all that it may have."""
        store = self._stores[place.store]
        if not IMailboxQuotas.providedBy(store):
            return False
        key, now = (place.store, place.account.key, place.name), self._clock.seconds()
        known = self._of_mailboxes.get(key)
        if known is None or now >= known[0]:
            account = await self._directory.account(place.account)
            found = None if account is None else await store.mailbox_quota(account, place.name)
            known = self._of_mailboxes[key] = (now + REMEMBERED, found)
            self._of_mailboxes.move_to_end(key)
            if len(self._of_mailboxes) > MOST_REMEMBERED:
                self._of_mailboxes.popitem(last=False)
        return known[1] is not None and not known[1].has_room(max(octets, 1))

    async def _quota(self, place: Mailbox) -> Quota | None:
        key, now = (place.store, place.account.key), self._clock.seconds()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        account = await self._directory.account(place.account)
        if account is None:
            return None
        try:
            found: Quota = await self._stores[place.store].quota(account)
        except NotFound:
            return None
        self._known[key] = (now + REMEMBERED, found)
        self._known.move_to_end(key)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return found
