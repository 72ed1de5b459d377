"""What was imported, written with the messages themselves: nothing comes twice, whenever an import ended."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from mailserver.store.schema import imported
from mailserver.store.statements import fetch, run_many


def every(connection: Connection, account_id: int, source: str) -> set[str]:
    """What is done of a source."""
    text = "SELECT item FROM imported WHERE account_id = ? AND source = ?"
    return {row[0] for row in fetch(connection, text, [account_id, source])}


def put(connection: Connection, account_id: int, source: str, keys: Sequence[str]) -> None:
    """They are done."""
    run_many(
        connection, "INSERT INTO imported (account_id, source, item) VALUES (?, ?, ?)",
        [(account_id, source, key) for key in keys],
    )


def forget(connection: Connection, account_id: int, source: str | None = None) -> int:
    """As if nothing had come, of one source or of all; how many messages it was."""
    query = delete(imported).where(imported.c.account_id == account_id)
    if source is not None:
        query = query.where(imported.c.source == source)
    return connection.execute(query).rowcount
