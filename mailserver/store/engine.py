"""Opening SQLite and PostgreSQL as they must be opened to lose nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from mailserver.errors import StartRefused
from mailserver.store.statements import run

OLDEST_SQLITE = (3, 51, 3)
READERS = 4             # threads that read, each with its connection
BUSY = 30.0             # seconds that a statement waits for another process
CHECKPOINT = 4000       # pages of the write-ahead log before it is moved into the file
LARGEST_LOG = 64 * 1024 * 1024      # octets that the write-ahead log keeps of the disk when it is empty again
# Seconds until a PostgreSQL that does not answer counts as away; milliseconds for one that fell silent.
POSTGRESQL = {
    "application_name": "mailserver", "connect_timeout": 10, "tcp_user_timeout": 60_000, "keepalives_idle": 30,
    "keepalives_interval": 10, "keepalives_count": 3,
}


def sqlite_engine(file: Path, writing: bool) -> Engine:
    """An engine for the embedded database; writers begin IMMEDIATE, since a read that turns into a write fails.

    Raises `StartRefused` when the SQLite library could lose a committed transaction.
    """
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        raise StartRefused("the package pysqlite3 is missing: pip install pysqlite3") from None
    refuse_old_sqlite(dbapi2.sqlite_version)
    engine = create_engine(
        f"sqlite+pysqlite:///{file}",
        module=dbapi2,
        poolclass=QueuePool,
        pool_size=1 if writing else READERS,    # each that is kept has a cache of its own
        max_overflow=20,
        pool_use_lifo=True,
        connect_args={"check_same_thread": False, "timeout": BUSY, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def opened(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")
        cursor.execute(f"PRAGMA journal_size_limit={LARGEST_LOG}")
        if not writing:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def began(connection: Any) -> None:
        run(connection, "BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def refuse_old_sqlite(version: str) -> None:
    """SQLite before 3.51.3 can lose a committed transaction in WAL mode (sqlite.org/wal.html#walresetbug)."""
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StartRefused(
            f"SQLite {version} can lose committed mail (the WAL-reset bug); {oldest} or newer is needed:"
            " pip install --upgrade pysqlite3"
        )


def postgresql_engine(url: str) -> Engine:
    """An engine for PostgreSQL by psycopg; raises `StartRefused` when the driver is missing."""
    try:
        place = make_url(url)
    except ArgumentError:
        raise StartRefused("the database is not a URL like postgresql://user@host/name") from None
    if place.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StartRefused(
            f"the database {place.drivername}:// is not known; it is postgresql:// or nothing, for SQLite"
        )
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise StartRefused('the driver of PostgreSQL is missing: pip install "mailserver[postgresql]"') from None
    return create_engine(
        place.set(drivername="postgresql+psycopg"),
        pool_size=READERS + 1,
        pool_pre_ping=True,
        connect_args=POSTGRESQL | dict(place.query),
    )


@contextmanager
def flock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file, which all processes that write to one SQLite database take in turn.

    SQLite's own waiting is unfair: with four writers one of them may wait for seconds.  Raises
    `BlockingIOError` when it is taken and `wait` is False.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


class Turn:
    """The same lock for one thread that takes it again and again, whose file it keeps open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> None:
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *raised: Any) -> None:
        assert self._handle is not None
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file back."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
