"""What a Maildir cannot say of itself, in ``mailserver-index`` beside it, an SQLite file that may be thrown away.

Mod-sequences, what was expunged, dates of saving, what is understood of messages, and what was decided and may not be
done yet.  It is made anew when it is missing, broken or of another version: then mod-sequences begin beyond all that
were ever told, for they begin at the time.  Everything here blocks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.store.digests import VERSION as DIGEST
from mailserver.store.digests import Digest
from mailserver.store.viewing import KEEP, KEEP_MOST

log = Logger()

FILE = "mailserver-index"
VERSION = 1
COLUMNS = frozenset({"uid", "flags", "modseq", "size", "received", "saved", "content_id"})
_EACH_SECOND = 1 << 16      # mod-sequences: no mailbox changes more often for long
_DIGEST = ", ".join(Digest._fields)
_MESSAGE = "mailbox_id, uid, place, flags, modseq, size, is_sure, received, saved, content_id"

_SCHEMA = f"""
CREATE TABLE mailbox (id INTEGER PRIMARY KEY AUTOINCREMENT, folder BLOB NOT NULL UNIQUE, guid TEXT NOT NULL UNIQUE,
 uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, forgotten INTEGER NOT NULL,
 recent INTEGER NOT NULL, keywords TEXT NOT NULL, messages INTEGER NOT NULL,
 unseen INTEGER NOT NULL, octets INTEGER NOT NULL);
CREATE TABLE message (mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, place BLOB NOT NULL, flags INTEGER NOT NULL,
 modseq INTEGER NOT NULL, size INTEGER NOT NULL, is_sure INTEGER NOT NULL, received REAL NOT NULL, saved REAL NOT NULL,
 content_id INTEGER NOT NULL, PRIMARY KEY (mailbox_id, uid)) WITHOUT ROWID;
CREATE INDEX message_by_modseq ON message (mailbox_id, modseq);
CREATE TABLE expunged (mailbox_id INTEGER NOT NULL, modseq INTEGER NOT NULL, uid INTEGER NOT NULL, at REAL NOT NULL,
 PRIMARY KEY (mailbox_id, modseq, uid)) WITHOUT ROWID;
CREATE TABLE digest (mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, version INTEGER NOT NULL, {_DIGEST},
 PRIMARY KEY (mailbox_id, uid));
CREATE TABLE decided (number INTEGER PRIMARY KEY, source BLOB NOT NULL, target BLOB);
PRAGMA user_version = {VERSION};
"""


class IndexBroken(Exception):
    """The file cannot be used any more, or not now."""


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except dbapi2.OperationalError as error:        # locked, the disk is full ...
        raise TemporaryFailure(f"{FILE}: {error}") from error
    except dbapi2.DatabaseError as error:           # no database, or a broken one
        raise IndexBroken(str(error)) from error


@dataclass(frozen=True, slots=True)
class Row:
    """A mailbox, in the order of the table's columns."""

    id: int
    folder: bytes           # "" INBOX, ".Name" others
    guid: str
    uidvalidity: int
    uidnext: int
    modseq: int
    forgotten: int
    recent: int
    keywords: str
    messages: int
    unseen: int
    octets: int

    @property
    def names(self) -> tuple[str, ...]:
        """Its keywords, by their bits."""
        return tuple(self.keywords.split())


@dataclass(frozen=True, slots=True)
class Entry:
    """A message."""

    uid: int
    place: str              # "new/x", "cur/x:2,S"
    flags: int
    modseq: int
    size: int
    is_sure: int            # whether it was counted, or follows from the file's own
    received: float
    saved: float
    content_id: int


class Index:
    """One account's.  Whoever uses it holds the account's lock."""

    def __init__(self, base: Path) -> None:
        self._file = base / FILE
        self._connection: Any = None

    def open(self) -> None:
        """Open it, if that is not done; make it anew if it cannot be used.  Raises `OSError`."""
        if self._connection is not None and os.path.exists(self._file):
            return
        self.close()
        try:
            self._begin()
        except IndexBroken as error:
            log.error("{path} cannot be used and is made anew: {words}", path=str(self._file), words=str(error))
            self.throw_away()
            self._begin()

    def _begin(self) -> None:
        self._connection = dbapi2.connect(
            os.fspath(self._file), timeout=30.0, isolation_level=None, check_same_thread=False
        )
        self.run("PRAGMA journal_mode=WAL")
        self.run("PRAGMA synchronous=FULL")
        self.run("PRAGMA journal_size_limit=1048576")
        [(version,)] = self.fetch("PRAGMA user_version")
        if version == VERSION:
            self.fetch("SELECT COUNT(*) FROM mailbox")
            return
        if version:
            raise IndexBroken(f"it is of version {version}")
        os.chmod(self._file, 0o600)
        with self.transaction():
            for statement in _SCHEMA.split(";\n"):
                self.run(statement)

    def close(self) -> None:
        """Let it go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def throw_away(self) -> None:
        """It is broken: the next to open it makes another."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self._file.with_name(FILE + end).unlink(missing_ok=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, durably, or nothing."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def run(self, text: str, parameters: Sequence[Any] = ()) -> None:
        """A statement without rows."""
        with _errors():
            self._connection.execute(text, parameters)

    def run_many(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """The same statement for each of these."""
        if rows:
            with _errors():
                self._connection.executemany(text, rows)

    def fetch(self, text: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query."""
        with _errors():
            rows: list[Any] = self._connection.execute(text, parameters).fetchall()
        return rows

    # -- mailboxes

    def mailbox(self, column: str, value: Any) -> Row | None:
        """The one whose `column` has this value."""
        rows = self.fetch(f"SELECT * FROM mailbox WHERE {column} = ?", (value,))
        return Row(*rows[0]) if rows else None

    def make_mailbox(self, folder: bytes, guid: str, uidvalidity: int, uidnext: int, recent: int, now: float) -> Row:
        """One of which nothing is known: its mod-sequences begin now."""
        start = max(1, int(now)) * _EACH_SECOND
        self.run(
            "INSERT INTO mailbox (folder, guid, uidvalidity, uidnext, modseq, forgotten, recent, keywords,"
            " messages, unseen, octets) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, 0, 0)",
            (folder, guid, uidvalidity, uidnext, start, start, recent),
        )
        found = self.mailbox("folder", folder)
        assert found is not None
        return found

    def drop_mailbox(self, id: int) -> None:
        """Nothing is known of it any more."""
        for table in ("message", "expunged", "digest"):
            self.run(f"DELETE FROM {table} WHERE mailbox_id = ?", (id,))
        self.run("DELETE FROM mailbox WHERE id = ?", (id,))

    def count(self, id: int) -> None:
        """Count its messages anew."""
        self.run(
            "UPDATE mailbox SET (messages, unseen, octets) = (SELECT COUNT(*), COALESCE(SUM(flags & 1 = 0), 0),"
            " COALESCE(SUM(size), 0) FROM message WHERE mailbox_id = mailbox.id) WHERE id = ?", (id,)
        )

    def used(self) -> tuple[int, int]:
        """Octets and messages of all mailboxes."""
        [(octets, messages)] = self.fetch("SELECT COALESCE(SUM(octets), 0), COALESCE(SUM(messages), 0) FROM mailbox")
        return octets, messages

    # -- messages

    def entries(self, id: int, uids: Sequence[tuple[int, int]] | None = None) -> list[Entry]:
        """Messages by UID: all, or those of ranges."""
        where, parameters = within(id, uids)
        text = f"SELECT {_MESSAGE[12:]} FROM message WHERE mailbox_id = ? AND {where} ORDER BY uid"
        rows = self.fetch(text, [id, *parameters])
        return [Entry(uid, os.fsdecode(place), *others) for uid, place, *others in rows]

    def known(self, id: int) -> dict[int, tuple[str, int, int]]:
        """By UID: place, flags and mod-sequence of all messages."""
        text = "SELECT uid, place, flags, modseq FROM message WHERE mailbox_id = ?"
        decode = os.fsdecode
        return {uid: (decode(place), flags, modseq) for uid, place, flags, modseq in self.fetch(text, (id,))}

    def entry(self, id: int, uid: int) -> Entry | None:
        """One of them."""
        found = self.entries(id, [(uid, uid)])
        return found[0] if found else None

    def insert(self, id: int, entries: Sequence[Entry]) -> None:
        """New messages."""
        self.run_many(f"INSERT INTO message ({_MESSAGE}) VALUES (?{', ?' * 9})", [
            (id, each.uid, os.fsencode(each.place), each.flags, each.modseq, each.size, each.is_sure, each.received,
             each.saved, each.content_id) for each in entries
        ])

    def expunge(self, id: int, uids: Sequence[int], modseq: int, now: float) -> None:
        """Messages are gone; what is long ago, or too much, is forgotten."""
        self.run_many("DELETE FROM message WHERE mailbox_id = ? AND uid = ?", [(id, uid) for uid in uids])
        self.run_many("DELETE FROM digest WHERE mailbox_id = ? AND uid = ?", [(id, uid) for uid in uids])
        self.run_many("INSERT INTO expunged VALUES (?, ?, ?, ?)", [(id, modseq, uid, now) for uid in uids])
        [(old,)] = self.fetch("SELECT MAX(modseq) FROM expunged WHERE mailbox_id = ? AND at < ?", (id, now - KEEP))
        beyond = self.fetch(
            "SELECT modseq FROM expunged WHERE mailbox_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?", (id, KEEP_MOST)
        )
        last = max(old or 0, beyond[0][0] if beyond else 0)
        if last:
            self.run("DELETE FROM expunged WHERE mailbox_id = ? AND modseq <= ?", (id, last))
            self.run("UPDATE mailbox SET forgotten = MAX(forgotten, ?) WHERE id = ?", (last, id))

    def gone(self, id: int, since: int) -> list[int]:
        """UIDs that are gone since."""
        text = "SELECT uid FROM expunged WHERE mailbox_id = ? AND modseq > ? ORDER BY uid"
        return [uid for uid, in self.fetch(text, (id, since))]

    # -- rows

    def rows(
        self, id: int, uids: Sequence[tuple[int, int]], columns: Sequence[str], after: int, limit: int
    ) -> list[Any]:
        """Columns of messages behind `after`, behind their UID and whether they are understood, if that matters."""
        where, parameters = within(id, uids)
        join, known, names = "", "1", []
        for each in columns:
            if each in COLUMNS:
                names.append(f"message.{each}")
            elif each == "prefix":
                names.append("x''")             # what came before the content is part of the file
            elif each in Digest._fields:
                names.append(f"digest.{each}")
                join = (
                    " LEFT JOIN digest ON digest.mailbox_id = message.mailbox_id AND digest.uid = message.uid"
                    f" AND digest.version = {DIGEST}"
                )
                known = "digest.version"
            else:
                raise ValueError(f"there is no column {each}")
        return self.fetch(
            f"SELECT {', '.join(['message.uid', known, *names])} FROM message{join} WHERE message.mailbox_id = ?"
            f" AND message.uid > ? AND message.{where} ORDER BY message.uid LIMIT ?", [id, after, *parameters, limit],
        )

    def put_digests(self, id: int, digests: Sequence[tuple[int, int, Digest]]) -> None:
        """What is understood of messages that are still there, and their sizes, which were counted with it."""
        self.run_many(
            f"INSERT OR REPLACE INTO digest (mailbox_id, uid, version, {_DIGEST})"
            f" SELECT mailbox_id, uid, {DIGEST}{', ?' * len(Digest._fields)} FROM message"
            " WHERE mailbox_id = ? AND uid = ?", [(*each, id, uid) for uid, _, each in digests],
        )
        self.put_sizes(id, [(uid, size) for uid, size, _ in digests])

    def put_sizes(self, id: int, sizes: Sequence[tuple[int, int]]) -> None:
        """Sizes that were counted."""
        self.run_many(
            "UPDATE message SET size = ?, is_sure = 1 WHERE mailbox_id = ? AND uid = ? AND is_sure = 0",
            [(size, id, uid) for uid, size in sizes],
        )
        self.count(id)

    # -- what was decided

    def decide(self, steps: Sequence[tuple[Path, Path | None]]) -> None:
        """From now on this happens, whatever else does: files are renamed, or removed (None)."""
        with self.transaction():
            self.run_many("INSERT INTO decided (source, target) VALUES (?, ?)", [
                (os.fsencode(source), None if target is None else os.fsencode(target)) for source, target in steps
            ])

    def decided(self) -> list[tuple[Path, Path | None]]:
        """What may not be done yet."""
        return [
            (Path(os.fsdecode(source)), None if target is None else Path(os.fsdecode(target)))
            for source, target in self.fetch("SELECT source, target FROM decided ORDER BY number")
        ]

    def done(self) -> None:
        """All of that is done."""
        self.run("DELETE FROM decided")


def within(id: int, uids: Sequence[tuple[int, int]] | None) -> tuple[str, list[Any]]:
    """A condition on ``uid``, and what stands for its marks; None: all."""
    if uids is None:
        return "uid > 0", []
    if not uids:
        return "uid IS NULL", []
    if len(uids) == 1:
        return "uid BETWEEN ? AND ?", list(uids[0])
    return (
        "uid IN (SELECT each.uid FROM json_each(?) AS span CROSS JOIN message AS each"
        " WHERE each.mailbox_id = ? AND each.uid BETWEEN span.value ->> 0 AND span.value ->> 1)"
    ), [json.dumps([list(each) for each in uids]), id]
