"""The hottest statements, as text for the driver.

SQLAlchemy Core describes the tables and says what the rare statements say; what runs for every message is
written out once, with ``?`` for either database.  On SQLite it goes straight to the driver, since there
SQLAlchemy takes as long as the statement does (`benchmarks/store.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

MOST_ROWS = 16              # of one insert on SQLite
MOST_PARAMETERS = 500       # of one statement


def fetch(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
    """Run a query; all its rows."""
    if connection.dialect.name != "sqlite":
        return connection.exec_driver_sql(text.replace("?", "%s"), tuple(parameters)).fetchall()
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, parameters)
        return cursor.fetchall()
    except _errors(connection) as error:
        raise _as_sqlalchemy_raises(connection, text, error) from error
    finally:
        cursor.close()


def each_row(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
    """The rows of a query one by one; on SQLite each is made when it is asked for."""
    if connection.dialect.name != "sqlite":
        yield from fetch(connection, text, parameters)
        return
    cursor = connection.connection.cursor()
    try:
        yield from cursor.execute(text, parameters)
    except _errors(connection) as error:
        raise _as_sqlalchemy_raises(connection, text, error) from error
    finally:
        cursor.close()


def run(connection: Connection, text: str) -> None:
    """Run a statement without parameters and without rows."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(text)
        return
    try:
        connection.connection.cursor().execute(text)
    except _errors(connection) as error:
        raise _as_sqlalchemy_raises(connection, text, error) from error


def fetch_one(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> Any:
    """Run a query that has one row or none."""
    rows = fetch(connection, text, parameters)
    return rows[0] if rows else None


def fetch_values(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> list[str]:
    """The one column, `x`, of all rows of a query, as texts without commas.

    On SQLite they come as one row: at each row the thread would give the interpreter away, and wait for it again.
    """
    if connection.dialect.name != "sqlite":
        return [str(row[0]) for row in fetch(connection, text, parameters)]
    joined = fetch(connection, f"SELECT GROUP_CONCAT(x) FROM ({text})", parameters)[0][0]
    return str(joined).split(",") if joined is not None else []


def run_with(connection: Connection, text: str, parameters: Sequence[Any]) -> None:
    """Run a statement once."""
    run_many(connection, text, [tuple(parameters)])


def run_many(connection: Connection, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement once for each row of parameters."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(text.replace("?", "%s"), list(rows))
        return
    cursor = connection.connection.cursor()
    try:
        cursor.executemany(text, rows)
    except _errors(connection) as error:
        raise _as_sqlalchemy_raises(connection, text, error) from error
    finally:
        cursor.close()


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows that have a value for each column, in the order of the schema."""
    if connection.dialect.name != "sqlite":
        run_many(connection, _insert(table), rows)
        return
    # One statement for some rows: with one for each, the thread gave the interpreter away and waited for it again
    # at every row (a twentieth fewer messages a second).
    for start in range(0, len(rows), MOST_ROWS):
        some = rows[start : start + MOST_ROWS]
        run_many(connection, _insert(table, len(some)), [tuple(value for row in some for value in row)])


@lru_cache(maxsize=128)
def _insert(table: Table, count: int = 1) -> str:
    names = [column.name for column in table.columns]
    row = f"({', '.join('?' * len(names))})"
    return f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES {", ".join([row] * count)}'


def listed(items: Sequence[Any]) -> tuple[str, list[Any]]:
    """``?, ?, ...`` for ``IN``, and what stands for it.

    NULL, which is in no list, fills it up to a power of two: so there are few texts, and the driver need not read a
    new one each time.
    """
    count = 1
    while count < len(items):
        count *= 2
    return ", ".join("?" * count), [*items, *[None] * (count - len(items))]


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one statement may name."""
    return (items[start : start + MOST_PARAMETERS] for start in range(0, len(items), MOST_PARAMETERS))


def _errors(connection: Connection) -> type[Exception]:
    return connection.dialect.loaded_dbapi.Error


def _as_sqlalchemy_raises(connection: Connection, text: str, error: Exception) -> BaseException:
    return DBAPIError.instance(text, None, error, _errors(connection), hide_parameters=True, dialect=connection.dialect)
