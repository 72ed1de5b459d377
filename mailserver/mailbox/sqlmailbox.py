"""One mailbox of the database, as a session that has opened it sees it."""

from __future__ import annotations

import mmap
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from zope.interface import implementer

from mailserver.errors import NotFound
from mailserver.imapstore import (
    MOST_KEYWORDS,
    Changes,
    Clues,
    Copied,
    Flags,
    IIndexed,
    Ranges,
    Seek,
    State,
    Stored,
    Wanted,
)
from mailserver.interfaces import Account, IServer, Message
from mailserver.mailbox.digester import Digester
from mailserver.sharing import ISharedMailbox
from mailserver.store import changing, contents, messages, removed, rendering, searching, sights, viewing
from mailserver.store.database import Database
from mailserver.store.mailboxes import object_id
from mailserver.store.ranges import ranges_of

ROWS = 500                          # of one step, which is one short transaction
RANGES = 1000                       # of UIDs that one step looks at
SCANNED = 4 * 1024 * 1024           # octets of one step of a scan
Work = Callable[[int, bytes, Any], Any]


@implementer(ISharedMailbox, IIndexed)
class SqlMailbox:
    """One mailbox; its rows are read in the readers' threads.  `row` is its number in the table."""

    most_keywords = MOST_KEYWORDS

    def __init__(
        self, server: IServer, digester: Digester, name: str, row: int, uidvalidity: int, usual: tuple[int, int]
    ) -> None:
        self.name = name
        self.row = row
        self.uidvalidity = uidvalidity
        self.id = object_id(row, uidvalidity)
        self._server = server
        self._digester = digester
        self._database: Database = server.database
        self._usual = usual
        self.viewer: int | None = None      # whose own \\Seen this shows; None: its owner's

    @classmethod
    def of_row(cls, server: IServer, row: int) -> SqlMailbox:
        """To be scanned: nothing else is known of it."""
        return cls(server, Digester(server), "", row, 0, (0, 0))

    # -- as POP3 sees it

    async def messages(self) -> Sequence[Message]:
        return await self._database.read(messages.listing, self.row)

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        prefix, whole, content_id = await self._database.read(_find, self.row, uid)
        if whole is not None:
            yield prefix + whole
            return
        yield prefix
        async for octets in contents.stream(self._database, content_id, self._server.in_thread):
            yield octets

    async def beginning(self, uid: int, count: int) -> bytes:
        return await self._database.read(partial(_beginning, folder=self._database.contents), self.row, uid, count)

    async def read_many(self, uids: Collection[int]) -> Mapping[int, bytes]:
        return await self._database.read(messages.read_many, self.row, uids)

    async def remove(self, uids: Collection[int]) -> None:
        ranges = ranges_of(sorted(set(uids)))
        await self._expunge(ranges, False, removed.POP3)

    # -- as IMAP sees it

    async def load(self) -> State:
        return await self._database.read(viewing.load, self.row)

    async def changes(self, since: int) -> Changes:
        return await self._database.read(viewing.changes, self.row, since)

    async def claim_recent(self, until: int) -> None:
        await self._database.write(viewing.claim_recent, self.row, until)

    async def store(self, uids: Ranges, how: str, flags: Flags, unchanged_since: int | None = None) -> Stored:
        return await self._database.write(changing.store, self.row, uids, how, flags, unchanged_since)

    async def change(
        self, uids: Ranges, how: str, flags: Flags, may_set: int, unchanged_since: int | None = None
    ) -> Stored:
        return await self._database.write(
            sights.store, self.row, self.viewer, uids, how, flags, may_set, unchanged_since
        )

    async def expunge(self, uids: Ranges | None = None) -> tuple[Sequence[int], int]:
        return await self._expunge(uids, True, removed.EXPUNGE)

    async def _expunge(self, uids: Ranges | None, only_deleted: bool, why: str) -> tuple[Sequence[int], int]:
        keeps = self._server.keeping.undelete > 0
        return await self._database.write(
            changing.expunge, self._database.contents, self.row, uids, self._server.now(), only_deleted,
            why if keeps else "", self._usual,
        )

    async def copy(self, uids: Ranges, account: Account, name: str, move: bool = False) -> Copied:
        return await self._database.write(
            changing.copy, self.row, uids, (account.id, name), self._server.now(), move, self._usual
        )

    async def lines(
        self, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes]
    ) -> bytes | None:
        if not self._database.is_sqlite or not rendering.can_write(names):
            return None
        return await self._database.read(rendering.lines, self.row, numbers, uids, names, flags)

    async def each_line(
        self, numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes], most: int
    ) -> Mapping[int, bytes] | None:
        if not self._database.is_sqlite or not rendering.can_write(names):
            return None
        return await self._database.read(rendering.each_line, self.row, numbers, uids, names, flags, most)

    async def rows(self, uids: Ranges, wanted: Wanted) -> AsyncIterator[Any]:
        left, after = list(uids), 0
        while left:
            some = left[:RANGES]
            step = (self.row, some, wanted.columns, after, wanted.at_once, self.viewer)
            made, last, unknown = await self._database.read(_rendered, wanted.render, *step)
            if unknown:
                await self._digester.understand(unknown)
                made, last, _ = await self._database.read(_rendered, wanted.render, *step)
            if made is not None:
                yield made
            after = last or some[-1][1]
            left = _behind(left, after)

    async def clues(self, seeks: Sequence[Seek]) -> Clues:
        return await self._database.read(searching.clues, self.row, seeks)

    async def octets(self, uid: int, start: int, end: int, most: int) -> AsyncIterator[bytes]:
        prefix, whole, content_id = await self._database.read(_find, self.row, uid)
        left = end - start
        if start < len(prefix):
            piece = prefix[start:end]
            left -= len(piece)
            yield piece
        start = max(0, start - len(prefix))
        if whole is not None:
            for place in range(start, min(start + left, len(whole)), most):
                yield whole[place : min(place + most, start + left)]
            return
        if left <= 0:
            return
        async for octets in contents.stream(self._database, content_id, self._server.in_thread, start, most):
            yield octets[:left]
            left -= len(octets)
            if left <= 0:
                return

    async def scan(
        self, uids: Ranges, work: Work, most: int = SCANNED
    ) -> AsyncIterator[Sequence[tuple[int, Any]]]:
        left, after = list(uids), 0
        while left:
            some = left[:RANGES]
            found, elsewhere, last = await self._database.read(
                _scanned, work, self._database.contents, self.row, some, after, most
            )
            for uid, prefix, content_id in elsewhere:
                try:
                    content, copy = await contents.as_content(self._database, content_id, self._server.in_thread)
                except (NotFound, FileNotFoundError):
                    continue
                try:
                    found.append((uid, await self._server.in_thread(_of_file, work, uid, prefix, content.path)))
                finally:
                    if copy is not None:
                        copy.discard()
            if found:
                yield sorted(found, key=_uid)
            after = last or some[-1][1]
            left = _behind(left, after)


def _uid(found: tuple[int, Any]) -> int:
    return found[0]


def _behind(ranges: Sequence[tuple[int, int]], last: int) -> list[tuple[int, int]]:
    """What is left of ranges behind a UID."""
    return [(max(low, last + 1), high) for low, high in ranges if high > last]


def _rendered(
    connection: Connection, render: Callable[[Sequence[tuple[Any, ...]]], Any], mailbox_id: int,
    uids: Sequence[tuple[int, int]], columns: Sequence[str], after: int, limit: int, viewer: int | None = None,
) -> tuple[Any, int, list[int]]:
    """What `render` makes of some rows, the last UID of them if there may be more, and contents not yet understood."""
    rows = viewing.rows(connection, mailbox_id, uids, columns, after, limit)
    if not rows:
        return None, 0, []
    last = rows[-1][0] if len(rows) == limit else 0
    if viewer is not None and not {"flags", "modseq"}.isdisjoint(columns):
        rows = sights.seen_rows(connection, mailbox_id, viewer, columns, rows)
    unknown = [row[1] for row in rows if row[2] is None]
    known = [row[3:] for row in rows if row[2] is not None]
    return render(known) if known else None, last, unknown


def _scanned(
    connection: Connection, work: Work, folder: Path, mailbox_id: int, uids: Sequence[tuple[int, int]], after: int,
    most: int,
) -> tuple[list[tuple[int, Any]], list[tuple[int, bytes, int]], int]:
    """What `work` finds in messages that are at hand; those that lie in pieces; and where to go on."""
    rows, last = viewing.octets(connection, mailbox_id, uids, after, most, ROWS)
    found, elsewhere = [], []
    for uid, prefix, content_id, file, data in rows:
        if data is not None:
            found.append((uid, work(uid, prefix, data)))
        elif file is not None:
            with suppress(FileNotFoundError):       # expunged since it was listed
                found.append((uid, _of_file(work, uid, prefix, folder / file)))
        else:
            elsewhere.append((uid, prefix, content_id))
    return found, elsewhere, last


def _of_file(work: Work, uid: int, prefix: bytes, path: Any) -> Any:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as mapped:
            return work(uid, prefix, mapped)
    finally:
        os.close(descriptor)


def _find(connection: Any, mailbox_id: int, uid: int) -> tuple[bytes, bytes | None, int]:
    prefix, content_id = messages.find_message(connection, mailbox_id, uid)
    return prefix, contents.load(connection, content_id).whole, content_id


def _beginning(connection: Any, mailbox_id: int, uid: int, count: int, *, folder: Any) -> bytes:
    prefix, content_id = messages.find_message(connection, mailbox_id, uid)
    if len(prefix) >= count:
        return prefix[:count]
    return prefix + contents.beginning(connection, folder, content_id, count - len(prefix))


