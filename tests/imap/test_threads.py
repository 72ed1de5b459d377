"""Threads: the examples of RFC 5256, its steps written out slowly, and chains without end."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap import found
from mailserver.imap.threads import Letter, ordered_subject, references, refs


def letter(number: int, id: str = "", refs: str = "", subject: str = "", sent: float | None = None) -> Letter:
    """A message that was sent in the order of its number, unless it says otherwise; "Re: x" is a reply."""
    bare = subject.removeprefix("Re: ")
    ids = tuple(map(hash, refs.split()))
    return Letter(number, number if sent is None else sent, bare.upper(), int(bare != subject), hash(id), ids)


def threads(*letters: Letter) -> str:
    return found.thread(references(letters)).decode().removeprefix("* THREAD").strip()


class Container:
    """As RFC 5256 3 speaks of it, step by step and as slowly as need be."""

    def __init__(self, letter: Letter | None) -> None:
        self.letter = letter
        self.parent: Container | None = None
        self.children: list[Container] = []

    def link(self, parent: Container | None) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent = parent
        if parent is not None:
            parent.children.append(self)

    def is_above(self, other: Container | None) -> bool:
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False

    def key(self) -> tuple[float, int]:
        if self.letter is None:
            return min(each.key() for each in self.children)
        return self.letter.sent, self.letter.number

    def subject(self) -> str:
        if self.letter is None:
            return min(self.children, key=Container.key).subject()
        return self.letter.subject

    def is_reply(self) -> bool:
        return self.letter is not None and bool(self.letter.is_reply)

    def spelled(self) -> str:
        answers = sorted(self.children, key=Container.key)
        rest = [each.spelled() for each in answers]
        said = str(self.letter.number) if self.letter is not None else ""
        below = rest[0] if len(rest) == 1 else "".join(f"({each})" for each in rest)
        return f"{said} {below}" if said and below else said + below


def slowly(letters: Sequence[Letter]) -> str:
    table: dict[object, Container] = {}
    every: list[Container] = []
    for number, each in enumerate(letters):
        table.setdefault(each.id or f"\n{number}", Container(None))
    seen: set[int] = set()
    for each in letters:
        mine = table[each.id] if each.id and each.id not in seen else Container(None)
        seen.add(each.id)
        mine.letter = each
        every.append(mine)
    dummies: list[Container] = []
    for mine in every:
        before: Container | None = None
        for id in mine.letter.references if mine.letter is not None else ():
            if id not in table:
                table[id] = Container(None)
                dummies.append(table[id])
            one = table[id]
            if before is not None and one.parent is None and not one.is_above(before):
                one.link(before)
            before = one
        if mine.parent is not before or before is None:
            mine.link(None)
            if before is not None and not mine.is_above(before):
                mine.link(before)
    for each in dummies:                    # those that are not here give their answers to who is above them
        if each.parent is not None:
            for child in list(each.children):
                child.link(each.parent)
            each.link(None)
    tops = [each for each in every if each.parent is None]
    for each in dummies:
        if each.parent is None and len(each.children) == 1:
            [child] = each.children
            child.link(None)
            tops.append(child)
        elif each.parent is None and each.children:
            tops.append(each)
    tops.sort(key=Container.key)
    subjects: dict[str, Container] = {}
    for each in tops:
        subject = each.subject()
        known = subjects.get(subject)
        if subject and (
            known is None or (each.letter is None and known.letter is not None)
            or (known.is_reply() and each.letter is not None and not each.is_reply())
        ):
            subjects[subject] = each
    for each in list(tops):
        known = subjects.get(each.subject()) if each.subject() else None
        if known is None or known is each:
            continue
        tops.remove(each)
        if known.letter is None and each.letter is None:
            for child in list(each.children):
                child.link(known)
        elif known.letter is None or (each.is_reply() and not known.is_reply()):
            each.link(known)
        else:
            both = Container(None)
            subject = each.subject()
            tops.remove(known)
            known.link(both)
            each.link(both)
            tops.append(both)
            subjects[subject] = both
    return "".join(f"({each.spelled()})" for each in sorted(tops, key=Container.key))


class RefsTests(SynchronousTestCase):
    """THREAD=REFS."""

    def threads(self, *letters: Letter) -> str:
        return found.thread(refs(letters)).decode().removeprefix("* THREAD").strip()

    def test_subjects_do_not_count(self) -> None:
        letters = letter(1, "a", "", "Plan"), letter(2, "b", "", "Re: Plan"), letter(3, "c", "", "Plan")
        self.assertEqual(self.threads(*letters), "(1)(2)(3)")
        self.assertEqual(threads(*letters), "((1 2)(3))")

    def test_newest_last(self) -> None:
        """An old thread with a new answer comes behind a newer one, however deep the answer lies."""
        old = letter(1, "a"), letter(2, "b", "a"), letter(3, "c", "a b", sent=9)
        self.assertEqual(self.threads(*old, letter(4, "d"), letter(5, "e", sent=12)), "(4)(1 2 3)(5)")
        self.assertEqual(threads(*old, letter(4, "d")), "(1 2 3)(4)")

    def test_answers_to_nobody(self) -> None:
        """Their common ancestor is not here; the newest of them counts."""
        letters = letter(1, "a", "gone", sent=2), letter(2, "b", "gone", sent=8), letter(3, "c", sent=5)
        self.assertEqual(self.threads(*letters), "(3)((1)(2))")

    def test_same_threads_but_for_subjects(self) -> None:
        """Where no two subjects are alike, REFERENCES has the same threads in another order."""
        chance = random.Random(17)
        for _ in range(200):
            letters = [
                letter(number, f"i{number}", " ".join(f"i{chance.randrange(12)}" for _ in range(chance.randrange(4))),
                       f"s{number}", chance.randrange(50))
                for number in range(10)
            ]
            parts = [sorted(found.thread([each]) for each in way(letters)) for way in (refs, references)]
            self.assertEqual(*parts)

    def test_long_chain(self) -> None:
        letters = [letter(number, f"i{number}", f"i{number - 1}") for number in range(1, 20_001)]
        self.assertEqual(len(refs(letters)), 1)


class ReferenceTests(SynchronousTestCase):
    """THREAD=REFERENCES."""

    def test_rfc(self) -> None:
        """The trees that RFC 5256 4 draws."""
        self.assertEqual(
            threads(
                letter(2, "2"), letter(3, "3"), letter(6, "6", "3"), letter(4, "4", "3 6"), letter(23, "23", "3 6 4"),
                letter(44, "44", "6"), letter(7, "7", "6 44", sent=50), letter(96, "96", "7"),
            ),
            "(2)(3 6 (4 23)(44 7 96))",
        )
        self.assertEqual(threads(letter(3, "3", "gone"), letter(5, "5", "gone")), "((3)(5))")

    def test_absent(self) -> None:
        """Who is not here is replaced by what answers it, but two at the top stay together."""
        self.assertEqual(threads(letter(1, "a"), letter(2, "b", "a x y"), letter(3, "c", "a x")), "(1 (2)(3))")
        self.assertEqual(threads(letter(1, "a", "x y z")), "(1)")
        self.assertEqual(threads(letter(1, "a", "x y"), letter(2, "b", "x z"), letter(3)), "((1)(2))(3)")

    def test_same_id(self) -> None:
        """Only the first of two with one id has it; and those without any are alone."""
        self.assertEqual(threads(letter(1, "a"), letter(2, "a"), letter(3, "b", "a"), letter(4)), "(1 3)(2)(4)")

    def test_loop(self) -> None:
        self.assertEqual(threads(letter(1, "a", "b"), letter(2, "b", "a")), "(2 1)")
        self.assertEqual(threads(letter(1, "a", "a"), letter(2, "b", "c b")), "(1)(2)")

    def test_own_word(self) -> None:
        """What a message says of itself goes before what others said, from a list that was cut."""
        self.assertEqual(
            threads(letter(1, "a"), letter(2, "x"), letter(3, "d", "a c"), letter(4, "c", "x")), "(1)(2 4 3)"
        )
        # One without references stands at the top again.
        self.assertEqual(threads(letter(1, "a"), letter(2, "d", "a c"), letter(3, "c")), "(1)(3 2)")

    def test_dates(self) -> None:
        """Answers stand in the order in which they were sent, and threads in that of their first."""
        self.assertEqual(
            threads(
                letter(1, "a", sent=9), letter(2, "b", "a", sent=8), letter(3, "c", "a", sent=7), letter(4, sent=1)
            ),
            "(4)(1 (3)(2))",
        )

    def test_subjects(self) -> None:
        self.assertEqual(threads(letter(1, "a", "", "x"), letter(2, "b", "", "Re: X")), "(1 2)")
        self.assertEqual(threads(letter(1, "a", "", "Re: x"), letter(2, "b", "", "x")), "(2 1)")
        self.assertEqual(threads(letter(1, "a", "", "x"), letter(2, "b", "", "x")), "((1)(2))")
        self.assertEqual(
            threads(letter(1, "a", "", "x"), letter(2, "b", "", "x"), letter(3, "", "", "Re: x")), "((1)(2)(3))"
        )
        self.assertEqual(threads(letter(1, "a"), letter(2, "b", "", "Re: ")), "(1)(2)")
        self.assertEqual(
            threads(
                letter(1, "a", "x", "s"), letter(2, "b", "x", "s"), letter(3, "c", "y", "s"), letter(4, "d", "y", "s"),
                letter(5, "e", "", "s"),
            ),
            "((1)(2)(3)(4)(5))",
        )

    def test_slowly(self) -> None:
        """Thousands of small mailboxes, with every kind of disorder, as the steps of the RFC have it."""
        chance = random.Random(5)
        for round in range(4000):
            ids = "abcdefgh"[: chance.randint(1, 8)]
            letters = [
                letter(
                    number, chance.choice([*ids, ""]),
                    " ".join(chance.sample(ids, chance.randint(0, min(3, len(ids))))),
                    chance.choice(["", "x", "Re: x", "y", "Re: y", f"s{number}"]), chance.randint(0, 4),
                )
                for number in range(1, chance.randint(2, 12))
            ]
            self.assertEqual(threads(*letters), slowly(letters), (round, letters))

    def test_long_chain(self) -> None:
        """A hundred thousand, each answering the one before: from the front, from behind, and shuffled."""
        count = 100_000
        for seed in (None, -1, 3):
            numbers = list(range(1, count + 1))
            if seed == -1:
                numbers.reverse()
            elif seed is not None:
                random.Random(seed).shuffle(numbers)
            letters = [
                letter(number, f"m{place}", f"m{place - 1}" if place else "", "x" if not place else "Re: x", place)
                for place, number in enumerate(numbers)
            ]
            self.assertEqual(threads(*letters), f"({' '.join(map(str, numbers))})")

    def test_patience(self) -> None:
        """Messages that were made so that every link has to be looked at from bottom to top."""
        count = 20_000
        letters = [letter(place + 1, f"x{place}", f"c{place}") for place in range(count)] + [
            letter(count + place + 1, f"c{place}", f"x{place - 1}" if place else "") for place in range(count)
        ]
        began = time.process_time()
        found = references(letters)
        self.assertLess(time.process_time() - began, 5)
        self.assertGreater(len(found), 1)


class SubjectTests(SynchronousTestCase):
    """THREAD=ORDEREDSUBJECT."""

    def test_order(self) -> None:
        """All answers stand beside each other, and threads are in the order of their first messages."""
        letters = [
            letter(1, subject="b", sent=5), letter(2, subject="Re: a", sent=6), letter(3, subject="a", sent=4),
            letter(4, subject="Re: b", sent=7), letter(5, subject="a", sent=6),
        ]
        self.assertEqual(found.thread(ordered_subject(letters)), b"* THREAD (3 (2)(5))(1 4)\r\n")
        self.assertEqual(found.thread(ordered_subject([])), b"* THREAD\r\n")
