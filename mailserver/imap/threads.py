"""How messages belong together: by their subjects, or by what each names as its ancestors.

ORDEREDSUBJECT and REFERENCES are of RFC 5256 3; REFS is of draft-ietf-morg-inthread-01: ancestors alone, no subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from mailserver.imap.found import Node

FREE_STEPS = 1_000_000      # upwards, in search of loops ...
STEPS_EACH = 50             # ... and as many more for each message; behind that a link that may loop is not made

_number = attrgetter("number")
_sent = attrgetter("sent", "number")


class Letter(NamedTuple):
    """What threads are made by, of one message."""

    number: int             # what the answer calls it
    sent: float             # its Date, or else when it came
    subject: str            # the base subject, folded
    is_reply: int           # whether, or forwarded, by the subject
    id: int                 # a hash of it; 0: it has none
    references: Sequence[int]       # those of its ancestors, the parent last


def ordered_subject(letters: Sequence[Letter]) -> list[Node]:
    """ORDEREDSUBJECT: in each thread the first message that was sent, and all others as its answers."""
    threads: dict[str, list[Letter]] = {}
    for each in sorted(letters, key=_sent):
        threads.setdefault(each.subject, []).append(each)
    # They are in the order of their first messages, for so they were met.
    return [
        Node(first.number, tuple(Node(each.number) for each in others)) for first, *others in threads.values()
    ]


def references(letters: Sequence[Letter]) -> list[Node]:
    """REFERENCES, in the order in which messages were sent."""
    forest, tops = _grown(letters)
    return forest.nodes(forest.gathered(tops))


def refs(letters: Sequence[Letter]) -> list[Node]:
    """REFS: threads that only share a subject stay apart, and the thread with the newest message comes last."""
    forest, tops = _grown(letters)
    return forest.nodes(sorted(tops, key=forest.newest))


def _grown(letters: Sequence[Letter]) -> tuple[_Forest, list[_Top]]:
    """All threads by their ancestors, each message's answers in the order in which they were sent."""
    letters = sorted(letters, key=_number)
    ranks = [0] * len(letters)
    for rank, place in enumerate(sorted(range(len(letters)), key=[each.sent for each in letters].__getitem__)):
        ranks[place] = rank
    answers, tops = _without_absent(letters, _linked(letters))
    for each in answers:
        if len(each) > 1:
            each.sort(key=ranks.__getitem__)
    forest = _Forest(letters, ranks, answers)
    return forest, [forest.top(places) for places in tops]


# -- step 1: who answers whom


def _linked(letters: Sequence[Letter]) -> list[int]:
    """For each message, and behind them for each that is only spoken of, the place of its parent; -1: none."""
    known: dict[int, int] = {}
    for place, each in enumerate(letters):
        if each.id:
            known.setdefault(each.id, place)        # of those with one id only the first has it
    parents = [-1] * len(letters)
    has_answers = bytearray(len(letters))
    patience = FREE_STEPS + STEPS_EACH * len(letters)

    def may_link(parent: int, child: int) -> bool:
        nonlocal patience
        if parent == child:
            return False
        if not has_answers[child]:
            return True                             # nothing is below it, so nothing can come round
        while parent >= 0 and patience > 0:
            if parent == child:
                return False
            parent = parents[parent]
            patience -= 1
        return parent < 0

    for place, letter in enumerate(letters):
        before = -1
        for id in letter.references:
            at = known.get(id, -1)
            if at < 0:
                at = known[id] = len(parents)
                parents.append(-1)
                has_answers.append(0)
            if before >= 0 and parents[at] < 0 and may_link(before, at):
                parents[at] = before
                has_answers[before] = 1
            before = at
        # What others said of where it belongs, from a list that was cut perhaps, gives way to what it says itself.
        if parents[place] != before:
            parents[place] = -1
            if before >= 0 and may_link(before, place):
                parents[place] = before
                has_answers[before] = 1
    return parents


# -- steps 2 and 3: those that are not here


def _without_absent(letters: Sequence[Letter], parents: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """The answers to each message, and the tops: one message each, or several whose common ancestor is not here.

    Who answers a message that is not here answers that one's parent.
    """
    count = len(letters)
    # For each that is not here: the nearest that is above it, or else the topmost of all, which is not.
    nearest: dict[int, int] = {}
    answers: list[list[int]] = [[] for _ in letters]
    tops: dict[int, list[int]] = {}
    for place in range(count):
        above, passed = parents[place], []
        while above >= count and above not in nearest:
            passed.append(above)
            if parents[above] < 0:
                break
            above = parents[above]
        above = nearest.get(above, above)
        for each in passed:
            nearest[each] = above
        if 0 <= above < count:
            answers[above].append(place)
        else:
            tops.setdefault(above if above >= 0 else -1 - place, []).append(place)
    return answers, list(tops.values())


# -- steps 4 to 6: order, and what belongs together by its subject alone


class _Top:
    """The beginning of a thread: a message, or none (-1) with its answers."""

    __slots__ = ("answers", "first", "place")

    def __init__(self, place: int, answers: list[int], first: int) -> None:
        self.place = place
        self.answers = answers
        self.first = first          # the message whose date and subject count


class _Forest:
    """All threads, on their way to be one for each subject.  `ranks`: when each message was sent, as its place."""

    def __init__(self, letters: Sequence[Letter], ranks: Sequence[int], answers: list[list[int]]) -> None:
        self._letters = letters
        self._ranks = ranks
        self._answers = answers

    def top(self, places: list[int]) -> _Top:
        """One message, or what several are the answers to."""
        if len(places) == 1:
            return _Top(places[0], self._answers[places[0]], places[0])
        places.sort(key=self._ranks.__getitem__)
        return _Top(-1, places, places[0])

    def _is_reply(self, top: _Top) -> bool:
        return top.place >= 0 and self._letters[top.place].is_reply != 0

    def _when(self, top: _Top) -> int:
        return self._ranks[top.first]

    def newest(self, top: _Top) -> int:
        """When the last message of a thread was sent."""
        newest, todo = -1, list(top.answers) if top.place < 0 else [top.place]
        while todo:
            place = todo.pop()
            newest = max(newest, self._ranks[place])
            todo += self._answers[place]
        return newest

    def gathered(self, threads: list[_Top]) -> list[_Top]:
        """Step 5, and then the order of the threads."""
        letters = self._letters
        threads.sort(key=self._when)
        table: dict[str, _Top] = {}
        for each in threads:
            subject = letters[each.first].subject
            if not subject:
                continue
            known = table.get(subject)
            if known is None or (each.place < 0 <= known.place) or (
                self._is_reply(known) and each.place >= 0 and not self._is_reply(each)
            ):
                table[subject] = each
        left: dict[int, _Top] = {id(each): each for each in threads}
        changed: dict[int, _Top] = {}
        for each in threads:
            subject = letters[each.first].subject
            known = table.get(subject) if subject else None
            if known is None or known is each:
                continue
            del left[id(each)]
            if known.place < 0:
                known.answers += each.answers if each.place < 0 else [each.place]
            elif self._is_reply(each) and not self._is_reply(known):
                known.answers.append(each.place)
            else:
                del left[id(known)]
                known = table[subject] = _Top(-1, [known.place, each.place], known.first)
                left[id(known)] = known
            changed[id(known)] = known
        for each in changed.values():
            each.answers.sort(key=self._ranks.__getitem__)
            if each.place < 0:
                each.first = each.answers[0]
        return sorted(left.values(), key=self._when)

    def nodes(self, tops: list[_Top]) -> list[Node]:
        """All nodes first, then their answers, so that no order has to be found in which they could be made."""
        below: list[list[Node]] = [[] for _ in self._letters]
        made = list(map(Node._make, zip(map(_number, self._letters), below, strict=True)))
        for nodes, places in zip(below, self._answers, strict=True):
            if places:
                nodes += map(made.__getitem__, places)
        return [
            made[top.place] if top.place >= 0 else Node(0, list(map(made.__getitem__, top.answers))) for top in tops
        ]
