"""FETCH: which messages, and in which way what is asked of them is answered (RFC 9051 6.4.5, RFC 7162, RFC 9394)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
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
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import MOST_AT_ONCE, Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

ROWS = 500                  # messages of one step
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
        found = _part(found, *command.partial)
    if not found:
        return Reply("there is nothing of that", lines, may_expunge=command.by_uid)
    if any(map(_marks_seen, command.items)) and not selected.read_only:
        try:
            await selected.board.mailbox.store(selected.ranges(found), "+", Flags(SEEN))
        except TemporaryFailure as error:
            log.warn("what was read is not marked as seen: {words}", words=str(error))      # a full disk can be read
        await selected.refresh(force=True)
    if set(command.items) <= ON_BOARD:
        stream = _from_board(session, selected, found, command.items)
    else:
        stream = _FromStore(session, selected, found, command.items).stream()
    return Reply("fetched", lines, stream=stream, may_expunge=command.by_uid, with_uid=command.by_uid)


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
        self._may_write = not (session.wire.utf8 and any(each in IN_UTF_8 for each in items))

    async def stream(self) -> AsyncIterator[bytes]:
        """While one step is sent, the store is at the next."""
        ahead: tuple[range, Deferred[bytes | None]] | None = None
        try:
            async for places, flags in self._groups():
                before, ahead = ahead, (places, self._begin(places, flags))
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

    async def _groups(self) -> AsyncIterator[tuple[range, Mapping[int, bytes] | None]]:
        for step, flags in _steps(self._selected, self._found, Attribute.FLAGS in self._items):
            if self._may_write and self._is_whole:
                for each in await _weighed(self._selected, step):
                    yield each, flags
            else:
                yield step, flags

    def _begin(self, places: range, flags: Mapping[int, bytes] | None) -> Deferred[bytes | None]:
        if not self._may_write or flags is None:
            return succeed(None)
        uids = self._selected.uids[places.start : places.stop]
        return Deferred.fromCoroutine(self._mailbox.lines(places.start + 1, uids, self._names, flags))

    async def _rest(self, places: range, begun: Deferred[bytes | None]) -> AsyncIterator[bytes]:
        written = await begun
        if written is not None:
            # A NUL is for BINARY alone (RFC 9051 4.3); the size stays.
            yield written.replace(b"\0", b"\x80") if self._is_whole else written
            return
        ranges = self._selected.ranges([places])
        if any(map(is_of_octets, self._items)):
            async for piece in with_octets(self._session, self._selected, [places], self._items):
                yield piece
        else:
            columns = Columns(self._selected, self._items, self._session.wire.utf8)
            async for piece in self._mailbox.rows(ranges, columns.wanted()):
                yield piece


def _steps(
    selected: Selected, found: Sequence[range], with_flags: bool
) -> Iterator[tuple[range, Mapping[int, bytes] | None]]:
    """So many messages at a time, with how their flags are spelled; None when there are too many spellings."""
    board = selected.board
    for each in found:
        for start in range(each.start, each.stop, ROWS):
            places = each[start - each.start : start - each.start + ROWS]
            flags: Mapping[int, bytes] | None = {}
            if with_flags:
                known = set(board.flags[places.start : places.stop]) if selected.uids is board.uids else set()
                uids = selected.uids
                fits = known and len(known) <= MOST_SPELLINGS and not selected.has_recent(
                    uids[places.start], uids[places.stop - 1]
                )
                flags = {value: selected.spelled(value) for value in known} if fits else None
            yield places, flags


async def _weighed(selected: Selected, places: range) -> list[range]:
    """The same in steps of so many octets as may be at hand."""
    wanted = Wanted(("uid", "size"), list)
    sizes = {
        uid: size async for rows in selected.board.mailbox.rows(selected.ranges([places]), wanted) for uid, size in rows
    }
    groups, start, octets = [], places.start, 0
    for place in places:
        size = sizes.get(selected.uids[place], 0)
        if octets and octets + size > STEP:
            groups.append(range(start, place))
            start, octets = place, 0
        octets += size
    return [*groups, range(start, places.stop)]


def _marks_seen(item: Item) -> bool:
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
    shape = fetched.Rows([str(each).encode() for each in items])
    for each in found:
        for start in range(each.start, each.stop, MOST_AT_ONCE):
            stop = min(start + MOST_AT_ONCE, each.stop)
            uids = selected.uids[start:stop]
            if selected.uids is board.uids:
                flags, modseqs, numbers = board.flags[start:stop], board.modseqs[start:stop], range(start + 1, stop + 1)
            else:
                at = [(place, number) for number, uid in enumerate(uids, start + 1) if (place := board.place(uid)) >= 0]
                uids = type(uids)(uids.typecode, [board.uids[place] for place, _ in at])
                flags = type(board.flags)("Q", [board.flags[place] for place, _ in at])
                modseqs = type(board.flags)("Q", [board.modseqs[place] for place, _ in at])
                numbers = [number for _, number in at]  # type: ignore[assignment]
            columns = []
            for item in items:
                if item is Attribute.UID:
                    columns.append(uids)
                elif item is Attribute.MODSEQ:
                    columns.append(modseqs)
                else:
                    columns.append(selected.spelled_many(flags, uids))  # type: ignore[arg-type]
            yield shape.lines(numbers, *columns)
            await deferLater(session.policy.world.clock, 0)
