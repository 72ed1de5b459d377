"""THREAD (RFC 5256)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mailserver.imap import found, threads
from mailserver.imap.commands.search import Thread
from mailserver.imap.error import ImapError
from mailserver.imap.threads import Letter
from mailserver.imapstore import Wanted
from mailserver.session.imap.changing import chosen
from mailserver.session.imap.matching import AT_ONCE, Sight
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.searching import matched

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

MOST_KEPT = 1024 * 1024     # octets of an answer that is kept for who asks again
WAYS = {"ORDEREDSUBJECT": threads.ordered_subject, "REFERENCES": threads.references}
COLUMNS = ("uid", "sent", "received", "subject", "is_reply", "message_id", "refs")


async def thread(session: ImapSession, command: Thread) -> Reply:
    """Raises `ImapError` for ways to thread that are not offered."""
    if command.threading not in WAYS:
        raise ImapError("there is no such way to thread here")
    sight, places = await matched(session, command.key)
    memo, question = chosen(session).board.memo, ("thread", command.threading, command.by_uid)
    generation = memo.generation
    is_all = sight.is_current and len(places) == len(sight)
    if is_all and (kept := memo.get(question)) is not None:
        return Reply("that is all", [kept], may_expunge=command.by_uid)
    known: list[tuple[Any, ...]] = []
    async for rows in chosen(session).board.mailbox.rows(sight.ranges(places), Wanted(COLUMNS, list, AT_ONCE)):
        known += rows
    line = await session.policy.world.in_thread(_line, command, sight, known)
    if is_all and len(sight) == len(known) and len(line) < MOST_KEPT:
        memo.keep(question, line, generation)
    return Reply("that is all", [line], may_expunge=command.by_uid)


def _line(command: Thread, sight: Sight, rows: Sequence[tuple[Any, ...]]) -> bytes:
    numbers = {uid: uid if command.by_uid else number for number, uid in enumerate(sight.uids, 1)}
    letters = [
        Letter._make((numbers[uid], received if sent is None else sent, subject, is_reply, id, refs))
        for uid, sent, received, subject, is_reply, id, refs in rows if uid in numbers
    ]
    return found.thread(WAYS[command.threading](letters))
