"""The tests that every mailbox store with an index of what messages say has to pass (`mailserver.imapstore.IIndexed`)::

    class ShoeboxTests(SearchContract, PluginCase):
        plugin = Shoebox

        async def indexed(self, store, box): ...
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from zope.interface.verify import verifyObject

from mailserver.imapstore import Flags, IImapStore, IIndexed, Seek
from mailserver.interfaces import DELETED, INBOX
from mailserver.mime.folding import fold
from mailserver.mime.looking import Looked, Needle
from mailserver.testing.contracts import PluginContract
from mailserver.testing.imapstores import ImapSteps

WORDS = (
    "moon stone letter Letters over-all résumé café naïve Straße ﬁn 2026 a1b2 東京 東京都 会議 の カタカナ ｶﾀｶﾅ"
    " ひらがな が か 々 москва שָׁלוֹם 한국어 नमस्ते x@example.net under_score " + "long" * 30
).split()
FIELDS = ("from", "to", "cc", "subject", "x-note")


def a_message(chance: random.Random, words: Sequence[str] = WORDS) -> bytes:
    """One of words by chance."""

    def some(most: int) -> str:
        return chance.choice(("", " ", ", ")).join(chance.choices(words, k=chance.randint(1, most)))

    head = "".join(f"{name.title()}: {some(3)}\r\n" for name in FIELDS if chance.random() < 0.8)
    kind = "Content-Type: text/plain; charset=utf-8\r\n" if chance.random() < 0.7 else ""
    return f"{head}{kind}\r\n{some(30)}\r\n{some(10)}\r\n".encode()


def a_seek(chance: random.Random, words: Sequence[str] = WORDS) -> Seek:
    """A part of one or two words, looked for somewhere."""
    text = "".join(chance.choices(words, k=chance.randint(1, 2)))
    start = chance.randrange(len(text))
    text = fold(text[start : start + chance.choice((1, 2, 3, 5, 9, 40))])
    where = chance.choice(("body", "text", "header"))
    return Seek(where, text, fold(chance.choice(FIELDS)) if where == "header" else "")


def has(seek: Seek, octets: bytes) -> bool:
    """Whether a look at the message finds it."""
    looked, needle = Looked(b"", octets), Needle.of(seek.text)
    if seek.where == "header":
        return looked.in_field(seek.field.lower().encode(), needle)
    return looked.in_body(needle) or (seek.where == "text" and looked.in_header(needle))


class SearchContract(ImapSteps, PluginContract):
    """For mailboxes that provide `mailserver.imapstore.IIndexed`."""

    interface = IImapStore

    async def indexed(self, store: Any, box: Any) -> None:
        """All messages of the mailbox are in the index when this is done."""
        raise NotImplementedError

    async def _check(self, box: Any, messages: dict[int, bytes], chance: random.Random, until: int) -> int:
        """Whether what is told of some texts is true; how many messages it spared a look at."""
        spared = 0
        seeks = [a_seek(chance) for _ in range(60)]
        told = await box.clues(seeks)
        self.assertEqual(told.until, until)
        for seek, clue in zip(seeks, told.clues, strict=True):
            if clue is None:
                continue
            wanted = {uid for uid, octets in messages.items() if uid <= until and has(seek, octets)}
            sure, maybe = set(clue.sure) & set(messages), set(clue.maybe) & set(messages)
            self.assertLessEqual(sure, wanted, seek)
            self.assertLessEqual(wanted, sure | maybe, seek)
            spared += len(messages) - len(maybe)
        return spared

    async def test_search_equal(self) -> None:
        """Who is said to have a text has it, and who is not named has it not."""
        chance, store, bob = random.Random(1), self.build(), self.account("bob")
        contents = [a_message(chance) for _ in range(80)]
        box = await store.open(bob, INBOX)
        verifyObject(IIndexed, box)
        await self.append(store, bob, *contents[:50])
        messages = dict(enumerate(contents, 1))
        await self._check(box, messages, chance, 0)
        await self.indexed(store, box)
        await self.append(store, bob, *contents[50:])
        self.assertGreater(await self._check(box, messages, chance, 50), 60 * 20)
        await self.indexed(store, box)
        self.assertGreater(await self._check(box, messages, chance, 80), 60 * 40)

    async def test_search_gone(self) -> None:
        """What is expunged is not in the way of what is left, nor what comes into a mailbox that was empty."""
        chance, store, bob = random.Random(2), self.build(), self.account("bob")
        contents = [a_message(chance) for _ in range(40)]
        box = await store.open(bob, INBOX)
        await self.append(store, bob, *contents)
        await self.indexed(store, box)
        gone = [(3, 20), (30, 30)]
        await box.store(gone, "+", Flags(DELETED))
        await box.expunge(gone)
        messages = {uid: octets for uid, octets in enumerate(contents, 1) if not 3 <= uid <= 20 and uid != 30}
        await self._check(box, messages, chance, 40)
        await self.indexed(store, box)
        await self._check(box, messages, chance, 40)
