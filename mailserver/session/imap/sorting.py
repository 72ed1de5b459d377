"""SORT (RFC 5256, RFC 5957), and its newer answers (RFC 5267 3)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailserver.imap.commands.search import Sort
from mailserver.session.imap import filtering
from mailserver.session.imap.changing import chosen
from mailserver.session.imap.limited import refuse_search
from mailserver.session.imap.matching import Sight
from mailserver.session.imap.ordering import Order, sorted_rows
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.searching import answered, forget, matched
from mailserver.session.imap.selected import Selected
from mailserver.session.imap.updating import followed, refuse_reuse

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST_TIMES_FEWER = 8        # than there are: for those alone it is not worth while to sort all


async def sort(session: ImapSession, command: Sort) -> Reply:
    """Messages that are alike in all that is compared stay in the order of their numbers."""
    selected = chosen(session)
    refuse_reuse(session, command.results)
    try:
        command = await filtering.meant(session, command)
        refuse_search(session, command.key)
        sight, places = await matched(session, command.key)
        places = await _sorted(session, selected, sight, places, command.order)
    except Exception:
        forget(session, command.results)
        raise
    return followed(session, command, sight, places, answered(session, command, command.results, sight, places))


async def _sorted(
    session: ImapSession, selected: Selected, sight: Sight, places: Sequence[int], order: Order
) -> list[int]:
    if not sight.is_current or MOST_TIMES_FEWER * len(places) < len(sight):
        return await sorted_rows(session, selected, sight, places, order)
    question = ("sort", tuple(order))
    every: Sequence[int] | None = sight.kept(question)
    if every is None:
        every = array("I", await sorted_rows(session, selected, sight, range(len(sight)), order))
        if len(every) == len(sight):
            sight.keep(question, every)
    if len(places) == len(sight):
        return list(every)
    wanted = bytearray(len(sight))
    for place in places:
        wanted[place] = 1
    return [place for place in every if wanted[place]]
