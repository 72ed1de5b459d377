"""The tests that every mailbox store has to pass whose mailboxes can be shared, besides those of IMAP::

    class ShoeboxTests(SharingContract, PluginCase):
        plugin = Shoebox
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from mailserver.errors import AlreadyExists, NotFound, OverQuota
from mailserver.imapstore import Flags
from mailserver.interfaces import ANSWERED, DELETED, FLAGGED, INBOX, SEEN, Account
from mailserver.sharing import MOST_SHARES, Into, ISharedMailbox, ISharing, Share
from mailserver.testing.contracts import PluginContract
from mailserver.testing.imapstores import ALL, PLAIN, ImapSteps

EVERY = -1              # bits of flags: all may be set


class SharingContract(ImapSteps, PluginContract):
    """For `mailserver.sharing.ISharing`."""

    interface = ISharing

    async def both(self) -> tuple[Any, Account, Account]:
        """A store, alice with a mailbox "Plans", and bob."""
        store = self.build()
        alice, bob = self.account("alice"), self.account("bob")
        await store.create(alice, "Plans")
        return store, alice, bob

    async def test_sharing_interfaces(self) -> None:
        store, alice, bob = await self.both()
        verifyObject(ISharing, store)
        verifyObject(ISharedMailbox, await store.open(alice, "Plans"))
        verifyObject(ISharedMailbox, await store.view(alice, "Plans", bob))
        with self.assertRaises(NotFound):
            await store.view(alice, "None", bob)

    async def test_sharing_rights(self) -> None:
        """The owner has all of them; others what they are given in whatever way, less what they are denied."""
        store, alice, bob = await self.both()
        self.server.add_domain("example.net")
        carol = self.server.add_account("carol@example.net")

        async def rights() -> list[str | None]:
            return [await store.rights(each, alice, "Plans") for each in (alice, bob, carol)]

        everything = "lrswipkxtea"
        self.assertEqual(await rights(), [everything, "", ""])
        for who, how, letters, bobs, carols in (
            ("bob@example.org", "=", "lr", "lr", ""), ("Bob@Example.ORG", "+", "s", "lrs", ""),
            ("@example.org", "=", "wa", "lrswa", ""), ("anyone", "=", "li", "lrswia", "li"),
            ("-@example.org", "=", "a", "lrswi", "li"), ("-anyone", "=", "i", "lrsw", "l"),
            ("bob@example.org", "-", "s", "lrw", "l"), ("@example.org", "=", "", "lr", "l"),
            ("bob@example.org", "=", "", "l", "l"), ("-bob@example.org", "=", "l", "", "l"),
        ):
            await store.share(alice, "Plans", who, how, letters)
            self.assertEqual(await rights(), [everything, bobs, carols], who)
        self.assertEqual(await store.shares(alice, "Plans"), [
            Share("-@example.org", "a"), Share("-anyone", "i"), Share("-bob@example.org", "l"), Share("anyone", "li"),
        ])
        self.assertIsNone(await store.rights(bob, alice, "None"))
        self.assertEqual(await store.rights(bob, alice, INBOX), "")

    async def test_sharing_refused(self) -> None:
        store, alice, _ = await self.both()
        for who in ("nobody@example.org", "$team", "@example.com", "nonsense", "-nobody@example.org", '""@example.org'):
            with self.assertRaises(NotFound):
                await store.share(alice, "Plans", who, "=", "l")
            with self.assertRaises(NotFound):
                await store.known(who)
        for who in ("alice@example.org", "-Alice@example.org"):
            with self.assertRaises(AlreadyExists):
                await store.share(alice, "Plans", who, "=", "l")
        with self.assertRaises(NotFound):
            await store.share(alice, "None", "anyone", "=", "l")
        with self.assertRaises(NotFound):
            await store.shares(alice, "None")
        self.assertEqual(await store.shares(alice, "Plans"), [])
        self.assertEqual([await store.known(each) for each in ("ANYONE", "-@Example.org", "aLice@example.org")], [
            "anyone", "-@example.org", "alice@example.org"])
        self.assertGreater(MOST_SHARES, 99)

    async def test_sharing_lists(self) -> None:
        """What is made below has the list of the nearest above it; it stays through a rename, and goes at last."""
        store, alice, bob = await self.both()
        await store.share(alice, "Plans", "bob@example.org", "=", "lrk")
        await store.create(alice, "Plans/a/b")
        self.assertEqual(await store.rights(bob, alice, "Plans/a/b"), "lrk")
        self.assertEqual(await store.parent_rights(bob, alice, "Plans/a/c/d"), "lrk")
        self.assertEqual(await store.parent_rights(bob, alice, "Plan/a"), "")
        self.assertEqual(await store.parent_rights(bob, alice, "Plans"), "")
        await store.rename(alice, "Plans", "Other")
        found = [(each.owner, each.status.name, each.rights) for each in await store.shared(bob)]
        self.assertEqual(found, [(alice, "Other", "lrk"), (alice, "Other/a/b", "lrk")])
        self.assertEqual(await store.shared(alice), [])
        await store.delete(alice, "Other")
        await store.create(alice, "Other")
        self.assertEqual([each.status.name for each in await store.shared(bob)], ["Other/a/b"])

    async def test_sharing_owner(self) -> None:
        store, alice, _ = await self.both()
        self.assertEqual(await store.owner("ALICE@example.org"), alice)
        for address in ("nobody@example.org", "@example.org", "@", "", "nonsense", '""@example.org', "alice"):
            self.assertIsNone(await store.owner(address), address)

    async def test_sharing_tells(self) -> None:
        """Whoever watches a mailbox hears that its list has changed."""
        store, alice, _ = await self.both()
        box, heard = await store.open(alice, "Plans"), []
        end = store.watch(box, lambda: heard.append(1))
        await store.share(alice, "Plans", "anyone", "=", "l")
        self.assertTrue(heard)
        end()

    # -- \\Seen of each

    async def test_sharing_seen(self) -> None:
        """What a viewer has seen is his alone; all else is the mailbox's."""
        store, alice, bob = await self.both()
        carol = self.account("carol")
        await self.append(store, alice, *[PLAIN] * 4, name="Plans")
        box = await store.open(alice, "Plans")
        his, hers = await store.view(alice, "Plans", bob), await store.view(alice, "Plans", carol)
        await box.store([(1, 1)], "+", Flags(SEEN | FLAGGED, ["$Work"]))
        stored = await his.change([(2, 3)], "+", Flags(SEEN | ANSWERED), EVERY)
        self.assertEqual(list(stored.changed), [(2, SEEN | ANSWERED), (3, SEEN | ANSWERED)])
        again = await his.change([(2, 3)], "+", Flags(SEEN), EVERY)
        self.assertEqual((list(again.changed), again.modseq), ([], stored.modseq))
        await hers.change([(3, 4)], "=", Flags(SEEN), SEEN)
        self.assertEqual(await self.seen(box), [(1, {1: SEEN | FLAGGED, 2: ANSWERED, 3: ANSWERED, 4: 0})])
        self.assertEqual(await self.seen(his), [(2, {1: FLAGGED, 2: SEEN | ANSWERED, 3: SEEN | ANSWERED, 4: 0})])
        self.assertEqual(await self.seen(hers), [(2, {1: FLAGGED, 2: ANSWERED, 3: SEEN | ANSWERED, 4: SEEN})])
        self.assertEqual([await store.unseen(each, alice, "Plans") for each in (bob, carol)], [2, 2])
        self.assertEqual((await self.one(store, alice, "Plans")).unseen, 3)
        await his.change([(1, 4)], "-", Flags(SEEN), EVERY)
        self.assertEqual(await store.unseen(bob, alice, "Plans"), 4)
        await box.store([(4, 4)], "+", Flags(DELETED))
        await box.expunge()
        self.assertEqual(await store.unseen(carol, alice, "Plans"), 2)
        with self.assertRaises(NotFound):
            await store.unseen(carol, alice, "None")
        await self.check(store, alice)

    async def seen(self, box: Any) -> list[tuple[int, dict[int, int]]]:
        """How many are seen, and the flags of all, which are the same wherever they are asked."""
        state = await box.load()
        loaded = {uid: flags & 0xFF for uid, flags in zip(state.uids, state.flags, strict=True)}
        rows = await self.columns(box, "uid", "flags", "modseq")
        self.assertEqual({uid: flags & 0xFF for uid, flags, _ in rows}, loaded)
        self.assertEqual([modseq for *_, modseq in rows], list(state.modseqs))
        changes = await box.changes(0)
        self.assertEqual([tuple(row) for row in rows], [tuple(each) for each in changes.changed])
        return [(sum(flags & SEEN for flags in loaded.values()), loaded)]

    async def test_sharing_changes(self) -> None:
        """What one has seen is a change for himself alone."""
        store, alice, bob = await self.both()
        await self.append(store, alice, *[PLAIN] * 3, name="Plans")
        box, his = await store.open(alice, "Plans"), await store.view(alice, "Plans", bob)
        before = (await his.load()).modseq
        stored = await his.change([(2, 2)], "+", Flags(SEEN), SEEN)
        self.assertEqual(stored.modseq, before + 1)
        changes, others = await his.changes(before), await box.changes(before)
        self.assertEqual([tuple(each) for each in changes.changed], [(2, SEEN, before + 1)])
        self.assertEqual((list(others.changed), others.modseq), ([], before + 1))
        refused = await his.change([(1, 2)], "-", Flags(SEEN), SEEN, before)
        self.assertEqual((list(refused.changed), list(refused.modified)), ([], [2]))
        await box.store([(2, 2)], "+", Flags(FLAGGED))
        changes = await his.changes(before + 1)
        self.assertEqual([tuple(each) for each in changes.changed], [(2, SEEN | FLAGGED, before + 2)])

    async def test_sharing_may_set(self) -> None:
        """Flags that may not be set stay as they are, however that is asked."""
        store, alice, _ = await self.both()
        await self.append(store, alice, PLAIN, name="Plans", system=FLAGGED | DELETED, keywords=["$Work"])
        box = await store.open(alice, "Plans")
        for how, system, may_set, left in (
            ("=", 0, SEEN, FLAGGED | DELETED), ("=", SEEN | ANSWERED, SEEN, SEEN | FLAGGED | DELETED),
            ("-", FLAGGED | DELETED, DELETED, SEEN | FLAGGED), ("+", DELETED | ANSWERED, ~DELETED, SEEN | 6),
            ("=", 0, ~SEEN & ~DELETED, SEEN),
        ):
            await box.change(ALL, how, Flags(system, []), may_set)
            self.assertEqual((await self.flags(box))[1][0], left, (how, system, may_set))
            await self.check(store, alice)
        self.assertEqual((await self.flags(box))[1][1], set())
        await box.change(ALL, "+", Flags(SEEN, ["New"]), 0xFF)
        self.assertEqual((await box.load()).keywords, ("$Work",))

    async def test_sharing_put(self) -> None:
        """Into a mailbox of somebody else only the flags go that may, and \\Seen is whose it was."""
        store, alice, bob = await self.both()
        await self.append(store, bob, PLAIN, system=SEEN | FLAGGED | DELETED, keywords=["$Work"])
        await self.append(store, bob, PLAIN)
        mine = await store.open(bob, INBOX)
        box, his = await store.open(alice, "Plans"), await store.view(alice, "Plans", bob)
        copied = await store.put(mine, ALL, Into(alice, "Plans", ~DELETED, bob))
        self.assertEqual(list(copied.targets), [1, 2])
        self.assertEqual(await self.flags(box), {1: (FLAGGED, {"$Work"}), 2: (0, set())})
        self.assertEqual(await self.flags(his), {1: (FLAGGED | SEEN, {"$Work"}), 2: (0, set())})
        await store.put(mine, ALL, Into(alice, "Plans", SEEN))
        self.assertEqual([flags for flags, _ in (await self.flags(box)).values()], [FLAGGED, 0, SEEN, 0])
        await his.change([(2, 2)], "+", Flags(SEEN), SEEN)
        moved = await store.put(his, [(1, 3)], Into(bob, INBOX, EVERY), True)
        self.assertEqual((list(moved.sources), list(moved.targets)), ([1, 2, 3], [3, 4, 5]))
        found = await self.flags(mine)
        self.assertEqual([found[uid][0] for uid in (3, 4, 5)], [FLAGGED | SEEN, SEEN, 0])
        for account in (alice, bob):
            await self.check(store, account)

    async def test_sharing_bring(self) -> None:
        """What is appended counts for the owner, and has the flags that may be set."""
        store = self.build(quota_messages=2)
        alice, bob = self.account("alice"), self.account("bob")
        await store.create(alice, "Plans")
        new = [await self.appended(PLAIN, SEEN | FLAGGED | DELETED, ["$Work"])]
        await store.bring(Into(alice, "Plans", SEEN | DELETED, bob), new)
        self.assertEqual(await self.flags(await store.open(alice, "Plans")), {1: (DELETED, set())})
        self.assertEqual(await self.flags(await store.view(alice, "Plans", bob)), {1: (DELETED | SEEN, set())})
        await self.append(store, alice, PLAIN)
        with self.assertRaises(OverQuota):
            await store.bring(Into(alice, "Plans", EVERY, bob), [await self.appended()])
        await self.append(store, bob, PLAIN)
        with self.assertRaises(NotFound):
            await store.bring(Into(alice, "None", EVERY, bob), [await self.appended()])
        await self.check(store, alice)
