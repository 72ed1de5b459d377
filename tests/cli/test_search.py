"""search status and search rebuild, as an operator types them."""

from __future__ import annotations

from mailserver.address import Address
from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.imapstore import Appended, Flags
from mailserver.store import changing, directory
from mailserver.store.database import Database
from tests.cli.commands import HouseTestCase

ALICE = "alice@example.org"
OCTETS = b"Subject: Moon\r\n\r\nStones and more\r\n"


class SearchTests(HouseTestCase):
    def test_rebuilt(self) -> None:
        """What is there is put into the index, however often; for one account, or for all."""
        self.assertEqual(self.done("search", "status", "--json").json, [])
        self.assertIn("there are no messages", self.done("search", "status").out)
        self._append(3)
        [before] = self.done("search", "status", "--json").json
        self.assertEqual((before["messages"], before["indexed"], before["pieces"]), (3, 0, 0))
        for words in ((), (ALICE,)):
            done = self.done("search", "rebuild", *words, "--json").json
            self.assertEqual(done, {"mailboxes": 1, "messages": 3})
        [after] = self.done("search", "status", ALICE, "--json").json
        self.assertEqual(
            (after["account"], after["mailbox"], after["indexed"], after["pieces"]), (ALICE, "INBOX", 3, 1)
        )
        self.assertGreater(after["octets"], 20)
        self.assertIn("3 messages of 1 mailbox", self.done("search", "rebuild").out)

    def test_mistakes(self) -> None:
        self.assertIn("there is no account", self.fails("search", "status", "nobody@example.org"))
        self.assertIn("there is no account", self.fails("search", "rebuild", "nobody@example.org"))

    def _append(self, count: int) -> None:
        new_id = Ids(lambda: 1_700_000_000.0)
        database = Database(None, self.folder / "data")
        database.open()
        self.addCleanup(database.close)
        with database.transaction() as connection:
            account = directory.find_account(connection, str(Address.parse(ALICE)))
            assert account is not None
            messages = [Appended(new_id(), Content.of(OCTETS), Flags(), 1_700_000_000.0) for _ in range(count)]
            place = (account.id, "INBOX")
            changing.append(connection, self.folder / "data/contents", place, messages, 1.7e9, None, (0, 0))
