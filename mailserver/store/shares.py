"""What others may do in a mailbox: its list, and what it comes to for one of them (RFC 4314 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from mailserver.address import Address, domain_key
from mailserver.errors import AlreadyExists, BadAddress, NotFound, OverQuota
from mailserver.imap.rights import RIGHTS, ordered
from mailserver.imap.rights import changed as changed_rights
from mailserver.sharing import ANYONE, MOST_SHARES, Share
from mailserver.store.news import news
from mailserver.store.revisions import changed
from mailserver.store.schema import account, domain, posting, share, sight
from mailserver.store.statements import batches, fetch, listed, run_with

NOBODY = '""@'              # how the key of an account without a local part begins (`mailserver.store.publics`)

# Who an account is, to a list: itself, one of its domain, and one of everybody.
_ME = (
    "(share.account_id = ? OR share.account_id = 0 AND"
    " (share.domain_id = 0 OR share.domain_id = (SELECT domain_id FROM account WHERE id = ?)))"
)


class Whom(NamedTuple):
    """Who an entry is about, as a row has it."""

    account_id: int
    domain_id: int
    denied: int


def rights(connection: Connection, account_id: int, owner_id: int, name: str) -> str | None:
    """What an account may do in a mailbox; None: there is none of that name."""
    rows = fetch(connection, "SELECT id FROM mailbox WHERE account_id = ? AND name = ?", (owner_id, name))
    if not rows:
        return None
    return _rights(connection, account_id, owner_id, rows[0][0])


def _rights(connection: Connection, account_id: int, owner_id: int, mailbox_id: int) -> str:
    if account_id == owner_id:
        return RIGHTS
    text = f"SELECT rights, denied FROM share WHERE mailbox_id = ? AND {_ME}"
    return summed(fetch(connection, text, (mailbox_id, account_id, account_id)))


def summed(entries: Iterable[Sequence[Any]]) -> str:
    """All that is given, less all that is denied (RFC 4314 2): rows of rights, and whether they are denied."""
    given: set[str] = set()
    denied: set[str] = set()
    for letters, is_denied in entries:
        (denied if is_denied else given).update(letters)
    return ordered(given - denied)


def parent_rights(connection: Connection, account_id: int, owner_id: int, name: str) -> str:
    """What an account may do in the nearest mailbox above a name; without one, the owner may do everything."""
    if account_id == owner_id:
        return RIGHTS
    parent = _parent(connection, owner_id, name)
    return "" if parent is None else _rights(connection, account_id, owner_id, parent)


def _parent(connection: Connection, owner_id: int, name: str) -> int | None:
    levels = name.split("/")
    above = ["/".join(levels[:count]) for count in range(len(levels) - 1, 0, -1)]
    for some in batches(above):
        marks, values = listed(some)
        rows = fetch(
            connection, f"SELECT id FROM mailbox WHERE account_id = ? AND name IN ({marks})"
            " ORDER BY LENGTH(name) DESC LIMIT 1", (owner_id, *values),
        )
        if rows:
            return int(rows[0][0])
    return None


def all_rights(connection: Connection, account_id: int) -> dict[int, str]:
    """The rows of all mailboxes of others in which an account may do anything, with what."""
    text = (
        "SELECT share.mailbox_id, share.rights, share.denied FROM share JOIN mailbox ON mailbox.id = share.mailbox_id"
        f" WHERE {_ME} AND mailbox.account_id <> ?"
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for id, letters, denied in fetch(connection, text, (account_id, account_id, account_id)):
        found.setdefault(id, []).append((letters, denied))
    return {id: sum for id, entries in found.items() if (sum := summed(entries))}


# -- the list


def entries(connection: Connection, mailbox_id: int) -> list[Share]:
    """A mailbox's list, by who."""
    query = (
        select(share.c.denied, share.c.rights, account.c.address, domain.c.name)
        .select_from(share)
        .join(account, account.c.id == share.c.account_id, isouter=True)
        .join(domain, domain.c.id == share.c.domain_id, isouter=True)
        .where(share.c.mailbox_id == mailbox_id)
    )
    found = []
    for denied, letters, address, name in connection.execute(query):
        who = address or (f"@{name}" if name else ANYONE)
        found.append(Share(f"-{who}" if denied else who, letters))
    return sorted(found, key=lambda each: each.who)


def change(connection: Connection, owner_id: int, mailbox_id: int, who: str, how: str, letters: str) -> None:
    """Change an entry; raises as `mailserver.sharing.ISharing.share` does.  Whoever watches the mailbox is told."""
    whom, _ = find(connection, who)
    if whom.account_id == owner_id:
        raise AlreadyExists("its owner has every right, and keeps it")
    where = (
        (share.c.mailbox_id == mailbox_id) & (share.c.account_id == whom.account_id)
        & (share.c.domain_id == whom.domain_id) & (share.c.denied == whom.denied)
    )
    before = connection.execute(select(share.c.rights).where(where)).scalar()
    after = changed_rights(before or "", how, letters)
    if after == (before or ""):
        return
    if before is None:
        query = select(func.count()).select_from(share).where(share.c.mailbox_id == mailbox_id)
        if connection.execute(query).scalar_one() >= MOST_SHARES:
            raise OverQuota(f"a mailbox may be shared with {MOST_SHARES}")
        connection.execute(insert(share).values(mailbox_id=mailbox_id, rights=after, **whom._asdict()))
    elif after:
        connection.execute(update(share).where(where).values(rights=after))
    else:
        connection.execute(delete(share).where(where))
    run_with(connection, "UPDATE mailbox SET modseq = modseq + 1 WHERE id = ?", [mailbox_id])
    news(connection).mailboxes.add(mailbox_id)
    changed(connection)


def find(connection: Connection, who: str) -> tuple[Whom, str]:
    """Who an entry is about, and how lists spell that; raises `NotFound`."""
    denied = int(who.startswith("-"))
    name = who[denied:]
    sign = "-" if denied else ""
    if name.lower() == ANYONE:
        return Whom(0, 0, denied), f"{sign}{ANYONE}"
    if name.startswith("$"):
        raise NotFound("there are no groups here; @domain is everybody of a domain")
    if name.startswith("@"):
        key = domain_key(name[1:])
        id = connection.execute(select(domain.c.id).where(domain.c.name == key)).scalar()
        if id is None:
            raise NotFound("there is no such domain")
        return Whom(0, id, denied), f"{sign}@{key}"
    try:
        key = Address.parse(name).key
    except BadAddress:
        raise NotFound("that is neither an address nor @domain nor anyone") from None
    row = connection.execute(select(account.c.id, account.c.address).where(account.c.key == key)).first()
    if row is None or key.startswith(NOBODY):
        raise NotFound("there is no such account")
    return Whom(row.id, 0, denied), f"{sign}{row.address}"


# -- what becomes of lists


def inherit(connection: Connection, owner_id: int, name: str, mailbox_id: int) -> None:
    """A new mailbox has the list of the nearest one above it (RFC 4314 4)."""
    if "/" not in name:
        return
    parent = _parent(connection, owner_id, name)
    if parent is None:
        return
    run_with(
        connection, "INSERT INTO share (mailbox_id, account_id, domain_id, denied, rights)"
        " SELECT CAST(? AS BIGINT), account_id, domain_id, denied, rights FROM share WHERE mailbox_id = ?",
        [mailbox_id, parent],
    )


def moved(connection: Connection, ids: Collection[int]) -> None:
    """Mailboxes have other names: who remembers where mail goes forgets it, if mail may go there."""
    if any(_leads_there(connection, some) for some in batches(sorted(ids))):
        changed(connection)


def dropped(connection: Connection, ids: Sequence[int]) -> None:
    """Mailboxes are deleted, with their lists (RFC 4314 4), what was read in them, and the addresses for them."""
    for some in batches(ids):
        if _leads_there(connection, some):
            changed(connection)
        for table in (share, sight, posting):
            connection.execute(delete(table).where(table.c.mailbox_id.in_(some)))


def _leads_there(connection: Connection, ids: Sequence[int]) -> bool:
    for table in (share, posting):
        query = select(table.c.mailbox_id).where(table.c.mailbox_id.in_(ids)).limit(1)
        if connection.execute(query).first() is not None:
            return True
    return False


def account_dropped(connection: Connection, account_id: int) -> None:
    """Nobody who comes later has what this account had."""
    connection.execute(delete(share).where(share.c.account_id == account_id))
    connection.execute(delete(sight).where(sight.c.account_id == account_id))


def domain_dropped(connection: Connection, domain_id: int) -> None:
    """The same for a domain."""
    connection.execute(delete(share).where(share.c.domain_id == domain_id))


def may_post(connection: Connection, mailbox_id: int) -> bool:
    """Whether anyone, strangers too, may send mail to it ("p", RFC 4314 2.1)."""
    text = "SELECT rights, denied FROM share WHERE mailbox_id = ? AND account_id = 0 AND domain_id = 0"
    return "p" in summed(fetch(connection, text, (mailbox_id,)))

