"""SORT (RFC 5256, RFC 5957), and its newer answers (RFC 5267 3)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from mailserver.imap.commands.search import Sort
from mailserver.imapstore import Wanted
from mailserver.session.imap import filtering
from mailserver.session.imap.changing import chosen
from mailserver.session.imap.limited import refuse_search
from mailserver.session.imap.matching import AT_ONCE, Sight
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.searching import answered, forget, matched
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

COLUMNS = {
    "ARRIVAL": "received", "CC": "by_cc", "DATE": "sent", "FROM": "by_from", "SIZE": "size", "SUBJECT": "subject",
    "TO": "by_to", "DISPLAYFROM": "display_from", "DISPLAYTO": "display_to",
}
MOST_TIMES_FEWER = 8        # than there are: for those alone it is not worth while to sort all
Order = Sequence[tuple[str, bool]]


async def sort(session: ImapSession, command: Sort) -> Reply:
    """Messages that are alike in all that is compared stay in the order of their numbers."""
    selected = chosen(session)
    try:
        command = await filtering.meant(session, command)
        refuse_search(session, command.key)
        sight, places = await matched(session, command.key)
        places = await _sorted(session, selected, sight, places, command.order)
    except Exception:
        forget(session, command.results)
        raise
    return answered(session, command, command.results, sight, places)


async def _sorted(
    session: ImapSession, selected: Selected, sight: Sight, places: Sequence[int], order: Order
) -> list[int]:
    if not sight.is_current or MOST_TIMES_FEWER * len(places) < len(sight):
        return await _sorted_rows(session, selected, sight, places, order)
    question = ("sort", tuple(order))
    every: Sequence[int] | None = sight.kept(question)
    if every is None:
        every = array("I", await _sorted_rows(session, selected, sight, range(len(sight)), order))
        if len(every) == len(sight):
            sight.keep(question, every)
    if len(places) == len(sight):
        return list(every)
    wanted = bytearray(len(sight))
    for place in places:
        wanted[place] = 1
    return [place for place in every if wanted[place]]


async def _sorted_rows(
    session: ImapSession, selected: Selected, sight: Sight, places: Sequence[int], order: Order
) -> list[int]:
    names = list(dict.fromkeys(COLUMNS[word] for word, _ in order))
    columns = tuple(dict.fromkeys(["uid", *names, *["received"] * ("sent" in names)]))
    known: list[tuple[Any, ...]] = []
    async for rows in selected.board.mailbox.rows(sight.ranges(places), Wanted(columns, list, AT_ONCE)):
        known += rows
    return await session.policy.world.in_thread(_in_order, known, columns, sight, order)


def _in_order(rows: list[tuple[Any, ...]], columns: Sequence[str], sight: Sight, order: Order) -> list[int]:
    """Where they stand.  Each sort keeps what the one before it did, so the last that is compared comes first."""
    for word, is_reversed in reversed(order):
        place = columns.index(COLUMNS[word])
        if word == "DATE":              # RFC 5256 2.2: without one, when it came
            came = columns.index("received")
            rows.sort(
                key=lambda row: row[came] if row[place] is None else row[place],
                reverse=is_reversed,
            )
        else:
            rows.sort(key=itemgetter(place), reverse=is_reversed)
    index = {uid: place for place, uid in enumerate(sight.uids)}
    return [index[row[0]] for row in rows if row[0] in index]
