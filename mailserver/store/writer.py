"""The one thread that writes: it takes whatever has gathered and commits it as one transaction.

While one batch is being made durable the next one gathers, so a busy server pays for one fsync per batch and
an idle one answers at once; nothing is delayed to make batches larger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailserver.errors import TemporaryFailure
from mailserver.store.unlink import forget_unlinks, unlink_released

log = Logger()

MOST_WAITING = 32 * 1024 * 1024     # octets of jobs that wait before `Writer.full`
MOST_IN_BATCH = 500                 # jobs of one transaction
LONGEST_WAIT = 60.0                 # seconds before a job that has not started is withdrawn


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

    `alone` gives the lock that processes on one SQLite file take in turn.
    """

    def __init__(self, engine: Engine, alone: Callable[[], AbstractContextManager[None]], reactor: Any) -> None:
        self._engine = engine
        self._alone = alone
        self._reactor = reactor
        self._news = Condition()
        self._queue: deque[Job] = deque()
        self._waiting = 0               # octets in the queue and in the batch at hand
        self._stopping = False
        self._on_drain: list[Deferred[None]] = []
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
            self._news.notify()
        return job.done

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

    def _answer(self, results: list[tuple[Job, Any]]) -> None:
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
            while True:
                with self._news:
                    while not self._queue and not self._stopping:
                        self._news.wait()
                    if not self._queue:
                        return
                    batch = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_IN_BATCH))]
                results = self._commit(batch)
                self.batches += 1
                self.jobs += len(batch)
                self._reactor.callFromThread(self._answer, results)
        finally:
            self._reactor.callFromThread(self._stopped.callback, None)

    def _commit(self, batch: list[Job]) -> list[tuple[Job, Any]]:
        """Each job with what it returned, or its failure: a batch that fails is run again, one by one."""
        committing = False
        try:
            with self._alone(), self._engine.connect() as connection:
                try:
                    transaction = connection.begin()
                    results = _run_jobs(connection, batch)
                    committing = True
                    transaction.commit()
                except BaseException:
                    forget_unlinks(connection)
                    raise
                unlink_released(connection)
                return results
        except Exception as error:
            if committing and isinstance(error, DBAPIError) and error.connection_invalidated:
                return [self._look_up(job) for job in batch]
            if len(batch) > 1:
                return [pair for job in batch for pair in self._commit([job])]
            return [(batch[0], _failure(error))]

    def _look_up(self, job: Job) -> tuple[Job, Any]:
        """The connection went while it committed, so nobody knows: ask whether the job's rows are there."""
        look = getattr(job.group, "is_there", None)
        if look is None:
            return job, _failure(TemporaryFailure("the connection to the database was lost"))
        try:
            with self._engine.connect() as connection:
                if look(connection, job.item):
                    return job, None
        except Exception:
            return job, _failure(TemporaryFailure("the connection to the database was lost"))
        return self._commit([job])[0]


def _run_jobs(connection: Connection, batch: list[Job]) -> list[tuple[Job, Any]]:
    groups: dict[Any, list[Job]] = {}
    for job in batch:
        groups.setdefault(job.group if job.shared else job, []).append(job)
    done: list[tuple[Job, Any]] = []
    for jobs in groups.values():
        done += zip(jobs, jobs[0].group(connection, [job.item for job in jobs]), strict=True)
    return done


def _failure(error: BaseException) -> Failure:
    return Failure(error)  # type: ignore[no-untyped-call]
