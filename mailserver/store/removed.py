"""Messages that were removed and may still be brought back (`mailserver.store.restoring`).

Each holds its content, as it did in its mailbox: what is purged lets go of it.  They count in no quota, but an account
keeps no more of them than it may have mail: the oldest go first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete

from mailserver.store.contents import release_many
from mailserver.store.schema import removed, removed_from
from mailserver.store.statements import fetch, fetch_one, run_with

STEP = 500                  # messages of one purge, which is one short transaction

EXPUNGE, POP3, DELETE, RETENTION = "expunge", "pop3", "delete", "retention"     # why they were removed


def keep(
    connection: Connection, mailbox_id: int, where: str, parameters: Sequence[Any], now: float, why: str
) -> None:
    """Copy messages of a mailbox that are about to go; `count` must follow."""
    run_with(
        connection,
        "INSERT INTO removed (mailbox_id, at, uid, content_id, size, received, flags, prefix, why)"
        " SELECT mailbox_id, CAST(? AS DOUBLE PRECISION), uid, content_id, size, received, flags, prefix,"
        f" CAST(? AS TEXT) FROM message WHERE mailbox_id = ? AND {where}",
        [now, why, mailbox_id, *parameters],
    )


def count(
    connection: Connection, mailbox_id: int, account_id: int, messages: int, octets: int, now: float
) -> None:
    """So many of a mailbox were kept now."""
    run_with(
        connection,
        "INSERT INTO removed_from (mailbox_id, account_id, oldest, messages, octets) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (mailbox_id) DO UPDATE SET messages = removed_from.messages + excluded.messages,"
        " octets = removed_from.octets + excluded.octets",
        [mailbox_id, account_id, now, messages, octets],
    )


def keep_mailbox(connection: Connection, mailbox_id: int, now: float) -> None:
    """Copy all messages of a mailbox that is about to go, and what has to be known of it."""
    row = fetch_one(
        connection, "SELECT account_id, name, keywords, messages, octets FROM mailbox WHERE id = ?", [mailbox_id]
    )
    if row is None:
        return
    account_id, name, keywords, messages, octets = row
    if messages:
        keep(connection, mailbox_id, "uid > 0", [], now, DELETE)
        count(connection, mailbox_id, account_id, messages, octets, now)
    run_with(
        connection, "UPDATE removed_from SET name = ?, keywords = ? WHERE mailbox_id = ?", [name, keywords, mailbox_id]
    )


def bound(connection: Connection, folder: Path, account_id: int, usual: tuple[int, int]) -> None:
    """Purge the oldest that an account keeps beyond what it, or its domain, may have in mailboxes."""
    row = fetch_one(
        connection,
        "SELECT account.domain_id, COALESCE(account.quota_octets, CAST(? AS BIGINT)),"
        " COALESCE(account.quota_messages, CAST(? AS BIGINT)), domain.quota_octets, domain.quota_messages"
        " FROM account JOIN domain ON domain.id = account.domain_id WHERE account.id = ?",
        [*usual, account_id],
    )
    if row is None:
        return
    domain_id, most_octets, most_messages, all_octets, all_messages = row
    for whose, id, limits in (
        ("account_id = ?", account_id, (most_octets, most_messages)),
        ("account_id IN (SELECT id FROM account WHERE domain_id = ?)", domain_id, (all_octets, all_messages)),
    ):
        if not any(limits):
            continue
        text = f"SELECT COALESCE(SUM(octets), 0), COALESCE(SUM(messages), 0) FROM removed_from WHERE {whose}"
        octets, messages = fetch(connection, text, [id])[0]
        octets = int(octets) - limits[0] if limits[0] else 0
        messages = int(messages) - limits[1] if limits[1] else 0
        while octets > 0 or messages > 0:
            text = "SELECT mailbox_id FROM removed_from WHERE account_id = ? ORDER BY oldest LIMIT 1"
            oldest = fetch_one(connection, text, [account_id])
            if oldest is None:
                break
            gone = _purge(connection, folder, oldest[0], None, octets, messages)
            octets, messages = octets - sum(gone), messages - len(gone)


def purge(connection: Connection, folder: Path, before: float) -> int:
    """Let go of some that were removed before this moment; returns how many: 0, there are no more."""
    text = "SELECT mailbox_id FROM removed_from WHERE oldest < ? LIMIT 1"
    while (found := fetch_one(connection, text, [before])) is not None:
        if gone := _purge(connection, folder, found[0], before):
            return len(gone)
    return 0


def _purge(
    connection: Connection, folder: Path, mailbox_id: int, before: float | None, octets: int = 0, messages: int = 0
) -> list[int]:
    """The sizes of the oldest of one mailbox, which go: those before a moment, or so much."""
    text = "SELECT at, uid, size FROM removed WHERE mailbox_id = ? ORDER BY at, uid LIMIT ?"
    last = None
    for at, uid, size in fetch(connection, text, [mailbox_id, STEP]):
        if at >= before if before is not None else octets <= 0 and messages <= 0:
            break
        last, octets, messages = (at, uid), octets - size, messages - 1
    sizes: list[int] = []
    if last is not None:
        text = "DELETE FROM removed WHERE mailbox_id = ? AND (at, uid) <= (?, ?) RETURNING content_id, size"
        gone = fetch(connection, text, [mailbox_id, *last])
        release_many(connection, folder, [row[0] for row in gone])
        sizes = [row[1] for row in gone]
    discount(connection, mailbox_id, len(sizes), sum(sizes))
    return sizes


def discount(connection: Connection, mailbox_id: int, messages: int, octets: int) -> None:
    """So many of a mailbox are not kept any more."""
    oldest = fetch_one(connection, "SELECT MIN(at) FROM removed WHERE mailbox_id = ?", [mailbox_id])[0]
    if oldest is None:
        run_with(connection, "DELETE FROM removed_from WHERE mailbox_id = ?", [mailbox_id])
        return
    run_with(
        connection,
        "UPDATE removed_from SET messages = messages - ?, octets = octets - ?, oldest = ? WHERE mailbox_id = ?",
        [messages, octets, oldest, mailbox_id],
    )


def purge_account(connection: Connection, folder: Path, account_id: int) -> None:
    """Let go of all that an account kept: it goes itself."""
    boxes = [row[0] for row in fetch(
        connection, "SELECT mailbox_id FROM removed_from WHERE account_id = ? ORDER BY mailbox_id", [account_id]
    )]
    for mailbox_id in boxes:
        held = connection.execute(
            delete(removed).where(removed.c.mailbox_id == mailbox_id).returning(removed.c.content_id)
        ).scalars()
        release_many(connection, folder, held)
    connection.execute(delete(removed_from).where(removed_from.c.account_id == account_id))


def kept(connection: Connection, account_id: int) -> tuple[int, int]:
    """Octets and messages that an account has removed and that can be brought back."""
    text = "SELECT COALESCE(SUM(octets), 0), COALESCE(SUM(messages), 0) FROM removed_from WHERE account_id = ?"
    octets, messages = fetch(connection, text, [account_id])[0]
    return int(octets), int(messages)
