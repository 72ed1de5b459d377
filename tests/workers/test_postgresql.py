"""Workers on PostgreSQL, where other machines may serve too: only what a dead worker held becomes free."""

from __future__ import annotations

import poplib
import time

from mailserver.address import Address
from mailserver.store import credentials, directory, locks
from mailserver.store.database import Database
from tests.postgres import postgres
from tests.workers.cases import WorkersCase


class OnPostgresqlTests(WorkersCase):
    def setUp(self) -> None:
        super().setUp()
        there = postgres()
        name = there.create()
        self.addCleanup(there.drop, name)
        self.url = there.url(name)
        self.write(f'\ndatabase = "{self.url}"\n')
        self.database = Database(self.url, self.data)
        self.database.open(migrate=True)
        self.addCleanup(self.database.close)
        with self.database.transaction() as connection:
            directory.add_domain(connection, "example.org", 0.0)
            alice = directory.add_account(connection, Address("alice", "example.org"), 0.0)
            directory.set_credentials(connection, alice.id, credentials.derive("secret"))

    def log_in(self) -> poplib.POP3:
        box = poplib.POP3("127.0.0.1", self.base + 110, timeout=20)
        box.user("alice@example.org")
        box.pass_("secret")
        return box

    def test_whole(self) -> None:
        server = self.start()
        for client in self.one_each().values():
            client.send("bob@example.net", ["alice@example.org"], b"Subject: x\r\n\r\n")
        box = self.log_in()
        self.assertEqual(box.stat()[0], 2)
        with self.database.transaction() as connection:
            # Another machine has somebody's mailbox open.
            locks.take(connection, "pop3/999", "mx2.example.org/7/0000000000000", time.time(), time.time() + 90)
        [mine] = [each for each in self.ask("who") if each["service"] == "pop3"]
        self.kill(self.pids()[mine["worker"]])
        server.wait_for("is replaced")
        began = time.monotonic()
        while True:
            try:
                self.log_in().quit()
                break
            except poplib.error_proto:
                self.assertLess(time.monotonic() - began, 10)
                time.sleep(0.1)
        with self.database.transaction() as connection:
            self.assertFalse(locks.take(connection, "pop3/999", "mx.example.org", time.time(), time.time() + 90))
