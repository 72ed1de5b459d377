"""The tests that every mailbox store has to pass::

    class ShoeboxTests(MailboxStoreContract, PluginCase):
        plugin = Shoebox
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from zope.interface.verify import verifyObject

from mailserver.address import Address
from mailserver.content import LARGE, Content
from mailserver.errors import NotFound
from mailserver.ident import Ids, spell
from mailserver.interfaces import FLAGGED, INBOX, JUNK, SEEN, Account, Delivery, IMailbox, IMailboxStore
from mailserver.store.contents import Incoming
from mailserver.testing.contracts import PluginContract
from mailserver.testing.standin import NOW

if TYPE_CHECKING:
    from mailserver.testing.cases import PluginCase as _Case
else:
    _Case = object

PREFIX = b"Return-Path: <carol@example.net>\r\nDelivered-To: bob@example.org\r\n"
RECEIVED = NOW - 3600.0

_ids = Ids(lambda: NOW)


def octets(size: int) -> bytes:
    """So many octets, no two stretches of which are alike."""
    made = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(size // 32 + 1))
    return made[:size]


class MailboxSteps(_Case):
    """What tests of a mailbox store do with it."""

    def account(self, local: str) -> Account:
        """A new account at example.org."""
        return self.server.add_account(str(Address(local, "example.org")))

    async def content(self, octets: bytes) -> Content:
        """A content as the server makes it: in a file when it is large."""
        incoming = Incoming(self.server.database.contents, spell(_ids()), self.server.in_thread)
        await incoming.write(octets)
        return await incoming.finish()

    async def delivery(
        self, account: Account, content: bytes | Content = b"Subject: x\r\n\r\nx\r\n", mailbox: str = INBOX,
        prefix: bytes = PREFIX, received: float = RECEIVED, flags: int = 0,
    ) -> Delivery:
        """A delivery with a key of its own."""
        if isinstance(content, bytes):
            content = await self.content(content)
        return Delivery(_ids(), _ids(), account, mailbox, prefix, content, received, flags)

    async def deliver(self, store: Any, account: Account, *contents: bytes, **others: Any) -> None:
        """One delivery after the other."""
        for each in contents:
            await store.deliver(await self.delivery(account, each, **others))

    async def uids(self, store: Any, account: Account, mailbox: str = INBOX) -> list[int]:
        """The UIDs of a mailbox."""
        box = await store.open(account, mailbox)
        return [each.uid for each in await box.messages()]

    async def read(self, box: Any, uid: int) -> bytes:
        """A whole message."""
        return b"".join([piece async for piece in box.read(uid)])

    async def all(self, store: Any, account: Account, mailbox: str = INBOX) -> list[bytes]:
        """All messages of a mailbox."""
        box = await store.open(account, mailbox)
        return [await self.read(box, each.uid) for each in await box.messages()]


class MailboxStoreContract(MailboxSteps, PluginContract):
    """For `mailserver.interfaces.IMailboxStore`."""

    interface = IMailboxStore
    persists = True         # mail outlives the store's object

    async def test_contract_interfaces(self) -> None:
        """The objects have what the interfaces promise."""
        store, bob = self.build(), self.account("bob")
        verifyObject(IMailboxStore, store)
        verifyObject(IMailbox, await store.open(bob, INBOX))

    async def test_contract_empty(self) -> None:
        """An account that never got mail has an INBOX, and nothing in it."""
        store, bob = self.build(), self.account("bob")
        self.assertIn(INBOX, await store.mailboxes(bob))
        box = await store.open(bob, INBOX)
        self.assertEqual((box.name, list(await box.messages())), (INBOX, []))
        self.assertTrue(0 < box.uidvalidity < 1 << 32)

    async def test_contract_delivered(self) -> None:
        """It is there: its size counts the prefix, its date and flags are as they were given."""
        store, bob = self.build(), self.account("bob")
        content = b"Subject: x\r\n\r\nHello\r\n"
        await self.deliver(store, bob, content)
        await self.deliver(store, bob, content, flags=SEEN | FLAGGED, received=RECEIVED + 60.25)
        box = await store.open(bob, INBOX)
        first, second = await box.messages()
        size = len(PREFIX) + len(content)
        self.assertEqual((first.size, first.received, first.flags), (size, RECEIVED, 0))
        self.assertEqual((second.size, second.received, second.flags), (size, RECEIVED + 60.25, SEEN | FLAGGED))
        self.assertLess(first.uid, second.uid)
        self.assertEqual(await self.read(box, first.uid), PREFIX + content)

    async def test_contract_octets(self) -> None:
        """What is read is what was delivered, octet for octet."""
        store, bob = self.build(), self.account("bob")
        contents = [
            b"", b"x", b"no end", b"\r\n", b"A: b\r\n\r\n.dot\r\n..\r\n.\r\n", b"nul \0 and \xff\xfe\x80\r\n",
            b"bare\nand\rbare\r\n", "Subject: 日本\r\n\r\n".encode(), b"\x1b$B\r\n", octets(LARGE), octets(LARGE - 1),
        ]
        await self.deliver(store, bob, *contents)
        self.assertEqual(await self.all(store, bob), [PREFIX + each for each in contents])
        box = await store.open(bob, INBOX)
        self.assertEqual([each.size for each in await box.messages()], [len(PREFIX + each) for each in contents])

    async def test_contract_no_prefix(self) -> None:
        store, bob = self.build(), self.account("bob")
        await self.deliver(store, bob, b"x\r\n", b"", prefix=b"")
        self.assertEqual(await self.all(store, bob), [b"x\r\n", b""])

    async def test_contract_large(self) -> None:
        """A megabyte comes in pieces, and is what it was."""
        store, bob = self.build(), self.account("bob")
        content = octets(1_000_003)
        await self.deliver(store, bob, content)
        box = await store.open(bob, INBOX)
        [message] = await box.messages()
        self.assertEqual(message.size, len(PREFIX) + len(content))
        pieces = [piece async for piece in box.read(message.uid)]
        self.assertGreater(len(pieces), 2)
        self.assertTrue(b"".join(pieces) == PREFIX + content)

    async def test_contract_reading_ends_early(self) -> None:
        """Whoever stops reading in the middle can read again."""
        store, bob = self.build(), self.account("bob")
        content = octets(1_000_003)
        await self.deliver(store, bob, content)
        box = await store.open(bob, INBOX)
        [message] = await box.messages()
        for _ in range(3):
            reading = box.read(message.uid)
            await reading.__anext__()
            await reading.aclose()
        self.assertTrue(await self.read(box, message.uid) == PREFIX + content)

    async def test_contract_beginning(self) -> None:
        """At most so many octets; the prefix is their beginning."""
        store, bob = self.build(), self.account("bob")
        small, large = b"Subject: x\r\n", octets(3 * LARGE)
        await self.deliver(store, bob, small, large)
        box = await store.open(bob, INBOX)
        for message, whole in zip(await box.messages(), (PREFIX + small, PREFIX + large), strict=True):
            for count in (0, 1, len(PREFIX), len(PREFIX) + 1, LARGE + 1, 2 * LARGE + 7, 4 * LARGE):
                self.assertTrue(await box.beginning(message.uid, count) == whole[:count], count)

    async def test_contract_read_many(self) -> None:
        """Small messages at once; those that are gone or never were are left out."""
        store, bob = self.build(), self.account("bob")
        contents = [b"%d\r\n" % number for number in range(20)]
        await self.deliver(store, bob, *contents)
        box = await store.open(bob, INBOX)
        uids = [each.uid for each in await box.messages()]
        await box.remove(uids[:1])
        found = await box.read_many([*uids, max(uids) + 1])
        self.assertEqual(found, {uid: PREFIX + each for uid, each in zip(uids[1:], contents[1:], strict=True)})
        self.assertEqual(await box.read_many([]), {})

    async def test_contract_same_key(self) -> None:
        """A delivery that is tried again is there once; the same content for another key is another message."""
        store, bob = self.build(), self.account("bob")
        for content in (b"small\r\n", octets(2 * LARGE)):
            delivery = await self.delivery(bob, content)
            await store.deliver(delivery)
            await store.deliver(delivery)
            if self.persists:
                await self.build().deliver(delivery)
        self.assertEqual(len(await self.uids(store, bob)), 2)
        await self.deliver(store, bob, b"small\r\n")
        self.assertEqual(len(await self.uids(store, bob)), 3)

    async def test_contract_uids(self) -> None:
        """They rise, and none is ever given again."""
        store, bob = self.build(), self.account("bob")
        given: set[int] = set()
        for _ in range(3):
            await self.deliver(store, bob, b"a", b"b")
            box = await store.open(bob, INBOX)
            uids = [each.uid for each in await box.messages()]
            self.assertEqual((len(uids), uids), (2, sorted(uids)))
            self.assertGreater(min(uids), max(given, default=0))
            given.update(uids)
            await box.remove(uids)
            self.assertEqual(await self.uids(store, bob), [])

    async def test_contract_uids_stay(self) -> None:
        """A message keeps its UID and the mailbox its UIDVALIDITY, from one look to the next."""
        store, bob = self.build(), self.account("bob")
        await self.deliver(store, bob, b"a", b"b", b"c")
        box = await store.open(bob, INBOX)
        first, second, third = [each.uid for each in await box.messages()]
        await box.remove([second])
        await self.deliver(store, bob, b"d")
        for again in [store, self.build()] if self.persists else [store]:
            box = await again.open(bob, INBOX)
            rows = await box.messages()
            self.assertEqual([each.uid for each in rows][:2], [first, third])
            self.assertEqual(await self.read(box, third), PREFIX + b"c")
            self.assertEqual(await self.read(box, rows[2].uid), PREFIX + b"d")
        self.assertEqual(box.uidvalidity, (await store.open(bob, INBOX)).uidvalidity)

    async def test_contract_persistence(self) -> None:
        """What was delivered is there when the server starts again."""
        store, bob = self.build(), self.account("bob")
        await self.deliver(store, bob, b"a", octets(2 * LARGE), mailbox="Projects")
        if self.persists:
            store = self.build()
        self.assertEqual(await self.all(store, bob, "Projects"), [PREFIX + b"a", PREFIX + octets(2 * LARGE)])

    async def test_contract_removed(self) -> None:
        """What is removed is gone for everybody; what was gone already is passed over."""
        store, bob = self.build(), self.account("bob")
        await self.deliver(store, bob, b"a", b"b", octets(2 * LARGE), b"d")
        mine, other = await store.open(bob, INBOX), await store.open(bob, INBOX)
        a, b, large, d = [each.uid for each in await mine.messages()]
        await other.messages()
        await other.remove([b])
        await mine.remove([a, b, large, d + 100])
        self.assertEqual(await self.uids(store, bob), [d])
        for uid in (a, b, large):
            for box in (mine, other):
                with self.assertRaises(NotFound):
                    await self.read(box, uid)
                with self.assertRaises(NotFound):
                    await box.beginning(uid, 1)
        await mine.remove([])
        self.assertEqual(await self.all(store, bob), [PREFIX + b"d"])

    async def test_contract_unknown_uid(self) -> None:
        store, bob = self.build(), self.account("bob")
        box = await store.open(bob, INBOX)
        for uid in (0, 1, -1, 1 << 31):
            with self.assertRaises(NotFound):
                await self.read(box, uid)

    async def test_contract_mailboxes(self) -> None:
        """A mailbox is made when something comes for it, and not by asking for it."""
        store, bob, name = self.build(), self.account("bob"), "From the moon"
        usual = await store.mailboxes(bob)
        with self.assertRaises(NotFound):
            await store.open(bob, name)
        self.assertEqual(await store.mailboxes(bob), usual)
        await self.deliver(store, bob, b"stones", mailbox=name)
        self.assertEqual(sorted(await store.mailboxes(bob)), sorted([*usual, name]))
        self.assertEqual(await self.all(store, bob, name), [PREFIX + b"stones"])
        self.assertEqual(await self.all(store, bob), [])

    async def test_contract_names(self) -> None:
        """A mailbox may be called what it likes: it is listed by that name, and lies nowhere else."""
        store, bob = self.build(), self.account("bob")
        usual = await store.mailboxes(bob)
        names = [
            "..", "../alice", "a/b", "a.b", "a/../b", ".hidden", "cur", "new", "%2E", "%", "日本", "with space",
            "quote\"'`;$(x)", "*?[a]", "back\\slash", "tab\there", "inbox", "Junk:2,S", "a//b", "~root",
        ]
        for name in names:
            await self.deliver(store, bob, name.encode(), mailbox=name)
        self.assertEqual(sorted(await store.mailboxes(bob)), sorted([*names, *usual]))
        for name in names:
            self.assertEqual(await self.all(store, bob, name), [PREFIX + name.encode()])
        self.assertEqual(await self.all(store, bob), [])

    async def test_contract_accounts(self) -> None:
        """Nobody sees the mail of others, whatever the two are called."""
        store = self.build()
        locals = ["bob", "bob.", "..", "../bob", "bob/new", ".bob", "%62ob", "b*", "b?b", "[b]ob", "bob ", "ボブ"]
        accounts = [self.account(local) for local in locals]
        usual = [list(await store.mailboxes(account)) for account in accounts]
        for account in accounts:
            await self.deliver(store, account, account.address.local.encode())
        for account, boxes in zip(accounts, usual, strict=True):
            self.assertEqual(await self.all(store, account), [PREFIX + account.address.local.encode()])
            self.assertEqual(list(await store.mailboxes(account)), boxes)

    async def test_contract_removing_others(self) -> None:
        """UIDs are those of one mailbox."""
        store, alice, bob = self.build(), self.account("alice"), self.account("bob")
        for account in (alice, bob):
            await self.deliver(store, account, b"a")
            await self.deliver(store, account, b"b", mailbox=JUNK)
        box = await store.open(alice, INBOX)
        await box.remove([each.uid for each in await box.messages()])
        self.assertEqual(await self.uids(store, alice), [])
        self.assertEqual(len(await self.uids(store, alice, JUNK)), 1)
        self.assertEqual(len(await self.uids(store, bob)), 1)
