"""Letters to be searched: words by Zipf's law, one in five of them Japanese; the same for the same seed."""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Iterator
from email.utils import formatdate

from benchmarks.mails import FIRST, Mail

WORDS = 60_000              # that there are; new names, numbers and ids come with each letter beside them
KANJI = 2000
SENDERS = 300
RARE = "heliotropes"        # in one letter of two hundred
COMMON = "meeting"          # in one of ten
PAIR = "稟議"               # two kanji, in one Japanese letter of fifty
SENDER = "quillon"          # a name of one sender
_SYLLABLES = (
    "b bl br c ch d dr f g gr h j k l m n p pl qu r s sh st t tr v w",
    "a e i o u ai ea ou",
    "b ck d ft g l ll m n nd ng p r rd s st t x",
)
_BEGINNINGS, _VOWELS, _ENDS = map(str.split, _SYLLABLES)
_KANA = "のはをにがでともしたますからまでよりございいたしりくだ"


class Letters:
    """So many."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.count = count
        self.text = 0               # octets of headers and texts that were made so far
        self._chance = random.Random(seed)
        self._words = self._vocabulary()
        self._weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(WORDS)))
        self._kanji = ["".join(chr(0x4E00 + 7 * self._rank(KANJI)) for _ in range(2)) for _ in range(WORDS // 4)]
        self._endings = ["".join(self._chance.choices(_KANA, k=self._chance.randint(1, 3))) for _ in range(200)]

    def _vocabulary(self) -> list[str]:
        chance = self._chance
        found: dict[str, None] = {}
        while len(found) < WORDS:
            syllables = 1 + (len(found) > 300) + (len(found) > 5000) * chance.randint(0, 2)
            found["".join(
                chance.choice(_BEGINNINGS) + chance.choice(_VOWELS) + chance.choice(("", chance.choice(_ENDS)))
                for _ in range(syllables)
            )] = None
            if len(found) < 300 and chance.random() < 0.01:
                found[chance.choice(_VOWELS) + chance.choice(_ENDS)] = None
        return list(found)

    def __iter__(self) -> Iterator[Mail]:
        return map(self._mail, range(self.count))

    def _rank(self, count: int) -> int:
        """One of so many, the first most often."""
        return int(count ** self._chance.random()) - 1

    def _latin(self, count: int) -> list[str]:
        return self._chance.choices(self._words, cum_weights=self._weights, k=count)

    def _japanese(self, count: int) -> str:
        """Words of two kanji, with kana behind them; so many characters, or some more."""
        text: list[str] = []
        for place in range(count // 4):
            text += self._kanji[self._rank(len(self._kanji))], self._endings[self._rank(len(self._endings))]
            if place % 12 == 11:
                text.append("。\r\n")
        return "".join(text)

    def _mail(self, number: int) -> Mail:
        chance, received = self._chance, FIRST + 60 * number
        is_japanese = number % 5 == 0
        sender = chance.randrange(SENDERS)
        name = " ".join(self._words[1000 + 7 * sender : 1002 + 7 * sender]).title()
        if sender == 7:
            name = f"{SENDER.title()} {name}"
        length = min(2000, int(chance.lognormvariate(5.3, 0.7)))
        if is_japanese:
            text = self._japanese(2 * length) + (PAIR if number % 250 == 0 else "")
            subject = "=?utf-8?b?" + base64.b64encode(self._japanese(12).replace("\r\n", "").encode()).decode() + "?="
        else:
            words = self._latin(length)
            if number % 200 == 7:
                words.insert(length // 2, RARE)
            if chance.random() < 0.1:
                words.insert(0, COMMON)
            words.insert(length // 3, f"{chance.randrange(10**6)}")
            lines = [" ".join(words[at : at + 11]) for at in range(0, len(words), 11)]
            text = ",\r\n".join(lines) + ".\r\n"
            subject = " ".join(self._latin(5))
        body = text.encode()
        text_octets = len(body)
        encoding = "7bit"
        if is_japanese:
            body, encoding = base64.encodebytes(body).replace(b"\n", b"\r\n"), "base64"
        head = (
            f"Return-Path: <person{sender}@example.net>\r\nDelivered-To: user0@example.org\r\n"
            f"Received: from mx.example.net ([192.0.2.{sender % 250}]) by mx.example.org with ESMTPS\r\n"
            f" id {chance.getrandbits(60):013X}; {formatdate(received)}\r\n"
            f"From: {name} <person{sender}@example.net>\r\nTo: Somebody Else <user0@example.org>\r\n"
            f"Subject: {subject}\r\nDate: {formatdate(received)}\r\n"
            f"Message-ID: <{chance.getrandbits(48):x}@mail.example.net>\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        ).encode()
        self.text += len(head) + text_octets
        return Mail(head + body, received, ())
