"""Searches that want to be kept up to date (RFC 5267 4.3): which are, and which not any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mailserver.imap import responses
from mailserver.imap.commands.contexts import CancelUpdate
from mailserver.imap.commands.multisearch import ESearch
from mailserver.imap.commands.search import Results, Search, Sort
from mailserver.imap.error import ImapError
from mailserver.imap.found import Place
from mailserver.session.imap.contexts import Context, Contexts, fixed
from mailserver.session.imap.matching import Sight
from mailserver.session.imap.reply import Reply

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession


def refuse_reuse(session: ImapSession, results: Results | None) -> None:
    """Raises `ImapError` when the tag is that of another search that is kept up to date (RFC 5267 4.3)."""
    is_used = session.contexts is not None and session.tag in session.contexts.by_tag
    if results is not None and results.update is not None and is_used:
        raise ImapError("this tag is that of a search that is kept up to date")


def followed(
    session: ImapSession, command: Search | Sort | ESearch, sight: Sight, places: Sequence[int], reply: Reply,
    place: Place | None = None,
) -> Reply:
    """The reply to a search, which is kept up to date from now on if it asks for that and if it may be."""
    results, selected = command.results, session.selected
    if results is None or results.update is None or selected is None:
        return reply
    contexts = session.contexts or Contexts()
    order = command.order if isinstance(command, Sort) else ()
    context = Context(
        session.tag, command.by_uid, fixed(command.key, sight), order, results.update,
        [sight.uids[each] for each in places], sight, place,
    )
    if not contexts.has_room(context):
        return refused(session, reply)
    contexts.by_tag[session.tag] = context
    session.contexts = contexts
    return reply


def refused(session: ImapSession, reply: Reply) -> Reply:
    """The reply to a search whose answer stays as it is (RFC 5267 4.3.1)."""
    words = responses.status("NO", "that is not kept up to date", f'NOUPDATE "{session.tag}"')
    return replace(reply, lines=[*reply.lines, words])


async def cancel(session: ImapSession, command: CancelUpdate) -> Reply:
    """RFC 5267 4.3.5."""
    if session.contexts is not None:
        for tag in command.tags:
            session.contexts.by_tag.pop(tag, None)
        if not session.contexts.by_tag:
            session.contexts = None
    return Reply("no more of that")
