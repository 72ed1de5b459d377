"""Messages are copied, moved or appended where mailboxes are shared: with the flags that may be set there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from mailserver.imapstore import Appended, Copied, Flags, Ranges
from mailserver.interfaces import SEEN
from mailserver.sharing import Into
from mailserver.store import changing, sights
from mailserver.store.mailboxes import find_mailbox


def put(
    connection: Connection, mailbox_id: int, viewer: int | None, uids: Ranges, into: Into, now: float, move: bool,
    usual: tuple[int, int],
) -> Copied:
    """As `mailserver.store.changing.copy`; `viewer` is whose \\Seen they have where they come from."""
    seen = sights.seen_of(connection, mailbox_id, viewer, uids)
    copied = changing.copy(connection, mailbox_id, uids, (into.owner.id, into.name), now, move, usual)
    marked = [target for source, target in zip(copied.sources, copied.targets, strict=True) if source in seen]
    _settle(connection, into, copied, marked)
    return copied


def bring(
    connection: Connection, folder: Path, into: Into, messages: Sequence[Appended], now: float,
    replaces: tuple[int, int] | None, usual: tuple[int, int],
) -> Copied:
    """As `mailserver.store.changing.append`."""
    allowed = [
        Appended(
            each.id, each.content,
            Flags(each.flags.system & into.may_set, each.flags.keywords if into.may_set & ~0xFF else ()), each.received,
        )
        for each in messages
    ]
    copied = changing.append(
        connection, folder, (into.owner.id, into.name), allowed, now, replaces, usual
    )
    pairs = zip(copied.targets, allowed, strict=True)
    _settle(connection, into, copied, [uid for uid, each in pairs if each.flags.system & SEEN])
    return copied


def _settle(connection: Connection, into: Into, copied: Copied, seen: Sequence[int]) -> None:
    if not copied.targets:
        return
    found = find_mailbox(connection, into.owner.id, into.name)
    assert found is not None
    sights.settle(
        connection, found[0], copied.targets[0], copied.targets[-1] + 1, seen, into.may_set,
        None if into.viewer is None else into.viewer.id,
    )
