"""THREAD (RFC 5256, draft-ietf-morg-inthread-01)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mailserver.imap import found, threads
from mailserver.imap.commands.search import Thread
from mailserver.imap.error import ImapError
from mailserver.imap.threads import Letter
from mailserver.imapstore import Wanted
from mailserver.session.imap import filtering
from mailserver.session.imap.changing import chosen
from mailserver.session.imap.limited import refuse_search
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.searching import matched

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

AT_ONCE = 1000              # rows; some have fifty thousand octets of ids
MOST_KEPT = 1024 * 1024     # octets of an answer that is kept for who asks again
WAYS = {"ORDEREDSUBJECT": threads.ordered_subject, "REFERENCES": threads.references, "REFS": threads.refs}
COLUMNS = ("uid", "sent", "received", "subject", "is_reply", "message_id", "refs")


async def thread(session: ImapSession, command: Thread) -> Reply:
    """Raises `ImapError` for ways to thread that are not offered."""
    if command.threading not in WAYS:
        raise ImapError("there is no such way to thread here")
    selected = chosen(session)
    command = await filtering.meant(session, command)
    refuse_search(session, command.key)
    sight, places = await matched(session, command.key)
    question = ("thread", command.threading, command.by_uid)
    is_all = len(places) == len(sight)
    if is_all and (kept := sight.kept(question)) is not None:
        return Reply("that is all", [kept], may_expunge=command.by_uid)
    numbers = {uid: uid if command.by_uid else number for number, uid in enumerate(sight.uids, 1)}

    def render(rows: Sequence[tuple[Any, ...]]) -> list[Letter]:
        """Ids are long, and a hash of one is not: 64 bits, of a function that nobody outside can foresee."""
        return [
            Letter._make((
                numbers[uid], received if sent is None else sent, subject, is_reply, hash(id),
                tuple(map(hash, refs.split(" "))) if refs else (),
            ))
            for uid, sent, received, subject, is_reply, id, refs in rows if uid in numbers
        ]

    letters: list[Letter] = []
    async for some in selected.board.mailbox.rows(sight.ranges(places), Wanted(COLUMNS, render, AT_ONCE)):
        letters += some
    line = await session.policy.world.in_thread(lambda: found.thread(WAYS[command.threading](letters)))
    if is_all and len(sight) == len(letters) and len(line) < MOST_KEPT:
        sight.keep(question, line)
    return Reply("that is all", [line], may_expunge=command.by_uid)
