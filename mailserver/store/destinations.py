"""What was learned of destinations, as rows: for the next start, and for whoever looks at the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select

from mailserver.store.schema import destination, spool
from mailserver.store.statements import batches, insert_rows


class Learned(NamedTuple):
    """A row: until when the lane `name` rests (0: it does not), by which rule and words; times since the epoch.

    `failures` are those in a row; `connections` is how many it gets at a time, 0 as many as usual.
    """

    name: str
    until: float
    rule: str
    why: str
    since: float
    failures: int
    connections: int


def listing(connection: Connection) -> list[Learned]:
    """All, by name."""
    return [Learned(*row) for row in connection.execute(select(destination).order_by(destination.c.name))]


def put(connection: Connection, learned: Sequence[Learned], forgotten: Sequence[str] = ()) -> None:
    """Write these in place of what was known before."""
    names = sorted({*forgotten, *(each.name for each in learned)})
    forget(connection, names)
    insert_rows(connection, destination, list(learned))


def forget(connection: Connection, names: Sequence[str]) -> None:
    """Nothing is known of these any more: a rest ends, the server that kept it notices at its next look."""
    for some in batches(names):
        connection.execute(delete(destination).where(destination.c.name.in_(some)))


def end_rests(connection: Connection, lane: Callable[[Any], str], meant: ColumnElement[bool], now: float) -> None:
    """What is meant of the spool need not wait for its lanes, by what `lane` says of a row, to have rested."""
    if connection.execute(select(destination.c.name).where(destination.c.until > now).limit(1)).first() is None:
        return
    ways = select(spool.c.kind, spool.c.place, spool.c.domain, spool.c.login, spool.c.sender).where(meant).distinct()
    lanes = {lane(row) for row in connection.execute(ways)}
    forget(connection, sorted(rests(connection, sorted(lanes), now)))


def rests(connection: Connection, names: Sequence[str], now: float) -> set[str]:
    """Which of these rest."""
    found: set[str] = set()
    for some in batches(sorted(names)):
        query = select(destination.c.name).where(destination.c.name.in_(some), destination.c.until > now)
        found.update(connection.execute(query).scalars())
    return found
