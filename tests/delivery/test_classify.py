"""What a failure is about."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.delivery.classify import Kind, classify, classify_words
from mailserver.delivery.result import DEFERRED, Result, by_reply
from mailserver.feedback.sentences import BY_WORDS
from mailserver.reply import Reply

REPLIES = Path(__file__).parent / "replies.txt"


def replies() -> Iterator[tuple[str, Result]]:
    """Each line of the corpus: the kind that is right, and the result."""
    for line in REPLIES.read_text("utf-8").split("\n"):
        if not line or line.startswith("#"):
            continue
        kind, _, said = line.partition(" ")
        said = said.strip()
        first, _, rest = said.partition(" ")
        if len(first) == 3 and first.isdigit():
            status, _, text = rest.partition(" ")
            known = status[1:2] == "." and status.replace(".", "").isdigit()
            yield kind, by_reply(Reply(int(first), status[2:] if known else "", text if known else rest))
        else:
            detail, bar, words = said.partition(" | ")
            yield kind, Result(DEFERRED, words if bar else said, detail=detail if bar else "")


class ClassifyTests(SynchronousTestCase):
    def test_corpus(self) -> None:
        """What servers really say."""
        wrong = [f"{kind}, not {found}: {result.words}"
                 for kind, result in replies() if (found := classify(result)) != kind]
        self.assertEqual(wrong, [])

    def test_the_corpus_is_a_corpus(self) -> None:
        """There are many, and some of each kind."""
        count = Counter(kind for kind, _ in replies())
        self.assertEqual(set(count), {kind.value for kind in Kind})
        self.assertGreaterEqual(sum(count.values()), 150)

    def test_without_words(self) -> None:
        """Then the enhanced status tells, then the code."""
        for code, status, kind in (
            (550, "5.1.1", Kind.GONE), (452, "4.2.2", Kind.FULL), (552, "", Kind.FULL), (421, "", Kind.BUSY),
            (550, "5.7.26", Kind.AUTH), (552, "5.3.4", Kind.SIZE), (450, "4.4.1", Kind.UNREACHABLE),
            (0, "5.4.6", Kind.LOOP), (550, "", Kind.UNKNOWN), (250, "2.0.0", Kind.UNKNOWN),
        ):
            self.assertEqual(classify_words(code, status, ""), kind, (code, status))

    def test_joined_lines(self) -> None:
        """A reply of several lines, as others' reports join them."""
        text = "550-5.1.1 The email account that you tried to reach does\n550-5.1.1 not exist. Please try"
        self.assertEqual(classify_words(550, "", text), Kind.GONE)

    def test_an_address_is_no_word(self) -> None:
        self.assertEqual(classify_words(550, "", "<spam-virus@rate-limit.example>: user unknown"), Kind.GONE)
        self.assertEqual(classify_words(550, "", "greylist@example.com"), Kind.UNKNOWN)

    def test_given_up(self) -> None:
        """What it was each time counts, not that the time is over."""
        result = Result("failed", "given up after 5 days: 452 4.2.2 x", Reply(452, "2.2", "x"), given_up=True)
        self.assertEqual(classify(result), Kind.FULL)

    @given(some.text(max_size=300), some.integers(0, 599), some.sampled_from(["", "5.1.1", "4", "x.y.z", "9.99.999"]))
    def test_anything(self, text: str, code: int, status: str) -> None:
        """Whatever is said is of some kind."""
        self.assertIsInstance(classify_words(code, status, text), Kind)

    def test_hostile(self) -> None:
        """32 KiB of what each pattern begins with are read in no time."""
        for unit in ("a ", "user ", "message ", "your ip ", "connect to ", "exceeded the ", "mailbox ", "unknown ", "x",
                     "recipient address ", "too many ", "4.1.1 ", "domain ", "has exceeded ", "server too "):
            text = unit * (32 * 1024 // len(unit))
            begun = time.process_time()
            for _ in range(5):
                classify_words(550, "", text)
            self.assertLess((time.process_time() - begun) / 5, 0.1, unit)

    def test_long_winded(self) -> None:
        """A hundred recipients may each get such a reply, and all are read in the reactor's thread."""
        self.assertEqual(classify_words(0, "", "x " * 400 + "user unknown"), Kind.GONE)
        self.assertEqual(classify_words(0, "", "x " * 500 + "user unknown"), Kind.UNKNOWN)

    def test_one_pattern_a_kind(self) -> None:
        kinds = [kind for kind, _ in BY_WORDS]
        self.assertEqual(len(set(kinds)), len(kinds))
