"""FETCH: which messages, and in which way what is asked of them is answered (RFC 9051 6.4.5, RFC 7162, RFC 9394)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.imap import fetched, responses
from mailserver.imap.commands.fetch import Fetch
from mailserver.imap.commands.sections import Attribute, Binary, Body, Item
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import SequenceSet, gaps
from mailserver.imapstore import Flags
from mailserver.interfaces import SEEN
from mailserver.session.imap.bodies import is_of_octets, with_octets
from mailserver.session.imap.changing import places
from mailserver.session.imap.columns import Columns
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import MOST_AT_ONCE, Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

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
    items = command.items
    if set(items) <= ON_BOARD:
        stream = _from_board(session, selected, found, items)
    elif not any(map(is_of_octets, items)):
        columns = Columns(selected, items, session.wire.utf8)
        stream = selected.board.mailbox.rows(selected.ranges(found), columns.wanted())
    else:
        stream = with_octets(session, selected, found, items)
    return Reply("fetched", lines, stream=stream, may_expunge=command.by_uid, with_uid=command.by_uid)


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
