"""The database of one server: transactions for whoever waits, a writer and readers for the reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from mailserver.errors import StartRefused, TemporaryFailure
from mailserver.store.engine import READERS, Turn, flock, postgresql_engine, sqlite_engine
from mailserver.store.failures import in_words, translated
from mailserver.store.unlink import connect, released, unlink
from mailserver.store.writer import Writer

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741


class Database:
    """SQLite in `data`, or the PostgreSQL of `url`.

    `open` and `close` block; `transaction` and `reading` are for commands and threads; `write`, `write_with`
    and `read` are for the reactor's thread, between `start` and `stop`.
    """

    def __init__(self, url: str | None, data: Path) -> None:
        self.url = url
        self.data = data
        self.contents = data / "contents"           # the files of large contents
        self.is_sqlite = url is None
        self.file = data / "mailserver.sqlite3"
        self._writing: Engine | None = None
        self._reading: Engine | None = None
        self._writer: Writer | None = None
        self._readers: ThreadPool | None = None
        self._reactor: Any = None

    # -- opening

    def open(self, migrate: bool = False) -> None:
        """Open it; with `migrate`, make or renew its tables first, alone.  Raises `StartRefused`."""
        from mailserver.store.migrate import refuse_foreign_revision, upgrade

        try:
            self.contents.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.url is None:
                if not self.file.exists():
                    if not migrate:
                        raise StartRefused(f"there is no database in {self.data}; mailserver init makes one")
                    # Nobody else reads the mail of others; the files that SQLite puts beside it do as it does.
                    self.file.touch(mode=0o600)
                self._writing = sqlite_engine(self.file, writing=True)
                self._reading = sqlite_engine(self.file, writing=False)
            else:
                self._writing = postgresql_engine(self.url)
                # Each statement of READ COMMITTED sees another moment: a mod-sequence would not fit its messages.
                self._reading = self._writing.execution_options(isolation_level="REPEATABLE READ")
            if migrate:
                with self._alone():
                    upgrade(self._writing)
            else:
                refuse_foreign_revision(self._writing)
        except SQLAlchemyError as error:
            self.close()
            raise StartRefused(f"the database cannot be opened: {in_words(error)}") from None
        except OSError as error:
            self.close()
            raise StartRefused(f"cannot use {error.filename}: {error.strerror}") from None
        except StartRefused:
            self.close()
            raise

    def close(self) -> None:
        """Give back what `open` took."""
        for engine in {self._writing, self._reading}:
            if engine is not None:
                engine.dispose()
        self._writing = self._reading = None

    def _alone(self) -> Any:
        return flock(self.data / "write.lock") if self.is_sqlite else nullcontext()

    # -- for whoever may block

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block; one process at a time on SQLite.

        Raises `TemporaryFailure` when the database cannot do it now.
        """
        assert self._writing is not None, "the database is not open"
        with translated():
            with self._alone(), connect(self._writing) as connection, connection.begin():
                yield connection
            unlink(self.contents, released(connection))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view, for as short as can be: while it lasts, the write-ahead log grows.

        Raises `TemporaryFailure` when the database cannot be read now.
        """
        assert self._reading is not None, "the database is not open"
        with translated(), self._reading.connect() as connection:
            if not self.is_sqlite:
                # Else each statement sees what was committed before it, and not before the first.
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    # -- for the reactor's thread

    def start(self, reactor: Any) -> None:
        """Start the writer's and the readers' threads."""
        assert self._writing is not None, "the database is not open"
        self._reactor = reactor
        turn = Turn(self.data / "write.lock") if self.is_sqlite else None
        self._writer = Writer(self._writing, turn, self.contents, reactor)
        self._writer.start()
        self._readers = ThreadPool(0, READERS, "readers")
        self._readers.start()

    async def stop(self) -> None:
        """Finish what is queued, then end the threads; whoever still asks hears "not now"."""
        if self._writer is not None:
            await self._writer.stop()
        readers, self._readers = self._readers, None
        if readers is not None:
            await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), readers.stop)

    @property
    def writer(self) -> Writer:
        """The writer; raises `RuntimeError` when the database was not started."""
        if self._writer is None:
            raise RuntimeError("the database is not running")
        return self._writer

    def write(self, job: Callable[..., T], *args: Any, size: int = 0) -> Deferred[T]:
        """Run ``job(connection, *args)`` in the writer's next transaction; it may run again after a rollback.

        The Deferred fires once it is committed.  `size` is what the job holds in memory, in octets.
        """
        return self.writer.submit(lambda connection, items: [job(connection, *args)], None, size, shared=False)

    def write_with(self, group: Callable[[Connection, list[I]], list[T]], item: I, size: int = 0) -> Deferred[T]:
        """Like `write`, for jobs of one kind: ``group(connection, items)`` takes all of a batch, with a result each."""
        return self.writer.submit(group, item, size, shared=True)

    def read(self, question: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run ``question(connection, *args)`` in a reader's thread."""
        if self._readers is None:
            raise TemporaryFailure("the server is stopping")
        return deferToThreadPool(self._reactor, self._readers, self._ask, question, args)

    def _ask(self, question: Callable[..., T], args: tuple[Any, ...]) -> T:
        with self.reading() as connection:
            return question(connection, *args)
