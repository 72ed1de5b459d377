"""What a session hears that has said what it wants to hear of (RFC 5465), or keeps searches up to date (RFC 5267).

All others are told by `ImapSession.told`, between a command and its end.  The order is that of RFC 5267 4.3: what goes
from a search before its number does; then EXPUNGE, EXISTS and flags; new messages; and what else a search has found.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.imap import responses
from mailserver.imap.commands.sections import Attribute, Item
from mailserver.imap.error import ImapError
from mailserver.net.answer import Over
from mailserver.session.imap import annotating
from mailserver.session.imap.contexts import Moved
from mailserver.session.imap.fetching import answers
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()


@dataclass(frozen=True, slots=True)
class Telling:
    """As in `mailserver.session.imap.reply.Reply`; `is_all`: it hears everything of its mailbox, asked for or not."""

    may_expunge: bool
    quiet: Collection[int] = ()
    with_uid: bool = False
    is_all: bool = False


async def tell(session: ImapSession, telling: Telling) -> AsyncIterator[bytes]:
    """All that there is to be told now.  Raises `ImapError` when the mailbox has been deleted."""
    notifying, selected = session.notifying, session.selected
    if annotations := await annotating.news(session):
        yield b"".join(annotations)
    if notifying is not None:
        notifying.look_at(selected)
    if selected is not None:
        await selected.refresh()
        async for piece in _of_selected(session, selected, telling):
            yield piece
    if notifying is not None and session.notifying is notifying:
        async for piece in notifying.others():
            yield piece


async def unasked(session: ImapSession) -> AsyncIterator[bytes]:
    """The same between two commands."""
    notifying = session.notifying
    assert notifying is not None
    try:
        async for piece in tell(session, Telling(notifying.wanted.is_immediate)):
            yield piece
    except ImapError as error:
        yield responses.failure(error)
        raise Over from None
    except TemporaryFailure as error:
        log.warn("a session is told nothing for now: {words}", words=str(error))
        notifying.try_again()


async def _of_selected(session: ImapSession, selected: Selected, telling: Telling) -> AsyncIterator[bytes]:
    notifying, contexts = session.notifying, session.contexts
    wanted = None if notifying is None or telling.is_all else notifying.wanted
    known = selected.uids[selected.count - 1] if selected.count else 0
    lines = contexts.vanished(selected) if contexts is not None else []
    if wanted is None or wanted.messages:
        lines += session.told(
            telling.may_expunge, telling.quiet, telling.with_uid or notifying is not None,
            wanted is None or wanted.flags,
        )
    if lines:
        yield b"".join(lines)
    moved = Moved((), {})
    if contexts is not None:
        try:
            moved = await contexts.moved(session, selected)
        except TemporaryFailure as error:
            log.warn("searches are not kept up to date for now: {words}", words=str(error))
    items = notifying.wanted.items if notifying is not None else ()
    own = notifying.take_own() if notifying is not None else set[int]()
    if items or moved.items:
        for places, asked in _to_fetch(selected, known, items, own, moved):
            async for piece in answers(session, selected, [places], asked):
                yield piece
    if moved.lines:
        yield b"".join(moved.lines)


def _to_fetch(
    selected: Selected, known: int, items: Sequence[Item], own: set[int], moved: Moved
) -> list[tuple[range, tuple[Item, ...]]]:
    """Places of new messages, and what is to be fetched of them, in one answer for each (RFC 5465 5.2)."""
    found: list[tuple[range, tuple[Item, ...]]] = []
    for place in range(bisect_right(selected.uids, known, 0, selected.count), selected.count):
        uid = selected.uids[place]
        if uid in own:
            continue
        asked = tuple({**dict.fromkeys(items), **moved.items.get(uid, {})})
        if not asked:
            continue
        if Attribute.UID not in asked:
            asked = (Attribute.UID, *asked)
        if found and found[-1][1] == asked and found[-1][0].stop == place:
            found[-1] = range(found[-1][0].start, place + 1), asked
        else:
            found.append((range(place, place + 1), asked))
    return found
