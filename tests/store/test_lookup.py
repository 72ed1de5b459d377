"""The directory in memory: fast when nothing changes, and right when somebody else changes it."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from mailserver.address import Address
from mailserver.errors import TemporaryFailure
from mailserver.store import directory
from mailserver.store.lookup import LOOK, Directory
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase

BOB = Address("bob", "example.org")


class LookupContract(Contract):
    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.asked: list[str] = []
        read = self.database.read

        def counting(question, *args):  # type: ignore[no-untyped-def]
            self.asked.append(question.__name__)
            return read(question, *args)

        self.patch(self.database, "read", counting)

    async def test_answers_come_from_memory(self) -> None:
        """Asked a second time, the database is not; for "no" as for "yes"."""
        self.account("bob")
        lookup = Directory(self.database, Clock())
        await lookup.refreshed()
        self.asked.clear()
        for _ in range(3):
            found = await lookup.account(Address("BOB", "example.org"))
            assert found is not None
            self.assertEqual(found.address, BOB)
            self.assertIsNone(await lookup.account(Address("eve", "example.org")))
            self.assertTrue(await lookup.is_local("EXAMPLE.org"))
            self.assertFalse(await lookup.is_local("example.net"))
            self.assertIsNone(await lookup.alias(BOB))
            self.assertIsNone(await lookup.catch_all("example.org"))
        self.assertEqual(len(self.asked), 6)

    async def test_another_process_changes_it(self) -> None:
        """It is seen within a second, without anybody's asking for it."""
        lookup = Directory(self.database, reactor)
        lookup.start()
        self.addCleanup(lookup.stop)
        await deferLater(reactor, 0.05)
        self.assertIsNone(await lookup.account(BOB))
        other = self.open()
        with other.transaction() as connection:
            directory.add_account(connection, BOB, NOW)
        await deferLater(reactor, 2 * LOOK)
        self.assertIsNotNone(await lookup.account(BOB))

    async def test_a_no_is_asked_again(self) -> None:
        """Somebody is made between the look and the RCPT: whoever would refuse asks `refreshed` first."""
        clock = Clock()
        lookup = Directory(self.database, clock)
        await lookup.refreshed()
        clock.advance(60)
        self.assertIsNone(await lookup.account(BOB))
        self.assertFalse(await lookup.refreshed())
        with self.open().transaction() as connection:
            directory.add_account(connection, BOB, NOW)
        self.assertIsNone(await lookup.account(BOB))
        self.assertTrue(await lookup.refreshed())
        self.assertIsNotNone(await lookup.account(BOB))

    async def test_a_no_from_just_before_a_change(self) -> None:
        """The change was seen by the regular look, after the "no" was given: still it is asked again."""
        clock = Clock()
        lookup = Directory(self.database, clock)
        lookup.start()
        self.addCleanup(lookup.stop)
        await lookup.refreshed()
        clock.advance(60)
        await lookup.refreshed()
        self.assertIsNone(await lookup.account(BOB))
        with self.open().transaction() as connection:
            directory.add_account(connection, BOB, NOW)
        await lookup._look_at_revision()
        self.assertTrue(await lookup.refreshed())

    async def test_an_answer_that_comes_late_is_not_remembered(self) -> None:
        """It was read before a change and arrives after it."""
        lookup = Directory(self.database, Clock())
        await lookup.refreshed()
        late: Deferred[None] = Deferred()
        read = self.database.read

        def slow(question, *args):  # type: ignore[no-untyped-def]
            asking = read(question, *args)
            if question is directory.find_account:
                return asking.addCallback(lambda answer: late.addCallback(lambda _: answer))
            return asking

        self.patch(self.database, "read", slow)
        asking = Deferred.fromCoroutine(lookup.account(BOB))
        await deferLater(reactor, 0.1)
        with self.writing() as connection:
            directory.add_account(connection, BOB, NOW)
        await lookup.refreshed()
        late.callback(None)
        self.assertIsNone(await asking)
        self.assertIsNotNone(await lookup.account(BOB))

    async def test_a_database_that_is_away(self) -> None:
        """Nobody is told "no" by a server that cannot know; it heals by itself."""
        lookup = Directory(self.database, Clock())
        read = self.database.read

        async def away(question, *args):  # type: ignore[no-untyped-def]
            raise TemporaryFailure("the database is away")

        self.database.read = away  # type: ignore[assignment]
        self.assertTrue(await lookup.refreshed())
        with self.assertRaises(TemporaryFailure):
            await lookup.account(BOB)
        self.database.read = read  # type: ignore[method-assign]
        self.account("bob")
        self.assertIsNotNone(await lookup.account(BOB))

    async def test_what_is_remembered_is_bounded(self) -> None:
        """A dictionary attack does not fill the memory."""
        self.patch(directory, "find_account", lambda connection, key: None)
        import mailserver.store.lookup as module

        self.patch(module, "MOST_REMEMBERED", 50)
        lookup = Directory(self.database, Clock())
        await lookup.refreshed()
        for number in range(200):
            await lookup.account(Address(f"user{number}", "example.org"))
        self.assertEqual(len(lookup._known), 50)


class LookupOnSqlite(LookupContract, SqliteCase):
    pass


class LookupOnPostgresql(LookupContract, PostgresqlCase):
    pass
