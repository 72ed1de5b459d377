"""The tests that a store has to pass from which removed mail can be brought back (`mailserver.imapstore.IUndelete`)::

    class ShoeboxTests(UndeleteContract, PluginCase):
        plugin = Shoebox

They set `IServer.keeping`, which a store looks at whenever something is removed.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from zope.interface.verify import verifyObject

from mailserver.errors import NotFound, OverQuota
from mailserver.imapstore import Flags, IUndelete, Removed
from mailserver.interfaces import ANSWERED, DELETED, FLAGGED, INBOX, SEEN, Account
from mailserver.keeping import DAY, Keeping
from mailserver.testing.contracts import PluginContract
from mailserver.testing.imapstores import ALL, PLAIN, ImapSteps
from mailserver.testing.stores import octets

BACK = "Restored"


class UndeleteContract(ImapSteps, PluginContract):
    """For `mailserver.imapstore.IUndelete`."""

    interface = IUndelete

    def build(self, **table: Any) -> Any:
        self.server.keeping = Keeping(undelete=14 * DAY)
        return super().build(**table)

    async def kept(self, store: Any, account: Account, name: str | None = None, since: float = 0.0) -> list[Removed]:
        """All that can be brought back."""
        found: list[Removed] = []
        after = None
        while some := await store.removed(account, name, since, after):
            found += some
            after = some[-1].key
        return found

    async def expunge(self, store: Any, account: Account, uids: Any = ALL, name: str = INBOX) -> None:
        """As IMAP does it."""
        box = await store.open(account, name)
        await box.store(uids, "+", Flags(DELETED))
        await box.expunge(uids)

    async def back(
        self, store: Any, account: Account, name: str | None = None, into: str = BACK, since: float = 0.0
    ) -> dict[str, int]:
        """Bring all of it back."""
        return dict(await store.restore(account, await self.kept(store, account, name, since), into))

    async def whole(self, store: Any, account: Account, name: str = INBOX) -> list[bytes]:
        """What is in a mailbox."""
        box = await store.open(account, name)
        return [b"".join([each async for each in box.read(message.uid)]) for message in await box.messages()]

    def names(self, found: Collection[Removed]) -> dict[tuple[str, bool, str], int]:
        """How many of which mailbox, whether it is there, and why they went."""
        return dict(Counter((each.name, each.is_there, each.why) for each in found))

    async def test_undelete_interface(self) -> None:
        verifyObject(IUndelete, self.build())

    async def test_undelete_expunged(self) -> None:
        """With its flags, keywords and dates, under a new UID, and not to go again at the next EXPUNGE."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, PLAIN, system=SEEN | FLAGGED, keywords=["Work", "$Junk"], received=1000.0)
        await self.append(store, bob, octets(300), system=ANSWERED)
        box = await store.open(bob, INBOX)
        before = await box.load()
        await self.expunge(store, bob, [(1, 1)])
        [kept] = await self.kept(store, bob)
        self.assertEqual(
            (kept.name, kept.is_there, kept.why, kept.size, kept.received, kept.at),
            (INBOX, True, "expunge", len(PLAIN), 1000.0, self.server.now()),
        )
        self.assertEqual(await self.back(store, bob), {INBOX: 1})
        self.assertEqual(await self.flags(box), {2: (ANSWERED, set()), 3: (SEEN | FLAGGED, {"Work", "$Junk"})})
        self.assertEqual(await self.columns(box, "uid", "received", uids=[(3, 3)]), [(3, 1000.0)])
        self.assertEqual(await self.whole(store, bob), [octets(300), PLAIN])
        changes = await box.changes(before.modseq)
        self.assertEqual(([uid for uid, _, _ in changes.changed], list(changes.gone)), ([3], [1]))
        self.assertEqual(await self.kept(store, bob), [])
        self.assertEqual((await box.expunge())[0], [])
        await self.check(store, bob)

    async def test_undelete_by_pop3(self) -> None:
        """What POP3 deleted; and what nobody has anything of any more is as if it had never been."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        await self.append(store, bob, b"one\r\n", b"two\r\n", b"three\r\n")
        box = await store.open(bob, INBOX)
        await box.remove([1, 3])
        self.assertEqual(self.names(await self.kept(store, bob)), {(INBOX, True, "pop3"): 2})
        self.assertEqual([each.uid for each in await box.messages()], [2])
        with self.assertRaises(NotFound):
            await self.beginning(box, 1)
        self.assertEqual(await self.kept(store, alice), [])
        self.assertEqual(dict(await store.restore(alice, await self.kept(store, bob), BACK)), {})
        self.assertEqual(len(await self.kept(store, bob)), 2)
        await self.back(store, bob)
        self.assertEqual(await self.whole(store, bob), [b"two\r\n", b"one\r\n", b"three\r\n"])
        await self.check(store, bob)

    async def beginning(self, box: Any, uid: int) -> bytes:
        return await box.beginning(uid, 10)  # type: ignore[no-any-return]

    async def test_undelete_a_mailbox(self) -> None:
        """By its name, with what was removed in it before; or else into another."""
        store, bob = self.build(), self.account("bob")
        for name in ("Work", "Play"):
            await store.create(bob, name)
            await self.append(store, bob, b"%s 1\r\n" % name.encode(), b"2\r\n", name=name, keywords=[name])
        await self.expunge(store, bob, [(1, 1)], "Work")
        await store.delete(bob, "Work")
        await store.delete(bob, "Play")
        self.assertEqual(self.names(await self.kept(store, bob, "Work")), {
            ("Work", False, "expunge"): 1, ("Work", False, "delete"): 1,
        })
        self.assertEqual(await self.back(store, bob, "Work", "Work"), {"Work": 2})
        self.assertEqual(await self.back(store, bob), {BACK: 2})
        self.assertEqual(await self.whole(store, bob, "Work"), [b"Work 1\r\n", b"2\r\n"])
        self.assertEqual(await self.flags(await store.open(bob, BACK)), {1: (0, {"Play"}), 2: (0, {"Play"})})
        self.assertIn(BACK, await store.subscriptions(bob))
        await self.check(store, bob)

    async def test_undelete_of_two_lives(self) -> None:
        """A mailbox of the same name was made again: it gets what both had; another that was renamed keeps its own."""
        store, bob = self.build(), self.account("bob")
        for round in (b"a", b"b"):
            await store.create(bob, "Work")
            await self.append(store, bob, round, name="Work", keywords=[round.decode()])
            await store.delete(bob, "Work")
        await store.create(bob, "Work")
        await self.append(store, bob, b"c", name="Work", keywords=["b"])
        await self.expunge(store, bob, name="Work")
        await store.rename(bob, "Work", "Toil")
        self.assertEqual(await self.back(store, bob, "Toil"), {"Toil": 1})
        self.assertEqual(await self.back(store, bob, "Work", "Toil"), {"Toil": 2})
        self.assertEqual(await self.whole(store, bob, "Toil"), [b"c", b"a", b"b"])
        self.assertEqual(await self.flags(await store.open(bob, "Toil")), {2: (0, {"b"}), 3: (0, {"a"}), 4: (0, {"b"})})

    async def test_undelete_since(self) -> None:
        """Only what was removed lately."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"old", b"new")
        await self.expunge(store, bob, [(1, 1)])
        self.server.clock.advance(DAY)
        await self.expunge(store, bob, [(2, 2)])
        self.assertEqual(await self.back(store, bob, since=self.server.now() - 60.0), {INBOX: 1})
        self.assertEqual(await self.whole(store, bob), [b"new"])
        self.assertEqual(len(await self.kept(store, bob)), 1)

    async def test_undelete_many(self) -> None:
        """More than one look shows; once brought back they are not brought back again."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, *[b"%d" % number for number in range(700)])
        await self.expunge(store, bob)
        found = await self.kept(store, bob)
        self.assertEqual(len({each.key for each in found}), 700)
        self.assertEqual(dict(await store.restore(bob, found[:600], BACK)), {INBOX: 600})
        self.assertEqual(dict(await store.restore(bob, found, BACK)), {INBOX: 100})
        self.assertEqual(await self.whole(store, bob), [b"%d" % number for number in range(700)])
        await self.check(store, bob)

    async def test_undelete_and_quota(self) -> None:
        """It counts in no quota, and comes back only where there is room: all of it, or nothing."""
        store, bob = self.build(quota_octets=100), self.account("bob")
        await self.append(store, bob, b"x" * 60)
        await self.expunge(store, bob)
        self.assertEqual((await store.quota(bob)).octets, 0)
        await self.append(store, bob, b"y" * 60)
        before = await store.status(bob)
        with self.assertRaises(OverQuota):
            await self.back(store, bob)
        self.assertEqual(await store.status(bob), before)
        self.assertEqual(len(await self.kept(store, bob)), 1)

    async def test_undelete_is_bounded(self) -> None:
        """As much as the account may have, the newest: nobody fills a disk by appending and removing."""
        store, bob = self.build(quota_octets=100, quota_messages=4), self.account("bob")
        for letter in b"abcd":
            await self.append(store, bob, bytes([letter]) * 40)
            self.server.clock.advance(1.0)
            await self.expunge(store, bob)
        await self.back(store, bob)
        self.assertEqual(await self.whole(store, bob), [b"c" * 40, b"d" * 40])
        await self.expunge(store, bob)
        for letter in b"efghi":
            await self.append(store, bob, bytes([letter]))
            self.server.clock.advance(1.0)
            await self.expunge(store, bob)
        await self.back(store, bob)
        self.assertEqual(await self.whole(store, bob), [b"f", b"g", b"h", b"i"])

    async def test_undelete_nothing(self) -> None:
        """Where nothing is to be kept, nothing is; what is moved, or replaced by another version, is not removed."""
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "Work")
        await self.append(store, bob, b"1", b"2", b"3")
        box = await store.open(bob, INBOX)
        await box.copy([(1, 1)], bob, "Work", move=True)
        await store.append(bob, INBOX, [await self.appended(b"4")], (box, 2))
        self.assertEqual(await self.kept(store, bob), [])
        self.server.keeping = Keeping(undelete=0.0)
        await box.remove([3])
        await store.delete(bob, "Work")
        self.assertEqual(await self.kept(store, bob), [])
