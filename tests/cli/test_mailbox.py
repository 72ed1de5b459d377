"""mailserver mailbox, as an operator types it."""

from __future__ import annotations

import time
from typing import Any

from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.imapstore import Appended, Flags
from mailserver.interfaces import SEEN
from mailserver.store import changing, directory, mailboxes, removed
from mailserver.store.database import Database
from tests.cli.commands import HouseTestCase

ALICE = "alice@example.org"


class MailboxCase(HouseTestCase):
    def in_database(self, work: Any) -> Any:
        database = Database(None, self.folder / "data")
        database.open()
        try:
            with database.transaction() as connection:
                return work(connection, directory.find_account(connection, ALICE), database.contents)
        finally:
            database.close()

    def put(self, *subjects: str, name: str = "INBOX") -> None:
        """Messages, as IMAP appends them."""
        ids = Ids(time.time)

        def work(connection: Any, alice: Any, folder: Any) -> None:
            messages = [
                Appended(ids(), Content.of(
                    f"From: Carol <carol@example.net>\r\nSubject: {each}\r\n\r\nx\r\n".encode()
                ), Flags(SEEN), 1000.0)
                for each in subjects
            ]
            changing.append(connection, folder, (alice.id, name), messages, time.time())

        self.in_database(work)

    def expunge(self, low: int, high: int, at: float, name: str = "INBOX") -> None:
        def work(connection: Any, alice: Any, folder: Any) -> None:
            row, _ = mailboxes.find_mailbox(connection, alice.id, name) or (0, 0)
            changing.expunge(connection, folder, row, [(low, high)], at, False, removed.EXPUNGE)

        self.in_database(work)

    def counts(self) -> dict[str, int]:
        """How many messages lie where there are any."""
        return {
            each["name"]: each["messages"] for each in self.done("mailbox", "list", ALICE, "--json").json
            if each["messages"]
        }


class MailboxTests(MailboxCase):
    def test_life(self) -> None:
        """Made, seen, renamed, deleted."""
        self.done("mailbox", "create", ALICE, "Work/日本")
        self.put("one", "two", name="Work/日本")
        found = self.done("mailbox", "show", ALICE, "Work/日本", "--json").json
        self.assertEqual(
            (found["messages"], found["unseen"], found["subscribed"], found["retention"], found["uidnext"]),
            (2, 0, True, None, 3),
        )
        self.assertIn("as configured", self.done("mailbox", "show", ALICE, "Work/日本").out)
        self.done("mailbox", "rename", ALICE, "Work/日本", "Toil")
        self.assertEqual(self.counts(), {"Toil": 2})
        self.assertIn("Toil", self.done("mailbox", "list", ALICE).out)
        said = self.done("mailbox", "delete", ALICE, "Toil").out
        self.assertEqual(said, "the mailbox Toil is deleted; 2 messages can be restored for 14 days\n")
        self.assertEqual(self.counts(), {})
        self.done("mailbox", "create", ALICE, "Empty")
        self.assertEqual(self.done("mailbox", "delete", ALICE, "Empty").out, "the mailbox Empty is deleted\n")

    def test_inbox(self) -> None:
        """It is always there: renamed, it gives away its messages."""
        self.put("one")
        self.done("mailbox", "rename", ALICE, "inbox", "Old")
        self.assertEqual(self.counts(), {"Old": 1})
        self.assertIn("INBOX cannot be deleted", self.fails("mailbox", "delete", ALICE, "Inbox"))

    def test_use(self) -> None:
        """One mailbox for each use."""
        self.assertIn("Sent has this use", self.fails("mailbox", "create", ALICE, "Gone", "--use", "sent"))
        self.done("mailbox", "delete", ALICE, "Sent")
        self.done("mailbox", "create", ALICE, "Gone", "--use", "sent")
        self.assertEqual(self.done("mailbox", "show", ALICE, "Gone", "--json").json["special_use"], "Sent")
        self.assertEqual(self.say("mailbox", "create", ALICE, "x", "--use", "rubbish").code, 2)

    def test_mistakes(self) -> None:
        """A sentence each, also for names that a hostile script may have made."""
        for words in (
            ("list", "nobody@example.org"), ("show", ALICE, "None"), ("create", ALICE, "INBOX"),
            ("create", ALICE, "a//b"), ("create", ALICE, "a\x07b"), ("create", ALICE, "x" * 300),
            ("delete", ALICE, "No"), ("rename", ALICE, "No", "Yes"), ("rename", ALICE, "Sent", "Sent/x"),
            ("quota", ALICE, "No", "--octets", "1"),
            ("retention", ALICE, "No", "--usual"), ("restore", "nobody@example.org"), ("list", "no address"),
        ):
            self.assertTrue(self.fails("mailbox", *words), words)
        for words in (
            ("quota", ALICE, "Sent", "--octets", "-1"), ("retention", ALICE, "Sent", "--usual", "--at-most", "1"),
            ("retention", ALICE, "Sent", "--older-than", "soon"), ("restore", ALICE, "--since", "ever"),
        ):
            self.assertEqual(self.say("mailbox", *words).code, 2, words)

    def test_quota(self) -> None:
        """Each limit by itself; 0 is none."""
        self.assertEqual(self.done("mailbox", "quota", ALICE, "Sent", "--json").json, {
            "address": ALICE, "mailbox": "Sent", "octets": 0, "most_octets": 0, "messages": 0, "most_messages": 0,
        })
        self.done("mailbox", "quota", ALICE, "Sent", "--octets", "5000")
        found = self.done("mailbox", "quota", ALICE, "Sent", "--messages", "7", "--json").json
        self.assertEqual((found["most_octets"], found["most_messages"]), (5000, 7))
        self.assertIn("0 of 7", self.done("mailbox", "quota", ALICE, "Sent").out)
        self.done("mailbox", "quota", ALICE, "Sent", "--octets", "0", "--messages", "0")
        self.assertIn("0, without limit", self.done("mailbox", "quota", ALICE, "Sent").out)

    def test_retention(self) -> None:
        self.assertEqual(self.done("mailbox", "retention", ALICE, "Sent").out, "as configured\n")
        self.done("mailbox", "retention", ALICE, "Sent", "--older-than", "90d")
        said = self.done("mailbox", "retention", ALICE, "Sent", "--at-most", "1000")
        self.assertEqual(said.out, "for 90 days, 1000 messages at most\n")
        self.assertEqual(self.done("mailbox", "retention", ALICE, "Sent", "--json").json, {
            "address": ALICE, "mailbox": "Sent", "older_than": 90 * 86400.0, "at_most": 1000,
        })
        self.done("mailbox", "retention", ALICE, "Sent", "--older-than", "0", "--at-most", "0")
        self.assertEqual(self.done("mailbox", "retention", ALICE, "Sent").out, "for ever\n")
        self.done("mailbox", "retention", ALICE, "Sent", "--usual")
        self.assertEqual(self.done("mailbox", "show", ALICE, "Sent", "--json").json["retention"], None)


class RestoreTests(MailboxCase):
    def test_chosen(self) -> None:
        """What was removed lately, with a word in its subject however it is written, from one mailbox."""
        self.put("Lunch", "=?utf-8?b?44KE44GC?=", "ｌunch again", "Dinner")
        self.expunge(1, 1, time.time() - 3 * 86400)
        self.expunge(2, 4, time.time() - 60)
        found = self.done("mailbox", "restore", ALICE, "--list", "--json").json
        self.assertEqual([each["subject"] for each in found], ["Lunch", "やあ", "ｌunch again", "Dinner"])
        self.assertEqual(
            [found[0][key] for key in ("mailbox", "is_deleted", "why", "received", "from")],
            ["INBOX", False, "expunge", 1000.0, "Carol <carol@example.net>"],
        )
        self.assertIn("やあ", self.done("mailbox", "restore", ALICE, "--list").out)
        self.assertIn("nothing to restore", self.done("mailbox", "restore", ALICE, "Sent").out)
        said = self.done("mailbox", "restore", ALICE, "--subject", "LUNCH", "--since", "1d").out
        self.assertEqual(said, "INBOX: 1 message is back\n")
        found = self.done("mailbox", "restore", ALICE, "INBOX", "--json").json
        self.assertEqual(found, [{"mailbox": "INBOX", "messages": 3}])
        self.assertEqual(self.counts(), {"INBOX": 4})
        self.assertEqual(self.done("mailbox", "restore", ALICE, "--list", "--json").json, [])

    def test_deleted_mailboxes(self) -> None:
        for name in ("Work", "Play"):
            self.done("mailbox", "create", ALICE, name)
            self.put("one", "two", name=name)
            self.done("mailbox", "delete", ALICE, name)
        self.assertEqual(self.done("mailbox", "restore", ALICE, "Work").out, "Work: 2 messages are back\n")
        self.assertEqual(self.done("mailbox", "restore", ALICE).out, "Restored: 2 messages are back\n")
        self.assertEqual(self.counts(), {"Work": 2, "Restored": 2})

    def test_no_room(self) -> None:
        """One sentence, and nothing has changed."""
        self.put("one", "two")
        self.expunge(1, 2, time.time() - 60)
        self.done("user", "quota", ALICE, "--messages", "1")
        self.assertIn("no room", self.fails("mailbox", "restore", ALICE))
        self.assertEqual(self.counts(), {})
        self.assertEqual(len(self.done("mailbox", "restore", ALICE, "--list", "--json").json), 2)

    def test_shown(self) -> None:
        """How much an account keeps is seen beside its quota."""
        self.put("one")
        self.assertNotIn("removed", self.done("user", "show", ALICE).out)
        self.expunge(1, 1, time.time() - 60)
        self.assertIn("removed   1 message, 52 octets", self.done("user", "show", ALICE).out)
        self.assertEqual(self.done("user", "show", ALICE, "--json").json["removed"], {"octets": 52, "messages": 1})

    def test_too_late(self) -> None:
        """What is beyond the period is not shown, though it may lie there for an hour yet."""
        self.put("one")
        self.expunge(1, 1, time.time() - 15 * 86400)
        self.assertEqual(self.done("mailbox", "restore", ALICE, "--list", "--json").json, [])
