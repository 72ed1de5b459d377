"""The hottest statements, as text for the driver.

SQLAlchemy Core describes the tables and says what the rare statements say; what runs for every message is
written out once and goes to the driver directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table


@lru_cache(maxsize=64)
def _insert(table: Table, mark: str) -> str:
    names = [column.name for column in table.columns]
    return f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES ({", ".join([mark] * len(names))})'


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows that have a value for each column, in the order of the schema."""
    if rows:
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        connection.exec_driver_sql(_insert(table, mark), list(rows))


def run(connection: Connection, text: str, parameters: Iterable[Any] = ()) -> Any:
    """Run a statement written with ``?`` on either database."""
    if connection.dialect.paramstyle != "qmark":
        text = text.replace("?", "%s")
    return connection.exec_driver_sql(text, tuple(parameters))


def run_many(connection: Connection, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """The same for many rows."""
    if rows:
        if connection.dialect.paramstyle != "qmark":
            text = text.replace("?", "%s")
        connection.exec_driver_sql(text, list(rows))
