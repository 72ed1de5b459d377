"""mailbox share, shares, public and address, and user delegate, as an operator types them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.imapstore import Appended, Flags
from mailserver.store import changing, publics
from mailserver.store.database import Database
from tests.cli.commands import HouseTestCase

ALICE, BOB = "alice@example.org", "bob@example.org"


class SharingTests(HouseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.done("user", "add", BOB, "--no-password")

    def test_share(self) -> None:
        """What is said by the command is what is listed, of one mailbox, of all, and with whom."""
        for words, said in (
            ((BOB, "lrs"), "has lrs in Sent"), ((BOB, "+d"), "has lrste in Sent"), ((BOB, "-t"), "has lrse in Sent"),
            (("-@Example.org", "e"), "-@example.org has e in Sent"), (("anyone", "l"), "anyone has l"),
            (("anyone", "none"), "anyone has no rights"),
        ):
            self.assertIn(said, self.done("mailbox", "share", ALICE, "Sent", *words).out)
        self.done("mailbox", "share", ALICE, "Archive", "@example.org", "lr")
        rows = [(each["mailbox"], each["who"], each["rights"]) for each in self.done(
            "mailbox", "shares", ALICE, "--json").json]
        self.assertEqual(rows, [
            ("Archive", "@example.org", "lr"), ("Sent", "-@example.org", "e"), ("Sent", BOB, "lrse")])
        self.assertEqual(len(self.done("mailbox", "shares", ALICE, "Sent", "--json").json), 2)
        self.assertEqual(self.done("mailbox", "shares", "--with", BOB, "--json").json, [
            {"owner": ALICE, "mailbox": "Archive", "who": BOB, "rights": "lr"},
            {"owner": ALICE, "mailbox": "Sent", "who": BOB, "rights": "lrs"}])
        self.assertIn("lrse", self.done("mailbox", "shares", ALICE).out)
        self.assertIn("nothing is shared", self.done("mailbox", "shares", BOB).out)

    def test_public(self) -> None:
        """A domain's mailboxes are shared as an account's are; their owner is not listed as somebody."""
        self.done("mailbox", "public", "example.org", "team")
        self.assertEqual(self.done("mailbox", "shares", "@example.org", "--json").json, [
            {"owner": "@example.org", "mailbox": "team", "who": "@example.org", "rights": "lrs"}])
        self.done("mailbox", "share", "@example.org", "team", BOB, "lrswite")
        self.assertNotIn('""', self.done("user", "list").out)
        self.done("mailbox", "address", "team@example.org", "@example.org", "team")
        self.assertEqual(self.done("mailbox", "addresses", "--json").json, [
            {"address": "team@example.org", "owner": "@example.org", "mailbox": "team", "open": True}])
        self.done("mailbox", "share", "@example.org", "team", "anyone", "-p")
        self.assertIn("no", self.done("mailbox", "addresses").out)
        self.done("mailbox", "address", "team@example.org", "--remove")
        self.done("mailbox", "public", "example.org", "team", "--remove")
        self.assertIn("no address", self.done("mailbox", "addresses").out)

    def test_public_is_as_any(self) -> None:
        """What is said of an account's mailboxes can be said of a domain's; what was removed comes back."""
        self.assertIn("no public", self.fails("mailbox", "list", "@example.org"))
        self.done("mailbox", "public", "example.org", "team")
        self.in_database(_fill_team)
        [row] = self.done("mailbox", "list", "@example.org", "--json").json
        self.assertEqual((row["name"], row["messages"]), ("team", 1))
        self.done("mailbox", "quota", "@example.org", "team", "--messages", "5")
        found = self.done("mailbox", "quota", "@example.org", "team", "--json").json
        self.assertEqual((found["address"], found["messages"], found["most_messages"]), ("@example.org", 1, 5))
        self.done("mailbox", "retention", "@example.org", "team", "--at-most", "3")
        self.assertEqual(self.done("mailbox", "show", "@example.org", "team", "--json").json["retention"]["at_most"], 3)
        self.done("mailbox", "public", "example.org", "team", "--remove")
        [removed] = self.done("mailbox", "restore", "@example.org", "--list", "--json").json
        self.assertEqual((removed["mailbox"], removed["is_deleted"], removed["subject"]), ("team", True, "hello"))
        self.done("mailbox", "public", "example.org", "team")
        self.assertIn("team: 1 message is back", self.done("mailbox", "restore", "@example.org", "team").out)
        self.assertEqual(self.done("mailbox", "show", "@example.org", "team", "--json").json["messages"], 1)
        self.done("mailbox", "share", "@example.org", "team", BOB, "r")
        self.done("mailbox", "delete", "@example.org", "team")
        self.assertIn("nothing is shared", self.done("mailbox", "shares", "--with", BOB).out)

    def in_database(self, work: Callable[[Any, Path], object]) -> None:
        database = Database(None, self.folder / "data")
        database.open()
        try:
            with database.transaction() as connection:
                work(connection, database.contents)
        finally:
            database.close()

    def test_delegate(self) -> None:
        self.done("user", "delegate", ALICE, BOB)
        self.assertEqual(self.done("user", "show", ALICE, "--json").json["delegates"], [BOB])
        self.assertEqual(self.done("user", "show", BOB, "--json").json["delegate_of"], [ALICE])
        self.assertIn(BOB, self.done("user", "show", ALICE).out)
        self.assertIn("already", self.fails("user", "delegate", ALICE, BOB))
        self.done("user", "delegate", ALICE, BOB, "--remove")
        self.assertIn("not allowed", self.fails("user", "delegate", ALICE, BOB, "--remove"))
        self.assertIn("own name", self.fails("user", "delegate", ALICE, ALICE))
        self.assertEqual(self.done("user", "show", ALICE, "--json").json["delegates"], [])

    def test_mistakes(self) -> None:
        for words, said in (
            (("share", ALICE, "Sent", BOB, "lq"), "are no rights"), (("share", ALICE, "None", BOB, "l"), "no mailbox"),
            (("share", ALICE, "Sent", ALICE, "l"), "keeps it"), (("share", ALICE, "Sent", "$x", "l"), "no groups"),
            (("share", "@example.org", "team", BOB, "l"), "no public mailboxes"),
            (("share", ALICE, "Sent", "carol@example.org", "l"), "no such account"),
            (("shares", "nobody@example.org"), "no account"), (("public", "example.net", "x"), "is not here"),
            (("public", "example.org", "a//b"), "is no name"), (("address", BOB, ALICE, "Sent"), "an account already"),
            (("address", "x@example.org", "--remove"), "no address"),
        ):
            self.assertIn(said, self.fails("mailbox", *words), words)
        for words in (("shares",), ("shares", ALICE, "--with", BOB), ("address", "x@example.org"),
                      ("address", "x@example.org", ALICE), ("address", "x@example.org", ALICE, "Sent", "--remove")):
            self.assertEqual(self.say("mailbox", *words).code, 2, words)


def _fill_team(connection: Any, folder: Path) -> None:
    owner = publics.public_account(connection, "example.org")
    assert owner is not None
    message = Appended(Ids(time.time)(), Content.of(b"Subject: hello\r\n\r\nx\r\n"), Flags(), 1000.0)
    changing.append(connection, folder, (owner.id, "team"), [message], time.time())
