"""What SORT compares, and messages in that order (RFC 5256 3, RFC 5957)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from mailserver.imapstore import Wanted
from mailserver.session.imap.matching import AT_ONCE, Sight
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

COLUMNS = {
    "ARRIVAL": "received", "CC": "by_cc", "DATE": "sent", "FROM": "by_from", "SIZE": "size", "SUBJECT": "subject",
    "TO": "by_to", "DISPLAYFROM": "display_from", "DISPLAYTO": "display_to",
}
Order: TypeAlias = Sequence[tuple[str, bool]]     # a word of `COLUMNS`, and whether it is reversed


async def sorted_rows(
    session: ImapSession, selected: Selected, sight: Sight, places: Sequence[int], order: Order
) -> list[int]:
    """Ascending places of messages in this order; those that are gone meanwhile are left out."""
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
