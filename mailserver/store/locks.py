"""Leases: the exclusive use of something by one running server, which ends by itself when the server dies."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from mailserver.store.schema import lock


def take(connection: Connection, name: str, owner: str, now: float, until: float) -> bool:
    """Take a lock that is free or whose lease has ended; False when somebody holds it."""
    new: Any = postgresql.insert(lock) if connection.dialect.name == "postgresql" else sqlite.insert(lock)
    new = new.values(name=name, owner=owner, until=until).on_conflict_do_update(
        index_elements=[lock.c.name], set_={"owner": owner, "until": until}, where=lock.c.until <= now
    )
    return connection.execute(new.returning(lock.c.name)).first() is not None


def renew(connection: Connection, owner: str, until: float) -> None:
    """The owner is alive: all its leases go on."""
    connection.execute(update(lock).where(lock.c.owner.startswith(owner, autoescape=True)).values(until=until))


def release(connection: Connection, name: str, owner: str) -> None:
    """Give a lock back."""
    connection.execute(delete(lock).where(lock.c.name == name, lock.c.owner == owner))


def free(connection: Connection, owner: str) -> None:
    """Give back all locks of an owner that starts or stops."""
    connection.execute(delete(lock).where(lock.c.owner.startswith(owner, autoescape=True)))
