"""The writer: many jobs, one commit; a bad one fails alone; and what cannot be done now is "not now"."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Connection, insert, select
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailserver.content import Content
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.store import contents, directory, engine, writer
from mailserver.store.accepting import write_many
from mailserver.store.schema import content, message, refusal, spool, trace
from tests.store.cases import Contract, PostgresqlCase, SqliteCase, StoreCase
from tests.store.proxy import Wire


class HandClock(Clock):
    """A reactor whose time is ours, and whose threads are real."""

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> Any:
        if delay == 0:      # "in the next round" is no matter of time
            return reactor.callLater(0, callable, *args, **kw)
        return super().callLater(delay, callable, *args, **kw)

    def callFromThread(self, *call: Any) -> None:
        reactor.callFromThread(*call)  # type: ignore[attr-defined]

    def getThreadPool(self) -> Any:
        return reactor.getThreadPool()  # type: ignore[attr-defined]


def put(connection: Connection, number: int) -> int:
    connection.execute(insert(refusal).values(id=number, record="{}"))
    return number


def put_all(connection: Connection, numbers: list[int]) -> list[int]:
    for number in numbers:
        put(connection, number)
    return [len(numbers)] * len(numbers)


class Held:
    """The writer is kept at one job until `let_go`, so that others gather behind it."""

    def __init__(self, case: StoreCase) -> None:
        self._go = threading.Event()
        case.addCleanup(self._go.set)
        self.begun: Deferred[None] = Deferred()
        self.done = case.database.write(self._wait)

    def _wait(self, connection: Connection) -> None:
        reactor.callFromThread(self.begun.callback, None)  # type: ignore[attr-defined]
        self._go.wait(20)

    def let_go(self) -> None:
        self._go.set()


async def hold(case: StoreCase) -> Held:
    """Returns when the writer is held."""
    held = Held(case)
    await held.begun
    return held


class WriterContract(Contract):
    def numbers(self) -> list[int]:
        with self.reading() as connection:
            return list(connection.execute(select(refusal.c.id).order_by(refusal.c.id)).scalars())

    async def test_what_gathered_is_one_transaction(self) -> None:
        """Jobs of one kind in one call, and all of them in one commit."""
        self.start()
        held = await hold(self)
        jobs = [self.database.write_with(put_all, number) for number in range(10)]
        jobs.append(self.database.write(put, 10))
        before = self.database.writer.batches
        held.let_go()
        self.assertEqual(await gatherResults(jobs), [10] * 10 + [10])
        self.assertLessEqual(self.database.writer.batches - before, 2)
        self.assertEqual(self.numbers(), list(range(11)))

    async def test_the_answer_comes_after_the_commit(self) -> None:
        """Whoever is answered can be asked for by anybody."""
        self.start()
        for number in range(20):
            await self.database.write(put, number)
            self.assertEqual(len(self.numbers()), number + 1)

    async def test_a_bad_row_fails_alone(self) -> None:
        """Of twelve jobs one breaks a key, one raises, and one gives the driver what it cannot take."""
        await self.database_with(1)
        held = await hold(self)

        def strange(connection: Connection) -> None:
            put(connection, 100)
            connection.exec_driver_sql("SELECT no_such_column FROM refusal")

        def raises(connection: Connection) -> None:
            put(connection, 101)
            raise NotFound("there is no such thing")

        def twice(connection: Connection) -> None:
            put(connection, 102)
            put(connection, 1)

        good = [self.database.write_with(put_all, number) for number in range(10, 20)]
        bad: list[Deferred[Any]] = [self.database.write(each) for each in (strange, raises, twice)]
        bad.append(self.database.write_with(put_all, 1))
        held.let_go()
        self.assertEqual(len(await gatherResults(good)), 10)
        await self.failed(bad[0], TemporaryFailure)
        await self.failed(bad[1], NotFound)
        await self.failed(bad[2], TemporaryFailure)
        await self.failed(bad[3], TemporaryFailure)
        self.assertEqual(self.numbers(), [1, *range(10, 20)])

    async def test_a_rolled_back_job_runs_again(self) -> None:
        """Its first run is undone whole; the second one counts."""
        self.start()
        held = await hold(self)
        runs: list[int] = []

        def counts(connection: Connection) -> int:
            runs.append(len(connection.execute(select(refusal.c.id)).all()))
            put(connection, 5)
            return len(runs)

        counted = self.database.write(counts)
        bad = self.database.write(lambda connection: put(connection, 5))
        held.let_go()
        self.assertEqual(await counted, 2)
        await self.failed(bad, TemporaryFailure)
        self.assertEqual((runs, self.numbers()), ([0, 0], [5]))

    async def test_a_failed_job_releases_nothing(self) -> None:
        """The file that it would have unlinked stays, the file of its neighbour goes."""
        self.start()
        for id in (7, 8):
            await self.database.write(contents.insert_many, [(id, await self.large(id=id), 1)])
        held = await hold(self)

        def fails(connection: Connection) -> None:
            contents.release(connection, self.database.contents, 7)
            raise NotFound("after all")

        bad = self.database.write(fails)
        good = self.database.write(contents.release, self.database.contents, 8)
        held.let_go()
        await good
        await self.failed(bad, NotFound)
        with self.reading() as connection:
            self.assertEqual(list(connection.execute(select(content.c.id)).scalars()), [7])
            self.assertEqual(len(contents.beginning(connection, self.database.contents, 7, 100)), 100)

    async def test_a_job_that_is_not_begun_in_time_is_withdrawn(self) -> None:
        """After a minute its peer hears "not now"; the one that was begun is awaited."""
        clock = HandClock()
        self.database.start(clock)
        self.addCleanup(self.database.stop)
        held = await hold(self)
        late = self.database.write(put, 1)
        clock.advance(50)
        younger = self.database.write(put, 2)
        clock.pump([5] * 3)
        await self.failed(late, TemporaryFailure)
        self.assertFalse(held.done.called)
        held.let_go()
        await held.done
        await younger
        self.assertEqual(self.numbers(), [2])

    async def test_full(self) -> None:
        """It says so when too much waits, and says when it is over; a withdrawn job counts no more."""
        clock = HandClock()
        self.database.start(clock)
        self.addCleanup(self.database.stop)
        held = await hold(self)
        jobs = [self.database.write_with(put_all, number, 12 * 1024 * 1024) for number in range(3)]
        self.assertTrue(self.database.writer.full)
        drained = Deferred.fromCoroutine(self.database.writer.drained())
        self.assertFalse(drained.called)
        held.let_go()
        await drained
        self.assertFalse(self.database.writer.full)
        await gatherResults(jobs)
        self.assertEqual(self.database.writer._waiting, 0)

    async def test_a_batch_is_bounded(self) -> None:
        """In octets too: large jobs do not make one endless transaction."""
        self.start()
        held = await hold(self)
        before = self.database.writer.batches
        jobs = [self.database.write_with(put_all, number, writer.LARGEST_BATCH // 2) for number in range(6)]
        held.let_go()
        self.assertEqual(await gatherResults(jobs), [2] * 6)
        self.assertEqual(self.database.writer.batches - before, 4)

    async def test_stop_finishes_what_is_queued(self) -> None:
        """Nothing that was taken is dropped; who comes later hears "not now"."""
        self.start()
        held = await hold(self)
        jobs = [self.database.write(put, number) for number in range(10)]
        stopping = Deferred.fromCoroutine(self.database.stop())
        with self.assertRaises(TemporaryFailure):
            self.database.write(put, 11)
        held.let_go()
        await stopping
        self.assertEqual([job.result for job in jobs], list(range(10)))
        for late in (lambda: self.database.write(put, 12), lambda: self.database.read(lambda connection: 1)):
            with self.assertRaises(TemporaryFailure):
                late()

    async def test_tables_that_were_taken_away(self) -> None:
        """Both who writes and who reads hears "not now", never "no"."""
        self.start()
        with self.writing() as connection:
            connection.exec_driver_sql("DROP TABLE refusal")
        await self.failed(self.database.write(put, 1), TemporaryFailure)
        asking = self.database.read(lambda connection: connection.execute(select(refusal.c.id)).all())
        await self.failed(asking, TemporaryFailure)
        self.assertEqual(await self.database.write(lambda connection: 5), 5)

    async def test_accepted_whole_or_not_at_all(self) -> None:
        """A message whose second mailbox has gone leaves no row of itself; its neighbour in the batch is accepted."""
        self.start()
        bob, eve = self.account("bob"), self.account("eve")
        gone = self.account("gone")
        with self.writing() as connection:
            directory.remove_account(connection, gone.address, self.database.contents)
        held = await hold(self)
        bad = self.database.write_with(write_many, self.accepting(Content.of(b"x"), bob, gone, entries=2))
        good = self.database.write_with(write_many, self.accepting(Content.of(b"y"), bob, eve, entries=1))
        held.let_go()
        await good
        await self.failed(bad, TemporaryFailure)
        counted = [self.count(each) for each in (content, message, spool, trace)]
        self.assertEqual(counted, [1, 2, 1, 1])

    # -- helpers

    async def database_with(self, *numbers: int) -> None:
        self.start()
        for number in numbers:
            await self.database.write(put, number)

    async def failed(self, job: Deferred[Any], kind: type[Exception]) -> None:
        result = await job.addBoth(lambda result: result if not isinstance(result, Failure) else [result.value])
        self.assertIsInstance(result, list)
        self.assertIsInstance(result[0], kind)


class WriterOnSqlite(WriterContract, SqliteCase):
    async def test_a_full_disk(self) -> None:
        """Everybody in the batch hears "not now", nothing is half there, and it heals by itself."""
        self.start()
        bob = self.account("bob")

        def room(connection: Connection, more: int) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages + more}")

        await self.database.write(room, 3)
        held = await hold(self)
        jobs = [self.database.write_with(write_many, self.accepting(Content.of(b"x" * 50_000), bob)) for _ in range(3)]
        held.let_go()
        for job in jobs:
            await self.failed(job, TemporaryFailure)
        self.assertEqual((self.count(content), self.inbox(bob)), (0, []))
        await self.database.write(room, 10_000)
        await self.database.write_with(write_many, self.accepting(Content.of(b"x" * 50_000), bob))
        self.assertEqual(len(self.inbox(bob)), 1)

    async def test_a_stranger_holds_the_database(self) -> None:
        """A backup program, say, that does not take our lock: "not now" after a while, and it heals."""
        self.patch(engine, "BUSY", 0.2)
        self.database = self.open()
        self.start()
        from pysqlite3 import dbapi2

        stranger = dbapi2.connect(str(self.database.file), isolation_level=None)
        self.addCleanup(stranger.close)
        stranger.execute("BEGIN IMMEDIATE")
        await self.failed(self.database.write(put, 1), TemporaryFailure)
        stranger.execute("COMMIT")
        await self.database.write(put, 1)

    async def test_no_lock_file(self) -> None:
        """The lock between processes cannot be had: "not now"."""
        self.start()
        lock = self.data / "write.lock"
        lock.unlink()
        lock.mkdir()
        await self.failed(self.database.write(put, 1), TemporaryFailure)
        lock.rmdir()
        await self.database.write(put, 1)


class WriterOnPostgresql(WriterContract, PostgresqlCase):
    def through_a_wire(self) -> Wire:
        wire = Wire(self.server.port)
        self.addCleanup(wire.close)
        self.url = self.server.url(self.name, wire.port)
        self.database = self.open()
        self.start()
        return wire

    async def test_the_wire_is_cut_after_the_commit(self) -> None:
        """It was committed and nobody said so: the ids are looked up, the answer is yes, and it is there once."""
        wire = self.through_a_wire()
        bob = self.account("bob")
        held = await hold(self)
        jobs = [self.database.write_with(write_many, self.accepting(Content.of(b"x"), bob)) for _ in range(3)]

        def cut(connection: Connection) -> None:
            put(connection, 1)
            wire.cut_after = True

        unknown = self.database.write(cut)
        held.let_go()
        await gatherResults(jobs)
        await self.failed(unknown, TemporaryFailure)
        self.assertEqual(wire.cuts, 1)
        self.assertEqual((self.count(content), len(self.inbox(bob)), self.numbers()), (3, 3, [1]))

    async def test_the_wire_is_cut_before_the_commit(self) -> None:
        """It was not committed: the ids are looked up and not found, and the job runs again."""
        wire = self.through_a_wire()
        bob = self.account("bob")
        wire.cut_before = True
        await self.database.write_with(write_many, self.accepting(Content.of(b"x"), bob, entries=1))
        self.assertEqual(wire.cuts, 1)
        self.assertEqual((self.count(content), len(self.inbox(bob)), self.count(spool)), (1, 1, 1))

    async def test_a_job_that_cannot_be_looked_up(self) -> None:
        """Done or not, nobody knows: whoever asked hears "not now" and finds out when it asks again."""
        wire = self.through_a_wire()
        wire.cut_after = True
        await self.failed(self.database.write(put, 1), TemporaryFailure)
        self.assertEqual(self.numbers(), [1])

    async def test_the_server_ends_our_connections(self) -> None:
        """A restart between two jobs costs nobody anything; one in the midst of a job makes it run again."""
        self.start()
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}' AND pid <> pg_backend_pid()"
        )
        await self.database.write(put, 1)
        self.server.sql(end)
        await self.database.write(put, 2)
        runs = []

        def ended(connection: Connection) -> None:
            runs.append(1)
            put(connection, 3)
            if len(runs) == 1:
                self.server.sql(end)
            put(connection, 4)

        await self.database.write(ended)
        self.assertEqual((len(runs), self.numbers()), (2, [1, 2, 3, 4]))

    async def test_deadlock(self) -> None:
        """PostgreSQL ends one of two transactions that wait for each other: it runs again."""
        self.start()
        await self.database.write(put_all, [1, 2])
        other = self.open()
        both, answered = threading.Barrier(2, timeout=20), []

        def lock(connection: Connection, number: int) -> None:
            connection.execute(select(refusal.c.id).where(refusal.c.id == number).with_for_update())

        def ours(connection: Connection) -> None:
            answered.append("run")
            connection.exec_driver_sql("SET LOCAL deadlock_timeout = '100ms'")
            lock(connection, 1)
            if len(answered) == 1:
                both.wait()
            lock(connection, 2)

        def theirs() -> None:
            with other.transaction() as connection:
                lock(connection, 2)
                both.wait()
                lock(connection, 1)

        thread = threading.Thread(target=theirs)
        thread.start()
        await self.database.write(ours)
        thread.join()
        self.assertEqual(len(answered), 2)
