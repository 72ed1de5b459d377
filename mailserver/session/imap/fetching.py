"""FETCH: which messages, and in which way what is asked of them is answered (RFC 9051 6.4.5, RFC 7162, RFC 9394)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.imap import fetched, responses
from mailserver.imap.commands.fetch import Fetch
from mailserver.imap.commands.sections import Attribute, Binary, Body, Item
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import SequenceSet, gaps
from mailserver.imapstore import Flags, Wanted
from mailserver.interfaces import SEEN
from mailserver.session.imap.bodies import is_of_octets, with_octets
from mailserver.session.imap.changing import places
from mailserver.session.imap.columns import Columns, name_of
from mailserver.session.imap.limited import newest, refuse, told
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import MOST_AT_ONCE, Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

FIRST_ROWS = 64             # messages of the first step; of the others as many as will be of `STEP` octets
MOST_ROWS = 1000
WEIGHED = 500               # messages of which the sizes are asked at a time, when all their octets are wanted
STEP = 96 * 1024            # octets of messages of one step; two steps may be in memory at a time
MOST_SPELLINGS = 50         # of flags, that the store is told of
WHOLE = {"BODY[]", "RFC822"}
IN_UTF_8 = {Attribute.ENVELOPE, Attribute.BODY, Attribute.BODYSTRUCTURE}      # written otherwise for who takes that
ON_BOARD = {Attribute.FLAGS, Attribute.UID, Attribute.MODSEQ}


async def fetch(session: ImapSession, command: Fetch) -> Reply:
    """The answers are made while they are sent: whoever does not read costs little."""
    selected = session.selected
    assert selected is not None
    if command.changed_since is not None or Attribute.MODSEQ in command.items:
        session.enable(frozenset({"CONDSTORE"}))
    if command.vanished and "QRESYNC" not in session.enabled:
        raise ImapError("ENABLE QRESYNC first")
    found = places(selected, command.numbers, command.by_uid)
    lines = await _vanished(selected, command) if command.vanished else []
    if command.changed_since is not None:
        found = _changed(selected, found, command.changed_since)
    if command.partial is not None:
        refuse(session, abs(command.partial[1] - command.partial[0]) + 1)
        found = _part(found, *command.partial)
    found, lowest = newest(session, found)
    if not found:
        return Reply("there is nothing of that", lines, may_expunge=command.by_uid)
    if any(map(marks_seen, command.items)) and not selected.read_only and "s" in selected.place.rights:
        try:
            await selected.board.mailbox.store(selected.ranges(found), "+", Flags(SEEN))
        except TemporaryFailure as error:
            log.warn("what was read is not marked as seen: {words}", words=str(error))      # a full disk can be read
        await selected.refresh(force=True)
    items: Sequence[Item] = command.items
    if selected.uid_only and not command.asks_uid:
        items = [each for each in items if each is not Attribute.UID]       # each line begins with it (RFC 9586 3.3)
    stream = answers(session, selected, found, items)
    reply = Reply("fetched", lines, stream=stream, may_expunge=command.by_uid, with_uid=command.by_uid)
    return told(session, reply, lowest)


def answers(
    session: ImapSession, selected: Selected, found: Sequence[range], items: Sequence[Item]
) -> AsyncIterator[bytes]:
    """The lines for messages at these places, as they are made."""
    if set(items) <= ON_BOARD:
        return _from_board(session, selected, found, items)
    return _FromStore(session, selected, found, items).stream()


class _FromStore:
    """What the store can write, and what has to be made of its rows and octets."""

    def __init__(self, session: ImapSession, selected: Selected, found: Sequence[range], items: Sequence[Item]) -> None:
        self._session = session
        self._selected = selected
        self._found = found
        self._items = items
        self._mailbox = selected.board.mailbox
        self._names = [name_of(each).decode("ascii") for each in items]
        self._is_whole = any(name in WHOLE for name in self._names)
        self._may_write = not selected.uid_only and not (session.wire.utf8 and any(each in IN_UTF_8 for each in items))
        self._rows = WEIGHED if self._is_whole else FIRST_ROWS      # of the next step

    async def stream(self) -> AsyncIterator[bytes]:
        """While one step is sent, the store is at the next."""
        ahead: tuple[list[range], Deferred[bytes | None]] | None = None
        try:
            async for places in self._steps():
                before, ahead = ahead, (places, self._begin(places))
                if before is not None:
                    async for piece in self._rest(*before):
                        yield piece
            if ahead is not None:
                before, ahead = ahead, None
                async for piece in self._rest(*before):
                    yield piece
        finally:
            if ahead is not None:
                ahead[1].addErrback(lambda failure: None)       # nobody waits for it any more

    async def _steps(self) -> AsyncIterator[list[range]]:
        """Places of as many messages as may be at hand."""
        left = list(reversed(self._found))
        while left:
            step: list[range] = []
            room = self._rows
            while left and room:
                each = left.pop()
                step.append(each[:room])
                if len(each) > room:
                    left.append(each[room:])
                room -= len(step[-1])
            if self._may_write and self._is_whole and sum(map(len, step)) > 1:
                for group in await _weighed(self._selected, step):
                    yield group
            else:
                yield step

    def _begin(self, places: Sequence[range]) -> Deferred[bytes | None]:
        flags = self._flags(places) if Attribute.FLAGS in self._items else {}
        if not self._may_write or flags is None:
            return succeed(None)
        numbers: Sequence[int] = [place + 1 for each in places for place in each]
        uids = self._selected.uids_of(places)
        return Deferred.fromCoroutine(self._mailbox.lines(numbers, uids, self._names, flags))

    def _flags(self, places: Sequence[range]) -> Mapping[int, bytes] | None:
        """How their flags are spelled; None when that cannot be said of each alike."""
        selected, board = self._selected, self._selected.board
        if selected.uids is not board.uids or selected.has_recent(
            selected.uids[places[0].start], selected.uids[places[-1].stop - 1]
        ):
            return None
        known = {flags for each in places for flags in board.flags[each.start : each.stop]}
        return {value: selected.spelled(value) for value in known} if len(known) <= MOST_SPELLINGS else None

    async def _rest(self, places: Sequence[range], begun: Deferred[bytes | None]) -> AsyncIterator[bytes]:
        written = await begun
        if written is not None:
            if not self._is_whole:
                wanted = sum(map(len, places)) * STEP // max(1, len(written))
                self._rows = max(1, min(MOST_ROWS, 4 * self._rows, wanted))
            # A NUL is for BINARY alone (RFC 9051 4.3); the size stays.
            yield written.replace(b"\0", b"\x80") if self._is_whole else written
        elif any(map(is_of_octets, self._items)):
            async for piece in with_octets(self._session, self._selected, places, self._items):
                yield piece
        else:
            self._rows = min(MOST_ROWS, 4 * self._rows)
            columns = Columns(self._selected, self._items, self._session.wire.utf8)
            async for piece in self._mailbox.rows(self._selected.ranges(places), columns.wanted()):
                yield piece


async def _weighed(selected: Selected, places: Sequence[range]) -> list[list[range]]:
    """The same in steps of so many octets as may be at hand."""
    wanted = Wanted(("uid", "size"), list)
    sizes = {
        uid: size async for rows in selected.board.mailbox.rows(selected.ranges(places), wanted) for uid, size in rows
    }
    groups: list[list[range]] = [[]]
    octets = 0
    for each in places:
        start = each.start
        for place in each:
            size = sizes.get(selected.uids[place], 0)
            if octets and octets + size > STEP:
                if start < place:
                    groups[-1].append(range(start, place))
                groups.append([])
                start, octets = place, 0
            octets += size
        groups[-1].append(range(start, each.stop))
    return groups


def marks_seen(item: Item) -> bool:
    """Whether who asks for it has seen the message (RFC 9051 6.4.5)."""
    if isinstance(item, (Body, Binary)):
        return item.marks_seen
    return item in (Attribute.RFC822, Attribute.RFC822_TEXT)


def _changed(selected: Selected, found: Sequence[range], since: int) -> list[range]:
    """Those whose mod-sequence is higher."""
    board, left = selected.board, list[range]()
    for each in found:
        for place in each:
            now = place if selected.uids is board.uids else board.place(selected.uids[place])
            if now >= 0 and board.modseqs[now] > since:
                if left and left[-1].stop == place:
                    left[-1] = range(left[-1].start, place + 1)
                else:
                    left.append(range(place, place + 1))
    return left


def _part(found: Sequence[range], first: int, last: int) -> list[range]:
    """The messages from the `first` to the `last` of those that were found; negative ones count from the end."""
    every = sum(map(len, found))
    low, high = (first - 1, last) if first > 0 else (every + last, every + first + 1)
    low, left, before = max(low, 0), [], 0
    for each in found:
        part = each[max(0, low - before) : max(0, high - before)]
        before += len(each)
        if part:
            left.append(part)
    return left


async def _vanished(selected: Selected, command: Fetch) -> list[bytes]:
    """Those of the set that are gone since (RFC 7162 3.2.6)."""
    assert command.changed_since is not None
    changes = await selected.board.mailbox.changes(command.changed_since)
    top = selected.board.uidnext - 1
    ranges = [(low, min(high, top)) for low, high in command.numbers.resolved(top) if low <= top]
    if changes.gone is not None:
        asked = SequenceSet(tuple(ranges)).pick(changes.gone)
        vanished = responses.vanished([uid for uid in asked if not selected.number(uid)], earlier=True)
    else:
        vanished = responses.vanished_ranges(gaps(ranges, selected.uids[: selected.count]), earlier=True)
    return [vanished] if vanished else []


async def _from_board(
    session: ImapSession, selected: Selected, found: Sequence[range], items: Sequence[Item]
) -> AsyncIterator[bytes]:
    """What needs no look into the database."""
    board = selected.board
    shape = fetched.Rows([str(each).encode() for each in items], selected.uid_only)
    written = 0                 # lines since others had a turn: of many ranges each is short
    for each in found:
        for start in range(each.start, each.stop, MOST_AT_ONCE):
            stop = min(start + MOST_AT_ONCE, each.stop)
            uids: Sequence[int] = selected.uids[start:stop]
            flags: Sequence[int]
            modseqs: Sequence[int]
            numbers: Sequence[int]
            if selected.uids is board.uids:
                flags, modseqs, numbers = board.flags[start:stop], board.modseqs[start:stop], range(start + 1, stop + 1)
            else:
                at = [(place, number) for number, uid in enumerate(uids, start + 1) if (place := board.place(uid)) >= 0]
                uids, numbers = [board.uids[place] for place, _ in at], [number for _, number in at]
                flags, modseqs = [board.flags[place] for place, _ in at], [board.modseqs[place] for place, _ in at]
            columns: list[Sequence[int] | Sequence[bytes]] = []
            for item in items:
                if item is Attribute.UID:
                    columns.append(uids)
                elif item is Attribute.MODSEQ:
                    columns.append(modseqs)
                else:
                    columns.append(selected.spelled_many(flags, uids))
            yield shape.lines(uids if selected.uid_only else numbers, *columns)
            written += stop - start
            if written >= MOST_AT_ONCE:
                written = 0
                await deferLater(session.policy.world.clock, 0)
