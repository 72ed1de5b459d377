"""Accounts that come to be when somebody asks for them: for a developer's server, where everybody lives."""

from __future__ import annotations

from sqlalchemy import Connection

from mailserver.address import Address
from mailserver.interfaces import Account
from mailserver.store import directory


def ensure_account(connection: Connection, address: Address, now: float) -> Account:
    """The account of this address; it, and its domain, are made when they are missing."""
    found = directory.find_account(connection, address.key)
    if found is not None:
        return found
    if directory.find_domain(connection, address.domain) is None:
        directory.add_domain(connection, address.domain, now)
    return directory.find_account(connection, address.key) or directory.add_account(connection, address, now)
