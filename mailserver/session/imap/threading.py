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

WAYS = {"ORDEREDSUBJECT": threads.ordered_subject, "REFERENCES": threads.references}
COLUMNS = ("uid", "sent", "received", "subject", "is_reply", "message_id", "refs")


async def thread(session: ImapSession, command: Thread) -> Reply:
    """Raises `ImapError` for ways to thread that are not offered."""
    if command.threading not in WAYS:
        raise ImapError("there is no such way to thread here")
    sight, places = await matched(session, command.key)
    known: list[tuple[Any, ...]] = []
    async for rows in chosen(session).board.mailbox.rows(sight.ranges(places), Wanted(COLUMNS, list, AT_ONCE)):
        known += rows
    line = await session.policy.world.in_thread(_line, command, sight, known)
    return Reply("that is all", [line], may_expunge=command.by_uid)


def _line(command: Thread, sight: Sight, rows: Sequence[tuple[Any, ...]]) -> bytes:
    numbers = {uid: uid if command.by_uid else number for number, uid in enumerate(sight.uids, 1)}
    letters = [
        Letter._make((numbers[uid], received if sent is None else sent, subject, is_reply, id, refs))
        for uid, sent, received, subject, is_reply, id, refs in rows if uid in numbers
    ]
    return found.thread(WAYS[command.threading](letters))
