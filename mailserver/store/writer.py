"""The one thread that writes: it takes whatever has gathered and commits it as one transaction.

While one batch is being made durable the next one gathers, so a busy server pays for one fsync per batch and
an idle one answers at once; nothing is delayed to make batches larger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailserver.errors import TemporaryFailure
from mailserver.store.engine import Turn
from mailserver.store.failures import as_told, connection_lost, from_database, is_deadlock
from mailserver.store.news import News, news
from mailserver.store.unlink import connect, released, unlink

log = Logger()

MOST_WAITING = 32 * 1024 * 1024     # octets of jobs that wait before `Writer.full`
MOST_IN_BATCH = 500                 # jobs of one transaction
LARGEST_BATCH = 8 * 1024 * 1024     # octets of one transaction, but for one job that is larger
LONGEST_WAIT = 60.0                 # seconds before a job that has not started is withdrawn
TRIES = 3                           # of a transaction that deadlocked or whose connection went before its commit

Results: TypeAlias = list[tuple["Job", Any]]


class OutcomeUnknown(Exception):
    """The connection went while it committed: perhaps it is done, perhaps not."""


@dataclass(eq=False, slots=True)
class Job:
    """Something to be written; `done` fires in the reactor's thread after the commit."""

    group: Callable[[Connection, list[Any]], list[Any]]
    item: Any
    size: int
    shared: bool                    # may be run together with others of the same group
    queued: float
    done: Deferred[Any] = field(default_factory=Deferred)


class Writer:
    """Runs jobs in its own thread; every method is for the reactor's thread.

    `turn` is the lock that processes on one SQLite file take in turn, None for PostgreSQL; `contents` is the folder
    of the files that jobs release.
    """

    def __init__(self, engine: Engine, turn: Turn | None, contents: Path, reactor: Any) -> None:
        self._engine = engine
        self._turn = turn
        self._connection: Connection | None = None      # SQLite's, which is kept from batch to batch
        self._contents = contents
        self._reactor = reactor
        self._news = Condition()
        self._queue: deque[Job] = deque()
        self._waiting = 0               # octets in the queue and in the batch at hand
        self._stopping = False
        self._changed: News | None = None       # by the batch that was committed last
        self._nudged = False
        self._on_drain: list[Deferred[None]] = []
        self._on_news: list[Callable[[News], None]] = []
        self._thread = Thread(target=self._run, name="writer", daemon=True)
        self._stopped: Deferred[None] = Deferred()
        self._look = LoopingCall(self._withdraw)
        self._look.clock = reactor
        self.batches = 0
        self.jobs = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._look.start(5.0, now=False)

    async def stop(self) -> None:
        """Finish what is queued, then end."""
        with self._news:
            self._stopping = True
            self._news.notify()
        await self._stopped
        if self._look.running:
            self._look.stop()
        self._thread.join()

    @property
    def full(self) -> bool:
        """Whether so much waits that nobody should send more."""
        return self._waiting > MOST_WAITING

    async def drained(self) -> None:
        """Until it is no longer full."""
        while self.full:
            drained: Deferred[None] = Deferred()
            self._on_drain.append(drained)
            await drained

    def on_news(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Call back, in the reactor's thread, with what a transaction has changed; call the result to end that."""
        self._on_news.append(callback)
        return lambda: self._on_news.remove(callback)

    def submit(
        self, group: Callable[[Connection, list[Any]], list[Any]], item: Any, size: int, shared: bool
    ) -> Deferred[Any]:
        """Queue a job; see `mailserver.store.database.Database.write`."""
        job = Job(group, item, size, shared, self._reactor.seconds())
        with self._news:
            if self._stopping:
                raise TemporaryFailure("the server is stopping")
            self._waiting += size
            self._queue.append(job)
        if not self._nudged:
            self._nudged = True
            self._reactor.callLater(0, self._nudge)
        return job.done

    def _nudge(self) -> None:
        """Wake the thread, once whatever this round of the reactor has to submit is queued.

        Woken by the first job of a round, it took that one alone and wrestled for the interpreter with the
        session that was about to submit the next: a fifth fewer messages a second, a quarter more CPU.
        """
        self._nudged = False
        with self._news:
            self._news.notify()

    # -- in the reactor's thread

    def _withdraw(self) -> None:
        """Answer "not now" to jobs that waited too long to be begun."""
        oldest = self._reactor.seconds() - LONGEST_WAIT
        late = []
        with self._news:
            while self._queue and self._queue[0].queued < oldest:
                late.append(self._queue.popleft())
        if late:
            log.warn("{count} jobs were withdrawn: the database does not keep up", count=len(late))
            self._answer([(job, _failure(TemporaryFailure("the database does not keep up"))) for job in late])

    def _answer(self, results: Results, changed: News | None = None) -> None:
        # The news first: whoever hears that his job is done may go on at once to look at what it has changed.
        if changed is not None:
            for tell in list(self._on_news):
                tell(changed)
        for job, result in results:
            self._waiting -= job.size
            job.done.callback(result)
        if self._on_drain and not self.full:
            drained, self._on_drain = self._on_drain, []
            for each in drained:
                each.callback(None)

    # -- in the writer's thread

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                results = self._commit(batch)
                self.batches += 1
                self.jobs += len(batch)
                changed, self._changed = self._changed, None
                self._reactor.callFromThread(self._answer, results, changed)
                del batch, results      # an idle writer holds nobody's mail
        finally:
            self._disconnect()
            if self._turn is not None:
                self._turn.close()
            self._reactor.callFromThread(self._stopped.callback, None)

    def _next_batch(self) -> list[Job]:
        """What has gathered, as soon as there is something; nothing: it is time to stop."""
        batch: list[Job] = []
        size = 0
        with self._news:
            while not self._queue and not self._stopping:
                self._news.wait()
            while self._queue and len(batch) < MOST_IN_BATCH:
                size += self._queue[0].size
                if batch and size > LARGEST_BATCH:
                    break
                batch.append(self._queue.popleft())
        return batch

    def _commit(self, batch: list[Job]) -> Results:
        """Each job with what it returned, or its failure: one that cannot be done does not stop the others."""
        run = _run_together
        tries = 0
        while True:
            tries += 1
            try:
                return self._transact(batch, run)
            except OutcomeUnknown:
                return [self._look_up(job) for job in batch]
            except Exception as error:
                if tries < TRIES and (is_deadlock(error) or connection_lost(error)):
                    continue
                if run is _run_together and not from_database(error):
                    run = _run_one_by_one
                    continue
                told = _failure(as_told(error))
                return [(job, told) for job in batch]

    def _transact(self, batch: list[Job], run: Callable[[Connection, list[Job]], Results]) -> Results:
        """Run and commit a batch.  What it raises was rolled back, unless it is `OutcomeUnknown`."""
        with self._turn or nullcontext(), self._connected() as connection:
            with connection.begin() as transaction:
                results = run(connection, batch)
                try:
                    transaction.commit()
                except Exception as error:
                    if connection_lost(error):
                        raise OutcomeUnknown from error
                    raise
            files = released(connection)[:]
            released(connection).clear()
            changed = news(connection).take()
            if self._on_news:
                self._changed = changed
        unlink(self._contents, files)
        return results

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection for one batch.

        To take one from the pool and give it back costs a third of what a small batch does.  SQLite's cannot be
        lost, so it is kept; after an error it is another one.
        """
        if self._turn is None:
            with connect(self._engine) as connection:
                yield connection
            return
        if self._connection is None:
            self._connection = connect(self._engine)
        try:
            yield self._connection
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _look_up(self, job: Job) -> tuple[Job, Any]:
        """Nobody knows whether this was committed: ask whether its rows are there, and write them if they are not."""
        look = getattr(job.group, "is_there", None)
        if look is None:
            return job, _failure(TemporaryFailure("the connection to the database was lost"))
        result: Any = None
        for _ in range(2):      # the lost commit may still be under way: then our own fails, and its rows are there
            try:
                with self._engine.connect() as connection, connection.begin():
                    if look(connection, job.item):
                        return job, None
            except Exception as error:
                return job, _failure(as_told(error))
            [(_, result)] = self._commit([job])
            if not isinstance(result, Failure):
                break
        return job, result


def _run_together(connection: Connection, batch: list[Job]) -> Results:
    groups: dict[Any, list[Job]] = {}
    for job in batch:
        groups.setdefault(job.group if job.shared else job, []).append(job)
    done: Results = []
    for jobs in groups.values():
        done += zip(jobs, jobs[0].group(connection, [job.item for job in jobs]), strict=True)
    return done


def _run_one_by_one(connection: Connection, batch: list[Job]) -> Results:
    """Each job inside a savepoint of its own: one that fails is undone alone, and one commit serves the rest."""
    done: Results = []
    files = released(connection)
    for job in batch:
        kept = len(files)
        savepoint = connection.begin_nested()
        try:
            [result] = job.group(connection, [job.item])
        except Exception as error:
            if from_database(error) or is_deadlock(error):
                raise
            savepoint.rollback()
            del files[kept:]
            result = _failure(as_told(error))
        else:
            savepoint.commit()
        done.append((job, result))
    return done


def _failure(error: BaseException) -> Failure:
    return Failure(error)  # type: ignore[no-untyped-call]
