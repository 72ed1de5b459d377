"""The tests that every mailbox store with annotations has to pass, besides `mailserver.testing.imapstores`."""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from mailserver.errors import AlreadyExists, NotFound, OverQuota, PermanentFailure
from mailserver.imapmetadata import LARGEST_VALUE, MOST_ENTRIES, MOST_OCTETS, SPECIAL_USE, IMetadata
from mailserver.interfaces import INBOX, Account
from mailserver.testing.imapstores import ImapSteps

COMMENT, SHARED_COMMENT = "/private/comment", "/shared/comment"
COLOUR = "/private/vendor/example/colour"


class MetadataContract(ImapSteps):
    """For `mailserver.imapmetadata.IMetadata`; to be mixed into a case for the store."""

    async def box(self, store: Any, account: Account, *names: str) -> None:
        for name in names:
            await store.create(account, name)

    async def test_provides_metadata(self) -> None:
        verifyObject(IMetadata, self.build())

    async def test_annotate(self) -> None:
        """Set, replaced, removed; octets as they are, of the mailbox and of the server apart."""
        store = self.build()
        alice = self.account("alice")
        for mailbox in (INBOX, None):
            self.assertEqual(dict(await store.annotations(alice, mailbox)), {})
            await store.annotate(alice, mailbox, {COMMENT: b"one\r\n\0\xff", COLOUR: b""})
            self.assertEqual(dict(await store.annotations(alice, mailbox)), {COMMENT: b"one\r\n\0\xff", COLOUR: b""})
            self.assertEqual(dict(await store.annotations(alice, mailbox, {COLOUR, "/private/none"})), {COLOUR: b""})
            await store.annotate(alice, mailbox, {COMMENT: b"two", COLOUR: None, "/private/never": None})
            self.assertEqual(dict(await store.annotations(alice, mailbox)), {COMMENT: b"two"})
        await store.annotate(alice, None, {COMMENT: None})
        self.assertEqual(dict(await store.annotations(alice, INBOX)), {COMMENT: b"two"})

    async def test_others_do_not_see_it(self) -> None:
        store = self.build()
        alice, bob = self.account("alice"), self.account("bob")
        for mailbox in (INBOX, None):
            await store.annotate(alice, mailbox, {COMMENT: b"hers"})
            self.assertEqual(dict(await store.annotations(bob, mailbox)), {})
        await store.annotate(alice, INBOX, {SHARED_COMMENT: b"for all who see her INBOX"})
        self.assertEqual(dict(await store.annotations(bob, INBOX)), {})
        self.assertEqual(dict(await store.annotations_of_all(bob, {COMMENT, SHARED_COMMENT})), {})

    async def test_no_such_mailbox(self) -> None:
        store = self.build()
        alice = self.account("alice")
        with self.assertRaises(NotFound):
            await store.annotate(alice, "Nowhere", {COMMENT: b"x"})
        with self.assertRaises(NotFound):
            await store.annotations(alice, "Nowhere")

    async def test_operator(self) -> None:
        """What is shared of the server is set by him alone, and seen by all."""
        store = self.build()
        alice = self.account("alice")
        await store.annotate(None, None, {SHARED_COMMENT: b"Hello"})
        self.assertEqual(dict(await store.annotations(alice, None)), {SHARED_COMMENT: b"Hello"})
        for who, mailbox, entry in ((alice, None, SHARED_COMMENT), (None, None, COMMENT), (None, INBOX, COMMENT)):
            with self.assertRaises((PermanentFailure, NotFound)):
                await store.annotate(who, mailbox, {entry: b"x"})
        self.assertEqual(dict(await store.annotations(alice, None)), {SHARED_COMMENT: b"Hello"})

    async def test_all_mailboxes(self) -> None:
        store = self.build()
        alice = self.account("alice")
        await self.box(store, alice, "a", "b")
        await store.annotate(alice, "a", {COMMENT: b"A", COLOUR: b"red", "/shared/comment": b"S"})
        await store.annotate(alice, "b", {COLOUR: b"blue"})
        await store.annotate(alice, None, {COLOUR: b"the server's"})
        found = await store.annotations_of_all(alice, {COMMENT, COLOUR})
        self.assertEqual(
            {name: dict(each) for name, each in found.items()},
            {"a": {COMMENT: b"A", COLOUR: b"red"}, "b": {COLOUR: b"blue"}},
        )

    async def test_follows_its_mailbox(self) -> None:
        """Renamed it goes along, deleted it is gone, also for a later mailbox of that name."""
        store = self.build()
        alice = self.account("alice")
        await self.box(store, alice, "a/b")
        await store.annotate(alice, "a/b", {COMMENT: b"x"})
        await store.rename(alice, "a", "c")
        self.assertEqual(dict(await store.annotations(alice, "c/b")), {COMMENT: b"x"})
        await store.delete(alice, "c/b")
        await self.box(store, alice, "c/b", "a/b")
        self.assertEqual(dict(await store.annotations(alice, "c/b")), {})
        self.assertEqual(dict(await store.annotations(alice, "a/b")), {})

    async def test_inbox_keeps_its_own(self) -> None:
        """RFC 5464 4.1."""
        store = self.build()
        alice = self.account("alice")
        await store.annotate(alice, INBOX, {COMMENT: b"x"})
        await store.rename(alice, INBOX, "Old")
        for name in (INBOX, "Old"):
            self.assertEqual(dict(await store.annotations(alice, name)), {COMMENT: b"x"}, name)

    async def test_too_many(self) -> None:
        """All or none; what is there can still be replaced and removed."""
        store = self.build()
        alice = self.account("alice")
        await store.annotate(alice, INBOX, {f"/private/{number}": b"x" for number in range(MOST_ENTRIES - 1)})
        with self.assertRaises(OverQuota):
            await store.annotate(alice, INBOX, {"/private/a": b"x", "/private/b": b"x", "/private/1": b"y"})
        self.assertEqual(len(await store.annotations(alice, INBOX)), MOST_ENTRIES - 1)
        self.assertEqual((await store.annotations(alice, INBOX))["/private/1"], b"x")
        await store.annotate(alice, INBOX, {"/private/a": b"x", "/private/1": b"y"})
        await store.annotate(alice, INBOX, {"/private/1": None, "/private/2": None, "/private/b": b"x"})
        await store.annotate(alice, None, {"/private/a": b"x"})

    async def test_too_large(self) -> None:
        """The values of all mailboxes count together."""
        store = self.build()
        alice, bob = self.account("alice"), self.account("bob")
        await self.box(store, alice, "a")
        most = MOST_OCTETS // LARGEST_VALUE
        full = {f"/private/{number}": bytes(LARGEST_VALUE) for number in range(most)}
        await store.annotate(alice, "a", full)
        for mailbox in (INBOX, None):
            with self.assertRaises(OverQuota):
                await store.annotate(alice, mailbox, {COMMENT: b"x"})
        await store.annotate(bob, INBOX, {COMMENT: b"x"})
        await store.delete(alice, "a")
        await store.annotate(alice, INBOX, {COMMENT: b"x"})

    async def test_special_use(self) -> None:
        """What LIST says of it (RFC 6154 4)."""
        store = self.build()
        alice = self.account("alice")
        for use in [each.name for each in await store.status(alice) if each.special_use]:
            await store.annotate(alice, use, {SPECIAL_USE: None})
        await store.create(alice, "Out", "\\Sent")
        await self.box(store, alice, "b")
        self.assertEqual(dict(await store.annotations(alice, "Out")), {SPECIAL_USE: b"\\Sent"})
        self.assertEqual(dict(await store.annotations(alice, "Out", {COMMENT})), {})
        self.assertEqual(dict(await store.annotations_of_all(alice, {SPECIAL_USE})), {"Out": {SPECIAL_USE: b"\\Sent"}})
        with self.assertRaises(AlreadyExists):
            await store.annotate(alice, "b", {SPECIAL_USE: b"\\Sent", COMMENT: b"x"})
        self.assertEqual(dict(await store.annotations(alice, "b")), {})
        await store.annotate(alice, "Out", {SPECIAL_USE: None})
        await store.annotate(alice, "b", {SPECIAL_USE: b"\\Sent"})
        self.assertEqual({each.name: each.special_use for each in await store.status(alice, {"Out", "b"})},
                         {"Out": "", "b": "\\Sent"})

    async def test_what_changed(self) -> None:
        """Others hear which entries, once each, in the order of the last changes; who did it does not."""
        store = self.build()
        alice, bob = self.account("alice"), self.account("bob")
        await self.box(store, alice, "a", "gone")
        start = (await store.annotated(alice, None)).number
        await store.annotate(alice, "a", {COMMENT: b"1"}, by=7)
        await store.annotate(alice, None, {COLOUR: b"2"}, by=7)
        await store.annotate(alice, "gone", {COLOUR: b"2"}, by=7)
        await store.annotate(alice, "a", {COMMENT: None}, by=8)
        await store.annotate(None, None, {SHARED_COMMENT: b"3"})
        await store.annotate(bob, INBOX, {COMMENT: b"his"})
        await store.delete(alice, "gone")
        found = await store.annotated(alice, start)
        self.assertEqual(list(found.changed), [(None, COLOUR), ("a", COMMENT), (None, SHARED_COMMENT)])
        self.assertEqual(list((await store.annotated(alice, start, by=7)).changed),
                         [("a", COMMENT), (None, SHARED_COMMENT)])
        self.assertEqual(list((await store.annotated(bob, start)).changed), [(None, SHARED_COMMENT), (INBOX, COMMENT)])
        self.assertEqual(list((await store.annotated(alice, found.number)).changed), [])

    async def test_watch(self) -> None:
        """Called when something is changed, and not any more when that has ended."""
        store = self.build()
        alice = self.account("alice")
        called: list[int] = []

        async def heard(had: int) -> None:
            for _ in range(100):
                if len(called) > had:
                    return
                await self.pause(0.05)
            self.fail("nobody was told")

        end = store.watch_annotations(alice, lambda: called.append(1))
        await heard(0)                      # something may have come before it
        had = len(called)
        await store.annotate(alice, None, {COMMENT: b"x"})
        await heard(had)
        end()
        had = len(called)
        await store.annotate(alice, None, {COMMENT: b"y"})
        for _ in range(12):
            await self.pause(0.05)
        self.assertEqual(len(called), had)
