"""Contents: small ones are rows, large ones are immutable files beside the database (rows of pieces on PostgreSQL)."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, select, update
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailserver import ident
from mailserver.content import CHUNK, LARGE, Content
from mailserver.errors import NotFound
from mailserver.store.database import Database
from mailserver.store.schema import content, piece
from mailserver.store.statements import batches, fetch, fetch_one, fetch_values, insert_rows, listed, run_with
from mailserver.store.unlink import unlink_after_commit

log = Logger()
InThread = Callable[..., Awaitable[Any]]

WRITE_AT = 512 * 1024       # octets gathered before they are written to a file
ORPHAN_AGE = 24 * 3600.0    # seconds after which a file without a row is nobody's


class Incoming:
    """Takes the octets of one content as they come: memory first, a file once they are `LARGE`.

    While one piece is written in a thread the next one gathers; whoever writes waits only when both are full.
    """

    __slots__ = ("_file", "_gathered", "_in_thread", "_size", "_start", "_writing")

    def __init__(self, folder: Path, name: str, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._file = LargeFile(folder, name)
        self._gathered: list[bytes] = []
        self._size = 0                      # octets gathered and not yet handed to a write
        self._start: bytes | None = None    # the beginning of a content that has become large
        self._writing: Awaitable[None] | None = None

    async def write(self, octets: bytes) -> None:
        """Keep some octets; raises `OSError` when a file cannot take them."""
        self._gathered.append(octets)
        self._size += len(octets)
        if self._size > (LARGE if self._start is None else WRITE_AT):
            await self._spill()

    async def finish(self) -> Content:
        """The whole content; a large one is durable in its file when this returns.

        Raises `OSError` when it cannot be written; then call `discard`.
        """
        if self._start is None:
            octets = b"".join(self._gathered)
            return Content(len(octets), octets)
        await self._spill()
        await self._written()
        size, path = await self._in_thread(self._file.seal)
        return Content(size, self._start, str(path))

    def discard(self) -> None:
        """Throw it away, before `finish` or after."""
        self._gathered.clear()
        if self._start is not None:
            Deferred.fromCoroutine(self._throw_away())

    async def _throw_away(self) -> None:
        try:
            try:
                await self._written()
            finally:
                await self._in_thread(self._file.remove)
        except OSError as error:
            log.warn("a content that was thrown away: {words}", words=str(error))

    async def _spill(self) -> None:
        await self._written()
        block = b"".join(self._gathered)
        self._gathered.clear()
        self._size = 0
        if self._start is None:
            self._start = block[:LARGE]
        self._writing = self._in_thread(self._file.write, block)

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing


class LargeFile:
    """The file of a large content, for threads: one at a time, and nothing is written any more once it is removed.

    Raises `OSError` when it cannot be written.
    """

    __slots__ = ("_descriptor", "_folder", "_lock", "_name", "_path", "_removed")

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._lock = Lock()
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._removed = False

    def write(self, block: bytes) -> None:
        """More octets."""
        with self._lock:
            if self._removed:
                return
            if self._descriptor is None:
                path = self._folder / f"{self._name}.part"
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                self._path = path
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view):]

    def seal(self) -> tuple[int, Path]:
        """Make it durable under its name: the octets, then the name."""
        with self._lock:
            assert self._descriptor is not None and self._path is not None
            os.fsync(self._descriptor)
            size = os.fstat(self._descriptor).st_size
            self._close()
            final = self._folder / self._name
            os.rename(self._path, final)
            self._path = final
            sync_folder(self._folder)
            return size, final

    def remove(self) -> None:
        """It comes to nothing."""
        with self._lock:
            self._removed = True
            self._close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Stored:
    """A content as its row tells of it; `whole` is None when it lies elsewhere, in `file` or in pieces."""

    id: int
    size: int
    file: str | None
    whole: bytes | None


def insert_many(connection: Connection, contents: Sequence[tuple[int, Content, int]]) -> None:
    """Rows for contents: id, content, and how many message and spool rows hold it (not none)."""
    rows: list[tuple[Any, ...]] = []
    for id, each, uses in contents:
        file = os.path.basename(each.path) if each.path is not None else None
        if file is not None and connection.dialect.name != "sqlite":
            rows.append((id, each.size, uses, None, None))
        else:
            rows.append((id, each.size, uses, file, None if file else each.beginning))
    insert_rows(connection, content, rows)
    if connection.dialect.name != "sqlite":
        for id, each, _ in contents:
            if each.path is not None:
                for number, octets in enumerate(each.chunks()):
                    insert_rows(connection, piece, [(id, number, octets)])
                unlink_after_commit(connection, Path(each.path))


def load(connection: Connection, id: int) -> Stored:
    """The row of a content; raises `NotFound`."""
    row = fetch_one(connection, "SELECT size, file, data FROM content WHERE id = ?", (id,))
    if row is None:
        raise NotFound(f"there is no content {id}")
    return Stored(id, row[0], row[1], bytes(row[2]) if row[2] is not None else None)


def load_many(connection: Connection, ids: Sequence[int], most: int) -> dict[int, Stored]:
    """The rows of small contents, so many of these as have `most` octets together; the others are left out."""
    found: dict[int, Stored] = {}
    octets = 0
    for some in batches(sorted(set(ids))):
        marks = ", ".join("?" * len(some))
        text = f"SELECT id, size FROM content WHERE file IS NULL AND size <= ? AND id IN ({marks})"
        fitting = []
        for id, size in fetch(connection, text, [LARGE, *some]):
            octets += size
            if octets > most:
                break
            fitting.append(id)
        if not fitting:
            continue                    # PostgreSQL knows no empty list
        marks = ", ".join("?" * len(fitting))
        for id, size, data in fetch(connection, f"SELECT id, size, data FROM content WHERE id IN ({marks})", fitting):
            if data is not None:
                found[id] = Stored(id, size, None, bytes(data))
    return found


def beginning(connection: Connection, folder: Path, id: int, count: int) -> bytes:
    """At most the first `count` octets; raises `NotFound`.  Blocks."""
    stored = load(connection, id)
    if stored.whole is not None:
        return stored.whole[:count]
    if stored.file is not None:
        with open(folder / stored.file, "rb") as file:
            return file.read(count)
    octets = b""
    for number in range(count // CHUNK + 1):
        octets += read_piece(connection, id, number)
    return octets[:count]


def read_piece(connection: Connection, id: int, number: int) -> bytes:
    """One piece of a large content on PostgreSQL; empty behind the last."""
    data = connection.execute(select(piece.c.data).where(piece.c.content_id == id, piece.c.number == number)).scalar()
    return bytes(data) if data is not None else b""


async def stream(
    database: Database, id: int, in_thread: InThread, start: int = 0, most: int = CHUNK
) -> AsyncIterator[bytes]:
    """The octets of a stored content from `start` on, in pieces of at most `most`; raises `NotFound`."""
    stored = await database.read(load, id)
    if stored.whole is not None:
        for place in range(start, len(stored.whole), most):
            yield stored.whole[place : place + most]
    elif stored.file is not None:
        try:
            descriptor = await in_thread(os.open, database.contents / stored.file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"the file of content {id} is gone") from None
        try:
            while octets := await in_thread(os.pread, descriptor, most, start):
                start += len(octets)
                yield octets
        finally:
            os.close(descriptor)
    else:
        number = 0
        while octets := await database.read(read_piece, id, number):
            number += 1
            for place in range(start, len(octets), most):
                yield octets[place : place + most]
            start = max(0, start - len(octets))


async def as_content(database: Database, id: int, in_thread: InThread) -> tuple[Content, Incoming | None]:
    """A stored content as a value; what comes with it must be discarded after use.  Raises `NotFound`."""
    stored = await database.read(load, id)
    if stored.whole is not None:
        return Content.of(stored.whole), None
    if stored.file is not None:
        path = database.contents / stored.file
        return Content(stored.size, await in_thread(_read_start, path), str(path)), None
    copy = Incoming(database.contents, f"copy-{secrets.token_hex(8)}", in_thread)
    try:
        async for octets in stream(database, id, in_thread):
            await copy.write(octets)
        return await copy.finish(), copy
    except BaseException:
        copy.discard()
        raise


def _read_start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(LARGE)


def acquire(connection: Connection, id: int, count: int = 1) -> None:
    """`count` more rows hold this content; raises `NotFound` when it has gone."""
    done = connection.execute(update(content).where(content.c.id == id).values(uses=content.c.uses + count))
    if not done.rowcount:
        raise NotFound(f"there is no content {id}")


def release(connection: Connection, folder: Path, id: int, count: int = 1) -> None:
    """`count` fewer rows hold it; the last one takes it away, its file after the commit."""
    release_many(connection, folder, [id] * count)


def share(connection: Connection, mailbox_id: int, uid: int) -> None:
    """The messages of a mailbox from this UID on hold their contents as well as those that they are copies of."""
    run_with(
        connection,
        "INSERT INTO shared (content_id, more) SELECT content_id, COUNT(*) FROM message"
        " WHERE mailbox_id = ? AND uid >= ? GROUP BY content_id ORDER BY content_id"
        " ON CONFLICT (content_id) DO UPDATE SET more = shared.more + excluded.more",
        [mailbox_id, uid],
    )


def release_many(connection: Connection, folder: Path, held: Iterable[int]) -> None:
    """One row fewer holds each of these; an id may be there several times."""
    fewer = Counter(held)
    for some in batches(sorted(fewer)):         # in one order for all: no deadlock
        marks, ids = listed(some)
        if connection.dialect.name != "sqlite":
            # Who lets go of the same content waits here, so that the last one sees that it is.
            fetch(connection, f"SELECT id FROM content WHERE id IN ({marks}) ORDER BY id FOR UPDATE", ids)
        copies = fetch(connection, f"SELECT content_id FROM shared WHERE content_id IN ({marks})", ids)
        copied = {row[0] for row in copies}
        _count_down(connection, "content SET uses = uses", "id", {id: fewer[id] for id in some if id not in copied})
        gone = f"id IN ({marks}) AND uses <= 0"
        if copied:
            _count_down(connection, "shared SET more = more", "content_id", {id: fewer[id] for id in copied})
            gone = (
                f"id IN ({marks}) AND uses + COALESCE((SELECT more FROM shared WHERE content_id = content.id), 0) <= 0"
            )
        if connection.dialect.name != "sqlite":
            run_with(
                connection, f"DELETE FROM piece WHERE content_id IN (SELECT id FROM content WHERE {gone})", ids
            )
        files = f"SELECT file AS x FROM content WHERE file IS NOT NULL AND {gone}"
        for file in fetch_values(connection, files, ids):
            unlink_after_commit(connection, folder / file)
        run_with(connection, f"DELETE FROM content WHERE {gone}", ids)
        if copied:
            run_with(
                connection,
                f"DELETE FROM shared WHERE content_id IN ({marks}) AND (more = 0"
                " OR NOT EXISTS (SELECT 1 FROM content WHERE content.id = shared.content_id))",
                ids,
            )
        run_with(
            connection,
            f"DELETE FROM digest WHERE content_id IN ({marks})"
            " AND NOT EXISTS (SELECT 1 FROM content WHERE content.id = digest.content_id)",
            ids,
        )


def _count_down(connection: Connection, what: str, key: str, fewer: Mapping[int, int]) -> None:
    for count in sorted(set(fewer.values())):
        marks, ids = listed([id for id, each in fewer.items() if each == count])
        run_with(connection, f"UPDATE {what} - ? WHERE {key} IN ({marks})", [count, *ids])


def sweep(connection: Connection, folder: Path, now: float | None = None) -> int:
    """Remove files that no row speaks of and that are older than a day; returns how many.  Blocks.

    Such files are left by a server that died between a file and its row, or between a delete and its unlink.
    """
    oldest = (time.time() if now is None else now) - ORPHAN_AGE
    removed = 0
    for names in batches([each.name for each in os.scandir(folder) if _is_older(each, oldest)]):
        ids = [ident.read(name[:13]) for name in names if _is_id(name[:13])]
        known = set(connection.execute(select(content.c.file).where(content.c.id.in_(ids))).scalars())
        for name in set(names) - known:
            (folder / name).unlink(missing_ok=True)
            removed += 1
    return removed


def _is_older(entry: os.DirEntry[str], oldest: float) -> bool:
    try:
        return entry.is_file() and entry.stat().st_mtime < oldest
    except FileNotFoundError:
        return False


def _is_id(text: str) -> bool:
    try:
        ident.read(text)
    except ValueError:
        return False
    return True
