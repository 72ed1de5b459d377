"""A whole server on PostgreSQL: mail in, mail read, large contents, a relay and a report."""

from __future__ import annotations

import hashlib

from mailserver.address import Address
from mailserver.store import credentials, directory
from mailserver.store.database import Database
from tests.postgres import postgres
from tests.serving import ServerCase


class OnPostgresqlTests(ServerCase):
    async def test_mail(self) -> None:
        """Small and large mail lies in the database, and nothing beside it."""
        there = postgres()
        name = there.create()
        self.addCleanup(there.drop, name)
        url = there.url(name)
        path = self.configure(f'database = "{url}"\n', "smtp pop3")
        database = Database(url, path.parent / "data")
        database.open(migrate=True)
        with database.transaction() as connection:
            directory.add_domain(connection, "example.org", 0.0)
            bob = directory.add_account(connection, Address("bob", "example.org"), 0.0)
            directory.set_credentials(connection, bob.id, credentials.derive("secret"))
        database.close()
        server = self.start(path)
        line = await self.connect(server)
        await line.reply()
        await line.ask("EHLO x")
        large = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\r\n" for n in range(10_000))
        for body in (b"small\r\n", large):
            for command in ("MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.org>", "DATA"):
                await line.ask(command)
            line.say(b"Subject: x\r\n\r\n" + body + b".\r\n")
            self.assertRegex(await line.reply(), "^250 ")
        small, big = await self.mailbox(server)
        self.assertTrue(small.endswith(b"\r\n\r\nsmall\r\n"))
        self.assertTrue(big.endswith(b"\r\n\r\n" + large))
        self.assertEqual(list(server.database.contents.iterdir()), [])
        pop3 = await self.connect(server, "pop3")
        for said, heard in ((None, "+OK"), ("USER bob@example.org", "+OK"), ("PASS secret", "+OK 2 messages"),
                            ("DELE 2", "+OK"), ("QUIT", "+OK")):
            if said is not None:
                pop3.say(said.encode() + b"\r\n")
            self.assertTrue((await pop3.line()).startswith(heard))
        self.assertEqual(len(await self.mailbox(server)), 1)
