"""Accounts whose mailboxes are on another server (RFC 2221)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from mailserver.imap.referrals import Referral
from mailserver.store.schema import referral
from mailserver.store.statements import fetch_one


def find(connection: Connection, account_id: int) -> Referral | None:
    """Where an account is; None: here."""
    row = fetch_one(connection, "SELECT url, may_log_in FROM referral WHERE account_id = ?", (account_id,))
    return None if row is None else Referral(row[0], bool(row[1]))


def put(connection: Connection, account_id: int, found: Referral | None) -> None:
    """Say where an account is."""
    connection.execute(delete(referral).where(referral.c.account_id == account_id))
    if found is not None:
        connection.execute(
            insert(referral).values(account_id=account_id, url=found.url, may_log_in=int(found.may_log_in))
        )
