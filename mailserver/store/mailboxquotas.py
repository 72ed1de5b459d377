"""What a single mailbox may hold, beside what its account and its domain may have."""

from __future__ import annotations

from sqlalchemy import Connection, delete

from mailserver.imapstore import Quota
from mailserver.store import schema
from mailserver.store.statements import fetch, fetch_one, run_with


def mailbox_quota(connection: Connection, mailbox_id: int) -> Quota | None:
    """What a mailbox holds and may hold; None where it has no limit of its own."""
    row = fetch_one(
        connection,
        "SELECT b.octets, q.octets, b.messages, q.messages FROM mailbox_quota AS q"
        " JOIN mailbox AS b ON b.id = q.mailbox_id WHERE q.mailbox_id = ?",
        [mailbox_id],
    )
    return None if row is None else Quota(*row)


def named_mailbox_quota(connection: Connection, account_id: int, name: str) -> Quota | None:
    """The same by name; None also where there is no such mailbox."""
    row = fetch_one(connection, "SELECT id FROM mailbox WHERE account_id = ? AND name = ?", [account_id, name])
    return None if row is None else mailbox_quota(connection, row[0])


def set_mailbox_quota(connection: Connection, mailbox_id: int, octets: int, messages: int) -> None:
    """What a mailbox may hold from now on; 0 is no limit.

    Whoever remembers that nobody has a limit looks at the directory's revision: it must move (`directory.changed`).
    """
    connection.execute(delete(schema.mailbox_quota).where(schema.mailbox_quota.c.mailbox_id == mailbox_id))
    if octets or messages:
        run_with(
            connection, "INSERT INTO mailbox_quota (mailbox_id, octets, messages) VALUES (?, ?, ?)",
            [mailbox_id, octets, messages],
        )


def has_mailbox_quotas(connection: Connection) -> bool:
    """Whether any mailbox has a limit of its own."""
    return bool(fetch(connection, "SELECT 1 FROM mailbox_quota LIMIT 1"))
