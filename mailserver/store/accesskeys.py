"""The keys of mailboxes, of which URLs that carry their authorization are made (RFC 4467 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from mailserver.store.schema import access_key


def find(connection: Connection, account_id: int, mailbox_id: int) -> bytes | None:
    """An account's key for a mailbox."""
    found = connection.execute(
        select(access_key.c.key).where(access_key.c.mailbox_id == mailbox_id, access_key.c.account_id == account_id)
    ).scalar()
    return None if found is None else bytes(found)


def ensure(connection: Connection, account_id: int, mailbox_id: int, new: bytes, now: float) -> bytes:
    """The same; `new` becomes it when there is none."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"mailbox_id": mailbox_id, "account_id": account_id, "key": new, "made": now}
    connection.execute(make(access_key).values(row).on_conflict_do_nothing())
    found = find(connection, account_id, mailbox_id)
    assert found is not None
    return found


def forget(connection: Connection, account_id: int, mailbox_id: int | None = None) -> None:
    """An account's key for a mailbox, or all of its keys."""
    query = delete(access_key).where(access_key.c.account_id == account_id)
    connection.execute(query if mailbox_id is None else query.where(access_key.c.mailbox_id == mailbox_id))


def drop(connection: Connection, mailbox_ids: Sequence[int]) -> None:
    """All keys for mailboxes that are deleted."""
    connection.execute(delete(access_key).where(access_key.c.mailbox_id.in_(mailbox_ids)))
