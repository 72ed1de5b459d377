"""FETCHes of single messages that a client said ahead: they are answered one by one, but read together.

Clients that copy a mailbox ask for each message by a command of its own (mbsync); a look into the database for each
would take longer than all else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mailserver.imap.commands.fetch import Fetch
from mailserver.imap.commands.sections import Attribute, Body
from mailserver.imap.error import ImapError
from mailserver.imap.events import Request
from mailserver.imap.numbers import STAR
from mailserver.net.answer import Over, Then
from mailserver.session.imap import ending
from mailserver.session.imap.bodies import Interrupted
from mailserver.session.imap.columns import name_of
from mailserver.session.imap.fetching import IN_UTF_8, MOST_SPELLINGS, STEP, marks_seen
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST = 100                  # commands that are answered together


def is_one(command: object) -> bool:
    """Whether it is UID FETCH of one message, which changes nothing and asks for more than what is at hand."""
    return (
        isinstance(command, Fetch) and _is_plain(command) and Attribute.MODSEQ not in command.items
        and any(isinstance(each, Body) or each is Attribute.ENVELOPE for each in command.items)
        and not any(map(marks_seen, command.items))
    )


def goes_with(command: object, first: Any) -> bool:
    """Whether it asks for the same of another message."""
    return isinstance(command, Fetch) and command.items == first.items and _is_plain(command)


def _is_plain(command: Fetch) -> bool:
    return command.by_uid and uid_of(command) > 0 and command.changed_since is None and command.partial is None


def uid_of(command: Any) -> int:
    """The one UID that is meant; 0: none, or several."""
    ranges = command.numbers.ranges
    return ranges[0][0] if len(ranges) == 1 and ranges[0][0] == ranges[0][1] < STAR else 0


async def answers(session: ImapSession, group: Sequence[Request]) -> AsyncIterator[bytes]:
    """Each one's line, if there is such a message, and its end; what is new is told before the last end."""
    left = [(uid_of(each.command), each) for each in group]
    try:
        if session.selected is not None:
            await session.selected.look()
        while left:
            uids, lines = await _lines(session, group[0].command, [uid for uid, _ in left])
            if lines is None:
                _, request = left.pop(0)
                async for piece in _answer_of(session, request):
                    yield piece
                continue
            written: list[bytes] = []
            goes_on = True
            while left and ((uid := left[0][0]) in lines or uid not in uids):
                end, goes_on = await _end_of(session, left.pop(0)[1], not left)
                written += lines.get(uid, b""), end
            yield b"".join(written)
            if not goes_on:
                raise Over
    except Exception as error:
        if isinstance(error, (Over, Interrupted)):
            raise
        is_last = isinstance(error, ImapError) and error.fatal      # BYE is said once
        for _, request in (left or [(0, group[-1])])[: 1 if is_last else None]:
            yield _refused(session, request, error)
        if is_last:
            raise Over from None


async def _answer_of(session: ImapSession, request: Request) -> AsyncIterator[bytes]:
    """All of the answer to one that cannot be read with the others."""
    answer = await session.request(request.tag, request.command)
    yield answer.data
    if answer.stream is not None:
        async for piece in answer.stream:
            yield piece
    if answer.then is not Then.GO_ON:
        raise Over


async def _end_of(session: ImapSession, request: Request, is_last: bool) -> tuple[bytes, bool]:
    """The end of the answer to one of them, with what is new behind the last; and whether it goes on."""
    reply = Reply("fetched", with_uid=True)
    session.count(request.command, reply)
    return await ending.end_of(session, request.tag, reply) if is_last else (ending.tagged(request.tag, reply), True)


def _refused(session: ImapSession, request: Request, error: Exception) -> bytes:
    """What is said of one of them that failed."""
    reply = session.refusal(error)
    session.count(request.command, reply)
    return ending.tagged(request.tag, reply)


async def _lines(
    session: ImapSession, command: Any, uids: Sequence[int]
) -> tuple[Collection[int], Mapping[int, bytes] | None]:
    """Those of the UIDs that the session knows, and the lines of the first of these; None: it needs the usual way."""
    selected, items = session.selected, command.items
    assert selected is not None
    known = sorted({uid for uid in uids if selected.number(uid)})
    if not known:
        return known, {}
    flags = _flags(selected, known) if Attribute.FLAGS in items else {}
    if flags is None or selected.uid_only or (session.wire.utf8 and any(each in IN_UTF_8 for each in items)):
        return known, None
    names = [name_of(each).decode("ascii") for each in items]
    numbers = selected.numbers_of(known)
    lines = await selected.board.mailbox.each_line(numbers, known, names, flags, STEP)
    if lines is not None and any(isinstance(each, Body) for each in items):
        # A NUL is for BINARY alone (RFC 9051 4.3); the size stays.
        lines = {uid: line.replace(b"\0", b"\x80") for uid, line in lines.items()}
    return known, lines


def _flags(selected: Selected, uids: Sequence[int]) -> Mapping[int, bytes] | None:
    """How their flags are spelled; None when that cannot be said of each alike."""
    board = selected.board
    if selected.has_recent(uids[0], uids[-1]):
        return None
    known = {board.flags[place] for uid in uids if (place := board.place(uid)) >= 0}
    return {value: selected.spelled(value) for value in known} if len(known) <= MOST_SPELLINGS else None
