"""Addresses whose mail goes into a mailbox that is no INBOX, where anyone may post ("p", RFC 4314 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from mailserver.address import Address
from mailserver.errors import AlreadyExists, NotFound
from mailserver.sharing import ANYONE
from mailserver.store import shares
from mailserver.store.mailboxes import find_mailbox
from mailserver.store.revisions import changed
from mailserver.store.schema import account, alias, domain, mailbox, posting
from mailserver.store.statements import fetch


@dataclass(frozen=True, slots=True)
class Posting:
    """Mail for `address` goes into a mailbox; not while `is_open` is false, when nobody may post there."""

    address: str
    owner: Address
    name: str
    is_open: bool


def add(connection: Connection, address: Address, owner_id: int, name: str) -> None:
    """Mail for an address goes into a mailbox, and anyone may post there from now on.

    Raises `NotFound` (the domain, the mailbox) and `AlreadyExists` for an address that leads somewhere already.
    """
    found = find_mailbox(connection, owner_id, name)
    if found is None:
        raise NotFound(f"there is no mailbox {name}")
    if connection.execute(select(domain.c.id).where(domain.c.name == address.key.rpartition("@")[2])).scalar() is None:
        raise NotFound(f"the domain {address.domain} is not here")
    for table, what in ((account, "an account"), (alias, "an alias"), (posting, "the address of a mailbox")):
        if connection.execute(select(table.c.key).where(table.c.key == address.key)).first() is not None:
            raise AlreadyExists(f"{address} is {what} already")
    connection.execute(insert(posting).values(key=address.key, address=str(address), mailbox_id=found[0]))
    shares.change(connection, owner_id, found[0], ANYONE, "+", "p")
    changed(connection)


def remove(connection: Connection, address: Address) -> None:
    """The address leads nowhere any more; raises `NotFound`."""
    if not connection.execute(delete(posting).where(posting.c.key == address.key)).rowcount:
        raise NotFound(f"{address} is no address of a mailbox")
    changed(connection)


def listing(connection: Connection) -> list[Posting]:
    """All of them, by address."""
    query = (
        select(posting.c.address, account.c.address, mailbox.c.name, mailbox.c.id).select_from(posting)
        .join(mailbox, mailbox.c.id == posting.c.mailbox_id)
        .join(account, account.c.id == mailbox.c.account_id)
        .order_by(posting.c.key)
    )
    return [
        Posting(address, Address.parse(owner), name, shares.may_post(connection, id))
        for address, owner, name, id in connection.execute(query)
    ]


def find(connection: Connection, key: str) -> tuple[Address, str] | None:
    """Where mail for the address with this key goes: whose mailbox, and which; None: nowhere, or nobody may post."""
    return _open(connection, fetch(
        connection,
        "SELECT mailbox.id, account.address, mailbox.name FROM posting JOIN mailbox ON mailbox.id = posting.mailbox_id"
        " JOIN account ON account.id = mailbox.account_id WHERE posting.key = ?", (key,),
    ))


def below(connection: Connection, which: tuple[str, str]) -> tuple[Address, str] | None:
    """A mailbox of the account with this key, by its name, if anyone may post there."""
    return _open(connection, fetch(
        connection,
        "SELECT mailbox.id, account.address, mailbox.name FROM mailbox JOIN account ON account.id = mailbox.account_id"
        " WHERE account.key = ? AND mailbox.name = ?", which,
    ))


def _open(connection: Connection, rows: Sequence[tuple[int, str, str]]) -> tuple[Address, str] | None:
    for id, owner, name in rows:
        if shares.may_post(connection, id):
            return Address.parse(owner), name
    return None
