"""Mailboxes by their names: made, renamed, deleted, counted; INBOX is always there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailserver.errors import AlreadyExists, NotFound, OverQuota, PermanentFailure, TemporaryFailure
from mailserver.imapstore import LONGEST_NAME, SPECIAL_USES, Quota, Status
from mailserver.interfaces import INBOX
from mailserver.store import accesskeys, imported, removed, shares
from mailserver.store.annotation import forget_account, forget_mailboxes
from mailserver.store.contents import release_many
from mailserver.store.mailboxquotas import has_mailbox_quotas
from mailserver.store.news import news
from mailserver.store.numbers import numbered
from mailserver.store.schema import (
    expunged,
    mailbox,
    mailbox_quota,
    mailbox_retention,
    message,
    quota_told,
    subscription,
)
from mailserver.store.statements import batches, fetch, fetch_one, listed, run_with

MOST_MAILBOXES = 10_000     # of one account, and as many subscriptions

USE_OF = {name: use for use, name in SPECIAL_USES.items()}
_STATUS = "id, name, uidvalidity, uidnext, modseq, messages, unseen, octets, recent, special_use"


def ensure_mailbox(connection: Connection, account_id: int, name: str, now: float) -> int:
    """The row of a mailbox, which is made when it is missing."""
    found = find_mailbox(connection, account_id, name)
    if found is None:
        _insert(connection, account_id, name, USE_OF.get(name, ""), now)     # or another process has just made it
        found = find_mailbox(connection, account_id, name)
        assert found is not None
    return found[0]


def make_usual(connection: Connection, account_id: int, now: float) -> None:
    """INBOX and the mailboxes for special uses, for a new account that is subscribed to them."""
    for name in (INBOX, *USE_OF):
        _insert(connection, account_id, name, USE_OF.get(name, ""), now)
        subscribe(connection, account_id, name, True)


def _insert(connection: Connection, account_id: int, name: str, special_use: str, now: float) -> bool:
    """A row, unless another process has just made it, which is False.

    The UIDVALIDITY (RFC 9051 2.3.1.1) is the second in which it is made, or more, so that none comes again.
    """
    last = fetch_one(
        connection,
        "UPDATE account SET uidvalidity = CASE WHEN uidvalidity < ? THEN ? ELSE uidvalidity + 1 END WHERE id = ?"
        " RETURNING uidvalidity",
        (int(now), int(now), account_id),
    )
    if last is None:
        raise TemporaryFailure("the account has just gone")
    use = special_use
    if use and connection.execute(
        select(mailbox.c.id).where(mailbox.c.account_id == account_id, mailbox.c.special_use == use)
    ).first():
        use = ""
    values: dict[str, Any] = {
        "account_id": account_id, "name": name, "uidvalidity": last[0] & 0xFFFFFFFF, "uidnext": 1, "created": now,
        "special_use": use,
    }
    made = _insert_new(connection, mailbox, {**numbered(connection, mailbox), **values})
    news(connection).accounts.add(account_id)
    return bool(made.rowcount)


def _insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> Any:
    """A row, if there is none like it."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(make(table).values(values).on_conflict_do_nothing())


def find_mailbox(connection: Connection, account_id: int, name: str) -> tuple[int, int] | None:
    """The row and the UIDVALIDITY of a mailbox."""
    row = fetch_one(
        connection, "SELECT id, uidvalidity FROM mailbox WHERE account_id = ? AND name = ?", (account_id, name)
    )
    return None if row is None else (row[0], row[1])


def mailboxes(connection: Connection, account_id: int) -> list[str]:
    """The names of an account's mailboxes."""
    return list(
        connection.execute(
            select(mailbox.c.name).where(mailbox.c.account_id == account_id).order_by(mailbox.c.name)
        ).scalars()
    )


def status(connection: Connection, account_id: int, names: Collection[str] | None = None) -> list[Status]:
    """Those of these names, or all."""
    found = []
    for row in fetch(connection, f"SELECT {_STATUS} FROM mailbox WHERE account_id = ? ORDER BY name", (account_id,)):
        if names is None or row[1] in names:
            id, name, uidvalidity, uidnext, modseq, messages, unseen, octets, recent, use = row
            new = 0 if recent >= uidnext else count_from(connection, id, recent)
            found.append(Status(
                name, object_id(id, uidvalidity), uidvalidity, uidnext, modseq, messages, unseen, octets, new, use
            ))
    return found


def object_id(id: int, uidvalidity: int) -> str:
    """The MAILBOXID (RFC 8474 4.1)."""
    return f"{id:x}-{uidvalidity:x}"


def count_from(connection: Connection, id: int, uid: int) -> int:
    """How many messages there are from this UID on."""
    row = fetch_one(connection, "SELECT COUNT(*) FROM message WHERE mailbox_id = ? AND uid >= ?", (id, uid))
    return int(row[0])


def create(connection: Connection, account_id: int, name: str, special_use: str, now: float) -> Status:
    """A new mailbox; raises `AlreadyExists`, also when another one has this special use (RFC 6154 3).

    Raises `PermanentFailure` for a name that is too long, and `OverQuota` when there are too many.
    """
    _check_name(name)
    if find_mailbox(connection, account_id, name) is not None:
        raise AlreadyExists(f"there is a mailbox {name} already")
    if special_use:
        query = select(mailbox.c.name).where(mailbox.c.account_id == account_id, mailbox.c.special_use == special_use)
        other = connection.execute(query).scalar()
        if other is not None:
            raise AlreadyExists(f"{other} has this use already")
    row = fetch_one(connection, "SELECT COUNT(*) FROM mailbox WHERE account_id = ?", (account_id,))
    if row[0] >= MOST_MAILBOXES:
        raise OverQuota(f"an account may have {MOST_MAILBOXES} mailboxes")
    if not _insert(connection, account_id, name, special_use, now):
        raise AlreadyExists(f"there is a mailbox {name} already")
    [made] = status(connection, account_id, {name})
    found = find_mailbox(connection, account_id, name)
    assert found is not None
    shares.inherit(connection, account_id, name, found[0])
    return made


def drop(
    connection: Connection, contents: Path, account_id: int, name: str, now: float | None = None,
    usual: tuple[int, int] = (0, 0),
) -> None:
    """A mailbox and its messages, which are kept for a while when `now` says since when.

    Raises `NotFound`, and `AlreadyExists` for INBOX, which must exist.
    """
    if name == INBOX:
        raise AlreadyExists("INBOX cannot be deleted")
    found = find_mailbox(connection, account_id, name)
    if found is None:
        raise NotFound(f"there is no mailbox {name}")
    if now is None:
        _drop(connection, contents, [found[0]])
        return
    if connection.dialect.name == "postgresql":
        fetch(connection, "SELECT id FROM mailbox WHERE id = ? FOR UPDATE", [found[0]])
    removed.keep_mailbox(connection, found[0], now)
    connection.execute(delete(message).where(message.c.mailbox_id == found[0]))
    _drop(connection, contents, [found[0]])
    removed.bound(connection, contents, account_id, usual)
    names_moved(connection, account_id)


def _drop(connection: Connection, contents: Path, ids: Sequence[int]) -> None:
    held = connection.execute(
        delete(message).where(message.c.mailbox_id.in_(ids)).returning(message.c.content_id)
    ).scalars()
    release_many(connection, contents, held)
    for table in (mailbox_quota, mailbox_retention):
        connection.execute(delete(table).where(table.c.mailbox_id.in_(ids)))
    connection.execute(delete(quota_told).where(quota_told.c.kind == "mailbox", quota_told.c.id.in_(ids)))
    connection.execute(delete(expunged).where(expunged.c.mailbox_id.in_(ids)))
    forget_mailboxes(connection, ids)
    accesskeys.drop(connection, ids)
    shares.dropped(connection, ids)
    connection.execute(delete(mailbox).where(mailbox.c.id.in_(ids)))
    news(connection).mailboxes.update(ids)


def drop_all(connection: Connection, contents: Path, account_id: int) -> None:
    """All mailboxes of an account with the mail in them, and what it subscribed to."""
    query = select(mailbox.c.id).where(mailbox.c.account_id == account_id).order_by(mailbox.c.id)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()     # whoever delivers now waits, and finds nobody
    _drop(connection, contents, list(connection.execute(query).scalars()))
    removed.purge_account(connection, contents, account_id)
    connection.execute(delete(quota_told).where(quota_told.c.kind == "account", quota_told.c.id == account_id))
    connection.execute(delete(subscription).where(subscription.c.account_id == account_id))
    forget_account(connection, account_id)
    imported.forget(connection, account_id)
    accesskeys.forget(connection, account_id)


def rename(connection: Connection, account_id: int, old: str, new: str, now: float) -> None:
    """Another name, and so for all below it.  Of INBOX, see `mailserver.store.changing.rename_inbox`.

    Raises `NotFound`, `AlreadyExists` when a name is taken, or would lie below itself, and `PermanentFailure` when it
    is too long.
    """
    query = select(mailbox.c.id, mailbox.c.name).where(mailbox.c.account_id == account_id).order_by(mailbox.c.id)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    names = {name: id for id, name in connection.execute(query)}
    moved = {name: new + name[len(old):] for name in names if name == old or name.startswith(f"{old}/")}
    if not moved:
        raise NotFound(f"there is no mailbox {old}")
    if new.startswith(f"{old}/"):
        raise AlreadyExists(f"{new} lies below {old}")
    taken = sorted(set(moved.values()) & names.keys())
    if taken:
        raise AlreadyExists(f"there is a mailbox {taken[0]} already")
    for now_called in moved.values():
        _check_name(now_called)
    for name, now_called in moved.items():
        connection.execute(update(mailbox).where(mailbox.c.id == names[name]).values(name=now_called))
    shares.moved(connection, [names[name] for name in moved])
    names_moved(connection, account_id)


def names_moved(connection: Connection, account_id: int) -> None:
    """Whoever watches the account learns that there is something new besides messages, in other processes as well.

    The last UIDVALIDITY that was given is what moves: the next only has to be higher (RFC 9051 2.3.1.1).
    """
    run_with(connection, "UPDATE account SET uidvalidity = uidvalidity + 1 WHERE id = ?", [account_id])
    news(connection).accounts.add(account_id)


def marks(connection: Connection, account_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """By account, what differs whenever anything has changed in its mailboxes, their names or its subscriptions."""
    found: dict[int, tuple[int, ...]] = {}
    for some in batches(account_ids):
        places, values = listed(some)
        text = (
            "SELECT account.id, account.uidvalidity, COUNT(mailbox.id), COALESCE(SUM(mailbox.modseq), 0) FROM account"
            f" LEFT JOIN mailbox ON mailbox.account_id = account.id WHERE account.id IN ({places})"
            " GROUP BY account.id, account.uidvalidity"
        )
        found.update((row[0], (row[1], row[2], int(row[3]))) for row in fetch(connection, text, values))
    return found


# -- subscriptions


def subscriptions(connection: Connection, account_id: int) -> list[str]:
    """The names that an account subscribed to."""
    query = select(subscription.c.name).where(subscription.c.account_id == account_id)
    return list(connection.execute(query.order_by(subscription.c.name)).scalars())


def subscribe(connection: Connection, account_id: int, name: str, wanted: bool) -> None:
    """Subscribe, or not any more; both may be so already."""
    where = (subscription.c.account_id == account_id) & (subscription.c.name == name)
    if not wanted:
        if connection.execute(delete(subscription).where(where)).rowcount:
            names_moved(connection, account_id)
        return
    _check_name(name)
    row = fetch_one(connection, "SELECT COUNT(*) FROM subscription WHERE account_id = ?", (account_id,))
    if row[0] >= MOST_MAILBOXES:
        raise OverQuota(f"an account may have {MOST_MAILBOXES} subscriptions")
    if _insert_new(connection, subscription, {"account_id": account_id, "name": name}).rowcount:
        names_moved(connection, account_id)


def _check_name(name: str) -> None:
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        raise PermanentFailure(f"the name of a mailbox may have {LONGEST_NAME} octets")


# -- quota


def quota(
    connection: Connection, account_id: int, usual_octets: int = 0, usual_messages: int = 0,
    is_only_for_room: bool = False,
) -> Quota:
    """What an account has and may have, or its whole domain where that is nearer; `usual` where nothing is said.

    With `is_only_for_room` what there is is not counted where there are no limits.
    """
    row = fetch_one(
        connection,
        "SELECT account.domain_id, account.quota_octets, account.quota_messages, domain.quota_octets,"
        " domain.quota_messages FROM account JOIN domain ON domain.id = account.domain_id WHERE account.id = ?",
        (account_id,),
    )
    if row is None:
        raise NotFound("the account has just gone")
    limits = _Limits(*row)
    most_octets = usual_octets if limits.octets is None else limits.octets
    most_messages = usual_messages if limits.messages is None else limits.messages
    is_limited = most_octets or most_messages or limits.all_octets or limits.all_messages
    if is_only_for_room and not is_limited:
        return Quota(0, 0, 0, 0)
    octets, messages = _used(connection, "account_id = ?", account_id)
    own = Quota(octets, most_octets, messages, most_messages)
    if not limits.all_octets and not limits.all_messages:
        return own
    all_octets, all_messages = used_in_domain(connection, limits.domain_id)
    return Quota(
        octets, _nearer(own.most_octets, octets, limits.all_octets, all_octets),
        messages, _nearer(own.most_messages, messages, limits.all_messages, all_messages),
        _is_used_up(limits.all_octets, all_octets) or _is_used_up(limits.all_messages, all_messages),
    )


def limits(connection: Connection, account_id: int) -> tuple[int | None, int | None]:
    """What is said of an account itself: octets and messages, None where nothing is; raises `NotFound`."""
    row = fetch_one(connection, "SELECT quota_octets, quota_messages FROM account WHERE id = ?", (account_id,))
    if row is None:
        raise NotFound("the account has just gone")
    return row[0], row[1]


class _Limits(NamedTuple):
    domain_id: int
    octets: int | None
    messages: int | None
    all_octets: int | None
    all_messages: int | None


def _is_used_up(limit: int | None, used: int) -> bool:
    return bool(limit) and used >= (limit or 0)


def used_in_domain(connection: Connection, domain_id: int) -> tuple[int, int]:
    """Octets and messages that all accounts of a domain have together."""
    return _used(connection, "account_id IN (SELECT id FROM account WHERE domain_id = ?)", domain_id)


def has_quotas(connection: Connection) -> bool:
    """Whether any account, domain or mailbox has a limit of its own."""
    return has_mailbox_quotas(connection) or any(
        fetch(connection, f"SELECT 1 FROM {table} WHERE quota_octets > 0 OR quota_messages > 0 LIMIT 1")
        for table in ("account", "domain")
    )


def _used(connection: Connection, whose: str, id: int) -> tuple[int, int]:
    text = f"SELECT COALESCE(SUM(octets), 0), COALESCE(SUM(messages), 0) FROM mailbox WHERE {whose}"
    octets, messages = fetch(connection, text, (id,))[0]
    return int(octets), int(messages)


def _nearer(own: int, used: int, all: int | None, all_used: int) -> int:
    """The limit of an account, with what its domain leaves to it; 0 is none."""
    if not all:
        return own
    left = used + max(0, all - all_used)
    return max(1, min(own, left) if own else left)
