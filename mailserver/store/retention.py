"""Messages that have lain in their mailbox for as long as it keeps them, and what one mailbox says of that itself."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, delete

from mailserver.errors import NotFound
from mailserver.store.changing import expunge
from mailserver.store.ranges import ranges_of
from mailserver.store.removed import RETENTION
from mailserver.store.schema import mailbox_retention
from mailserver.store.statements import fetch, fetch_one, run_with

STEP = 500                  # messages, or mailboxes, of one transaction


class Held(NamedTuple):
    """A mailbox with messages in it; `older_than` and `at_most` are None where the configuration says it."""

    id: int
    address: str            # its account's
    name: str
    special_use: str
    older_than: float | None
    at_most: int | None


def held(connection: Connection, after: int, only_own: bool = False) -> list[Held]:
    """Some of all mailboxes that have messages, behind this one; `only_own`: of those that say themselves how long."""
    join = "JOIN" if only_own else "LEFT JOIN"
    rows = fetch(
        connection,
        "SELECT b.id, a.address, b.name, b.special_use, r.older_than, r.at_most FROM mailbox AS b"
        f" JOIN account AS a ON a.id = b.account_id {join} mailbox_retention AS r ON r.mailbox_id = b.id"
        " WHERE b.id > ? AND b.messages > 0 ORDER BY b.id LIMIT ?",
        [after, STEP],
    )
    return [Held(*row) for row in rows]


def due(connection: Connection, mailbox_id: int, older_than: float, at_most: int, now: float) -> list[int]:
    """UIDs of messages that have been in a mailbox for too long, or are too many: some, the oldest.

    They are looked for from the lowest UID on, for that is the order in which they came.
    """
    row = fetch_one(connection, "SELECT messages FROM mailbox WHERE id = ?", [mailbox_id])
    if row is None:
        return []
    most = max(0, row[0] - at_most) if at_most else 0
    before = now - older_than if older_than else 0.0
    rows = fetch(
        connection, "SELECT uid, saved, received FROM message WHERE mailbox_id = ? ORDER BY uid LIMIT ?",
        [mailbox_id, STEP],
    )
    return [uid for place, (uid, saved, received) in enumerate(rows) if place < most or (saved or received) < before]


def expire(
    connection: Connection, folder: Path, mailbox_id: int, older_than: float, at_most: int, now: float, keeps: bool,
    usual: tuple[int, int],
) -> int:
    """Expunge those that are due, some at a time; how many.  With `keeps`, they can be brought back for a while."""
    uids = due(connection, mailbox_id, older_than, at_most, now)
    if not uids:
        return 0
    try:
        gone, _ = expunge(
            connection, folder, mailbox_id, ranges_of(uids), now, False, RETENTION if keeps else "", usual
        )
    except NotFound:
        return 0                # it has been deleted meanwhile
    return len(gone)


def set_retention(connection: Connection, mailbox_id: int, says: tuple[float, int] | None) -> None:
    """How long a mailbox keeps messages, in seconds, and how many; 0 is for ever, None as configured."""
    connection.execute(delete(mailbox_retention).where(mailbox_retention.c.mailbox_id == mailbox_id))
    if says is not None:
        run_with(
            connection, "INSERT INTO mailbox_retention (mailbox_id, older_than, at_most) VALUES (?, ?, ?)",
            [mailbox_id, *says],
        )


def retention_of(connection: Connection, mailbox_id: int) -> tuple[float, int] | None:
    """What `set_retention` said."""
    text = "SELECT older_than, at_most FROM mailbox_retention WHERE mailbox_id = ?"
    row = fetch_one(connection, text, [mailbox_id])
    return None if row is None else (row[0], row[1])
