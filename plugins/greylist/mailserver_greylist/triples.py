"""Who has been here before: network, sender and recipient, as rows of a table of our own."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Double, Index, Integer, MetaData, Table, Text, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData()

# One column for both ends: the window's while somebody is waited for, the lifetime's once it is known.
greylist = Table(
    "greylist",
    metadata,
    Column("network", Text, primary_key=True),
    Column("sender", Text, primary_key=True),           # "" is the null sender
    Column("recipient", Text, primary_key=True),
    Column("first", Double, nullable=False),            # seconds since the epoch, as all times here
    Column("known", Integer, nullable=False),           # 1: it came back in time
    Column("expires", Double, nullable=False),
    Index("greylist_expires", "expires"),
)


class Triple(NamedTuple):
    """Who wants to send from where to whom."""

    network: str
    sender: str
    recipient: str


class Seen(NamedTuple):
    """What is known of a triple."""

    first: float
    known: bool
    expires: float


def prepare(connection: Connection) -> None:
    """Make the table, if it is not there."""
    metadata.create_all(connection)


def find(connection: Connection, triple: Triple, now: float) -> Seen | None:
    """What is known of a triple at this time."""
    row = connection.execute(
        select(greylist.c.first, greylist.c.known, greylist.c.expires).where(*_is(triple), greylist.c.expires > now)
    ).first()
    return None if row is None else Seen(row.first, bool(row.known), row.expires)


def begin(connection: Connection, triple: Triple, now: float, window: float) -> None:
    """The triple is here for the first time, or for the first time again.  Does nothing when it is known already."""
    connection.execute(delete(greylist).where(*_is(triple), greylist.c.expires <= now))
    _insert(connection, triple, first=now, known=0, expires=now + window)


def know(connection: Connection, triple: Triple, now: float, lifetime: float) -> None:
    """The triple is known until `lifetime` seconds from now."""
    _insert(connection, triple, first=now, known=0, expires=now)
    connection.execute(update(greylist).where(*_is(triple)).values(known=1, expires=now + lifetime))


def count_known(connection: Connection, network: str, now: float, most: int) -> int:
    """How many triples of a network are known; counts no further than `most`."""
    some = (
        select(greylist.c.first)
        .where(greylist.c.network == network, greylist.c.known == 1, greylist.c.expires > now)
        .limit(most)
    )
    return connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()


def purge(connection: Connection, now: float) -> None:
    """Forget who did not come back, and who has not been here for long."""
    connection.execute(delete(greylist).where(greylist.c.expires <= now))


def _is(triple: Triple) -> tuple[Any, ...]:
    return (
        greylist.c.network == triple.network,
        greylist.c.sender == triple.sender,
        greylist.c.recipient == triple.recipient,
    )


def _insert(connection: Connection, triple: Triple, **values: Any) -> None:
    """Insert, unless another process was faster."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(greylist).values(**triple._asdict(), **values).on_conflict_do_nothing())
