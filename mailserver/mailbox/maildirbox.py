"""One mailbox of a Maildir, as a session that has opened it sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from mailserver.content import CHUNK
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.imapstore import Changes, Copied, Flags, IImapMailbox, Ranges, State, Stored, Wanted
from mailserver.interfaces import Account, Message
from mailserver.mailbox import keywords
from mailserver.mailbox import maildirchanging as changing
from mailserver.mailbox import maildirviewing as viewing
from mailserver.mailbox.maildirchanging import Box
from mailserver.mailbox.mailfile import OpenFile
from mailserver.store.ranges import ranges_of

log = Logger()

RANGES = 1000               # of UIDs that one step looks at
UNDERSTOOD = 20             # messages that are understood in one step
SCANNED = 4 * 1024 * 1024   # octets of one step of a scan
Work = Callable[..., Awaitable[Any]]


@implementer(IImapMailbox)
class MaildirMailbox:
    """What it does is done in threads: `change` and `view` run blocking work, the first with the account's lock."""

    most_keywords = keywords.MOST

    def __init__(self, store: Any, account: Account, name: str, box: Box, id: str) -> None:
        self.name = name
        self.id = id
        self.account = account
        self.uidvalidity = box.uidvalidity
        self.guid = box.guid
        self._store = store

    @property
    def box(self) -> Box:
        """Where it lies."""
        return Box(self._store.home(self.account), self.guid, self.uidvalidity)

    async def _change(self, work: Any, *args: Any) -> Any:
        return await self._store.change(self.account, work, self.box, *args)

    async def _view(self, work: Any, *args: Any) -> Any:
        return await self._store.view(self.account, work, self.box, *args)

    async def _outside(self, work: Any, *args: Any) -> Any:
        """Without the lock: octets only."""
        return await self._store.in_thread(self.account, work, *args)

    # -- as POP3 sees it

    async def messages(self) -> Sequence[Message]:
        try:
            found: Sequence[Message] = await self._change(viewing.messages)
        except NotFound:
            return []
        return found

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        file = await self._open(uid)
        try:
            while octets := await self._outside(file.read):
                yield octets
        finally:
            file.close()

    async def beginning(self, uid: int, count: int) -> bytes:
        file = await self._open(uid)
        octets = b""
        try:
            while len(octets) < count and (piece := await self._outside(file.read)):
                octets += piece
        finally:
            file.close()
        return octets[:count]

    async def read_many(self, uids: Collection[int]) -> Mapping[int, bytes]:
        found: Mapping[int, bytes] = await self._view(viewing.read_many, ranges_of(sorted(set(uids))))
        return found

    async def remove(self, uids: Collection[int]) -> None:
        if uids:
            await self._change(changing.expunge, ranges_of(sorted(each for each in set(uids) if each > 0)), False)
            self._store.tell(self.guid)

    async def _open(self, uid: int) -> OpenFile:
        file: OpenFile = await self._view(viewing.open_file, uid)
        return file

    # -- as IMAP sees it

    async def load(self) -> State:
        state: State = await self._change(viewing.load)
        return state

    async def changes(self, since: int) -> Changes:
        changes: Changes = await self._change(viewing.changes, since)
        return changes

    async def claim_recent(self, until: int) -> None:
        await self._change(changing.claim_recent, until)

    async def store(self, uids: Ranges, how: str, flags: Flags, unchanged_since: int | None = None) -> Stored:
        stored: Stored = await self._change(changing.store, uids, how, flags, unchanged_since)
        if stored.changed:
            self._store.tell(self.guid)
        return stored

    async def expunge(self, uids: Ranges | None = None) -> tuple[Sequence[int], int]:
        gone, modseq = await self._change(changing.expunge, uids)
        if gone:
            self._store.tell(self.guid)
        return gone, modseq

    async def copy(self, uids: Ranges, account: Account, name: str, move: bool = False) -> Copied:
        copied: Copied = await self._store.copy(self, uids, account, name, move)
        return copied

    async def lines(
        self, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes]
    ) -> bytes | None:
        return None

    async def each_line(
        self, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes], most: int
    ) -> Mapping[int, bytes] | None:
        return None

    async def rows(self, uids: Ranges, wanted: Wanted) -> AsyncIterator[Any]:
        left, after = list(uids), 0
        while left:
            some = left[:RANGES]
            step = (wanted.render, some, wanted.columns, after, wanted.at_once)
            made, last, unknown = await self._view(viewing.rendered, *step)
            if unknown:
                for start in range(0, len(unknown), UNDERSTOOD):
                    await self._view(viewing.understand, unknown[start : start + UNDERSTOOD])
                made, last, _ = await self._view(viewing.rendered, *step)
            if made is not None:
                yield made
            after = last or some[-1][1]
            left = _behind(left, after)

    async def octets(self, uid: int, start: int, end: int, most: int) -> AsyncIterator[bytes]:
        file = await self._view(viewing.open_measured, uid)
        left = end - start
        try:
            piece = await self._outside(file.skip, start) if start else b""
            while left > 0:
                piece = piece or await self._outside(file.read, min(most, CHUNK))
                if not piece:
                    raise TemporaryFailure(f"the file of message {uid} has become shorter")
                for place in range(0, min(len(piece), left), most):
                    yield piece[place : min(place + most, left)]
                left -= len(piece)
                piece = b""
        finally:
            file.close()

    async def scan(
        self, uids: Ranges, work: Callable[[int, bytes, Any], Any], most: int = SCANNED
    ) -> AsyncIterator[Sequence[tuple[int, Any]]]:
        left, after = list(uids), 0
        while left:
            some = left[:RANGES]
            found, last = await self._view(viewing.scanned, work, some, after, most)
            if found:
                yield found
            after = last or some[-1][1]
            left = _behind(left, after)


def _behind(ranges: Sequence[tuple[int, int]], last: int) -> list[tuple[int, int]]:
    """What is left of ranges behind a UID."""
    return [(max(low, last + 1), high) for low, high in ranges if high > last]
