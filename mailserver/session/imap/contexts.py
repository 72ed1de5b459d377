"""What searches have found, as their session was told of it, and what has come to it or gone since (RFC 5267 4.3)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailserver.imap import found
from mailserver.imap.commands.keys import And, Key, Not, Numbers, Or, Uids
from mailserver.imap.commands.sections import Item
from mailserver.imap.numbers import STAR, SequenceSet, merged
from mailserver.session.imap.matching import Sight, matching
from mailserver.session.imap.ordering import Order, sorted_rows
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST = 8                    # searches of one session that are kept up to date
MOST_FOUND = 200_000        # messages that they have found together; the first one may have found more
MOST_BY_ONE = 200           # messages that are put in and taken out one by one
MOST_SORTED = 20_000        # messages of one that is sorted: all are sorted again when one comes

Moves = Sequence[tuple[int, Sequence[int]]]     # positions, and the UIDs there


class Context:
    """One search.  `found` are UIDs, ascending, or in the `order` of a SORT."""

    __slots__ = ("by_uid", "found", "is_whole", "items", "key", "last", "modseq", "order", "place", "tag")

    def __init__(
        self, tag: str, by_uid: bool, key: Key, order: Order, items: Sequence[Item], uids: Sequence[int],
        sight: Sight, place: found.Place | None,
    ) -> None:
        self.tag = tag
        self.by_uid = by_uid
        self.key = key
        self.order = order
        self.items = items                  # what is fetched of new messages that are found
        self.found: array[int] = array("I", uids)
        self.place = place
        self.modseq = sight.modseq          # whose changes are all looked at
        self.last = sight.uids[-1] if sight.uids else 0     # and the last message
        self.is_whole = _is_relative(key)   # any new message may change what is found of the others

    def line(self, selected: Selected, removed: Moves, added: Moves) -> bytes:
        """What is told of it."""

        def spelled(moves: Moves) -> Iterator[tuple[int, Sequence[int]]]:
            for position, uids in moves:
                yield position, uids if self.by_uid else [selected.number(uid) for uid in uids]

        return found.updated(self.tag, self.by_uid, spelled(removed), spelled(added), self.place)

    def without(self, gone: set[int]) -> Moves:
        """Take these out; where they were, from behind, so that no position moves another."""
        if not self.order:
            taken = sorted(self.of_these(gone))
            if len(taken) > MOST_BY_ONE:
                self.found = array("I", (uid for uid in self.found if uid not in gone))
            else:
                for uid in taken:
                    del self.found[bisect_left(self.found, uid)]
            return [(0, taken)] if taken else []
        moves: list[tuple[int, list[int]]] = []
        for place in reversed([place for place, uid in enumerate(self.found) if uid in gone]):
            if moves and moves[-1][0] == place + 2:
                moves[-1] = (place + 1, [self.found[place], *moves[-1][1]])
            else:
                moves.append((place + 1, [self.found[place]]))
            del self.found[place]
        return moves

    def of_these(self, uids: set[int]) -> set[int]:
        """Those that it has found."""
        if self.order or len(uids) > MOST_BY_ONE:
            return uids.intersection(self.found)
        there = set()
        for uid in uids:
            place = bisect_left(self.found, uid)
            if place < len(self.found) and self.found[place] == uid:
                there.add(uid)
        return there

    def including(self, new: set[int]) -> Moves:
        """Put these in among the others, by their UIDs."""
        if len(new) > MOST_BY_ONE:
            self.found = array("I", sorted({*self.found, *new}))
        else:
            for uid in new:
                insort(self.found, uid)
        return [(0, sorted(new))] if new else []

    def become(self, every: Sequence[int]) -> Moves:
        """All that is found now, in its order, of which some is new: where that is, from the first on."""
        new = set(every).difference(self.found)
        self.found = array("I", every)
        moves: list[tuple[int, list[int]]] = []
        before = -1
        for place, uid in enumerate(every):
            if uid in new:
                if moves and place == before + 1:
                    moves[-1][1].append(uid)
                else:
                    moves.append((place + 1, [uid]))
                before = place
        return moves


@dataclass(frozen=True, slots=True)
class Moved:
    """What there is to be told: lines, and for new messages what is to be fetched of them."""

    lines: Sequence[bytes]
    items: dict[int, dict[Item, None]]


class Contexts:
    """Those of one session, by their tags, while its mailbox is selected."""

    __slots__ = ("by_tag",)

    def __init__(self) -> None:
        self.by_tag: dict[str, Context] = {}

    def has_room(self, context: Context) -> bool:
        """Whether another may be kept; an unsorted one always may when it is the first (RFC 5267 4.3.1)."""
        if context.order and len(context.found) > MOST_SORTED:
            return False
        if not self.by_tag:
            return True
        found = sum(len(each.found) for each in self.by_tag.values())
        return len(self.by_tag) < MOST and found + len(context.found) <= MOST_FOUND

    def vanished(self, selected: Selected) -> list[bytes]:
        """What is said of messages that are gone, before they lose their numbers (RFC 5267 4.3.4)."""
        gone = set(selected.gone())
        if not gone:
            return []
        lines = [each.line(selected, each.without(gone), ()) for each in self.by_tag.values()]
        return [each for each in lines if each]

    async def moved(self, session: ImapSession, selected: Selected) -> Moved:
        """What new messages, and messages that have changed, mean for each."""
        lines, items = [], dict[int, dict[Item, None]]()
        for context in list(self.by_tag.values()):
            before = context.last
            removed, added, new = await _looked_at(session, selected, context)
            if session.selected is not selected:
                break
            if line := context.line(selected, removed, added):
                lines.append(line)
            for uid in new:
                if uid > before and context.items:
                    items.setdefault(uid, {}).update(dict.fromkeys(context.items))
        return Moved(lines, items)


async def _looked_at(session: ImapSession, selected: Selected, context: Context) -> tuple[Moves, Moves, set[int]]:
    """Ask anew of those messages that may be found now and were not, or the other way round."""
    board, uids = selected.board, selected.uids
    last = uids[selected.count - 1] if selected.count else 0
    if context.modseq == board.modseq and context.last >= last:
        return (), (), set()
    new = uids[bisect_right(uids, context.last, 0, selected.count) : selected.count]
    asked = {uid for uid in board.changed_since(context.modseq) if selected.number(uid)}
    asked.update(new)
    if context.is_whole and (new or board.modseq != context.modseq):
        asked.update(uids[: selected.count])
    before = context.modseq, context.last
    context.modseq, context.last = board.modseq, max(context.last, last)
    if not asked:
        return (), (), set()
    try:
        return await _asked(session, selected, context, asked)
    except BaseException:
        context.modseq, context.last = before       # it is asked again
        raise


async def _asked(
    session: ImapSession, selected: Selected, context: Context, asked: set[int]
) -> tuple[Moves, Moves, set[int]]:
    only = Uids(SequenceSet(tuple(merged((uid, uid) for uid in asked))))
    sight, places = await matching(session, selected, And((only, context.key)))
    now = {sight.uids[place] for place in places}
    was = context.of_these(asked)
    if not context.order:
        return context.without(was - now), context.including(now - was), now - was
    every = await _in_order(session, selected, sight, {*context.found} - (was - now) | now, context.order)
    removed = context.without(set(context.found).difference(every))
    return removed, context.become(every), now - was


async def _in_order(
    session: ImapSession, selected: Selected, sight: Sight, uids: set[int], order: Order
) -> list[int]:
    places = []
    for uid in sorted(uids):
        place = bisect_left(sight.uids, uid)
        if place < len(sight.uids) and sight.uids[place] == uid:
            places.append(place)
    if not places:
        return []
    return [sight.uids[place] for place in await sorted_rows(session, selected, sight, places, order)]


def fixed(key: Key, sight: Sight) -> Key:
    """The program with UIDs for the numbers that messages had when it came (RFC 5267 4.3)."""
    if isinstance(key, (And, Or)):
        return type(key)(tuple(fixed(each, sight) for each in key.keys))
    if isinstance(key, Not):
        return Not(fixed(key.key, sight))
    if isinstance(key, Numbers):
        if key.numbers.saved:
            return Uids(SequenceSet(tuple(sight.saved)))
        places = key.numbers.up_to(len(sight))
        return Uids(SequenceSet(tuple((sight.uids[each.start], sight.uids[each.stop - 1]) for each in places if each)))
    if isinstance(key, Uids) and key.uids.saved:
        return Uids(SequenceSet(tuple(sight.saved)))
    return key


def _is_relative(key: Key) -> bool:
    """Whether ``*`` is in it, which is another message whenever one comes or the last goes."""
    if isinstance(key, (And, Or)):
        return any(map(_is_relative, key.keys))
    if isinstance(key, Not):
        return _is_relative(key.key)
    return isinstance(key, Uids) and any(high == STAR for _, high in key.uids.ranges)
