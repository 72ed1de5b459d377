"""A mailbox is chosen, or left (RFC 9051 6.3.2, 6.3.3, 6.4.1, 6.4.2; RFC 7162)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mailserver.imap import fetched, listings, responses
from mailserver.imap.commands.mailboxes import Qresync, Select
from mailserver.imap.commands.messages import Check, Close, Unselect
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import gaps
from mailserver.interfaces import SEEN
from mailserver.session.imap import places
from mailserver.session.imap.places import Place
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import Selected
from mailserver.session.imap.urls import mechanisms

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession


async def select(session: ImapSession, command: Select) -> Reply:
    """What a client has to know of it; with QRESYNC also what has happened since it was here."""
    assert session.account is not None
    had, rev2 = session.selected, "IMAP4REV2" in session.enabled
    if command.qresync is not None and "QRESYNC" not in session.enabled:
        raise ImapError("ENABLE QRESYNC first")
    closed = [responses.status("OK", "the one before is closed", "CLOSED")] if had is not None else []
    try:
        place = await places.place(session, command.mailbox, "r")
        board = await places.board(session, place)
    except Exception as error:
        session.unselect()              # whatever comes of this one (RFC 9051 6.3.2)
        return replace(session.refusal(error), lines=closed)
    session.unselect()
    asks = partial(_asked, session, place) if place.is_shared else None
    session.selected = selected = Selected(
        board, place, command.read_only, rev2, "UIDONLY" in session.enabled, asks
    )
    session.wire.state = type(session.wire.state).SELECTED
    if command.condstore:
        session.enable(frozenset({"CONDSTORE"}))
    selected.claim()
    lines = closed
    lines += [
        responses.exists(selected.count),
        responses.flags(selected.known_flags),
        selected.permanent_flags(),
        responses.status("OK", "these are valid", f"UIDVALIDITY {board.mailbox.uidvalidity}"),
        responses.status("OK", "the next one", f"UIDNEXT {board.uidnext}"),
        responses.status("OK", "the newest change", f"HIGHESTMODSEQ {board.modseq}"),
        responses.status("OK", "it keeps this", f"MAILBOXID ({board.mailbox.id})"),
    ]
    if code := mechanisms(session):
        lines.append(responses.status("OK", "so URLs are authorized", code))
    if rev2:
        lines.append(listings.listed(command.mailbox, utf8=True, old_name=command.given or None))
    else:
        lines.insert(1, responses.recent(selected.recent_count))
        unseen = next((number for number, each in enumerate(board.flags, 1) if not each & SEEN), 0)
        if unseen and not selected.uid_only:
            lines.append(responses.status("OK", "the first that is not seen", f"UNSEEN {unseen}"))
    if command.qresync is not None and command.qresync.uidvalidity == board.mailbox.uidvalidity:
        lines += await _resync(selected, command.qresync)
    how = "READ-ONLY" if command.read_only or place.is_only_read else "READ-WRITE"
    return Reply(f"{'examined' if command.read_only else 'selected'}", lines, how)


async def _asked(session: ImapSession, place: Place) -> Place:
    return await places.again(session, place)


async def _resync(selected: Selected, known: Qresync) -> list[bytes]:
    """Who vanished and whose flags changed, of those that the client knew (RFC 7162 3.2.5)."""
    changes = await selected.board.mailbox.changes(known.modseq)
    mine = selected.uids[: selected.count]
    if changes.gone is not None:
        gone = [uid for uid in changes.gone if not selected.number(uid)]
        vanished = responses.vanished(gone if known.known is None else known.known.pick(gone), earlier=True)
    else:
        # Nobody remembers: all that it may know of and that is not here has vanished.
        top, least = selected.board.uidnext - 1, _least(selected, known)
        ranges = [(1, top)] if known.known is None else known.known.resolved(top)
        ranges = [(max(low, least + 1), min(high, top)) for low, high in ranges if high > least and low <= top]
        vanished = responses.vanished_ranges(gaps(ranges, mine), earlier=True)
    lines = [vanished] if vanished else []
    names = (b"FLAGS", b"MODSEQ") if selected.uid_only else (b"UID", b"FLAGS", b"MODSEQ")
    shape = fetched.Rows(names, selected.uid_only)
    changed = [uid for uid, _, _ in changes.changed]
    wanted = set(changed if known.known is None else known.known.pick(changed))
    for uid, flags, modseq in changes.changed:
        number = selected.number(uid)
        if number and uid in wanted:
            head = (uid,) if selected.uid_only else (number, uid)
            lines.append(shape.line(*head, selected.spelled(flags, uid), modseq))
    return lines


def _least(selected: Selected, known: Qresync) -> int:
    """The UID up to which the client's numbers are still ours, so that nothing vanished there (RFC 7162 3.2.5.2)."""
    if known.sequence is None or known.uids is None:
        return 0
    numbers = (number for low, high in known.sequence.ranges for number in range(low, min(high, selected.count) + 1))
    uids = (uid for low, high in known.uids.ranges for uid in range(low, high + 1))
    least = 0
    for number, uid in zip(numbers, uids, strict=False):
        if selected.uids[number - 1] != uid:
            break
        least = uid
    return least


async def close(session: ImapSession, command: Close) -> Reply:
    """The deleted ones go, and nobody is told here (RFC 9051 6.4.1)."""
    selected = session.selected
    assert selected is not None
    if not selected.read_only and "e" in selected.place.rights:
        await selected.board.mailbox.expunge()
    session.unselect()
    return Reply("closed")


async def unselect(session: ImapSession, command: Unselect) -> Reply:
    """RFC 9051 6.4.2."""
    session.unselect()
    return Reply("left")


async def check(session: ImapSession, command: Check) -> Reply:
    """RFC 3501 6.4.1: there is nothing to do."""
    return Reply("checked")
