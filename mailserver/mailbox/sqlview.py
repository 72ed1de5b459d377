"""One mailbox of the database, as somebody sees it who is not its owner: with his own \\Seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailserver.imapstore import Changes, Flags, Ranges, State, Stored
from mailserver.interfaces import Account
from mailserver.mailbox.sqlmailbox import SqlMailbox
from mailserver.store import sights


class SqlView(SqlMailbox):
    """The messages, and all flags but one, are those of the mailbox; its `id` is too."""

    viewer: int

    def of(self, viewer: Account) -> SqlView:
        """For this account."""
        self.viewer = viewer.id
        return self

    async def load(self) -> State:
        return await self._database.read(sights.load, self.row, self.viewer)

    async def changes(self, since: int) -> Changes:
        return await self._database.read(sights.changes, self.row, self.viewer, since)

    async def claim_recent(self, until: int) -> None:
        """What is recent for the owner stays so."""

    async def store(self, uids: Ranges, how: str, flags: Flags, unchanged_since: int | None = None) -> Stored:
        return await self.change(uids, how, flags, -1, unchanged_since)

    async def lines(
        self, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes]
    ) -> bytes | None:
        if not {"FLAGS", "MODSEQ"}.isdisjoint(names):
            return None             # the store writes what stands in its rows
        return await super().lines(numbers, uids, names, flags)

    async def each_line(
        self, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes], most: int
    ) -> Mapping[int, bytes] | None:
        if not {"FLAGS", "MODSEQ"}.isdisjoint(names):
            return None
        return await super().each_line(numbers, uids, names, flags, most)
