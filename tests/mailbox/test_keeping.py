"""What the store sql keeps of removed mail, for how long mailboxes keep theirs, and what one mailbox may hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from mailserver import retaining
from mailserver.content import LARGE
from mailserver.errors import OverQuota
from mailserver.imapstore import Quota
from mailserver.interfaces import INBOX
from mailserver.keeping import DAY, Keeping, Retention
from mailserver.store import directory, mailboxes, mailboxquotas, removed, retention
from mailserver.testing.imapstores import ImapSteps
from mailserver.testing.keeping import UndeleteContract
from mailserver.testing.stores import octets
from tests.mailbox.databases import PostgresqlCase, SqliteCase


class SqliteUndelete(UndeleteContract, SqliteCase):
    pass


class PostgresqlUndelete(UndeleteContract, PostgresqlCase):
    pass


class Kept(ImapSteps):
    """What only its tables tell."""

    ask: Any
    check_contents: Any

    async def let_go(self) -> int:
        return await retaining.let_go(self.server.database, self.server.keeping, self.server.now())

    async def emptied(self) -> None:
        """No content is left, nor a file, once its unlinking has come about."""
        self.check_contents_of_nothing()
        for _ in range(100):
            if not list(self.server.database.contents.iterdir()):
                return
            await deferLater(reactor, 0.02, lambda: None)
        self.fail("a file stays")

    def check_contents_of_nothing(self) -> None:
        for table in ("removed", "removed_from", "content", "digest", "piece", "shared"):
            self.assertEqual(self.ask(f"SELECT COUNT(*) FROM {table}"), [(0,)], table)

    async def test_for_a_period(self) -> None:
        """Contents, large ones and copies too, are held until it is over, and not longer; in small steps."""
        self.patch(removed, "STEP", 3)
        self.server.keeping = Keeping(undelete=2 * DAY)
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "Work")
        await self.append(store, bob, octets(2 * LARGE), *[b"%d" % number for number in range(7)])
        box = await store.open(bob, INBOX)
        await box.copy([(1, 4)], bob, "Work")
        await box.remove([1, 2, 3])
        self.check_contents()
        self.assertEqual(await self.let_go(), 0)
        self.server.clock.advance(DAY)
        await store.delete(bob, "Work")
        await box.remove(range(4, 9))
        self.check_contents()
        self.server.clock.advance(DAY + 1)
        self.assertEqual(await self.let_go(), 3)
        self.assertEqual(await self.let_go(), 0)
        self.assertEqual(self.ask("SELECT SUM(messages), MIN(oldest) FROM removed_from")[0][0], 9)
        self.assertEqual(len(self.ask("SELECT file FROM content WHERE size > 1000")), 1)
        self.server.clock.advance(DAY)
        self.assertEqual(await self.let_go(), 9)
        await self.emptied()

    async def test_switched_off(self) -> None:
        """What was kept goes at the next round."""
        self.server.keeping = Keeping(undelete=DAY)
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"x")
        await (await store.open(bob, INBOX)).remove([1])
        self.server.keeping = Keeping(undelete=0.0)
        self.assertEqual(await self.let_go(), 1)
        await self.emptied()

    async def test_an_account_goes(self) -> None:
        """With all that it kept, also of mailboxes that it had deleted."""
        self.server.keeping = Keeping(undelete=DAY)
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "Work")
        await self.append(store, bob, octets(2 * LARGE), name="Work")
        await store.delete(bob, "Work")
        await self.append(store, bob, b"x", b"y")
        await (await store.open(bob, INBOX)).remove([1])
        await self.server.database.write(directory.remove_account, bob.address, self.server.database.contents)
        await self.emptied()

    async def test_bounded_by_the_domain(self) -> None:
        """Where a domain has a limit, all its accounts together keep no more than it."""
        self.server.keeping = Keeping(undelete=DAY)
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        await self.server.database.write(directory.set_domain_quota, "example.org", 100, 0)
        for account in (alice, bob, bob):
            await self.append(store, account, b"x" * 45)
            self.server.clock.advance(1.0)
            await (await store.open(account, INBOX)).remove([each.uid for each in await (
                await store.open(account, INBOX)).messages()])
        self.assertEqual(self.ask("SELECT COUNT(*) FROM removed"), [(2,)])
        self.assertEqual(await self.server.database.read(removed.kept, alice.id), (45, 1))
        self.check_contents()


class SqliteKept(Kept, SqliteCase):
    pass


class PostgresqlKept(Kept, PostgresqlCase):
    pass


class Retained(ImapSteps):
    """Chores take out what has been in its mailbox for long enough."""

    async def round(self, *rules: Retention, undelete: float = 0.0) -> dict[str, int]:
        keeping = Keeping(undelete=undelete, retention=rules)
        return await retaining.retain(self.server.database, keeping, (0, 0), self.server.now)

    async def test_older_than(self) -> None:
        """By when a message came into the mailbox, whatever it says of itself; sessions see it as expunged."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"1", b"2", name="Junk", received=self.server.now() - 300 * DAY)
        self.server.clock.advance(20 * DAY)
        await self.append(store, bob, b"3", name="Junk")
        await self.append(store, bob, b"4")
        junk = await store.open(bob, "Junk")
        before = await junk.load()
        rule = Retention(special_use="\\Junk", older_than=30 * DAY)
        self.assertEqual(await self.round(rule), {})
        self.server.clock.advance(10 * DAY + 1)
        self.assertEqual(await self.round(rule, undelete=DAY), {"bob@example.org/Junk": 2})
        self.assertEqual(list((await junk.load()).uids), [3])
        self.assertEqual(list((await junk.changes(before.modseq)).gone), [1, 2])
        self.assertEqual([each.why for each in await store.removed(bob)], ["retention", "retention"])
        self.server.clock.advance(100 * DAY)
        self.assertEqual(await self.round(rule), {"bob@example.org/Junk": 1})
        self.assertEqual((await self.one(store, bob)).messages, 1)
        await self.check(store, bob)

    async def test_delivered(self) -> None:
        """A delivery came when it was received."""
        store, bob = self.build(), self.account("bob")
        delivery = await self.delivery(bob, b"x\r\n")
        await store.deliver(replace(delivery, received=self.server.now() - DAY))
        await self.append(store, bob, b"y")
        rule = Retention(mailbox="INBOX", older_than=DAY)
        self.server.clock.advance(DAY / 2)
        self.assertEqual(await self.round(rule), {"bob@example.org/INBOX": 1})
        self.assertEqual((await self.one(store, bob)).messages, 1)

    async def test_at_most(self) -> None:
        """The newest stay; more than one step has to go."""
        self.patch(retention, "STEP", 4)
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        for name in ("Lists/a", "Lists/b/c", "Other"):
            await store.create(bob, name)
            await self.append(store, bob, *[b"%d" % number for number in range(11)], name=name)
        await store.create(alice, "Lists/a")
        await self.append(store, alice, b"1", b"2", b"3", name="Lists/a")
        gone = await self.round(Retention(mailbox="Lists/%", at_most=2), Retention(mailbox="Lists/*", at_most=5))
        self.assertEqual(gone, {
            "bob@example.org/Lists/a": 9, "bob@example.org/Lists/b/c": 6, "alice@example.org/Lists/a": 1,
        })
        self.assertEqual(list((await (await store.open(bob, "Lists/a")).load()).uids), [10, 11])
        self.assertEqual(await self.round(), {})

    async def test_of_one_mailbox(self) -> None:
        """What is said of a mailbox itself goes before what is configured, and goes with it."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        rule = Retention(special_use="\\Trash", older_than=DAY)
        for account in (bob, alice):
            await self.append(store, account, b"1", b"2", name="Trash")
        self.server.clock.advance(2 * DAY)
        database = self.server.database
        row, _ = await database.read(mailboxes.find_mailbox, bob.id, "Trash")
        await database.write(retention.set_retention, row, (0.0, 0))
        self.assertEqual(await self.round(rule), {"alice@example.org/Trash": 2})
        await database.write(retention.set_retention, row, (0.0, 1))
        self.assertEqual(await self.round(rule), {"bob@example.org/Trash": 1})
        await database.write(retention.set_retention, row, None)
        self.assertEqual(await self.round(rule), {"bob@example.org/Trash": 1})
        await database.write(retention.set_retention, row, (5.0, 1))
        await store.delete(bob, "Trash")
        self.assertEqual(await database.read(retention.retention_of, row), None)


class SqliteRetained(Retained, SqliteCase):
    pass


class PostgresqlRetained(Retained, PostgresqlCase):
    pass


class OfOneMailbox(ImapSteps):
    """A limit of a single mailbox."""

    async def limit(self, account: Any, name: str, octets: int, messages: int) -> int:
        database = self.server.database
        row, _ = await database.read(mailboxes.find_mailbox, account.id, name)
        await database.write(mailboxquotas.set_mailbox_quota, row, octets, messages)
        return row  # type: ignore[no-any-return]

    async def test_honoured(self) -> None:
        """By APPEND, COPY and MOVE; all of it or nothing; other mailboxes have nothing to do with it."""
        store, bob = self.build(), self.account("bob")
        self.assertFalse(await store.has_quotas())
        await store.create(bob, "Work")
        await self.limit(bob, "Work", 100, 3)
        self.assertTrue(await store.has_quotas())
        self.assertEqual(await store.mailbox_quota(bob, "Work"), Quota(0, 100, 0, 3))
        self.assertIsNone(await store.mailbox_quota(bob, INBOX))
        self.assertIsNone(await store.mailbox_quota(bob, "None"))
        with self.assertRaises(OverQuota):
            await self.append(store, bob, b"x" * 60, b"x" * 60, name="Work")
        self.assertEqual((await self.one(store, bob, "Work")).messages, 0)
        await self.append(store, bob, b"x" * 60, name="Work")
        await self.append(store, bob, b"x" * 60, b"1", b"2", b"3")
        inbox, work = await store.open(bob, INBOX), await store.open(bob, "Work")
        for uids in ([(1, 1)], [(2, 4)]):
            for move in (False, True):
                with self.assertRaises(OverQuota):
                    await inbox.copy(uids, bob, "Work", move=move)
        await inbox.copy([(2, 3)], bob, "Work", move=True)
        await work.copy([(1, 1)], bob, "Work", move=True)          # it has no more than before
        with self.assertRaises(OverQuota):                          # what is replaced lies elsewhere
            await store.append(bob, "Work", [await self.appended(b"z")], (inbox, 1))
        await store.append(bob, "Work", [await self.appended(b"3")], (work, 2))
        self.assertEqual(await store.mailbox_quota(bob, "Work"), Quota(62, 100, 3, 3))
        await self.check(store, bob)

    async def test_restored(self) -> None:
        """Nor does undelete go beyond it."""
        self.server.keeping = Keeping(undelete=DAY)
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"1", b"2")
        await (await store.open(bob, INBOX)).remove([1])
        await self.limit(bob, INBOX, 0, 1)
        with self.assertRaises(OverQuota):
            await store.restore(bob, await store.removed(bob), "Restored")
        await self.limit(bob, INBOX, 0, 0)
        self.assertFalse(await store.has_quotas())
        await store.restore(bob, await store.removed(bob), "Restored")

    async def test_goes_with_it(self) -> None:
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "Work")
        await self.limit(bob, "Work", 1, 1)
        await store.delete(bob, "Work")
        self.assertFalse(await store.has_quotas())


class SqliteOfOneMailbox(OfOneMailbox, SqliteCase):
    pass


class PostgresqlOfOneMailbox(OfOneMailbox, PostgresqlCase):
    pass
