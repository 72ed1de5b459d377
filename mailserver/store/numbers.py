"""Numbers of rows that never come again.

Who still holds the number of a mailbox, or of an account, that has been deleted must find nothing by it: not the mail
of somebody who came later.  SQLite would give the highest number anew.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table

from mailserver.store.statements import fetch_one


def numbered(connection: Connection, table: Table) -> dict[str, int]:
    """The column ``id`` of a new row; nothing where the database sees to it (PostgreSQL, by a sequence)."""
    if connection.dialect.name != "sqlite":
        return {}
    row = fetch_one(
        connection,
        f"INSERT INTO revision (name, number) VALUES (?, (SELECT COALESCE(MAX(id), 0) FROM {table.name}) + 1)"
        " ON CONFLICT (name) DO UPDATE SET number = number + 1 RETURNING number",
        (f"{table.name} number",),
    )
    return {"id": row[0]}
