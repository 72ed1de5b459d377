"""ESEARCH: one search in several mailboxes, of which each is answered for itself (RFC 7377)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mailserver.errors import NotFound
from mailserver.imap import responses
from mailserver.imap.commands.keys import And, Key, Not, Numbers, Or, Uids
from mailserver.imap.commands.multisearch import PERSONAL, ESearch
from mailserver.imap.error import ImapError
from mailserver.imap.found import Place
from mailserver.session.imap import filtering, places
from mailserver.session.imap.folders import account
from mailserver.session.imap.matching import matching
from mailserver.session.imap.progress import EVERY
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.searching import ALL, answered, asks_modseq, forget
from mailserver.session.imap.selected import Selected
from mailserver.session.imap.updating import followed, refuse_reuse, refused

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST_MAILBOXES = 1000       # of one search


async def esearch(session: ImapSession, command: ESearch) -> Reply:
    """Mailboxes in which nothing is found are passed over in silence (RFC 7377 2.1)."""
    results, selected = command.results or ALL, session.selected
    if selected is None and any(each.is_selected for each in command.scopes):
        raise ImapError("choose a mailbox first")
    if "SAVE" in results.words and not command.is_of_selected:
        raise ImapError("what is found elsewhere cannot be kept")
    if results.update is not None and selected is None:
        raise ImapError("nothing is kept up to date but what is selected")
    if not command.is_of_selected and _uses_saved(command.key):
        raise ImapError("what was kept is of the mailbox that is selected")
    refuse_reuse(session, results)
    try:
        command = replace(command, key=await filtering.expanded(session, command.key))
        where = await _where(session, command)
    except Exception:
        forget(session, results)
        raise
    if asks_modseq(command.key):
        session.enable(frozenset({"CONDSTORE"}))
    return Reply("that is all", stream=_answers(session, command, where))


async def _where(session: ImapSession, command: ESearch) -> list[places.Place]:
    """The mailboxes that are meant, the selected one first, if it is one of them; then one's own.

    Of others' there are those that the session may read, when they are named, or subscribed to: none is personal.
    """
    selected = session.selected
    found: dict[str, places.Place] = {}
    if selected is not None and any(each.is_selected for each in command.scopes):
        found[selected.name] = selected.place
    if not command.is_of_selected:
        me, store = account(session), session.policy.store
        subscribed: frozenset[str] = frozenset()
        if any(each.kind == "SUBSCRIBED" for each in command.scopes):
            subscribed = frozenset(await store.subscriptions(me))
        scopes = [each for each in command.scopes if not each.is_selected]
        for name in await store.mailboxes(me):
            if any(each.takes(name, subscribed) for each in scopes):
                found.setdefault(name, places.Place(name, me, name))
        scopes = [each for each in scopes if each.kind not in PERSONAL]
        for place, _ in await places.others(session) if scopes else ():
            if "r" in place.rights and any(each.takes(place.name, subscribed) for each in scopes):
                found.setdefault(place.name, place)
    if len(found) > MOST_MAILBOXES:
        raise ImapError(f"no more than {MOST_MAILBOXES} mailboxes are searched at once", "NO", "LIMIT")
    return list(found.values())


async def _answers(
    session: ImapSession, command: ESearch, where: Sequence[places.Place]
) -> AsyncIterator[bytes]:
    results = command.results or ALL
    seconds = session.policy.world.clock.seconds
    told, is_followed = seconds(), False
    try:
        for each in where:
            selected = session.selected
            is_here = selected is not None and selected.name == each.name
            lines, is_known = await _in_one(session, command, each)
            is_followed = is_followed or (is_here and is_known)
            if session.is_lost:
                return
            if lines:
                told = seconds()
                yield b"".join(lines)
            elif seconds() - told > EVERY:
                told = seconds()
                yield responses.status("OK", "still at it", f'INPROGRESS ("{session.tag}" NIL NIL)')
        if results.update is not None and not is_followed:
            yield b"".join(refused(session, Reply()).lines)
    except Exception:
        forget(session, results)
        raise


async def _in_one(session: ImapSession, command: ESearch, where: places.Place) -> tuple[Sequence[bytes], bool]:
    """The lines of one mailbox, and whether what is found there is kept up to date, or was refused to be."""
    selected, results, name = session.selected, command.results or ALL, where.name
    if selected is not None and selected.name == name:
        place = Place(name, selected.board.mailbox.uidvalidity, session.wire.utf8)
        sight, found = await matching(session, selected, command.key)
        reply = answered(session, command, results, sight, found, place)
        lines = reply.lines if found else ()
        return followed(session, command, sight, found, Reply(lines=lines), place).lines, True
    try:
        board = await places.board(session, where)
    except NotFound:                    # it has just gone
        return (), False
    try:
        looked = Selected(board, where, read_only=True, is_rev2=True)
        place = Place(name, board.mailbox.uidvalidity, session.wire.utf8)
        sight, found = await matching(session, looked, command.key)
        return answered(session, command, results, sight, found, place).lines if found else (), False
    finally:
        session.policy.boards.give_back(board)


def _uses_saved(key: Key) -> bool:
    """Whether "$" is in it."""
    if isinstance(key, (And, Or)):
        return any(map(_uses_saved, key.keys))
    if isinstance(key, Not):
        return _uses_saved(key.key)
    return (isinstance(key, Numbers) and key.numbers.saved) or (isinstance(key, Uids) and key.uids.saved)
