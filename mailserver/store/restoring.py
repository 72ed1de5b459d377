"""Removed messages are brought back, with new UIDs: into their mailbox, or another when that was deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from mailserver.errors import OverQuota
from mailserver.imapstore import SYSTEM, Removed
from mailserver.interfaces import DELETED, SEEN
from mailserver.store.changing import change, lock, need_room, translated
from mailserver.store.mailboxes import ensure_mailbox, find_mailbox, subscribe
from mailserver.store.news import news
from mailserver.store.removed import discount
from mailserver.store.schema import message
from mailserver.store.statements import batches, fetch, fetch_one, insert_rows

RESTORED = "Restored"       # where messages go whose mailbox was deleted
PAGE = 500                  # rows of one look


class Key(NamedTuple):
    """The row of a removed message, and its content's."""

    mailbox_id: int
    at: float
    uid: int
    content_id: int


def removed_messages(
    connection: Connection, account_id: int, name: str | None = None, since: float = 0.0,
    after: Key | None = None,
) -> list[Removed]:
    """Some of what an account can have back: of the mailboxes that are, or were, called `name`; none: of all.

    `since` is when they were removed at the earliest.  By mailbox and time; `after` is the last that was seen.
    """
    text = (
        "SELECT r.mailbox_id, r.at, r.uid, r.content_id, COALESCE(b.name, f.name), b.id IS NOT NULL, r.why, r.size,"
        " r.received, r.flags FROM removed_from AS f JOIN removed AS r ON r.mailbox_id = f.mailbox_id"
        " LEFT JOIN mailbox AS b ON b.id = f.mailbox_id WHERE f.account_id = ? AND r.at >= ?"
    )
    parameters: list[object] = [account_id, since]
    if name is not None:
        text, parameters = f"{text} AND COALESCE(b.name, f.name) = ?", [*parameters, name]
    if after is not None:
        text, parameters = f"{text} AND (r.mailbox_id, r.at, r.uid) > (?, ?, ?)", [*parameters, *after[:3]]
    rows = fetch(connection, f"{text} ORDER BY r.mailbox_id, r.at, r.uid LIMIT ?", [*parameters, PAGE])
    return [
        Removed(Key(*row[:4]), row[4], bool(row[5]), row[1], row[6], row[7], row[8], row[9] & SYSTEM) for row in rows
    ]


def restore(
    connection: Connection, account_id: int, wanted: Sequence[Removed], into: str, now: float,
    usual: tuple[int, int] = (0, 0),
) -> dict[str, int]:
    """Bring these back, all or none but those that are gone meanwhile; how many came into which mailbox.

    Of mailboxes that were deleted they go to `into`, which is made.  Raises `OverQuota`.
    """
    boxes: dict[int, list[Removed]] = {}
    for each in wanted:
        boxes.setdefault(each.key.mailbox_id, []).append(each)
    done: dict[str, int] = {}
    for mailbox_id, those in sorted(boxes.items()):
        text = "SELECT name FROM mailbox WHERE id = ? AND account_id = ?"
        row = fetch_one(connection, text, [mailbox_id, account_id])
        name = into if row is None else row[0]
        count = _restore(connection, account_id, mailbox_id, those, name, now, usual)
        if count:
            done[name] = done.get(name, 0) + count
    return done


def _restore(
    connection: Connection, account_id: int, mailbox_id: int, those: Sequence[Removed], name: str, now: float,
    usual: tuple[int, int],
) -> int:
    source = fetch_one(
        connection,
        "SELECT COALESCE(b.keywords, f.keywords) FROM removed_from AS f LEFT JOIN mailbox AS b ON b.id = f.mailbox_id"
        " WHERE f.mailbox_id = ? AND f.account_id = ?",
        [mailbox_id, account_id],
    )
    if source is None:
        return 0
    if find_mailbox(connection, account_id, name) is None:
        ensure_mailbox(connection, account_id, name, now)
        subscribe(connection, account_id, name, True)
    [box] = lock(connection, ensure_mailbox(connection, account_id, name, now))
    found: list[tuple[Any, ...]] = []
    for some in batches(those):
        marks = ", ".join(["(?, ?)"] * len(some))
        found += fetch(
            connection,
            f"DELETE FROM removed WHERE mailbox_id = ? AND (at, uid) IN (VALUES {marks})"
            " RETURNING at, uid, content_id, size, received, flags, prefix",
            [mailbox_id, *(value for each in some for value in (each.key.at, each.key.uid))],
        )
    if not found:
        return 0
    found.sort(key=lambda row: (row[1], row[0]))        # in the order in which they once came
    octets = sum(row[3] for row in found)
    need_room(connection, account_id, box.id, octets, len(found), usual)
    keywords, turned = translated(source[0], box.keywords, [row[5] for row in found])
    first, modseq = box.uidnext, box.modseq + 1
    if first + len(found) > 0xFFFFFFFF:
        raise OverQuota("this mailbox has no more UIDs; make another")
    rows, unseen = [], 0
    for uid, row in enumerate(found, first):
        _, _, content_id, size, received, flags, prefix = row
        flags = turned(flags) & ~DELETED            # else the next EXPUNGE takes it away again
        unseen += not flags & SEEN
        rows.append((box.id, uid, content_id, size, received, flags, bytes(prefix), modseq, now))
    insert_rows(connection, message, rows)
    change(connection, box, modseq, len(rows), octets, unseen, first + len(rows), keywords)
    news(connection).contents.extend(row[2] for row in found)
    discount(connection, mailbox_id, len(rows), octets)
    return len(rows)
