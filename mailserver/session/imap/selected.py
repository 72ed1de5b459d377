"""The mailbox that a session has chosen, as far as it was told of it."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.imap import fetched, responses
from mailserver.imap.error import ImapError
from mailserver.imap.flags import SYSTEM as NAMES
from mailserver.imap.flags import Flags, spell
from mailserver.imap.numbers import SequenceSet
from mailserver.imap.rights import changeable
from mailserver.imapstore import KEYWORD, SYSTEM, Ranges
from mailserver.session.imap.board import Board
from mailserver.session.imap.places import Place

ALL_FLAGS = sum(NAMES.values())
BLOCK = 512                 # UIDs that are compared at a time
MOST_AT_ONCE = 2000         # lines that are written without letting others have a turn


class Selected:
    """Sequence numbers are those of `uids`, whose first `count` the session has heard of.

    `saved` are the UIDs that "$" means (RFC 5182), `keywords` those that the session was told of.  `is_rev2`: nothing
    is recent (RFC 9051 2.3.2).  `uid_only`: the session is told of UIDs, and never of sequence numbers (RFC 9586).
    """

    __slots__ = (
        "_asks", "_flags", "_keywords", "_recent", "_told", "board", "claims", "count", "is_rev2", "keywords",
        "modseq", "name", "place", "read_only", "saved", "uid_only", "uids",
    )

    def __init__(
        self, board: Board, place: Place, read_only: bool, is_rev2: bool = False, uid_only: bool = False,
        asks: Callable[[], Awaitable[Place]] | None = None,
    ) -> None:
        """`asks` says what may be done there by now; None: that stays."""
        self.board = board
        self.place = place
        self.name = place.name
        self.read_only = read_only
        self._asks = asks
        self._told = place.rights
        self.is_rev2 = is_rev2
        self.uid_only = uid_only
        self.keywords = board.keywords
        self.uids: array[int] = board.uids
        self.count = len(board.uids)
        self.modseq = board.modseq
        self._recent: list[tuple[int, int]] = []        # UIDs of which no other session was told before
        self.claims: int | None = None      # the UID below which nothing is recent for others any more: to be written
        self.saved: Ranges = ()
        self._keywords: tuple[str, ...] = board.keywords
        self._flags: dict[int, bytes] = {}

    def is_of(self, place: Place, uidvalidity: int) -> bool:
        """Whether that is the mailbox, whatever it is called: of one owner no two have the same UIDVALIDITY."""
        return place.owner.id == self.place.owner.id and uidvalidity == self.board.mailbox.uidvalidity

    # -- which messages are meant

    def numbers(self, numbers: SequenceSet) -> list[range]:
        """Places of the messages of a set of sequence numbers; raises `ImapError` for numbers that nobody has."""
        if numbers.saved:
            return self.places_of(self.saved)
        if not numbers.reaches(self.count):
            raise ImapError("there is no message of that number")
        return numbers.up_to(self.count)

    def by_uid(self, numbers: SequenceSet) -> list[range]:
        """Places of the messages of a set of UIDs; those that nobody has are passed over."""
        if numbers.saved:
            return self.places_of(self.saved)
        last = self.uids[self.count - 1] if self.count else 0
        return self.places_of(numbers.resolved(last))

    def places_of(self, ranges: Ranges) -> list[range]:
        """Places of messages whose UIDs lie in ranges."""
        found = []
        for low, high in ranges:
            start = bisect_left(self.uids, low, 0, self.count)
            end = bisect_left(self.uids, high + 1, start, self.count)
            if start < end:
                found.append(range(start, end))
        return found

    def ranges(self, places: Iterable[range]) -> list[tuple[int, int]]:
        """Ranges of UIDs that hold these messages, and none of the others: what lies between is gone for good."""
        return [(self.uids[each.start], self.uids[each.stop - 1]) for each in places]

    def uids_of(self, places: Iterable[range]) -> list[int]:
        """The UIDs of messages."""
        return [uid for each in places for uid in self.uids[each.start : each.stop]]

    def number(self, uid: int) -> int:
        """The sequence number of a UID; 0: the session knows of none."""
        place = bisect_left(self.uids, uid, 0, self.count)
        return place + 1 if place < self.count and self.uids[place] == uid else 0

    def numbers_of(self, uids: Sequence[int]) -> list[int]:
        """The sequence numbers of ascending UIDs, all of which the session knows."""
        if not uids:
            return []
        first = self.number(uids[0])
        if first and first - 1 + len(uids) <= self.count and self.uids[first + len(uids) - 2] == uids[-1]:
            return list(range(first, first + len(uids)))
        return [self.number(uid) for uid in uids]

    # -- what they are like

    @property
    def known_flags(self) -> Flags:
        """Those that messages here can have."""
        return Flags(ALL_FLAGS, self.board.keywords)

    def permanent_flags(self) -> bytes:
        """Those that the session may change (RFC 4314 5.1.1)."""
        if self.read_only:
            return responses.permanent_flags(Flags(), False)
        may_set = changeable(self.place.rights)
        names_too = bool(may_set >> KEYWORD)
        known = Flags(ALL_FLAGS & may_set, self.board.keywords if names_too else ())
        has_room = len(self.board.keywords) < self.board.mailbox.most_keywords
        return responses.permanent_flags(known, names_too and has_room)

    def spelled(self, flags: int, uid: int = 0) -> bytes:
        """Flags as they are sent."""
        if self._keywords is not self.board.keywords:
            self._keywords = self.board.keywords
            self._flags.clear()
        if self._recent and self.is_recent(uid):
            return spell(flags & SYSTEM, self.keywords_of(flags), True)
        known = self._flags.get(flags)
        if known is None:
            known = spell(flags & SYSTEM, self.keywords_of(flags))
            if len(self._flags) < 100:
                self._flags[flags] = known
        return known

    def spelled_many(self, flags: Sequence[int], uids: Sequence[int]) -> list[bytes]:
        """Flags of several messages, by UID, as they are sent."""
        known = {each: self.spelled(each) for each in set(flags)}
        found = [known[each] for each in flags]
        recent: dict[int, bytes] = {}
        for low, high in self._recent:
            for place in range(bisect_left(uids, low), bisect_right(uids, high)):
                value = flags[place]
                if value not in recent:
                    recent[value] = self.spelled(value, low)
                found[place] = recent[value]
        return found

    def is_recent(self, uid: int) -> bool:
        """Whether this session was the first to be told of it (RFC 3501 2.3.2)."""
        return any(low <= uid <= high for low, high in self._recent)

    def has_recent(self, low: int, high: int) -> bool:
        """Whether any UID between these is."""
        return any(first <= high and low <= last for first, last in self._recent)

    def claim(self) -> None:
        """What nobody was told of is recent for this session, unless it only looks."""
        board = self.board
        if self.read_only or self.is_rev2 or board.recent >= board.uidnext or "s" not in self.place.rights:
            return
        self._recent.append((board.recent, board.uidnext - 1))
        board.recent = self.claims = board.uidnext

    @property
    def recent_places(self) -> list[range]:
        """Where the messages that are recent stand."""
        return self.places_of(self._recent)

    @property
    def recent_count(self) -> int:
        """How many messages are recent."""
        return sum(map(len, self.recent_places))

    def keywords_of(self, flags: int) -> tuple[str, ...]:
        """The names of the keywords in flags."""
        bits = flags >> KEYWORD
        return tuple(name for place, name in enumerate(self.board.keywords) if bits >> place & 1)

    # -- what the session is told

    async def look(self) -> None:
        """See what may be done here by now; who may not read any more is told what he is when it is gone."""
        if self._asks is not None:
            self.place = await self._asks()
            if "r" not in self.place.rights:
                raise ImapError("the mailbox has been deleted", fatal=True)

    async def refresh(self, force: bool = False) -> None:
        """See what is new; raises `ImapError`, which ends the conversation, when the mailbox is gone."""
        await self.look()
        try:
            await self.board.refresh(force)
        except NotFound:
            raise ImapError("the mailbox has been deleted", fatal=True) from None

    async def catch_up(self) -> None:
        """See what the session has just done; where that cannot be now, it is among the next news."""
        with suppress(NotFound, TemporaryFailure):
            await self.board.refresh(force=True)

    def news(
        self, may_expunge: bool, with_uid: bool, with_modseq: bool, vanishes: bool,
        quiet: Collection[int] = (), quiet_modseq: bool = False, tells_flags: bool = True,
    ) -> list[bytes]:
        """What the session has to hear now: who is gone (when that may be said), who is new, whose flags changed.

        `vanishes`: by VANISHED (QRESYNC).  `quiet` are UIDs whose flags the session set itself and silently;
        `quiet_modseq` tells it their mod-sequences all the same (RFC 7162 3.1.3).  Flags that are not told wait.
        """
        board, told = self.board, []
        changed = board.changed_since(self.modseq)
        if self.uids is not board.uids and may_expunge:
            told += self._expunge(vanishes)
        if self.uids is board.uids and len(board.uids) != self.count:
            self.count = len(board.uids)
            self.claim()
            told.append(responses.exists(self.count))
            if not self.is_rev2:
                told.append(responses.recent(self.recent_count))
        if self.keywords != board.keywords:
            self.keywords = board.keywords
            told.append(responses.flags(self.known_flags))
        if self._told != self.place.rights:
            self._told = self.place.rights
            told += [responses.flags(self.known_flags), self.permanent_flags()]
        if not tells_flags:
            return told
        # Where it may not be said now who is gone, what is new behind them waits too, but not the flags.
        self.modseq = board.modseq
        shapes = _shapes(with_uid and not self.uid_only, with_modseq, self.uid_only)
        for uid in changed:
            place = board.place(uid)
            number = self.number(uid)
            if place < 0 or not number:
                continue
            if uid in quiet:
                if quiet_modseq and self.uid_only:
                    told.append(_MODSEQ_OF_UID.line(uid, board.modseqs[place]))
                elif quiet_modseq:
                    told.append(_MODSEQ.line(number, uid, board.modseqs[place]))
                continue
            values: list[int | bytes] = [uid] * (with_uid and not self.uid_only)
            values.append(self.spelled(board.flags[place], uid))
            values += [board.modseqs[place]] * with_modseq
            told.append(shapes.line(uid if self.uid_only else number, *values))
        return told

    def gone(self) -> list[int]:
        """The UIDs of messages that are not there any more, and of which the session has not been told so."""
        if self.uids is self.board.uids:
            return []
        return _missing(self.uids[: self.count], self.board.uids)

    def _expunge(self, vanishes: bool) -> list[bytes]:
        """Those that are gone, and count by the board's array from now on."""
        mine, gone = self.uids[: self.count], self.gone()
        self.uids = self.board.uids
        self.count -= len(gone)
        if not gone:
            return []
        if vanishes:
            return [responses.vanished(gone)]
        if len(gone) == 1:
            return [responses.expunged(bisect_left(mine, gone[0]) + 1)]
        # From behind, no number moves another.
        return [responses.expunged(bisect_left(mine, uid) + 1) for uid in reversed(gone)]


def _missing(mine: array[int], left: array[int]) -> list[int]:
    """Those of ascending numbers that are not among others; blocks of which none is missing are compared as octets."""
    missing: list[int] = []
    at = 0
    for start in range(0, len(mine), BLOCK):
        block = mine[start : start + BLOCK]
        end = at + len(block)
        if left[at:end] != block:
            end = bisect_right(left, block[-1], at)
            there = set(left[at:end])
            missing += [number for number in block if number not in there]
        at = end
    return missing


_MODSEQ = fetched.Rows((b"UID", b"MODSEQ"))
_MODSEQ_OF_UID = fetched.Rows((b"MODSEQ",), by_uid=True)
_SHAPES: dict[tuple[bool, bool, bool], fetched.Rows] = {}


def _shapes(with_uid: bool, with_modseq: bool, by_uid: bool) -> fetched.Rows:
    found = _SHAPES.get((with_uid, with_modseq, by_uid))
    if found is None:
        names = [b"UID"] * with_uid + [b"FLAGS"] + [b"MODSEQ"] * with_modseq
        found = _SHAPES[with_uid, with_modseq, by_uid] = fetched.Rows(names, by_uid)
    return found
