"""MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command may be about, where the operator says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mailserver.imap import responses
from mailserver.imap.commands.keys import And, Key, Numbers, Uids
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import HIGHEST, SequenceSet
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import Selected

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

Places = Sequence[range]


def newest(session: ImapSession, places: Places) -> tuple[list[range], int]:
    """As many as one command may be about, those with the highest UIDs, and the lowest of these; 0: it is all."""
    limit = session.policy.message_limit
    if not limit or sum(map(len, places)) <= limit:
        return list(places), 0
    assert session.selected is not None
    left: list[range] = []
    for each in reversed(places):
        left.append(each[-limit:])
        limit -= len(left[-1])
        if not limit:
            break
    left.reverse()
    return left, session.selected.uids[left[0].start]


def told(session: ImapSession, reply: Reply, lowest: int) -> Reply:
    """The reply of a command that was cut so; where it has a code of its own, an untagged NO says it (RFC 9738 3.1)."""
    if not lowest:
        return reply
    code = f"MESSAGELIMIT {session.policy.message_limit} {lowest}"
    if not reply.code:
        return replace(reply, code=code)
    return replace(reply, lines=[*reply.lines, responses.status("NO", "that was only a part", code)])


def refuse(session: ImapSession, count: int, saves: bool = False) -> None:
    """Raises `ImapError` for too many, where there is all or nothing; `saves`: they are to be kept once more."""
    limit = session.policy.message_limit or (session.policy.save_limit if saves else 0)
    if limit and count > limit:
        raise ImapError("too many messages at once, ask for fewer", "NO", f"MESSAGELIMIT {limit}")


def searched(session: ImapSession, selected: Selected, key: Key) -> tuple[Key, int]:
    """A search among no more messages than one command may look at, and the lowest UID of these; 0: it is all."""
    if not session.policy.message_limit:
        return key, 0
    _, lowest = newest(session, candidates(selected, key))
    return (And((key, Uids(SequenceSet(((lowest, HIGHEST),))))) if lowest else key), lowest


def refuse_search(session: ImapSession, key: Key) -> None:
    """Raises `ImapError` for a SORT or THREAD that looks at too many: of a part there is no order (RFC 9738 3.3)."""
    assert session.selected is not None
    if session.policy.message_limit:
        refuse(session, sum(map(len, candidates(session.selected, key))))


def candidates(selected: Selected, key: Key) -> list[range]:
    """The places of messages that a search has to look at: all, but for what it says of their numbers and UIDs."""
    found = [range(selected.count)]
    for each in key.keys if isinstance(key, And) else (key,):
        if isinstance(each, Numbers):
            found = _both(found, selected.numbers(each.numbers))
        elif isinstance(each, Uids):
            found = _both(found, selected.by_uid(each.uids))
    return found


def _both(one: Places, other: Places) -> list[range]:
    """What is in both of two, each ascending."""
    found, mine, yours = [], 0, 0
    while mine < len(one) and yours < len(other):
        start, stop = max(one[mine].start, other[yours].start), min(one[mine].stop, other[yours].stop)
        if start < stop:
            found.append(range(start, stop))
        if one[mine].stop < other[yours].stop:
            mine += 1
        else:
            yours += 1
    return found
