"""The index of what messages say, as it is made of what is delivered, joined, and made anew."""

from __future__ import annotations

import random
from array import array
from functools import reduce
from operator import or_
from typing import Any
from unittest.mock import ANY

from twisted.trial.unittest import SynchronousTestCase

from mailserver.imapstore import Clue, Flags, Seek
from mailserver.interfaces import DELETED, INBOX
from mailserver.mailbox import indexer
from mailserver.mailbox.indexer import said, to_join
from mailserver.mime.terms import Sought, sought, terms
from mailserver.store import searching
from mailserver.store.pages import Page, array_of, octets_of, pages
from mailserver.store.pieces import Growing, Kind, Said, joined
from mailserver.testing.searches import SearchContract
from tests.mailbox.databases import PostgresqlCase, SqliteCase

ALL = [(1, 0xFFFFFFFF)]


class Searched(SearchContract):
    async def indexed(self, store: Any, box: Any) -> None:
        await store.indexer.index(box.row)
        await store.indexer.tidy()


class SqliteTests(Searched, SqliteCase):
    async def test_joined(self) -> None:
        """Many small pieces become one, in which there is the same."""
        self.patch(indexer, "AT_ONCE", 3)
        self.patch(indexer, "LEVELS", (6, 12))
        await self.test_search_equal()

    async def test_waits(self) -> None:
        """A few messages are left to be looked at; more are put there when it is quiet, without being asked."""
        self.patch(indexer, "FEW", 5)
        store, bob = self.build(), self.account("bob")
        box = await store.open(bob, INBOX)
        store.indexer.start()
        for count, until in ((5, 0), (1, 6)):
            await self.append(store, bob, *[b"\r\nmoon\r\n"] * count)
            for _ in range(40):
                await self.pause(0.05)
            self.assertEqual((await box.clues([])).until, until)
        await store.indexer.stop()

    async def test_caught_up(self) -> None:
        """What nobody got to before is put there after a start."""
        self.patch(indexer, "FEW", 5)
        store, bob = self.build(), self.account("bob")
        box = await store.open(bob, INBOX)
        await self.append(store, bob, *[b"\r\nmoon\r\n"] * 9)
        store.indexer.start()
        for _ in range(40):
            await self.pause(0.05)
        self.assertEqual(await box.clues([Seek("body", "OO")]), searching.Clues(9, (Clue(list(range(1, 10)), []),)))
        await store.indexer.stop()

    async def test_kept_small(self) -> None:
        """Of what is gone, and of mailboxes that are, nothing is left in the end."""
        store, bob = self.build(), self.account("bob")
        await store.create(bob, "Old")
        box, old = await store.open(bob, INBOX), await store.open(bob, "Old")
        await self.append(store, bob, *[b"\r\nmoon %d\r\n" % number for number in range(20)])
        await self.append(store, bob, b"\r\nmoon\r\n", name="Old")
        for each in (box, old):
            await store.indexer.index(each.row)
        await box.store([(1, 15)], "+", Flags(DELETED))
        await box.expunge()
        await store.delete(bob, "Old")
        await store.indexer.tidy()
        database = self.server.database
        self.assertEqual(await database.read(searching.pieces, box.row), [(1, 20, 5)])
        [piece] = await database.read(searching.load, box.row, [1])
        self.assertEqual(piece.pages[0][2].words, b"\nMOON\n15\n16\n17\n18\n19\n")
        self.assertEqual(await database.read(searching.load, old.row, [1]), [])

    async def test_too_many_words(self) -> None:
        """A message with more than are kept is looked at each time."""
        self.patch(indexer, "MOST_TERMS", 50)
        store, bob = self.build(), self.account("bob")
        box = await store.open(bob, INBOX)
        many = b" ".join(b"w%d" % number for number in range(100))
        await self.append(store, bob, b"\r\n" + many, b"\r\nmoon\r\n")
        await store.indexer.index(box.row)
        told = await box.clues([Seek("body", "W99"), Seek("body", "MOON"), Seek("body", "..")])
        self.assertEqual(told.clues, (ANY, Clue([2], [1]), None))
        self.assertIn(1, {*told.clues[0].sure, *told.clues[0].maybe})


class PostgresqlTests(Searched, PostgresqlCase):
    pass


class SaidTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Words of fields that are asked for by name stand apart from their names."""
        found = said(b"Return-Path: <q@r>\r\n", b"From: Bob <b@c>\r\nX: bob z\r\nSubject: Moon\r\n\r\nHello\r\n").terms
        self.assertEqual({kind.name: sorted(some) for kind, some in found.items()}, {
            "FROM": ["B", "BOB", "C"], "SUBJECT": ["MOON"], "BODY": ["HELLO"],
            "HEADER": ["FROM", "PATH", "Q", "R", "RETURN", "SUBJECT", "X", "Z"],
        })

    def test_terms(self) -> None:
        """Words, pairs, and pieces of what is long."""
        self.assertEqual(terms(["AB-C1_D", "東京都X", "都"], 99), ({"AB", "C1", "D", "東京", "京都", "X", "都"}, True))
        long = "".join(map(str, range(100)))
        found, _ = terms([long], 99)
        self.assertTrue(all(any(long[at : at + 32] in each for each in found) for at in range(len(long) - 31)))
        self.assertLess(max(map(len, found)), 65)

    def test_sought(self) -> None:
        """One term is certain; of several it is known how each begins and ends."""
        self.assertEqual(sought("AB"), ([Sought("AB")], True))
        self.assertEqual(sought("東京"), ([Sought("東京", True, True)], True))
        self.assertEqual(sought("京"), ([Sought("京")], True))
        self.assertEqual(
            sought("B. C D"), ([Sought("B", False, True), Sought("C", True, True), Sought("D", True, False)], False)
        )
        self.assertEqual(sought("東京都"), ([Sought("東京", True, True), Sought("京都", True, True)], False))
        self.assertFalse(sought("ああああ")[1])
        self.assertEqual(sought(" .-"), ([], False))


class PageTests(SynchronousTestCase):
    def test_all(self) -> None:
        """What was written is read, of any number of messages, as places and as sets."""
        chance = random.Random(3)
        for size in (1, 7, 8, 9, 16, 17, 300):
            words = {
                b"w%d" % number: sorted(chance.sample(range(size), chance.randint(1, size))) for number in range(700)
            }
            made = list(pages(size, {word: octets_of(array("H", places)) for word, places in words.items()}))
            self.assertEqual(len(made), 5)
            for after in (0, 1000):
                read = {word: list(array_of(places)) for page in made for word, places in page.all(after)}
                self.assertEqual(read, {word: [place + after for place in words[word]] for word in words})
            for pattern in (b"\nw7\n", b"w7", b"7\n", b"\nw70", b"none"):
                wanted = set()
                for word, places in words.items():
                    if pattern in b"\n%b\n" % word:
                        wanted |= set(places)
                marks = reduce(or_, (page.having(pattern) for page in made))
                self.assertEqual(marks, sum(1 << 8 * place for place in wanted), (size, pattern))

    def test_ends_early(self) -> None:
        """Once all that are wanted are found, no more words are read."""
        [page] = pages(2, {b"a%d" % number: octets_of(array("H", (0, 1))) for number in range(30)})
        self.assertEqual(Page(2, page.words, page.lists).having(b"a", 0x0101), 0x0101)

    def test_levels(self) -> None:
        """Small pieces are joined when there are eight, or enough messages; large ones stay."""
        self.assertEqual(to_join([(1, 9, 512), (10, 19, 5)]), [])
        small = [(number, number, 1) for number in range(10, 18)]
        self.assertEqual(to_join([(1, 9, 600), *small]), list(range(10, 18)))
        self.assertEqual(to_join([(1, 9, 300), (10, 19, 300)]), [1, 10])
        self.assertEqual(to_join([(1, 9, 32767), (10, 19, 32767), (20, 29, 32767)]), [10, 20])

    def test_growing(self) -> None:
        """A piece whose messages are partly gone is as if they had never been."""
        growing = Growing()
        growing.add(4, Said({Kind.BODY: {"A", "B"}}, True))
        growing.add(5, Said({Kind.BODY: {"B"}}, False))
        piece = joined([growing.piece(1, 9)], {5})
        [(kind, _, page)] = piece.pages
        self.assertEqual((list(piece.uids), list(piece.unsure), kind), ([5], [5], Kind.BODY))
        self.assertEqual([(word, list(array_of(places))) for word, places in page.all()], [(b"B", [0])])

    def test_any_order(self) -> None:
        """Large messages are read later than those around them; the piece has them in order all the same."""
        growing, ordered = Growing(), Growing()
        said = {uid: Said({Kind.BODY: {"A", f"B{uid % 3}"}}, uid % 2 == 0) for uid in range(1, 40)}
        for uid in (*range(1, 20), *range(30, 40), *range(20, 30)):
            growing.add(uid, said[uid])
        for uid, each in said.items():
            ordered.add(uid, each)
        self.assertEqual(growing.piece(1, 39), ordered.piece(1, 39))
