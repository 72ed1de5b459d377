"""Which messages a search program is about (RFC 9051 6.4.4): what is known is asked first, then rows, then octets.

At each stage the program says of every message yes, no, or not yet; only the last are asked for at the next.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.imap.commands.keys import (
    Addressed,
    All,
    And,
    HasFlag,
    HasKeyword,
    Header,
    InBody,
    InText,
    Key,
    ModSeq,
    Not,
    Numbers,
    Or,
    Recent,
    SaveDateSupported,
    Uids,
)
from mailserver.imap.error import ImapError
from mailserver.imapstore import KEYWORD, IIndexed, Seek, Wanted
from mailserver.mime.folding import fold
from mailserver.mime.looking import Looked, Needle
from mailserver.session.imap import marks
from mailserver.session.imap.facts import Fact, fact
from mailserver.session.imap.marks import Marks
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

MOST_TEXTS = 20             # keys of one program that need a message's octets
MOST_FACTS = 100            # and those that need its row
MOST_INLINE = 200_000       # keys times messages that are looked at in the reactor's thread
AT_ONCE = 4000              # rows of small columns
SCANNED = 4 * 1024 * 1024   # octets of messages that are at hand at a time
FEW = 20                    # messages that are looked at as quickly as an index is
TEXTS = (Addressed, Header, InBody, InText)

Test = Callable[[int, Looked], bool]        # of the message at a place


class Sight:
    """What a session knew of its messages when a search began; those that are gone since are none."""

    def __init__(self, selected: Selected) -> None:
        board, count = selected.board, selected.count
        self.uids = selected.uids[:count]
        self.every = marks.of_ranges([range(count)], count)
        if selected.uids is board.uids:
            self.flags, self.modseqs = board.flags[:count], board.modseqs[:count]
        else:
            at = list(map(board.place, self.uids))
            self.every = marks.of_bools(place >= 0 for place in at)
            self.flags = array("Q", (board.flags[place] if place >= 0 else 0 for place in at))
            self.modseqs = array("Q", (board.modseqs[place] if place >= 0 else 0 for place in at))

        self._memo = board.memo if selected.uids is board.uids and count == len(board.uids) else None
        self._generation = board.memo.generation
        self.modseq, self.saved = board.modseq, selected.saved

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def is_current(self) -> bool:
        """Whether it is the whole mailbox, still: some may have come or gone while others were looked at."""
        return self._memo is not None and self._memo.generation == self._generation

    def kept(self, question: object) -> Any:
        """What was worked out of all these messages before; None: nothing."""
        return self._memo.get(question) if self._memo is not None and self.is_current else None

    def keep(self, question: object, answer: Any) -> None:
        """For whoever asks the same of the same messages."""
        if self._memo is not None:
            self._memo.keep(question, answer, self._generation)

    def places(self, found: Marks) -> list[int]:
        """Where they stand."""
        return marks.places(found, len(self))

    def marks_of(self, uids: Sequence[int]) -> Marks:
        """Of these UIDs, those that it knows; they ascend."""
        if not uids or not self.uids:
            return 0
        count = len(self.uids)
        found = bytearray(count)
        if self.uids[-1] - self.uids[0] == count - 1:
            first = self.uids[0]
            for uid in uids:
                if 0 <= uid - first < count:
                    found[uid - first] = 1
        else:
            at = dict(zip(self.uids, range(count), strict=True)) if len(uids) > count // 16 else None
            for uid in uids:
                place = bisect_left(self.uids, uid) if at is None else at.get(uid, count)
                if place < count and self.uids[place] == uid:
                    found[place] = 1
        return int.from_bytes(found, "little")

    def marks_behind(self, uid: int) -> Marks:
        """All whose UIDs are higher."""
        return marks.of_ranges([range(bisect_right(self.uids, uid), len(self))], len(self))

    def ranges(self, places: Sequence[int]) -> list[tuple[int, int]]:
        """UIDs of messages, with none between them that the session knows of and that is not meant."""
        return [(self.uids[each.start], self.uids[each.stop - 1]) for each in marks.runs(places)]


async def matching(session: ImapSession, selected: Selected, key: Key) -> tuple[Sight, list[int]]:
    """What was seen, and where the messages stand.  Raises `ImapError` for programs that ask too much."""
    leaves = list(_leaves(key))
    now = session.policy.world.now()
    facts = {each: found for each in leaves if (found := fact(each, now)) is not None}
    texts = {each for each in leaves if isinstance(each, TEXTS) and each not in facts}
    if len(texts) > MOST_TEXTS or len(facts) > MOST_FACTS:
        raise ImapError("that is too much for one search", "NO", "LIMIT")
    sight = Sight(selected)
    program = _Program(key, sight, selected)
    known: dict[Key, Marks] = {}
    low, high = await _decided(session, program, len(leaves), known)
    kept = {each for each in facts if isinstance(each, (Addressed, Header))}
    if (texts or kept) and len(sight.places(high & ~low)) > FEW:
        program.bounds = await _clues(selected, sight, [*texts, *kept])
        known = {key: low for key, (low, high) in program.bounds.items() if low == high}
        low, high = await _decided(session, program, len(leaves), known)
    # What stands in the rows of messages is read sooner than what is understood of them.
    for is_understood in (False, True):
        some = {key: each for key, each in facts.items() if key not in known and each.is_understood is is_understood}
        if some and low != high:
            asked = await _asked(selected, sight, sight.places(high & ~low), some)
            # Those were not asked of which it was known already.
            known |= {key: found | program.bounds.get(key, (0, 0))[0] for key, found in asked.items()}
            low, high = await _decided(session, program, len(leaves), known)
    if low != high:
        low |= await _scanned(session, selected, sight, high & ~low, program.test(known))
    return sight, sight.places(low)


async def _clues(selected: Selected, sight: Sight, keys: Sequence[Key]) -> dict[Key, tuple[Marks, Marks]]:
    """The messages that have a text for certain, and those that may, as far as there is an index of them."""
    mailbox = selected.board.mailbox
    if not IIndexed.providedBy(mailbox):
        return {}
    seeks = [_seek(key) for key in keys]
    told = await mailbox.clues(seeks)
    unknown = sight.marks_behind(told.until)
    found = {}
    for key, clue in zip(keys, told.clues, strict=True):
        if clue is not None:
            low = sight.marks_of(clue.sure)
            found[key] = low, low | sight.marks_of(clue.maybe) | unknown
    return found


def _seek(key: Key) -> Seek:
    if isinstance(key, (Addressed, Header)):
        return Seek("header", fold(key.text), fold(key.field))
    assert isinstance(key, (InBody, InText))
    return Seek("body" if isinstance(key, InBody) else "text", fold(key.text))


def _leaves(key: Key) -> Iterator[Key]:
    """The keys that hold no others."""
    todo = [key]
    while todo:
        each = todo.pop()
        if isinstance(each, (And, Or)):
            todo += each.keys
        elif isinstance(each, Not):
            todo.append(each.key)
        else:
            yield each


async def _decided(
    session: ImapSession, program: _Program, keys: int, known: Mapping[Key, Marks]
) -> tuple[Marks, Marks]:
    if keys * len(program.sight) <= MOST_INLINE:
        return program.decided(program.key, known)
    return await session.policy.world.in_thread(program.decided, program.key, known)


class _Program:
    """A search program over what was seen.  Its depth is bounded where it is read."""

    def __init__(self, key: Key, sight: Sight, selected: Selected) -> None:
        self.key = key
        self.sight = sight
        self.bounds: Mapping[Key, tuple[Marks, Marks]] = {}     # of texts: who has them, and who may
        self._keywords = {name.lower(): bit for bit, name in enumerate(selected.board.keywords, KEYWORD)}
        self._recent = selected.recent_places
        self._saved = selected.places_of(selected.saved)

    def decided(self, key: Key, known: Mapping[Key, Marks]) -> tuple[Marks, Marks]:
        """The messages for which it holds for certain, and those for which it may."""
        every = self.sight.every
        if isinstance(key, Not):
            low, high = self.decided(key.key, known)
            return every ^ high, every ^ low
        if isinstance(key, And):
            low = high = every
            for each in key.keys:
                one, other = self.decided(each, known)
                low &= one
                high &= other
                if not high:
                    break
            return low, high
        if isinstance(key, Or):
            low = high = 0
            for each in key.keys:
                one, other = self.decided(each, known)
                low |= one
                high |= other
                if low == every:
                    break
            return low, high
        found = self._of_leaf(key, known)
        if found is None:
            low, high = self.bounds.get(key, (0, every))
            return low & every, high & every
        return found & every, found & every

    def _of_leaf(self, key: Key, known: Mapping[Key, Marks]) -> Marks | None:
        """None: that is not known yet."""
        sight, size = self.sight, len(self.sight)
        if isinstance(key, (All, SaveDateSupported)):
            return sight.every
        if isinstance(key, HasFlag):
            return marks.of_bit(sight.flags, key.bit.bit_length() - 1)
        if isinstance(key, HasKeyword):
            bit = self._keywords.get(key.keyword.lower())
            return 0 if bit is None else marks.of_bit(sight.flags, bit)
        if isinstance(key, Numbers):
            # Of numbers that nobody has there is nothing to be found; an empty mailbox has no 1:* either.
            return marks.of_ranges(self._saved if key.numbers.saved else key.numbers.up_to(size), size)
        if isinstance(key, Uids):
            return marks.of_ranges(self._saved if key.uids.saved else key.uids.within(sight.uids), size)
        if isinstance(key, Recent):
            return marks.of_ranges(self._recent, size)
        if isinstance(key, ModSeq):
            return marks.of_bools(map(key.modseq.__le__, sight.modseqs))
        return known.get(key)

    def test(self, known: Mapping[Key, Marks]) -> Test:
        """The program for one message whose octets are at hand; what is known is not asked again."""
        found = self._tested(self.key, known)
        return found if not isinstance(found, int) else _marked(found, len(self.sight))

    def _tested(self, key: Key, known: Mapping[Key, Marks]) -> Test | Marks:
        if isinstance(key, Not):
            inner = self._tested(key.key, known)
            return self.sight.every ^ inner if isinstance(inner, int) else _not(inner)
        if isinstance(key, (And, Or)):
            is_and = isinstance(key, And)
            marked = self.sight.every if is_and else 0
            tests: list[Test] = []
            for each in key.keys:
                inner = self._tested(each, known)
                if not isinstance(inner, int):
                    tests.append(inner)
                else:
                    marked = marked & inner if is_and else marked | inner
            if not tests:
                return marked
            if marked != (self.sight.every if is_and else 0):
                tests.insert(0, _marked(marked, len(self.sight)))
            return tests[0] if len(tests) == 1 else _all(tests) if is_and else _any(tests)
        if isinstance(key, TEXTS) and key not in known:
            test = _of_text(key)
            if key not in self.bounds:
                return test
            low, high = self.bounds[key]
            return _either(low, high, len(self.sight), test)
        return self.decided(key, known)[0]


def _marked(found: Marks, size: int) -> Test:
    octets = found.to_bytes(size, "little")
    return lambda place, looked: octets[place] == 1


def _either(low: Marks, high: Marks, size: int, test: Test) -> Test:
    """It is so, it is not, or else the test says."""
    sure, may = low.to_bytes(size, "little"), high.to_bytes(size, "little")
    return lambda place, looked: sure[place] == 1 or (may[place] == 1 and test(place, looked))


def _not(test: Test) -> Test:
    return lambda place, looked: not test(place, looked)


def _all(tests: Sequence[Test]) -> Test:
    return lambda place, looked: all(test(place, looked) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda place, looked: any(test(place, looked) for test in tests)


def _of_text(key: Addressed | Header | InBody | InText) -> Test:
    needle = Needle.of(key.text)
    if isinstance(key, InBody):
        return lambda place, looked: looked.in_body(needle)
    if isinstance(key, InText):
        return lambda place, looked: looked.in_header(needle) or looked.in_body(needle)
    name = key.field.lower().encode("utf-8")
    return lambda place, looked: looked.in_field(name, needle)


async def _asked(
    selected: Selected, sight: Sight, places: Sequence[int], facts: Mapping[Key, Fact]
) -> dict[Key, Marks]:
    """The messages at these places for which each of the facts holds."""
    names = tuple(dict.fromkeys(("uid", *(name for each in facts.values() for name in each.columns))))
    found = {key: bytearray(len(sight)) for key in facts}
    index = {sight.uids[place]: place for place in places}

    def render(rows: Sequence[tuple[Any, ...]]) -> None:
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        at = [index.get(uid, -1) for uid in columns["uid"]]
        for key, each in facts.items():
            octets = found[key]
            for place, is_so in zip(at, each.test(*map(columns.__getitem__, each.columns)), strict=True):
                if is_so and place >= 0:
                    octets[place] = 1

    async for _ in selected.board.mailbox.rows(sight.ranges(places), Wanted(names, render, AT_ONCE)):
        pass
    return {key: int.from_bytes(octets, "little") for key, octets in found.items()}


async def _scanned(
    session: ImapSession, selected: Selected, sight: Sight, wanted: Marks, test: Test
) -> Marks:
    """Those of the messages for which it holds, by what they say."""
    places = sight.places(wanted)
    index = {sight.uids[place]: place for place in places}
    found = bytearray(len(sight))

    def work(uid: int, prefix: bytes, octets: Any) -> bool | Exception:
        place = index.get(uid)
        try:
            return place is not None and test(place, Looked(prefix, octets))
        except Exception as error:      # one message is not to hide the others
            return error

    async for step in selected.board.mailbox.scan(sight.ranges(places), work, SCANNED):
        for uid, is_so in step:
            if isinstance(is_so, Exception):
                log.warn("message {uid} cannot be searched: {words!r}", uid=uid, words=is_so)
            elif is_so:
                found[index[uid]] = 1
        if session.is_lost:
            break
        await deferLater(session.policy.world.clock, 0)
    return int.from_bytes(found, "little")
