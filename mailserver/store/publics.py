"""Public mailboxes: they belong to a domain, by an account without a local part as which nobody logs in."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from mailserver.address import Address, domain_key
from mailserver.errors import NotFound
from mailserver.interfaces import Account
from mailserver.store import shares
from mailserver.store.mailboxes import create, find_mailbox
from mailserver.store.numbers import numbered
from mailserver.store.revisions import changed
from mailserver.store.schema import account
from mailserver.store.statements import fetch_one

USUAL = "lrs"               # what all of a domain may do in a new public mailbox: look and read


def public_account(connection: Connection, domain_name: str) -> Account | None:
    """Who has a domain's public mailboxes; None: it has none."""
    address = Address("", domain_key(domain_name))
    row = fetch_one(connection, "SELECT id FROM account WHERE key = ?", (address.key,))
    return None if row is None else Account(row[0], address, False)


def create_public(connection: Connection, domain_name: str, name: str, now: float) -> None:
    """A new public mailbox, in which all of its domain may read, or may what they may in the one above it.

    Raises `NotFound` for the domain, and as `mailserver.store.mailboxes.create` does.
    """
    owner = public_account(connection, domain_name) or _make(connection, domain_name, now)
    create(connection, owner.id, name, "", now)
    found = find_mailbox(connection, owner.id, name)
    assert found is not None
    if not shares.entries(connection, found[0]):
        shares.change(connection, owner.id, found[0], f"@{owner.address.domain}", "=", USUAL)


def _make(connection: Connection, domain_name: str, now: float) -> Account:
    address = Address("", domain_key(domain_name))
    row = fetch_one(connection, "SELECT id FROM domain WHERE name = ?", (address.domain,))
    if row is None:
        raise NotFound(f"the domain {domain_name} is not here; mailserver domain add {domain_name} makes it so")
    made = connection.execute(
        insert(account)
        .values(
            **numbered(connection, account), domain_id=row[0], address=str(address), key=address.key, enabled=0,
            created=now,
        )
        .returning(account.c.id)
    ).scalar_one()
    changed(connection)
    return Account(made, address, False)
