"""Flags are set, messages go, and are copied or moved (RFC 9051 6.4.3, 6.4.6 to 6.4.9; RFC 7162)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailserver import imapstore
from mailserver.errors import NotFound
from mailserver.imap import fetched, responses
from mailserver.imap.commands.messages import Copy, Expunge, Move, Store
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import SequenceSet
from mailserver.imap.numbers import spell as spell_numbers
from mailserver.imap.rights import changeable
from mailserver.interfaces import DELETED
from mailserver.session.imap import places as places_
from mailserver.session.imap.limited import newest, refuse, told
from mailserver.session.imap.places import Place
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession


def chosen(session: ImapSession, writes: bool = False) -> Selected:
    """The mailbox that is chosen; raises `ImapError` when it may not be written to."""
    selected = session.selected
    assert selected is not None
    if writes and selected.read_only:
        raise ImapError("this mailbox is only read", "NO", "READ-ONLY")
    return selected


def places(selected: Selected, numbers: SequenceSet, by_uid: bool) -> list[range]:
    """Where the messages stand that a command names."""
    return selected.by_uid(numbers) if by_uid else selected.numbers(numbers)


async def store(session: ImapSession, command: Store) -> Reply:
    """Those that change are told of, and to who is not silent, those as well that were so already."""
    selected = chosen(session, writes=True)
    if command.unchanged_since is not None:
        session.enable(frozenset({"CONDSTORE"}))
    found, lowest = newest(session, places(selected, command.numbers, command.by_uid))
    if not found:
        return Reply("there is nothing to store", may_expunge=command.by_uid)
    flags = imapstore.Flags(command.flags.bits, command.flags.keywords)
    before, untold = selected.board.modseq, frozenset(selected.board.changed_since(selected.modseq))
    how = command.how or "="
    if selected.place.is_shared:
        may_set = _changeable(selected.place, how, flags)
        stored = await selected.board.mailbox.change(
            selected.ranges(found), how, flags, may_set, command.unchanged_since
        )
    else:
        stored = await selected.board.mailbox.store(selected.ranges(found), how, flags, command.unchanged_since)
    await selected.catch_up()
    changed = [uid for uid, _ in stored.changed]
    lines, quiet = [], frozenset[int]()
    if not command.silent:
        with_uid = (command.by_uid or session.tells_uids) and not selected.uid_only
        lines += _unchanged(session, selected, found, {*changed, *stored.modified}, with_uid)
    elif stored.modseq <= before + 1:
        # What others did to them since, or before without the peer having heard of it, is not hidden.
        quiet = frozenset(uid for uid in changed if selected.board.modseq_of(uid) == stored.modseq) - untold
    code = ""
    if stored.modified:
        numbers = stored.modified if command.by_uid else [selected.number(uid) for uid in stored.modified]
        code = f"MODIFIED {spell_numbers(numbers).decode('ascii')}"
    reply = Reply(
        "stored", lines, code, quiet=quiet, may_expunge=command.by_uid, with_uid=command.by_uid,
    )
    return told(session, reply, lowest)


def _changeable(place: Place, how: str, flags: imapstore.Flags) -> int:
    """The bits that may be changed; raises `ImapError` when none of those may that are named (RFC 4314 4, STORE)."""
    may_set = changeable(place.rights)
    named = may_set if how == "=" else flags.system & may_set
    if not named and not (flags.keywords and "w" in place.rights) and (how == "=" or flags.system or flags.keywords):
        raise ImapError("you have no right to do that here", "NO", "NOPERM")
    return may_set


def _unchanged(
    session: ImapSession, selected: Selected, found: list[range], told: set[int], with_uid: bool
) -> list[bytes]:
    """Lines for messages that have been so already."""
    with_modseq = "CONDSTORE" in session.enabled
    shape = fetched.Rows([b"UID"] * with_uid + [b"FLAGS"] + [b"MODSEQ"] * with_modseq, selected.uid_only)
    board, lines = selected.board, []
    for each in found:
        for place, uid in enumerate(selected.uids[each.start : each.stop], each.start):
            now = -1 if uid in told else board.place(uid)
            if now >= 0:
                values = (
                    *[uid] * with_uid, selected.spelled(board.flags[now], uid), *[board.modseqs[now]] * with_modseq
                )
                lines.append(shape.line(uid if selected.uid_only else place + 1, *values))
    return lines


async def expunge(session: ImapSession, command: Expunge) -> Reply:
    """What is \\Deleted goes, of all or of these (UID EXPUNGE)."""
    selected = chosen(session, writes=True)
    selected.place.need("e")
    ranges, lowest = None, 0
    if command.uids is not None:
        found = selected.by_uid(command.uids)
        if session.policy.message_limit:
            found, lowest = newest(session, _deleted(selected, found))
        ranges = selected.ranges(found)
        if not ranges:
            return Reply("there is nothing to expunge")
    _, modseq = await selected.board.mailbox.expunge(ranges)
    await selected.catch_up()
    code = f"HIGHESTMODSEQ {modseq}" if "QRESYNC" in session.enabled else ""
    return told(session, Reply("expunged", code=code), lowest)


def _deleted(selected: Selected, found: list[range]) -> list[range]:
    """Those that are \\Deleted, as far as the session can know."""
    board, left = selected.board, list[range]()
    for each in found:
        for place in each:
            now = place if selected.uids is board.uids else board.place(selected.uids[place])
            if now >= 0 and board.flags[now] & DELETED:
                left.append(range(place, place + 1))
    return left


async def copy(session: ImapSession, command: Copy | Move) -> Reply:
    """All of them, or none (RFC 9051 6.4.7, 6.4.8)."""
    moves = isinstance(command, Move)
    selected = chosen(session, writes=moves)
    assert session.account is not None
    if moves:
        selected.place.need("te")           # it is a STORE and an EXPUNGE as well (RFC 6851 4.4)
    found, lowest = places(selected, command.numbers, command.by_uid), 0
    if moves:
        found, lowest = newest(session, found)
    else:
        refuse(session, sum(map(len, found)), saves=True)
    if not found:
        return Reply("there is nothing of that", may_expunge=command.by_uid)
    try:
        there = await places_.place(session, command.mailbox, "i")
        if there.is_shared or selected.place.is_shared:
            copied = await session.policy.store.put(
                selected.board.mailbox, selected.ranges(found), there.into, moves
            )
        else:
            copied = await selected.board.mailbox.copy(
                selected.ranges(found), session.account, command.mailbox, move=moves
            )
    except NotFound as error:
        raise ImapError(str(error), "NO", "TRYCREATE") from None
    await selected.catch_up()
    if session.notifying is not None and selected.is_of(there, copied.uidvalidity):
        session.notifying.brought(copied.targets)
    if not copied.targets:
        code = "" if command.by_uid else "EXPUNGEISSUED"
        return Reply("they are gone", code=code, may_expunge=command.by_uid)
    sources, targets = (spell_numbers(each).decode("ascii") for each in (copied.sources, copied.targets))
    code = f"COPYUID {copied.uidvalidity} {sources} {targets}"
    if moves:
        # RFC 9051 6.4.8: said before the messages are gone.
        return told(session, Reply("moved", [responses.status("OK", "they are there", code)]), lowest)
    return Reply("copied", code=code, may_expunge=command.by_uid)
