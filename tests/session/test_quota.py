"""Who has as much mail as he may have: 452 at RCPT, by SMTP and LMTP, and only where somebody has a quota."""

from __future__ import annotations

from typing import Any

from mailserver.address import Address
from mailserver.content import Content
from mailserver.store import directory
from mailserver.store.database import Database
from tests.serving import ServerCase

ONE = '[[mailbox]]\nuse = "sql"\nquota_messages = 1\n'


class QuotaTests(ServerCase):
    async def talk(self, line: Any, recipient: str, parameters: str = "") -> str:
        """One message for somebody; the answer to RCPT, or to the end of the content where there was one."""
        self.assertRegex(await line.ask(f"MAIL FROM:<carol@example.net>{parameters}"), "^250 ")
        said: str = await line.ask(f"RCPT TO:<{recipient}>")
        if said.startswith("250"):
            await line.ask("DATA")
            said = await line.ask("Subject: x\r\n\r\nx\r\n.")
        await line.ask("RSET")
        return said

    async def begin(self, server: Any, service: str = "smtp") -> Any:
        line = await self.connect(server, service)
        await line.reply()
        await line.ask("LHLO x" if service == "lmtp" else "EHLO x")
        return line

    async def change(self, server: Any, change: Any, *args: Any) -> None:
        """As a command does it: in another process's connection."""
        database = Database(None, server.config.data)
        database.open()
        with database.transaction() as connection:
            change(connection, *args)
        database.close()
        await server.directory.refreshed()

    async def test_full(self) -> None:
        """By SMTP and by LMTP; others get their mail; and when something is removed, there is room again."""
        server = await self.serve(ONE)
        smtp, lmtp = await self.begin(server), await self.begin(server, "lmtp")
        self.assertRegex(await self.talk(smtp, "bob@example.org"), "^250 ")
        server.directory.forget()     # so that the quota is looked at again at once
        for line in (smtp, lmtp):
            self.assertRegex(await self.talk(line, "bob@example.org"), r"^452 4\.2\.2 .*full \([0-9A-Z]{13}\)")
            self.assertRegex(await self.talk(line, "bob+tag@example.org"), r"^452 4\.2\.2 ")
        self.assertRegex(await self.talk(smtp, "sales@example.org"), "^250 ")
        self.assertEqual(len(await self.mailbox(server)), 1)
        bob = await server.directory.account(Address("bob", "example.org"))
        box = await server.rooms.stores["sql"].open(bob, "INBOX")
        await box.remove([1])
        server.directory.forget()
        self.assertRegex(await self.talk(lmtp, "bob@example.org"), "^250 ")

    async def test_seen_within_a_second(self) -> None:
        """Nobody has to be told that a mailbox became full, or has room again."""
        server = await self.serve(ONE)
        line = await self.begin(server)

        async def is_full() -> bool:
            await line.ask("MAIL FROM:<>")
            said = await line.ask("RCPT TO:<bob@example.org>")
            await line.ask("RSET")
            return bool(said.startswith("452"))

        self.assertFalse(await is_full())
        await self.talk(line, "bob@example.org")
        await self.until(is_full, 3.0)

    async def test_size(self) -> None:
        """What says of itself that it does not fit is not waited for."""
        server = await self.serve('[[mailbox]]\nuse = "sql"\nquota_octets = 2000\n')
        line = await self.begin(server)
        self.assertRegex(await self.talk(line, "bob@example.org", " SIZE=2001"), r"^452 4\.2\.2 ")
        self.assertRegex(await self.talk(line, "bob@example.org", " SIZE=20"), "^250 ")

    async def test_several(self) -> None:
        """An alias for two of whom one is full: the other gets it, and so does he, for what was taken is delivered."""
        path = self.configure()
        database = Database(None, path.parent / "data")
        database.open()
        with database.transaction() as connection:
            directory.add_alias(connection, "all@example.org", ["bob@example.org", "alice@example.org"], 0.0,
                                database.contents)
            bob = directory.find_account(connection, "bob@example.org")
            assert bob is not None
            directory.set_quota(connection, bob.id, None, 1)
        database.close()
        server = self.start(path)
        line = await self.begin(server)
        for count in (1, 2):
            self.assertRegex(await self.talk(line, "all@example.org"), "^250 ")
            self.assertEqual(len(await self.mailbox(server, "alice")), count)
        await server.directory.refreshed()
        server.directory.forget()
        self.assertRegex(await self.talk(line, "bob@example.org"), "^452 ")

    async def test_our_own_mail(self) -> None:
        """What the server writes is delivered: to whom it owes a report that mail failed."""
        server = await self.serve(ONE)
        line = await self.begin(server)
        await self.talk(line, "alice@example.org")
        server.directory.forget()
        self.assertRegex(await self.talk(line, "alice@example.org"), "^452 ")
        report = Content.of(b"Subject: report\r\n\r\n")
        await server.acceptance.submit(None, [Address("alice", "example.org")], report)
        self.assertEqual(len(await self.mailbox(server, "alice")), 2)

    async def test_nobody_has_one(self) -> None:
        """Then nobody is asked, until a quota is set while the server runs."""
        server = await self.serve()
        line, store = await self.begin(server), server.rooms.stores["sql"]
        asked: list[Any] = []
        real = store.quota
        self.patch(store, "quota", lambda account: asked.append(account) or real(account))
        for _ in range(2):
            self.assertRegex(await self.talk(line, "bob@example.org"), "^250 ")
        self.assertEqual(asked, [])
        bob = await server.directory.account(Address("bob", "example.org"))
        await self.change(server, directory.set_quota, bob.id, None, 2)
        self.assertRegex(await self.talk(line, "bob@example.org"), "^452 ")
        await self.change(server, directory.set_quota, bob.id, None, None)
        await self.change(server, directory.set_domain_quota, "example.org", 0, 2)
        self.assertRegex(await self.talk(line, "alice@example.org"), "^452 ")
        await self.change(server, directory.set_domain_quota, "example.org", 0, 0)
        asked.clear()
        self.assertRegex(await self.talk(line, "bob@example.org"), "^250 ")
        self.assertEqual(asked, [])
