"""Who has nearly used up a quota hears of it, once."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.content import Content
from mailserver.crossings import Crossings, threshold
from mailserver.interfaces import Delivery
from mailserver.store import crossings, directory, mailboxes, mailboxquotas, publics
from tests.session.imap.house import ImapCase


class ThresholdTests(SynchronousTestCase):
    def test_once(self) -> None:
        """Of several that are crossed the highest; to fall below one by a little is not to have left it."""
        both = (80, 95)
        for percent, told, now in (
            (0.0, 0, 0), (79.9, 0, 0), (80.0, 0, 80), (99.0, 0, 95), (400.0, 80, 95), (90.0, 80, 80), (94.0, 95, 95),
            (90.0, 95, 95), (89.9, 95, 80), (76.0, 80, 80), (74.9, 80, 0), (76.0, 95, 80), (0.0, 95, 0),
        ):
            self.assertEqual(threshold(percent, told, both), now, (percent, told))
        self.assertEqual(threshold(100.0, 80, ()), 0)
        self.assertEqual(threshold(96.0, 80, (50,)), 50)


class CrossingsTests(ImapCase):
    """On a whole server, as its chores do it."""

    def look(self, server: Any, *thresholds: int) -> Any:
        told = Crossings(server.database, server.acceptance, server.world, server.config.hostname)
        return told.look(thresholds or server.config.keeping.warnings, server.config.usual_quota)

    async def letters(self, server: Any, local: str = "alice") -> list[bytes]:
        account = await server.directory.account(await self.address(server, local))
        box = await self.store(server).open(account, "INBOX")
        every = [b"".join([each async for each in box.read(message.uid)]) for message in await box.messages()]
        return [each for each in every if b"Auto-Submitted: auto-generated" in each]

    async def address(self, server: Any, local: str) -> Any:
        return (await self.account(server, "alice")).address.__class__(local, "example.org")

    async def test_account(self) -> None:
        """At each threshold one letter and no second; after it has emptied its mailboxes, again."""
        server = await self.serve('[[mailbox]]\nuse = "sql"\nquota_messages = 10\n')
        await self.numbered(server, range(7))
        self.assertEqual(await self.look(server), 0)
        await self.numbered(server, range(1))
        self.assertEqual(await self.look(server), 1)
        [letter] = await self.letters(server)
        for words in (
            b"From: Mail Delivery System <postmaster@mx.example.org>\r\n", b"To: <alice@example.org>\r\n",
            b"Subject: 80 % of the quota are used\r\n", b"    8 of 10 messages\r\n", b"\r\nReturn-Path: <>",
        ):
            self.assertIn(words, b"\r\n" + letter)
        self.assertEqual(await self.look(server), 0)
        await self.numbered(server, range(1))
        self.assertEqual(await self.look(server), 1)            # with the letter it is full
        self.assertEqual(len(await self.letters(server)), 2)
        self.assertEqual(await self.look(server), 0)
        box = await self.store(server).open(await self.account(server), "INBOX")
        await box.remove([each.uid for each in await box.messages()])
        self.assertEqual(await self.look(server), 0)
        await self.numbered(server, range(8))
        self.assertEqual(await self.look(server), 1)

    async def test_mailbox_and_domain(self) -> None:
        """Of a mailbox its account hears, of a domain its postmaster."""
        server = await self.serve()
        alice = await self.account(server)
        await self.numbered(server, range(4))
        database = server.database
        row, _ = await database.read(mailboxes.find_mailbox, alice.id, "Junk")
        await database.write(mailboxquotas.set_mailbox_quota, row, 1024, 4)
        await self.fill(server, *[b"x: 1\r\n\r\n"] * 4, name="Junk")
        await database.write(directory.set_domain_quota, "example.org", 1_000_000, 10)
        self.assertEqual(await self.look(server), 2)
        [of_box] = await self.letters(server)
        self.assertIn(b"Your mailbox Junk has used 100 %", of_box)
        [of_domain] = await self.letters(server, "postmaster")
        self.assertIn(b"All accounts of example.org together have used 90 %", of_domain)
        self.assertEqual(await self.look(server), 1)            # the letters count, too: now it is full
        self.assertEqual(await self.look(server), 0)
        await database.write(mailboxquotas.set_mailbox_quota, row, 0, 0)
        await database.write(directory.set_domain_quota, "example.org", 0, 0)
        self.assertEqual(await self.look(server), 0)
        for kind in crossings.KINDS:
            self.assertEqual(await database.read(crossings.used, kind, 0, (0, 0)), [])

    async def test_public(self) -> None:
        """Of public mailboxes the postmaster of their domain hears: nobody reads mail as their owner."""
        server = await self.serve('[[mailbox]]\nuse = "sql"\nquota_messages = 5\n')
        database = server.database
        await database.write(publics.create_public, "example.org", "team", 0.0)
        owner = await database.read(publics.public_account, "example.org")
        row, _ = await database.read(mailboxes.find_mailbox, owner.id, "team")
        await database.write(mailboxquotas.set_mailbox_quota, row, 0, 4)
        for _ in range(4):
            await self.delivered(server, owner)
        self.assertEqual(await self.look(server), 2)
        told = b"".join(await self.letters(server, "postmaster"))
        self.assertIn(b"The public mailboxes of example.org have used 80 %", told)
        self.assertIn(b"The public mailbox team has used 100 %", told)
        self.assertEqual(await self.store(server).mailboxes(owner), ["team"])

    async def delivered(self, server: Any, owner: Any) -> None:
        id = server.world.new_id()
        content = Content.of(b"Subject: x\r\n\r\nx\r\n")
        await self.store(server).deliver(Delivery(id, id, owner, "team", b"", content, 1_700_000_000.0))

    async def test_nobody_there(self) -> None:
        """Where the postmaster is an alias that leads nowhere the log alone hears it, once."""
        server = await self.serve()
        database = server.database
        await database.write(directory.set_domain_quota, "example.org", 0, 2)
        await database.write(
            directory.add_alias, "postmaster@example.org", ["nobody@example.org"], 0.0, database.contents
        )
        await server.directory.refreshed()
        server.directory.forget()
        await self.numbered(server, range(2))
        self.assertEqual([await self.look(server), await self.look(server)], [1, 0])

    async def test_not_wanted(self) -> None:
        server = await self.serve('[keeping]\nwarnings = []\n\n[[mailbox]]\nuse = "sql"\nquota_messages = 1\n')
        await self.numbered(server, range(1))
        self.assertEqual(await self.look(server), 0)
