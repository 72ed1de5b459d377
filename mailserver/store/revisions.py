"""How often the directory was changed, by which other processes know to forget what they remember."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from mailserver.store.schema import revision

NAME = "directory"


def changed(connection: Connection) -> None:
    """Tell everybody that the directory is another one now."""
    moved = connection.execute(
        update(revision).where(revision.c.name == NAME).values(number=revision.c.number + 1)
    )
    if not moved.rowcount:
        connection.execute(insert(revision).values(name=NAME, number=1))


def current(connection: Connection) -> int:
    """The number of the directory's last change."""
    return connection.execute(select(revision.c.number).where(revision.c.name == NAME)).scalar() or 0
