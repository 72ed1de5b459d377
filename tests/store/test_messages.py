"""Mailboxes and messages: UIDs only rise, nothing is there twice, and nobody's mail is another's."""

from __future__ import annotations

from sqlalchemy import select

from mailserver.content import Content
from mailserver.errors import NotFound, TemporaryFailure
from mailserver.interfaces import JUNK, SEEN, Account, Delivery
from mailserver.store import changing, contents, mailboxes, messages
from mailserver.store.accepting import write_many
from mailserver.store.schema import content, mailbox
from tests.store.cases import NOW, Contract, PostgresqlCase, SqliteCase


class MessagesContract(Contract):
    def accept(self, *accounts: Account, text: bytes = b"Subject: x\r\n\r\nHello\r\n") -> int:
        accepting = self.accepting(Content.of(text), *accounts)
        with self.writing() as connection:
            write_many(connection, [accepting])
        return accepting.id

    def test_uids_rise(self) -> None:
        """1, 2, 3, and after all are gone 4."""
        bob = self.account("bob")
        for _ in range(3):
            self.accept(bob)
        self.assertEqual([each.uid for each in self.inbox(bob)], [1, 2, 3])
        with self.writing() as connection:
            box = mailboxes.find_mailbox(connection, bob.id, "INBOX")
            assert box is not None
            changing.expunge(connection, self.database.contents, box[0], [(1, 3), (99, 99)], NOW, only_deleted=False)
        self.assertEqual((self.inbox(bob), self.count(content)), ([], 0))
        self.accept(bob)
        self.assertEqual([each.uid for each in self.inbox(bob)], [4])

    def test_many_boxes_in_one_batch(self) -> None:
        """Each of thirty people gets what was theirs, and UIDs of their own."""
        everybody = [self.account(f"user{number}") for number in range(30)]
        batch = [
            self.accepting(Content.of(b"%d" % number), *everybody[: number + 1]) for number in range(len(everybody))
        ]
        with self.writing() as connection:
            write_many(connection, batch)
        for number, each in enumerate(everybody):
            rows = self.inbox(each)
            self.assertEqual([row.uid for row in rows], list(range(1, 31 - number)))

    def test_listing(self) -> None:
        """Sizes count the prefix; flags and dates are as they were given."""
        bob = self.account("bob")
        with self.writing() as connection:
            contents.insert_many(connection, [(7, Content.of(b"x" * 100), 1)])
            delivery = Delivery(1, 7, bob, "INBOX", b"A: b\r\n", Content.of(b"x" * 100), NOW + 0.25, SEEN)
            messages.insert_deliveries(connection, [delivery])
        [row] = self.inbox(bob)
        self.assertEqual((row.uid, row.size, row.received, row.flags), (1, 106, NOW + 0.25, SEEN))
        with self.reading() as connection:
            box = mailboxes.find_mailbox(connection, bob.id, "INBOX")
            assert box is not None
            self.assertEqual(messages.find_message(connection, box[0], 1), (b"A: b\r\n", 7))
            with self.assertRaises(NotFound):
                messages.find_message(connection, box[0], 2)

    def test_mailbox_is_made_on_demand(self) -> None:
        """The first message for one that is not there makes it; its UIDVALIDITY is one that none had before."""
        bob = self.account("bob")
        with self.writing() as connection:
            mailboxes.drop(connection, self.database.contents, bob.id, JUNK)
            contents.insert_many(connection, [(7, Content.of(b"x"), 2)])
            delivery = self.delivery(bob, 7, Content.of(b"x"), JUNK)
            messages.insert_deliveries(connection, [delivery, self.delivery(bob, 7, Content.of(b"x"))])
            self.assertTrue(messages.is_delivered(connection, delivery))
        with self.reading() as connection:
            self.assertEqual(
                mailboxes.mailboxes(connection, bob.id), ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
            )
            rows = connection.execute(
                select(mailbox.c.name, mailbox.c.uidvalidity).where(mailbox.c.account_id == bob.id)
            )
            values = {row.name: row.uidvalidity for row in rows}
        self.assertEqual((min(values.values()), values[JUNK]), (int(NOW), max(values.values())))
        self.assertEqual(len(set(values.values())), 6)

    def test_account_that_has_just_gone(self) -> None:
        """Nothing of its message is kept, and the sender hears "not now"."""
        nobody = Account(12345, self.account("bob").address)
        with self.assertRaises(TemporaryFailure):
            self.accept(nobody)
        self.assertEqual(self.count(content), 0)

    def test_remove_thousands(self) -> None:
        """More than one statement can name."""
        bob = self.account("bob")
        batch = [self.accepting(Content.of(b"x"), bob) for _ in range(1200)]
        with self.writing() as connection:
            write_many(connection, batch)
            box = mailboxes.find_mailbox(connection, bob.id, "INBOX")
            assert box is not None
            changing.expunge(connection, self.database.contents, box[0], [(1, 1199)], NOW, only_deleted=False)
        self.assertEqual([each.uid for each in self.inbox(bob)], [1200])
        self.assertEqual(self.count(content), 1)


class MessagesOnSqlite(MessagesContract, SqliteCase):
    pass


class MessagesOnPostgresql(MessagesContract, PostgresqlCase):
    pass
