"""Who may send in whose name, beside its owner."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from mailserver.address import Address
from mailserver.errors import AlreadyExists, NotFound
from mailserver.store.revisions import changed
from mailserver.store.schema import account, delegate


def allow(connection: Connection, account_id: int, delegate_id: int) -> None:
    """One account may send as another; raises `AlreadyExists` when it may so already, or is the same."""
    if account_id == delegate_id:
        raise AlreadyExists("everybody may send in his own name")
    there = (delegate.c.account_id == account_id) & (delegate.c.delegate_id == delegate_id)
    if connection.execute(select(delegate.c.account_id).where(there)).first() is not None:
        raise AlreadyExists("that is allowed already")
    connection.execute(insert(delegate).values(account_id=account_id, delegate_id=delegate_id))
    changed(connection)


def forbid(connection: Connection, account_id: int, delegate_id: int) -> None:
    """Not any more; raises `NotFound`."""
    gone = connection.execute(
        delete(delegate).where(delegate.c.account_id == account_id, delegate.c.delegate_id == delegate_id)
    )
    if not gone.rowcount:
        raise NotFound("that was not allowed")
    changed(connection)


def of(connection: Connection, account_id: int) -> list[Address]:
    """Who may send in the name of an account."""
    query = select(account.c.address).join(delegate, delegate.c.delegate_id == account.c.id)
    found = connection.execute(query.where(delegate.c.account_id == account_id).order_by(account.c.key)).scalars()
    return [Address.parse(each) for each in found]


def in_whose_names(connection: Connection, account_id: int) -> list[Address]:
    """In whose names an account may send, beside its own."""
    query = select(account.c.address).join(delegate, delegate.c.account_id == account.c.id)
    found = connection.execute(query.where(delegate.c.delegate_id == account_id).order_by(account.c.key)).scalars()
    return [Address.parse(each) for each in found]


def keys(connection: Connection, key: str) -> frozenset[str]:
    """The `mailserver.address.Address.key` of each who may send in the name of the account with this key."""
    found = connection.execute(select(account.c.id).where(account.c.key == key)).scalar()
    return frozenset() if found is None else frozenset(each.key for each in of(connection, found))


def account_dropped(connection: Connection, account_id: int) -> None:
    """Nobody who comes later may what this one might."""
    connection.execute(
        delete(delegate).where((delegate.c.account_id == account_id) | (delegate.c.delegate_id == account_id))
    )
