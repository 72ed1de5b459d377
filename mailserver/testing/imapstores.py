"""The tests that every mailbox store from which IMAP is served has to pass, besides `mailserver.testing.stores`::

    class ShoeboxTests(ImapStoreContract, MailboxStoreContract, PluginCase):
        plugin = Shoebox

A store whose mailboxes other processes may change as well says in `another` how it is seen from there.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from mailserver.accesskeys import KEY, IAccessKeys
from mailserver.content import LARGE
from mailserver.errors import AlreadyExists, NotFound, OverQuota, PermanentFailure
from mailserver.ident import Ids, spell
from mailserver.imapstore import (
    LONGEST_NAME,
    MOST_KEYWORDS,
    SPECIAL_USES,
    Appended,
    Flags,
    IAccountWatcher,
    IImapMailbox,
    IImapStore,
    State,
    Status,
    Wanted,
)
from mailserver.interfaces import ANSWERED, DELETED, FLAGGED, INBOX, SEEN, Account
from mailserver.store.contents import Incoming
from mailserver.testing.contracts import PluginContract
from mailserver.testing.standin import NOW
from mailserver.testing.stores import PREFIX, RECEIVED, MailboxSteps, octets

ALL = [(1, 0xFFFFFFFF)]
PLAIN = b"From: Carol <carol@example.net>\r\nSubject: Moon\r\nMessage-ID: <1@example.net>\r\n\r\nStones\r\n"

_ids = Ids(lambda: NOW + 1.0)


class ImapSteps(MailboxSteps):
    """What tests of such a store do with it."""

    async def appended(
        self, content: bytes = PLAIN, system: int = 0, keywords: Sequence[str] = (), received: float = RECEIVED
    ) -> Appended:
        """A message to be appended."""
        id = _ids()
        incoming = Incoming(self.server.database.contents, spell(id), self.server.in_thread)
        await incoming.write(content)
        return Appended(id, await incoming.finish(), Flags(system, keywords), received)

    async def append(self, store: Any, account: Account, *contents: bytes, name: str = INBOX, **how: Any) -> list[int]:
        """Append these; their UIDs."""
        copied = await store.append(account, name, [await self.appended(each, **how) for each in contents])
        return list(copied.targets)

    async def one(self, store: Any, account: Account, name: str = INBOX) -> Status:
        """The status of a mailbox."""
        [status] = await store.status(account, {name})
        return status  # type: ignore[no-any-return]

    async def columns(self, box: Any, *names: str, uids: Any = ALL) -> list[tuple[Any, ...]]:
        """Rows as they are."""
        wanted = Wanted(names, lambda rows: [tuple(row) for row in rows])
        return [row async for some in box.rows(uids, wanted) for row in some]

    async def flags(self, box: Any) -> dict[int, tuple[int, set[str]]]:
        """The flags of all messages: bits of the system's, and keywords."""
        state: State = await box.load()
        return {
            uid: (flags & 0xFF, {name for bit, name in enumerate(state.keywords) if flags >> (8 + bit) & 1})
            for uid, flags in zip(state.uids, state.flags, strict=True)
        }

    async def check(self, store: Any, account: Account) -> None:
        """The counts of all mailboxes are what a count gives."""
        for status in await store.status(account):
            box = await store.open(account, status.name)
            state, listed = await box.load(), await box.messages()
            self.assertEqual(
                (status.messages, status.unseen, status.size),
                (len(state.uids), sum(not flags & SEEN for flags in state.flags), sum(each.size for each in listed)),
                status.name,
            )
            self.assertEqual([each.uid for each in listed], list(state.uids))
            self.assertEqual((status.uidnext, status.modseq), (state.uidnext, state.modseq))
            self.assertGreater(status.uidnext, max(state.uids, default=0))
            self.assertGreaterEqual(status.modseq, max(state.modseqs, default=1))
            self.assertEqual((status.id, status.uidvalidity), (box.id, box.uidvalidity))

    async def pause(self, seconds: float) -> None:
        """So long, by the clock of the world and by that of the server."""
        await deferLater(self.server.reactor, seconds, lambda: None)
        self.server.clock.advance(seconds)


class ImapStoreContract(ImapSteps, PluginContract):
    """For `mailserver.imapstore.IImapStore`."""

    interface = IImapStore
    longest_name = LONGEST_NAME         # octets; of this form: 3 n + 1
    most_keywords = MOST_KEYWORDS
    has_prefixes = True                 # whether rows tell what came before the content from the content

    def another(self) -> Any:
        """The same mailboxes as another process sees them; None: there is no other."""
        return None

    async def test_imap_interfaces(self) -> None:
        store, bob = self.build(), self.account("bob")
        verifyObject(IImapStore, store)
        verifyObject(IImapMailbox, await store.open(bob, INBOX))

    def keeps_keys(self, store: Any) -> bool:
        """Whether it is for URLs that carry their authorization, too."""
        return bool(IAccessKeys.providedBy(store))

    # -- keys for URLs, where the store has some

    async def test_imap_access_keys(self) -> None:
        """One for each account and mailbox; it goes with the mailbox, and does not come again with the name."""
        store: Any = self.build()
        alice, bob = self.account("alice"), self.account("bob")
        if not self.keeps_keys(store):
            return
        verifyObject(IAccessKeys, store)
        inbox, sent = await store.open(bob, INBOX), await store.open(bob, "Sent")
        self.assertIsNone(await store.find_access_key(bob, inbox))
        self.assertEqual(await store.access_key(bob, inbox, b"\0" * KEY), b"\0" * KEY)
        self.assertEqual(await store.access_key(bob, inbox, b"\1" * KEY), b"\0" * KEY)
        self.assertEqual(await store.access_key(bob, sent, b"\2" * KEY), b"\2" * KEY)
        self.assertEqual(await store.access_key(alice, inbox, b"\3" * KEY), b"\3" * KEY)
        await store.forget_access_keys(bob, inbox)
        self.assertIsNone(await store.find_access_key(bob, inbox))
        self.assertEqual(await store.find_access_key(bob, sent), b"\2" * KEY)
        await store.delete(bob, "Sent")
        await store.create(bob, "Sent")
        self.assertIsNone(await store.find_access_key(bob, await store.open(bob, "Sent")))
        await store.access_key(bob, inbox, b"\4" * KEY)
        await store.forget_access_keys(bob)
        self.assertIsNone(await store.find_access_key(bob, inbox))
        self.assertEqual(await store.find_access_key(alice, inbox), b"\3" * KEY)

    # -- mailboxes

    async def test_imap_usual(self) -> None:
        """A new account has INBOX and a mailbox for each special use, empty, and is subscribed to them."""
        store, bob = self.build(), self.account("bob")
        found = {each.name: each for each in await store.status(bob)}
        self.assertEqual({name: each.special_use for name, each in found.items()},
                         {INBOX: "", **{name: use for use, name in SPECIAL_USES.items()}})
        self.assertEqual(list(found), sorted(found))
        for each in found.values():
            self.assertEqual((each.messages, each.unseen, each.size, each.recent, each.uidnext), (0, 0, 0, 0, 1))
        self.assertEqual(list(await store.subscriptions(bob)), sorted(found))

    async def test_imap_create(self) -> None:
        store, bob = self.build(), self.account("bob")
        made = await store.create(bob, "Moon/Stones", "")
        self.assertEqual((made.name, made.messages, made.special_use), ("Moon/Stones", 0, ""))
        self.assertEqual(await self.one(store, bob, "Moon/Stones"), made)
        for name in ("Moon/Stones", INBOX):
            with self.assertRaises(AlreadyExists):
                await store.create(bob, name)
        with self.assertRaises(AlreadyExists):
            await store.create(bob, "Other junk", "\\Junk")
        self.assertNotIn("Other junk", await store.mailboxes(bob))
        self.assertEqual((await store.create(self.account("alice"), "Moon/Stones")).messages, 0)

    async def test_imap_names(self) -> None:
        """As long as it may be, and an octet longer."""
        store, bob = self.build(), self.account("bob")
        longest = "日" * (self.longest_name // 3) + "x"
        await store.create(bob, longest)
        self.assertEqual((await self.one(store, bob, longest)).name, longest)
        await store.create(bob, "a")
        await store.create(bob, "a/" + "x" * (self.longest_name - 10))
        for failing in (store.create(bob, longest + "x"), store.subscribe(bob, longest + "x"),
                        store.rename(bob, longest, longest + "x"), store.rename(bob, "a", "a" * 20)):
            with self.assertRaises(PermanentFailure):
                await failing
        self.assertIn("a", await store.mailboxes(bob))

    async def test_imap_special_use(self) -> None:
        """Once the mailbox for one is gone, another may have it."""
        store, bob = self.build(), self.account("bob")
        await store.delete(bob, "Sent")
        self.assertEqual((await store.create(bob, "Gesendet", "\\Sent")).special_use, "\\Sent")
        self.assertEqual((await store.create(bob, "Sent")).special_use, "")

    async def test_imap_status(self) -> None:
        """Only those that were asked for and exist."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"bc")
        await self.append(store, bob, b"d", system=SEEN)
        [inbox, sent] = await store.status(bob, {"Sent", INBOX, "None"})
        self.assertEqual((inbox.name, inbox.messages, inbox.unseen, inbox.size, inbox.recent), (INBOX, 3, 2, 4, 3))
        self.assertEqual((sent.name, sent.messages), ("Sent", 0))
        self.assertEqual(list(await store.status(bob, set())), [])

    async def test_imap_delete(self) -> None:
        """It goes with its mail; what lies below it stays; who has it open finds nothing."""
        store, bob = self.build(), self.account("bob")
        for name in ("a", "a/b"):
            await store.create(bob, name)
            await self.append(store, bob, PLAIN, name=name)
        box = await store.open(bob, "a")
        await store.delete(bob, "a")
        self.assertNotIn("a", await store.mailboxes(bob))
        self.assertEqual(len(await self.uids(store, bob, "a/b")), 1)
        for failing in (box.load(), box.changes(1), box.store(ALL, "+", Flags(SEEN)), box.expunge(),
                        box.copy(ALL, bob, INBOX), store.open(bob, "a"), store.delete(bob, "a"),
                        store.append(bob, "a", [await self.appended()])):
            with self.assertRaises(NotFound):
                await failing
        with self.assertRaises(AlreadyExists):
            await store.delete(bob, INBOX)

    async def test_imap_never_again(self) -> None:
        """Made anew in the same second, it has another UIDVALIDITY and MAILBOXID; the old one stays gone."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        seen: set[Any] = set()
        for who in (bob, alice, bob, alice, alice):
            made = await store.create(who, "Last")
            box = await store.open(who, "Last")
            self.assertEqual((box.id, box.uidvalidity), (made.id, made.uidvalidity))
            self.assertNotIn((who, made.uidvalidity), seen)
            self.assertNotIn(made.id, seen)
            seen |= {(who, made.uidvalidity), made.id}
            await store.delete(who, "Last")
            await store.create(alice, "After")      # nobody sees another's mail by what he has open
            await self.append(store, alice, PLAIN, name="After")
            with self.assertRaises(NotFound):
                await box.load()
            self.assertEqual(list(await box.messages()), [])
            await store.delete(alice, "After")

    async def test_imap_rename(self) -> None:
        """With what lies below it; ids and UIDs stay."""
        store, bob = self.build(), self.account("bob")
        for name in ("a", "a/b", "a/b/c", "ab", "a.b"):
            await store.create(bob, name)
        await self.append(store, bob, PLAIN, name="a/b")
        before = await self.one(store, bob, "a/b")
        usual = set(await store.mailboxes(bob)) - {"a", "a/b", "a/b/c"}
        await store.rename(bob, "a", "x/y")
        self.assertEqual(set(await store.mailboxes(bob)), usual | {"x/y", "x/y/b", "x/y/b/c"})
        after = await self.one(store, bob, "x/y/b")
        self.assertEqual((after.id, after.uidvalidity, after.messages), (before.id, before.uidvalidity, 1))
        await store.rename(bob, "x/y", "a")         # what was never a mailbox is not one now
        self.assertEqual(set(await store.mailboxes(bob)), usual | {"a", "a/b", "a/b/c"})

    async def test_imap_rename_refused(self) -> None:
        store, bob = self.build(), self.account("bob")
        for name in ("a", "a/b", "c", "d", "d/b"):
            await store.create(bob, name)
        there = set(await store.mailboxes(bob))
        for old, new, error in (("a", "c", AlreadyExists), ("a", INBOX, AlreadyExists), ("a", "a/b/c", AlreadyExists),
                                ("a", "a", AlreadyExists), ("no", "yes", NotFound)):
            with self.assertRaises(error):
                await store.rename(bob, old, new)
        await store.delete(bob, "d")
        with self.assertRaises(AlreadyExists):      # d/b is there
            await store.rename(bob, "a", "d")
        self.assertEqual(set(await store.mailboxes(bob)), there - {"d"})

    async def test_imap_rename_above(self) -> None:
        """A name that is no mailbox, but has some below it, can be renamed."""
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "a/b")
        await store.rename(bob, "a", "z")
        self.assertIn("z/b", await store.mailboxes(bob))

    async def test_imap_rename_inbox(self) -> None:
        """Its messages go, with flags and dates; it stays, and so does what lies below it (RFC 9051 6.3.6)."""
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "INBOX/below")
        await self.append(store, bob, PLAIN, system=SEEN, keywords=["Moon"])
        before = await self.one(store, bob)
        with self.assertRaises(AlreadyExists):
            await store.rename(bob, INBOX, "Sent")
        self.assertEqual(len(await self.uids(store, bob)), 1)
        await store.rename(bob, INBOX, "Old")
        after = await self.one(store, bob)
        self.assertEqual((after.id, after.uidvalidity, after.messages), (before.id, before.uidvalidity, 0))
        self.assertGreaterEqual(after.uidnext, before.uidnext)
        old = await store.open(bob, "Old")
        self.assertEqual(list((await self.flags(old)).values()), [(SEEN, {"Moon"})])
        self.assertEqual([each.received for each in await old.messages()], [RECEIVED])
        self.assertIn("INBOX/below", await store.mailboxes(bob))
        await self.check(store, bob)

    async def test_imap_subscriptions(self) -> None:
        """By name: before a mailbox, and after it."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        usual = list(await store.subscriptions(bob))
        for _ in range(2):
            await store.subscribe(bob, "日本")
        await store.create(bob, "b")
        self.assertEqual(list(await store.subscriptions(bob)), sorted([*usual, "日本"]))
        await store.subscribe(bob, "b")
        await store.delete(bob, "b")
        await store.subscribe(bob, "日本", False)
        await store.subscribe(bob, "never", False)
        self.assertEqual(list(await store.subscriptions(bob)), sorted([*usual, "b"]))
        self.assertEqual(list(await store.subscriptions(alice)), usual)

    # -- append

    async def test_imap_append(self) -> None:
        """Octets, flags, keywords and the date are as given; there is no prefix."""
        store, bob = self.build(), self.account("bob")
        box = await store.open(bob, INBOX)
        before = await box.load()
        contents = [b"", b"x", octets(LARGE), octets(3 * LARGE), b"bare\nnul\0\xff"]
        copied = await store.append(bob, INBOX, [
            await self.appended(each, SEEN | FLAGGED, ["Moon", "$Forwarded"], RECEIVED + number)
            for number, each in enumerate(contents)
        ])
        self.assertEqual((copied.uidvalidity, list(copied.sources)), (box.uidvalidity, []))
        self.assertEqual(list(copied.targets), list(range(1, 6)))
        self.assertTrue(await self.all(store, bob) == contents)
        for system, keywords in (await self.flags(box)).values():
            self.assertEqual((system, keywords), (SEEN | FLAGGED, {"Moon", "$Forwarded"}))
        self.assertEqual([each.received for each in await box.messages()], [RECEIVED + number for number in range(5)])
        state = await box.load()
        self.assertEqual((state.modseq, set(state.modseqs)), (before.modseq + 1, {before.modseq + 1}))
        await self.check(store, bob)

    async def test_imap_append_none(self) -> None:
        """All or none: one that cannot be is the end of them all."""
        store, bob = self.build(quota_messages=3), self.account("bob")
        await self.append(store, bob, b"a", b"b")
        before = await self.one(store, bob)
        with self.assertRaises(OverQuota):
            await self.append(store, bob, b"c", b"d")
        with self.assertRaises(NotFound):
            await self.append(store, bob, b"c", name="None")
        self.assertEqual(await self.one(store, bob), before)
        self.assertEqual(await self.append(store, bob, b"c"), [3])

    async def test_imap_replace(self) -> None:
        """What is replaced goes with what comes, or neither (RFC 8508); it may lie elsewhere."""
        store, bob = self.build(), self.account("bob")
        [draft] = await self.append(store, bob, b"one", name="Drafts")
        drafts = await store.open(bob, "Drafts")
        since = (await drafts.load()).modseq
        copied = await store.append(bob, "Drafts", [await self.appended(b"two")], (drafts, draft))
        self.assertEqual(await self.all(store, bob, "Drafts"), [b"two"])
        changes = await drafts.changes(since)
        self.assertEqual(([uid for uid, _, _ in changes.changed], list(changes.gone)), (list(copied.targets), [draft]))
        await store.append(bob, "Sent", [await self.appended(b"three")], (drafts, copied.targets[0]))
        self.assertEqual((await self.all(store, bob, "Drafts"), await self.all(store, bob, "Sent")), ([], [b"three"]))
        with self.assertRaises(NotFound):
            await store.append(bob, "Sent", [await self.appended(b"four")], (drafts, draft))
        self.assertEqual(await self.all(store, bob, "Sent"), [b"three"])
        await self.check(store, bob)

    async def test_imap_replace_at_the_limit(self) -> None:
        """What goes makes room for what comes."""
        store, bob = self.build(quota_octets=10, quota_messages=1), self.account("bob")
        [uid] = await self.append(store, bob, b"0123456789")
        box = await store.open(bob, INBOX)
        with self.assertRaises(OverQuota):
            await store.append(bob, INBOX, [await self.appended(b"0123456789x")], (box, uid))
        await store.append(bob, INBOX, [await self.appended(b"9876543210")], (box, uid))
        self.assertEqual(await self.all(store, bob), [b"9876543210"])

    # -- flags

    async def test_imap_store(self) -> None:
        """Added, removed, set; who has them so already does not change."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b", b"c", system=ANSWERED)
        box = await store.open(bob, INBOX)
        start = (await box.load()).modseq
        done = await box.store([(1, 2)], "+", Flags(SEEN))
        self.assertEqual((list(done.changed), list(done.modified), done.modseq),
                         ([(1, ANSWERED | SEEN), (2, ANSWERED | SEEN)], [], start + 1))
        done = await box.store([(2, 3)], "+", Flags(SEEN))
        self.assertEqual((list(done.changed), done.modseq), ([(3, ANSWERED | SEEN)], start + 2))
        done = await box.store(ALL, "-", Flags(ANSWERED))
        self.assertEqual(([uid for uid, _ in done.changed], done.modseq), ([1, 2, 3], start + 3))
        done = await box.store([(1, 1), (3, 9)], "=", Flags(FLAGGED | DELETED))
        self.assertEqual(list(done.changed), [(1, FLAGGED | DELETED), (3, FLAGGED | DELETED)])
        for how, flags in (("=", FLAGGED | DELETED), ("+", FLAGGED), ("-", SEEN), ("+", 0), ("-", 0)):
            same = await box.store([(1, 1), (3, 3)], how, Flags(flags))
            self.assertEqual((list(same.changed), same.modseq), ([], start + 4))
        self.assertEqual(await self.flags(box), {1: (FLAGGED | DELETED, set()), 2: (SEEN, set()),
                                                 3: (FLAGGED | DELETED, set())})
        done = await box.store([(50, 60)], "=", Flags(SEEN))
        self.assertEqual((list(done.changed), (await box.load()).modseq), ([], start + 4))
        self.assertEqual(list((await box.store([], "+", Flags(SEEN))).changed), [])
        await self.check(store, bob)

    async def test_imap_unchanged_since(self) -> None:
        """Whose mod-sequence is newer is named, and left as it is (RFC 7162 3.1.3)."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b", b"c")
        box = await store.open(bob, INBOX)
        since = (await box.load()).modseq
        await box.store([(2, 2)], "+", Flags(FLAGGED))
        done = await box.store(ALL, "+", Flags(SEEN), since)
        self.assertEqual(([uid for uid, _ in done.changed], list(done.modified)), ([1, 3], [2]))
        done = await box.store(ALL, "+", Flags(DELETED), 0)
        self.assertEqual((list(done.changed), list(done.modified)), ([], [1, 2, 3]))
        self.assertEqual({uid: flags for uid, (flags, _) in (await self.flags(box)).items()},
                         {1: SEEN, 2: FLAGGED, 3: SEEN})
        await self.check(store, bob)

    async def test_imap_keywords(self) -> None:
        """In the case in which they came first; whatever case they come in later."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b", keywords=["Moon"])
        box = await store.open(bob, INBOX)
        done = await box.store([(1, 1)], "+", Flags(0, ["MOON", "sun", "SUN"]))
        self.assertEqual(done.keywords, ("Moon", "sun"))
        self.assertEqual(await self.flags(box), {1: (0, {"Moon", "sun"}), 2: (0, {"Moon"})})
        await box.store(ALL, "-", Flags(0, ["mOON", "never"]))
        self.assertEqual(await self.flags(box), {1: (0, {"sun"}), 2: (0, set())})
        self.assertEqual((await box.load()).keywords, ("Moon", "sun"))

    async def test_imap_odd_keywords(self) -> None:
        """What could not be a keyword is passed over, and does no harm to the others."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", keywords=["two words", "", "x" * 1000, "no\u00a0break", "good"])
        box = await store.open(bob, INBOX)
        self.assertEqual(await self.flags(box), {1: (0, {"good"})})
        self.assertEqual((await box.load()).keywords, ("good",))

    async def test_imap_too_many_keywords(self) -> None:
        """The last bit is used; for one more there is none."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", system=SEEN)
        box = await store.open(bob, INBOX)
        self.assertEqual(box.most_keywords, self.most_keywords)
        names = [f"k{number}" for number in range(self.most_keywords + 1)]
        done = await box.store(ALL, "+", Flags(0, names))
        self.assertEqual(done.keywords, tuple(names[:-1]))
        self.assertEqual(await self.flags(box), {1: (SEEN, set(names[:-1]))})
        done = await box.store(ALL, "=", Flags(FLAGGED, [names[-1], names[-2]]))
        self.assertEqual(await self.flags(box), {1: (FLAGGED, {names[-2]})})
        copied = await box.copy(ALL, bob, "Sent")
        sent = await store.open(bob, "Sent")
        self.assertEqual(await self.flags(sent), {copied.targets[0]: (FLAGGED, {names[-2]})})

    # -- expunge

    async def test_imap_expunge(self) -> None:
        """Only what is \\Deleted, and only of these."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, *[b"%d" % number for number in range(10)])
        box = await store.open(bob, INBOX)
        start = (await box.store([(2, 8)], "+", Flags(DELETED))).modseq
        gone, modseq = await box.expunge([(1, 3), (5, 5), (9, 20)])
        self.assertEqual((list(gone), modseq), ([2, 3, 5], start + 1))
        self.assertEqual(await self.uids(store, bob), [1, 4, 6, 7, 8, 9, 10])
        gone, modseq = await box.expunge()
        self.assertEqual((list(gone), modseq), ([4, 6, 7, 8], start + 2))
        gone, modseq = await box.expunge()
        self.assertEqual((list(gone), modseq), ([], start + 2))
        self.assertEqual(await self.all(store, bob), [b"0", b"8", b"9"])
        await self.check(store, bob)

    # -- copy and move

    async def test_imap_copy(self) -> None:
        """With prefix, flags and date; what is gone is left out."""
        store, bob = self.build(), self.account("bob")
        large = octets(3 * LARGE)
        await self.deliver(store, bob, b"a", b"b", large, b"d", flags=SEEN, received=RECEIVED + 0.5)
        box = await store.open(bob, INBOX)
        await box.remove([2])
        await self.append(store, bob, b"x", name="Sent")
        copied = await box.copy([(1, 3), (7, 9)], bob, "Sent")
        self.assertEqual((list(copied.sources), list(copied.targets)), ([1, 3], [2, 3]))
        sent = await store.open(bob, "Sent")
        self.assertEqual(copied.uidvalidity, sent.uidvalidity)
        self.assertTrue(await self.all(store, bob, "Sent") == [b"x", PREFIX + b"a", PREFIX + large])
        self.assertEqual([(each.flags, each.received) for each in await sent.messages()][1:],
                         [(SEEN, RECEIVED + 0.5)] * 2)
        self.assertEqual(await self.uids(store, bob), [1, 3, 4])
        with self.assertRaises(NotFound):
            await box.copy(ALL, bob, "None")
        nothing = await box.copy([(2, 2)], bob, "Sent")
        self.assertEqual((list(nothing.sources), list(nothing.targets)), ([], []))
        await self.check(store, bob)

    async def test_imap_contents_stay(self) -> None:
        """Nothing is lost while one copy is left, whichever it is."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        for number, content in enumerate((PLAIN, octets(3 * LARGE))):
            [uid] = await self.append(store, bob, content)
            box = await store.open(bob, INBOX)
            for _ in range(2):
                await box.copy([(uid, uid)], bob, "Sent")
            await box.copy([(uid, uid)], alice, INBOX)
            await box.copy([(uid, uid)], bob, INBOX)
            await box.remove([uid])
            sent = await store.open(bob, "Sent")
            await sent.remove([(await self.uids(store, bob, "Sent"))[0]])
            self.assertTrue(await self.all(store, bob, "Sent") == [content])
            await store.delete(bob, "Sent")
            await store.create(bob, "Sent")
            self.assertTrue((await self.all(store, bob))[-1] == content)
            await box.remove(await self.uids(store, bob))
            self.assertTrue((await self.all(store, alice))[number] == content)
            for who in (bob, alice):
                await self.check(store, who)

    async def test_imap_move(self) -> None:
        """Gone there, and here, at once; both say so to who asks what has changed."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        await self.deliver(store, bob, b"a", b"b", octets(3 * LARGE))
        box = await store.open(bob, INBOX)
        since = (await box.load()).modseq
        moved = await box.copy([(2, 3)], alice, "Archive", move=True)
        self.assertEqual((list(moved.sources), list(moved.targets)), ([2, 3], [1, 2]))
        changes = await box.changes(since)
        self.assertEqual((list(changes.changed), list(changes.gone)), ([], [2, 3]))
        archive = await store.open(alice, "Archive")
        self.assertEqual([uid for uid, _, _ in (await archive.changes(1)).changed], [1, 2])
        self.assertTrue(await self.all(store, alice, "Archive") == [PREFIX + b"b", PREFIX + octets(3 * LARGE)])
        await archive.remove([1])
        self.assertEqual(await self.all(store, bob), [PREFIX + b"a"])
        for who in (bob, alice):
            await self.check(store, who)

    async def test_imap_same_mailbox(self) -> None:
        """Copied or moved to where they are, they get new UIDs."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b", b"c", keywords=["Moon"])
        box = await store.open(bob, INBOX)
        copied = await box.copy([(1, 2)], bob, INBOX)
        self.assertEqual(list(copied.targets), [4, 5])
        since = (await box.load()).modseq
        moved = await box.copy([(2, 4)], bob, INBOX, move=True)
        self.assertEqual((list(moved.sources), list(moved.targets)), ([2, 3, 4], [6, 7, 8]))
        self.assertEqual(await self.all(store, bob), [b"a", b"b", b"b", b"c", b"a"])
        changes = await box.changes(since)
        self.assertEqual(([uid for uid, _, _ in changes.changed], list(changes.gone)), ([6, 7, 8], [2, 3, 4]))
        self.assertEqual({str(keywords) for _, keywords in (await self.flags(box)).values()}, {"{'Moon'}"})
        await self.check(store, bob)

    async def test_imap_keywords_translated(self) -> None:
        """A keyword has another bit in another mailbox; those that no message has do not go there."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", keywords=["one", "two", "three"])
        box = await store.open(bob, INBOX)
        await box.store(ALL, "-", Flags(0, ["one"]))
        await self.append(store, bob, b"b", keywords=["THREE", "four"], name="Sent")
        await box.copy(ALL, bob, "Sent")
        sent = await store.open(bob, "Sent")
        self.assertEqual(await self.flags(sent), {1: (0, {"THREE", "four"}), 2: (0, {"two", "THREE"})})
        self.assertEqual((await sent.load()).keywords, ("THREE", "four", "two"))

    # -- changes

    async def test_imap_changes(self) -> None:
        """What is new, what has other flags and what is gone; once each, whatever happened to it."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b", b"c")
        box = await store.open(bob, INBOX)
        state = await box.load()
        nothing = await box.changes(state.modseq)
        self.assertEqual((list(nothing.changed), list(nothing.gone), nothing.modseq), ([], [], state.modseq))
        await box.store([(1, 1)], "+", Flags(SEEN))
        await box.store([(1, 1)], "+", Flags(0, ["Moon"]))
        await self.deliver(store, bob, b"d", b"e")
        await box.remove([5])
        await box.store([(2, 2)], "+", Flags(DELETED))
        await box.expunge()
        changes = await box.changes(state.modseq)
        self.assertEqual([uid for uid, _, _ in changes.changed], [1, 4])
        self.assertEqual(list(changes.gone), [2, 5])
        self.assertEqual((changes.uidnext, changes.keywords), (6, ("Moon",)))
        now = await box.load()
        self.assertEqual(
            {uid: (flags, modseq) for uid, flags, modseq in changes.changed},
            {uid: (flags, modseq) for uid, flags, modseq in zip(now.uids, now.flags, now.modseqs, strict=True)
             if modseq > state.modseq},
        )
        self.assertEqual(changes.modseq, now.modseq)

    async def test_imap_recent(self) -> None:
        """Recent until somebody claims them (RFC 3501 2.3.2); one who knows less takes nothing back."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"a", b"b")
        box = await store.open(bob, INBOX)
        self.assertEqual(((await self.one(store, bob)).recent, (await box.load()).recent), (2, 1))
        await box.claim_recent(3)
        await box.claim_recent(2)
        self.assertEqual(((await self.one(store, bob)).recent, (await box.load()).recent), (0, 3))
        await self.append(store, bob, b"c")
        self.assertEqual((await self.one(store, bob)).recent, 1)

    # -- quota

    async def test_imap_quota(self) -> None:
        """What is had and may be had; nothing is written beyond it, and moving inside an account is free."""
        store, bob = self.build(quota_octets=100, quota_messages=4), self.account("bob")
        await self.append(store, bob, b"x" * 40, b"x" * 50)
        quota = await store.quota(bob)
        self.assertEqual((quota.octets, quota.most_octets, quota.messages, quota.most_messages), (90, 100, 2, 4))
        box = await store.open(bob, INBOX)
        before = await store.status(bob)
        for failing in (box.copy([(1, 1)], bob, "Sent"), self.append(store, bob, b"x" * 11)):
            with self.assertRaises(OverQuota):
                await failing
        self.assertEqual(await store.status(bob), before)
        await box.copy(ALL, bob, "Sent", move=True)
        await self.append(store, bob, b"x" * 10)
        await self.deliver(store, bob, b"mail that was taken is delivered")
        self.assertEqual((await store.quota(bob)).messages, 4)
        with self.assertRaises(OverQuota):
            await self.append(store, bob, b"")
        await self.check(store, bob)

    async def test_imap_quota_of_others(self) -> None:
        """Who copies to somebody needs room there, not here."""
        store, bob, alice = self.build(quota_messages=2), self.account("bob"), self.account("alice")
        await self.append(store, bob, b"a", b"b")
        box = await store.open(bob, INBOX)
        await box.copy(ALL, alice, INBOX)
        for move in (False, True):
            with self.assertRaises(OverQuota):
                await box.copy([(1, 1)], alice, INBOX, move)
        self.assertEqual(await self.uids(store, bob), [1, 2])

    # -- watching

    async def test_imap_watch(self) -> None:
        """Whoever watches hears of each kind of change at once, and not any more once that has ended."""
        store, bob = self.build(), self.account("bob")
        heard: list[int] = []
        box = await store.open(bob, INBOX)
        end = store.watch(box, lambda: heard.append(1))
        fails = store.watch(box, lambda: 1 / 0)

        async def changes(doing: Any) -> None:
            heard.clear()
            await doing
            for _ in range(100):
                if heard:
                    return
                await deferLater(self.server.reactor, 0.01, lambda: None)
            self.fail("nothing was heard")

        await changes(self.append(store, bob, b"a", b"b"))
        await changes(self.deliver(store, bob, b"c"))
        await changes(box.store([(1, 2)], "+", Flags(DELETED)))
        await changes(box.copy([(1, 1)], bob, INBOX))
        await changes(box.expunge([(1, 1)]))
        await changes(box.copy([(2, 2)], bob, "Sent", move=True))
        self.flushLoggedErrors(ZeroDivisionError)
        heard.clear()
        await self.append(store, bob, b"d", name="Sent")
        await deferLater(self.server.reactor, 0.05, lambda: None)
        self.assertEqual(heard, [])
        end()
        end()
        await self.append(store, bob, b"d")
        await deferLater(self.server.reactor, 0.05, lambda: None)
        self.assertEqual(heard, [])
        fails()
        self.flushLoggedErrors(ZeroDivisionError)

    async def test_imap_watch_deleted(self) -> None:
        """Who watches a mailbox hears that it is gone."""
        store, bob = self.build(), self.account("bob")
        heard: list[int] = []
        await store.create(bob, "a")
        end = store.watch(await store.open(bob, "a"), lambda: heard.append(1))
        await store.delete(bob, "a")
        await deferLater(self.server.reactor, 0.05, lambda: None)
        self.assertTrue(heard)
        end()

    async def test_imap_watch_from_elsewhere(self) -> None:
        """What another process changes is heard within a second, also when it came just before the first look."""
        store, bob = self.build(), self.account("bob")
        other = self.another()
        if other is None:
            return
        heard: list[int] = []
        box = await store.open(bob, INBOX)
        end = store.watch(box, lambda: heard.append(1))
        for number in range(3):
            heard.clear()
            await self.append(other, bob, b"%d" % number)
            await self.pause(0.5)
            for _ in range(50):
                if heard:
                    break
                await deferLater(self.server.reactor, 0.01, lambda: None)
            self.assertTrue(heard, number)
        heard.clear()
        for _ in range(3):
            await self.pause(0.5)
        self.assertEqual(heard, [])
        end()

    async def test_imap_watch_account(self) -> None:
        """Whoever watches an account hears of its messages, names and subscriptions, also from elsewhere."""
        store, bob, alice = self.build(), self.account("bob"), self.account("alice")
        if not IAccountWatcher.providedBy(store):
            return
        verifyObject(IAccountWatcher, store)

        async def look() -> None:
            self.server.clock.advance(0.5)
            await deferLater(self.server.reactor, 0.05, lambda: None)

        heard: list[int] = []
        end = store.watch_account(bob, lambda: heard.append(1))
        for each in filter(None, (store, self.another())):
            for doing in (
                lambda each: self.append(each, bob, PLAIN), lambda each: self.deliver(each, bob, PLAIN, mailbox="Sent"),
                lambda each: each.create(bob, "a"), lambda each: each.rename(bob, "a", "b"),
                lambda each: each.subscribe(bob, "b"), lambda each: each.subscribe(bob, "b", wanted=False),
                lambda each: each.delete(bob, "b"),
            ):
                await look()            # what one has not seen yet is not to be taken for what follows
                await look()
                heard.clear()
                await doing(each)
                for _ in range(20):
                    if not heard:
                        await look()
                self.assertTrue(heard)
        await look()
        await look()
        heard.clear()
        await self.append(store, alice, PLAIN)
        await look()
        self.assertEqual(heard, [])
        end()
        await self.append(store, bob, PLAIN)
        await look()
        self.assertEqual(heard, [])

    # -- rows and octets

    async def test_imap_rows(self) -> None:
        """Each column; what is understood of a message is there when it is asked for, however it lies."""
        store, bob = self.build(), self.account("bob")
        large = PLAIN + octets(3 * LARGE).hex().encode()
        await self.deliver(store, bob, PLAIN, large, PLAIN, flags=SEEN)
        await self.append(store, bob, b"", b"\0\xff\r\n\r\n\0", large)
        box = await store.open(bob, INBOX)
        await box.remove([3])
        whole = {1: PREFIX + PLAIN, 2: PREFIX + large, 4: b"", 5: b"\0\xff\r\n\r\n\0", 6: large}
        rows = await self.columns(
            box, "uid", "flags", "modseq", "size", "received", "saved", "content_id", "prefix", "envelope", "body",
            "structure", "parts", "preview", "sent", "subject", "by_from", "by_to", "by_cc", "display_from",
            "display_to", "message_id", "refs", "thread",
        )
        self.assertEqual([row[0] for row in rows], sorted(whole))
        self.assertEqual([row[3] for row in rows], [len(each) for each in whole.values()])
        self.assertEqual([row[1] for row in rows], [SEEN, SEEN, 0, 0, 0])
        before = PREFIX if self.has_prefixes else b""
        self.assertEqual([bytes(row[7]) for row in rows], [before, before, b"", b"", b""])
        first, second = rows[0], rows[1]
        self.assertIn(b'"Moon"', bytes(first[8]))
        self.assertEqual(bytes(first[8]), bytes(second[8]))
        self.assertEqual((first[13], first[20]), (None, "1@example.net"))
        self.assertIn("Stones", first[12])
        self.assertNotEqual(first[22], 0)
        for names in (("sent",), ("uid", "subject"), ("uid",), ("thread", "uid", "flags")):
            self.assertEqual(len(await self.columns(box, *names)), 5)

    async def test_imap_sent_alone(self) -> None:
        """The one column that may be NULL is not taken for "not yet understood", nor the other way round."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, b"Date: Thu, 1 Jan 1970 00:00:07 +0000\r\n\r\n", b"\r\n")
        self.assertEqual(await self.columns(await store.open(bob, INBOX), "uid", "sent"), [(1, 7.0), (2, None)])

    async def test_imap_large_alone(self) -> None:
        """A mailbox in which everything is large."""
        store, bob = self.build(), self.account("bob")
        await self.append(store, bob, *[PLAIN + octets((3 + number) * LARGE) for number in range(3)])
        rows = await self.columns(await store.open(bob, INBOX), "uid", "subject")
        self.assertEqual(rows, [(uid, "MOON") for uid in (1, 2, 3)])

    async def test_imap_many_rows(self) -> None:
        """More than one step has, in order, each once; and however many ranges there are."""
        store, bob = self.build(), self.account("bob")
        await store.append(bob, INBOX, [await self.appended(b"Subject: %d\r\n\r\n" % number) for number in range(1203)])
        box = await store.open(bob, INBOX)
        self.assertEqual(await self.columns(box, "uid"), [(uid,) for uid in range(1, 1204)])
        self.assertEqual(await self.columns(box, "uid", uids=[(500, 500), (1000, 1000), (1001, 1001)]),
                         [(500,), (1000,), (1001,)])
        odd = [(uid, uid) for uid in range(1, 6000, 2)]
        rows = await self.columns(box, "uid", "subject", uids=odd)
        self.assertEqual([uid for uid, _ in rows], list(range(1, 1204, 2)))
        self.assertEqual(rows[600], (1201, "1200"))
        done = await box.store(odd, "+", Flags(DELETED))
        self.assertEqual(len(done.changed), 602)
        copied = await box.copy(odd, bob, "Sent")
        self.assertEqual(list(copied.sources), list(range(1, 1204, 2)))
        gone, _ = await box.expunge([(uid, uid + 2) for uid in range(1, 6000, 4)])
        self.assertEqual(len(gone), 602)
        await self.check(store, bob)

    async def test_imap_gone_while_listing(self) -> None:
        """What is expunged between two steps is left out."""
        store, bob = self.build(), self.account("bob")
        await store.append(bob, INBOX, [await self.appended(b"Subject: %d\r\n\r\n" % number) for number in range(700)])
        box = await store.open(bob, INBOX)
        found: list[int] = []
        async for some in box.rows(ALL, Wanted(("uid", "envelope"), lambda rows: [row[0] for row in rows])):
            found += some
            await box.remove([600, 700])
        self.assertEqual(found, [uid for uid in range(1, 700) if uid != 600])
        self.assertEqual(await self.columns(box, "uid", uids=[]), [])

    async def test_imap_scan(self) -> None:
        """Each message once, its octets whole; more than fit into one step."""
        store, bob = self.build(), self.account("bob")
        contents = [b"%d " % number + octets(number * 2000) for number in range(100)] + [b"", octets(40 * LARGE)]
        await self.append(store, bob, *contents)
        await self.deliver(store, bob, b"last")
        box = await store.open(bob, INBOX)
        await box.remove([5])
        found = [each async for some in box.scan(ALL, lambda uid, prefix, content: (prefix, bytes(content)))
                 for each in some]
        expected = {uid: (b"", each) for uid, each in enumerate(contents, 1) if uid != 5}
        expected[len(contents) + 1] = (PREFIX, b"last") if self.has_prefixes else (b"", PREFIX + b"last")
        self.assertEqual([uid for uid, _ in found], sorted(expected))
        self.assertTrue(dict(found) == expected)
        few = [uid async for some in box.scan([(2, 2), (5, 6)], lambda *each: None) for uid, _ in some]
        self.assertEqual(few, [2, 6])
        self.assertEqual([some async for some in box.scan([], lambda *each: None)], [])
        self.assertEqual([some async for some in box.scan([(5, 5)], lambda *each: None)], [])
