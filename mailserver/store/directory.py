"""Domains, accounts, credentials and aliases: what the database says of who lives here.

Every change moves the revision called "directory", by which other processes know to forget what they remember.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select, update

from mailserver.address import Address, domain_key, parse_domain
from mailserver.errors import AlreadyExists, NotFound
from mailserver.imapstore import Quota
from mailserver.interfaces import Account
from mailserver.store import delegates, referring, shares
from mailserver.store.mailboxes import drop_all, mailboxes, make_usual, used_in_domain
from mailserver.store.numbers import numbered
from mailserver.store.publics import public_account
from mailserver.store.revisions import changed as changed
from mailserver.store.revisions import current as current
from mailserver.store.schema import account, alias, credential, domain, mailbox, message, posting, quota_told


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias and its targets; `key` is ``@domain`` for one that catches all."""

    address: str
    key: str
    targets: tuple[str, ...]


def alias_key(address: str) -> str:
    """What an alias is looked up by; raises `BadAddress`.  ``@domain`` is everybody there."""
    if address.startswith("@"):
        return "@" + domain_key(parse_domain(address[1:]))
    return Address.parse(address).key


# -- domains


def add_domain(connection: Connection, name: str, now: float) -> None:
    """Mail for this domain ends here from now on; its postmaster exists at once (RFC 5321 4.5.1).

    Raises `BadAddress` and `AlreadyExists`.
    """
    key = domain_key(parse_domain(name))
    if find_domain(connection, key) is not None:
        raise AlreadyExists(f"the domain {name} is here already")
    connection.execute(insert(domain).values(name=key, created=now))
    add_account(connection, Address("postmaster", key), now)


def find_domain(connection: Connection, name: str) -> int | None:
    """The row of a domain, if mail for it ends here."""
    return connection.execute(select(domain.c.id).where(domain.c.name == domain_key(name))).scalar()


def domains(connection: Connection) -> list[str]:
    """All local domains, by name."""
    return list(connection.execute(select(domain.c.name).order_by(domain.c.name)).scalars())


def remove_domain(connection: Connection, name: str) -> None:
    """Forget a domain and its postmaster.

    Raises `NotFound`, and `AlreadyExists` while others live there.
    """
    id = _domain(connection, name)
    key = domain_key(name)
    others = [each for each in accounts(connection, key) if each.address.key != f"postmaster@{key}"]
    if others:
        raise AlreadyExists(f"{name} still has accounts, {others[0].address} for one")
    if connection.execute(select(func.count()).select_from(alias).where(alias.c.domain_id == id)).scalar():
        raise AlreadyExists(f"{name} still has aliases")
    public = public_account(connection, key)
    if public is not None and mailboxes(connection, public.id):
        raise AlreadyExists(f"{name} still has shared mailboxes")
    for each in [*accounts(connection, key), *([public] if public is not None else ())]:
        _drop_account(connection, each, None)
    connection.execute(delete(quota_told).where(quota_told.c.kind == "domain", quota_told.c.id == id))
    connection.execute(delete(posting).where(posting.c.key.endswith(f"@{key}", autoescape=True)))
    shares.domain_dropped(connection, id)
    connection.execute(delete(domain).where(domain.c.id == id))
    changed(connection)


def set_domain_quota(connection: Connection, name: str, octets: int, messages: int) -> None:
    """What all accounts of a domain may have together; 0 is no limit.  Raises `NotFound`."""
    id = _domain(connection, name)
    connection.execute(
        update(domain).where(domain.c.id == id).values(quota_octets=octets or None, quota_messages=messages or None)
    )
    changed(connection)


def domain_quota(connection: Connection, name: str) -> Quota:
    """What the accounts of a domain have, and may have, together.  Raises `NotFound`."""
    id = _domain(connection, name)
    limits = connection.execute(
        select(domain.c.quota_octets, domain.c.quota_messages).where(domain.c.id == id)
    ).one()
    octets, messages = used_in_domain(connection, id)
    return Quota(octets, limits[0] or 0, messages, limits[1] or 0)


def _domain(connection: Connection, name: str) -> int:
    id = find_domain(connection, name)
    if id is None:
        raise NotFound(f"the domain {name} is not here; mailserver domain add {name} makes it so")
    return id


# -- accounts


def add_account(connection: Connection, address: Address, now: float) -> Account:
    """A new account with its mailboxes and no password.  Raises `NotFound` (the domain) and `AlreadyExists`."""
    id = _domain(connection, address.domain)
    if find_account(connection, address.key) is not None:
        raise AlreadyExists(f"the account {address} exists already")
    if find_alias(connection, address.key) is not None:
        raise AlreadyExists(f"{address} is an alias already")
    _refuse_posting(connection, address.key)
    made = connection.execute(
        insert(account)
        .values(
            **numbered(connection, account), domain_id=id, address=str(address), key=address.key, enabled=1,
            created=now,
        )
        .returning(account.c.id)
    ).scalar_one()
    make_usual(connection, made, now)
    changed(connection)
    return Account(made, address)


def _refuse_posting(connection: Connection, key: str) -> None:
    """Raises `AlreadyExists` for what is the address of a mailbox."""
    if connection.execute(select(posting.c.key).where(posting.c.key == key)).first() is not None:
        raise AlreadyExists(f"{key} is the address of a mailbox already")


def find_account(connection: Connection, key: str) -> Account | None:
    """The account with this `Address.key`."""
    row = connection.execute(
        select(account.c.id, account.c.address, account.c.enabled).where(account.c.key == key)
    ).first()
    return None if row is None else Account(row.id, Address.parse(row.address), bool(row.enabled))


def accounts(connection: Connection, domain_name: str | None = None) -> list[Account]:
    """All accounts, or those of one domain, by address; not those that only have its public mailboxes."""
    query = select(account.c.id, account.c.address, account.c.enabled).order_by(account.c.key)
    query = query.where(~account.c.key.startswith(shares.NOBODY, autoescape=True))
    if domain_name is not None:
        query = query.join(domain).where(domain.c.name == domain_key(domain_name))
    return [Account(row.id, Address.parse(row.address), bool(row.enabled)) for row in connection.execute(query)]


def set_enabled(connection: Connection, account_id: int, enabled: bool) -> None:
    """Whether an account may log in; mail for it is taken either way."""
    connection.execute(update(account).where(account.c.id == account_id).values(enabled=int(enabled)))
    changed(connection)


def set_quota(connection: Connection, account_id: int, octets: int | None, messages: int | None) -> None:
    """What an account may have: 0 is no limit, None what is configured."""
    connection.execute(
        update(account).where(account.c.id == account_id).values(quota_octets=octets, quota_messages=messages)
    )
    changed(connection)


def quota_of(connection: Connection, account_id: int) -> tuple[int | None, int | None]:
    """What `set_quota` said: octets and messages."""
    row = connection.execute(
        select(account.c.quota_octets, account.c.quota_messages).where(account.c.id == account_id)
    ).one()
    return row[0], row[1]


def remove_account(connection: Connection, address: Address, contents: Path) -> None:
    """Remove an account with its mailboxes and all mail in them.

    Raises `NotFound`, and `AlreadyExists` for the postmaster of a domain, unless an alias takes its place first.
    """
    found = find_account(connection, address.key)
    if found is None:
        raise NotFound(f"there is no account {address}")
    if address.key.startswith("postmaster@"):
        raise AlreadyExists(
            f"{address} must exist as long as its domain does (RFC 5321 4.5.1);"
            " an alias for it replaces the account: mailserver alias add"
        )
    _drop_account(connection, found, contents)
    changed(connection)


def _drop_account(connection: Connection, found: Account, contents: Path | None) -> None:
    drop_all(connection, contents or Path(), found.id)
    shares.account_dropped(connection, found.id)
    delegates.account_dropped(connection, found.id)
    connection.execute(delete(credential).where(credential.c.account_id == found.id))
    referring.put(connection, found.id, None)
    connection.execute(delete(account).where(account.c.id == found.id))


# -- credentials


def set_credentials(connection: Connection, account_id: int, credentials: Sequence[tuple[str, bytes]]) -> None:
    """Replace what an account proves itself by: (kind, data), see `mailserver.store.credentials`."""
    connection.execute(delete(credential).where(credential.c.account_id == account_id))
    for kind, data in credentials:
        connection.execute(insert(credential).values(account_id=account_id, kind=kind, data=data))
    changed(connection)


def find_credentials(connection: Connection, account_id: int, kind: str) -> list[bytes]:
    """The stored credentials of one kind."""
    rows = connection.execute(
        select(credential.c.data).where(credential.c.account_id == account_id, credential.c.kind == kind)
    ).scalars()
    return [bytes(each) for each in rows]


# -- aliases


def add_alias(connection: Connection, address: str, targets: Sequence[str], now: float, contents: Path) -> None:
    """Mail for `address` (or for all of ``@domain``) goes to `targets` instead.

    An alias for a domain's postmaster replaces that account, when it holds no mail.  Raises `BadAddress`,
    `NotFound` (the domain) and `AlreadyExists`.
    """
    key = alias_key(address)
    id = _domain(connection, key.rpartition("@")[2])
    for target in targets:
        Address.parse(target)
    if find_alias(connection, key) is not None:
        raise AlreadyExists(f"the alias {address} exists already")
    _refuse_posting(connection, key)
    there = find_account(connection, key)
    if there is not None:
        if not key.startswith("postmaster@") or _holds_mail(connection, there.id):
            raise AlreadyExists(f"{address} is an account already")
        _drop_account(connection, there, contents)
    for target in targets:
        connection.execute(
            insert(alias).values(domain_id=id, address=address, key=key, target=target, created=now)
        )
    changed(connection)


def set_alias(connection: Connection, address: str, targets: Sequence[str], now: float, contents: Path) -> None:
    """Give an alias other targets; raises as `add_alias` does, and `NotFound`."""
    _delete_alias(connection, address)
    add_alias(connection, address, targets, now, contents)


def remove_alias(connection: Connection, address: str, now: float) -> None:
    """Forget an alias; a postmaster gets its account back.  Raises `NotFound`."""
    key = _delete_alias(connection, address)
    if key.startswith("postmaster@"):
        add_account(connection, Address.parse(key), now)
    changed(connection)


def _delete_alias(connection: Connection, address: str) -> str:
    key = alias_key(address)
    if not connection.execute(delete(alias).where(alias.c.key == key)).rowcount:
        raise NotFound(f"there is no alias {address}")
    return key


def find_alias(connection: Connection, key: str) -> tuple[Address, ...] | None:
    """The targets of an alias, in the order in which they were given; None: there is none."""
    targets = connection.execute(select(alias.c.target).where(alias.c.key == key).order_by(alias.c.id)).scalars()
    return tuple(Address.parse(each) for each in targets) or None


def aliases(connection: Connection) -> list[Alias]:
    """All aliases, by address."""
    found: dict[str, tuple[str, list[str]]] = {}
    for row in connection.execute(select(alias).order_by(alias.c.key, alias.c.id)):
        found.setdefault(row.key, (row.address, []))[1].append(row.target)
    return [Alias(address, key, tuple(targets)) for key, (address, targets) in found.items()]


def _holds_mail(connection: Connection, account_id: int) -> bool:
    return (
        connection.execute(
            select(message.c.uid).join(mailbox).where(mailbox.c.account_id == account_id).limit(1)
        ).first()
        is not None
    )
