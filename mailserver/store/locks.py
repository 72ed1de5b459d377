"""Leases: the exclusive use of something by one running server, which ends by itself when the server dies."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from mailserver.store.schema import lock


def take(connection: Connection, name: str, owner: str, now: float, until: float) -> bool:
    """Take a lock that is free or whose lease has ended; False when somebody holds it."""
    query = select(lock.c.until).where(lock.c.name == name)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    held = connection.execute(query).scalar()
    if held is None:
        connection.execute(insert(lock).values(name=name, owner=owner, until=until))
        return True
    if held > now:
        return False
    connection.execute(update(lock).where(lock.c.name == name).values(owner=owner, until=until))
    return True


def renew(connection: Connection, owner: str, until: float) -> None:
    """The owner is alive: all its leases go on."""
    connection.execute(update(lock).where(lock.c.owner.startswith(owner, autoescape=True)).values(until=until))


def release(connection: Connection, name: str, owner: str) -> None:
    """Give a lock back."""
    connection.execute(delete(lock).where(lock.c.name == name, lock.c.owner == owner))


def free(connection: Connection, owner: str) -> None:
    """Give back all locks of an owner that starts or stops."""
    connection.execute(delete(lock).where(lock.c.owner.startswith(owner, autoescape=True)))
