"""Mailboxes of others, by whose and how they are called."""

from __future__ import annotations

from sqlalchemy import Connection

from mailserver.address import Address
from mailserver.errors import BadAddress, NotFound
from mailserver.imapstore import Status
from mailserver.interfaces import Account
from mailserver.sharing import Share, Shared
from mailserver.store import shares
from mailserver.store.mailboxes import find_mailbox, object_id
from mailserver.store.publics import public_account
from mailserver.store.statements import batches, fetch, fetch_one, listed


def owner(connection: Connection, address: str) -> Account | None:
    """The account of an address; of ``@domain``, who has the public mailboxes there."""
    if address.startswith("@"):
        return public_account(connection, address[1:])
    try:
        key = Address.parse(address).key
    except BadAddress:
        return None
    row = fetch_one(connection, "SELECT id, address, enabled FROM account WHERE key = ?", (key,))
    if row is None or key.startswith(shares.NOBODY):
        return None
    return Account(row[0], Address.parse(row[1]), bool(row[2]))


def shared(connection: Connection, account_id: int) -> list[Shared]:
    """All mailboxes of others in which an account may do anything, by owner and name."""
    rights = shares.all_rights(connection, account_id)
    found = []
    for some in batches(sorted(rights)):
        marks, values = listed(some)
        text = (
            "SELECT account.id, account.address, account.enabled, mailbox.id, mailbox.name, mailbox.uidvalidity,"
            " mailbox.uidnext, mailbox.modseq, mailbox.messages, mailbox.unseen, mailbox.octets"
            f" FROM mailbox JOIN account ON account.id = mailbox.account_id WHERE mailbox.id IN ({marks})"
        )
        for row in fetch(connection, text, values):
            owner_id, address, enabled, id, name, uidvalidity, uidnext, modseq, messages, unseen, octets = row
            status = Status(
                name, object_id(id, uidvalidity), uidvalidity, uidnext, modseq, messages, unseen, octets, 0, ""
            )
            found.append(Shared(Account(owner_id, Address.parse(address), bool(enabled)), status, rights[id]))
    return sorted(found, key=lambda each: (each.owner.address.key, each.status.name))


def entries(connection: Connection, owner_id: int, name: str) -> list[Share]:
    """A mailbox's list; raises `NotFound`."""
    return shares.entries(connection, _row(connection, owner_id, name))


def change(connection: Connection, owner_id: int, name: str, who: str, how: str, rights: str) -> None:
    """Change an entry of it."""
    shares.change(connection, owner_id, _row(connection, owner_id, name), who, how, rights)


def known(connection: Connection, who: str) -> str:
    """Who that is, as lists have it; raises `NotFound`."""
    return shares.find(connection, who)[1]


def _row(connection: Connection, owner_id: int, name: str) -> int:
    found = find_mailbox(connection, owner_id, name)
    if found is None:
        raise NotFound(f"there is no mailbox {name}")
    return found[0]
