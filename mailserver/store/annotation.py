"""Annotations of mailboxes and of the server (RFC 5464), and what was last changed of them.

A mailbox that is None is the server.  What is shared by all has no account (0).  The account that set a value, or that
owns the mailbox where it is shared, is answerable for its octets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from mailserver.errors import AlreadyExists, NotFound, OverQuota, PermanentFailure
from mailserver.imapmetadata import MOST_ENTRIES, MOST_OCTETS, SHARED, SPECIAL_USE, Annotated
from mailserver.store.statements import batches, fetch, fetch_one, listed, run_many, run_with

COUNTER = "annotated"       # the row of `revision` that counts all changes
REMEMBERED = 1000           # changes of one owner, of those the newest

_SET = (
    "INSERT INTO annotation (mailbox_id, account_id, entry, owner_id, value) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (mailbox_id, account_id, entry) DO UPDATE SET value = excluded.value"
)
_UNSET = "DELETE FROM annotation WHERE mailbox_id = ? AND account_id = ? AND entry = ?"
_NOTE = (
    "INSERT INTO annotated (mailbox_id, account_id, entry, owner_id, number, session_id) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (mailbox_id, account_id, entry) DO UPDATE SET number = excluded.number,"
    " session_id = excluded.session_id"
)
_FORGET = (
    "DELETE FROM annotated WHERE owner_id = ? AND number <= (SELECT number FROM annotated WHERE owner_id = ?"
    f" ORDER BY number DESC LIMIT 1 OFFSET {REMEMBERED})"
)


# -- what there is


def find(
    connection: Connection, account_id: int, mailbox: str | None, entries: Collection[str] | None = None
) -> dict[str, bytes]:
    """The values of these entries, or of all, that an account sees.  Raises `NotFound` (the mailbox)."""
    id, use = _mailbox(connection, account_id, mailbox)
    text = "SELECT entry, value FROM annotation WHERE mailbox_id = ? AND account_id IN (0, ?)"
    if entries is None:
        rows = list(fetch(connection, text, (id, account_id)))
    else:
        rows = []
        for some in batches(list(entries)):
            marks, values = listed(some)
            rows += fetch(connection, f"{text} AND entry IN ({marks})", [id, account_id, *values])
    found = {entry: bytes(value) for entry, value in rows}
    if use and (entries is None or SPECIAL_USE in entries):
        found[SPECIAL_USE] = use.encode("ascii")
    return found


def by_mailbox(connection: Connection, account_id: int, entries: Collection[str]) -> dict[str, dict[str, bytes]]:
    """The values of these entries by the names of an account's mailboxes."""
    found: dict[str, dict[str, bytes]] = {}
    for some in batches(list(entries)):
        marks, values = listed(some)
        for name, entry, value in fetch(
            connection,
            "SELECT mailbox.name, annotation.entry, annotation.value FROM mailbox"
            " JOIN annotation ON annotation.mailbox_id = mailbox.id"
            f" WHERE mailbox.account_id = ? AND annotation.account_id IN (0, ?) AND annotation.entry IN ({marks})",
            [account_id, account_id, *values],
        ):
            found.setdefault(name, {})[entry] = bytes(value)
    if SPECIAL_USE in entries:
        text = "SELECT name, special_use FROM mailbox WHERE account_id = ? AND special_use <> ''"
        for name, use in fetch(connection, text, (account_id,)):
            found.setdefault(name, {})[SPECIAL_USE] = use.encode("ascii")
    return found


def _mailbox(connection: Connection, account_id: int, name: str | None) -> tuple[int, str]:
    """Row and special use of a mailbox; 0 for the server."""
    if name is None:
        return 0, ""
    text = "SELECT id, special_use FROM mailbox WHERE account_id = ? AND name = ?"
    row = fetch_one(connection, text, (account_id, name))
    if row is None:
        raise NotFound(f"there is no mailbox {name}")
    return row[0], row[1]


# -- changes


def change(
    connection: Connection, account_id: int, mailbox: str | None, values: Mapping[str, bytes | None], by: int = 0
) -> None:
    """Set entries, or with None remove them; 0 for an account is the operator, who has what is shared of the server.

    Raises as `mailserver.imapmetadata.IMetadata.annotate` does.
    """
    number = _next(connection)      # whoever changes annotations now waits here: what is counted below is right
    id, _ = _mailbox(connection, account_id, mailbox)
    for entry, value in values.items():
        is_shared = entry.startswith(SHARED)
        if (is_shared != (account_id == 0)) if mailbox is None else account_id == 0:
            raise PermanentFailure(f"only the operator may change {entry}" if is_shared else f"{entry} is nobody's")
        viewer = 0 if is_shared else account_id
        if entry == SPECIAL_USE and mailbox is not None:
            _use(connection, account_id, id, (value or b"").decode("ascii"))
        elif value is None:
            run_with(connection, _UNSET, (id, viewer, entry))
        else:
            run_with(connection, _SET, (id, viewer, entry, account_id, value))
        run_with(connection, _NOTE, (id, viewer, entry, account_id, number, by))
    run_with(connection, _FORGET, (account_id, account_id))
    if any(value is not None for value in values.values()):
        _limit(connection, account_id, id)


def _next(connection: Connection) -> int:
    row = fetch_one(
        connection,
        "INSERT INTO revision (name, number) VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET number = revision.number + 1 RETURNING number",
        (COUNTER,),
    )
    return int(row[0])


def _use(connection: Connection, account_id: int, id: int, use: str) -> None:
    text = "SELECT name FROM mailbox WHERE account_id = ? AND special_use = ? AND id <> ?"
    other = fetch_one(connection, text, (account_id, use, id)) if use else None
    if other is not None:
        raise AlreadyExists(f"{other[0]} has this use already")
    run_with(connection, "UPDATE mailbox SET special_use = ? WHERE id = ?", (use, id))


def _limit(connection: Connection, account_id: int, id: int) -> None:
    text = "SELECT COUNT(*) FROM annotation WHERE mailbox_id = ? AND account_id IN (0, ?)"
    if fetch_one(connection, text, (id, account_id))[0] > MOST_ENTRIES:
        raise OverQuota(f"there may be {MOST_ENTRIES} annotations")
    text = "SELECT COALESCE(SUM(LENGTH(value)), 0) FROM annotation WHERE owner_id = ?"
    if fetch_one(connection, text, (account_id,))[0] > MOST_OCTETS:
        raise OverQuota(f"annotations may have {MOST_OCTETS} octets together")


def copy(connection: Connection, account_id: int, source: int, target: int) -> None:
    """Those of one mailbox for another, which has none.  Raises `OverQuota`."""
    run_with(
        connection,
        "INSERT INTO annotation (mailbox_id, account_id, entry, owner_id, value)"
        " SELECT ?, account_id, entry, owner_id, value FROM annotation WHERE mailbox_id = ? AND owner_id = ?",
        (target, source, account_id),
    )
    _limit(connection, account_id, target)


def forget_mailboxes(connection: Connection, ids: Sequence[int]) -> None:
    """Mailboxes are gone."""
    for table in ("annotation", "annotated"):
        run_many(connection, f"DELETE FROM {table} WHERE mailbox_id = ?", [(id,) for id in ids])


def forget_account(connection: Connection, account_id: int) -> None:
    """An account is gone, with its mailboxes."""
    for table in ("annotation", "annotated"):
        run_with(connection, f"DELETE FROM {table} WHERE owner_id = ?", (account_id,))


# -- what was changed


def changes(connection: Connection, account_id: int, since: int | None, by: int = 0) -> Annotated:
    """What others than the session `by` have changed after a number, of what an account sees."""
    row = fetch_one(connection, "SELECT number FROM revision WHERE name = ?", (COUNTER,))
    number = 0 if row is None else int(row[0])
    if since is None or since >= number:
        return Annotated(number)
    rows = fetch(
        connection,
        "SELECT annotated.mailbox_id, mailbox.name, annotated.entry FROM annotated"
        " LEFT JOIN mailbox ON mailbox.id = annotated.mailbox_id AND mailbox.account_id = ?"
        " WHERE annotated.owner_id IN (0, ?) AND annotated.account_id IN (0, ?) AND annotated.number > ?"
        " AND annotated.session_id <> ? ORDER BY annotated.number",
        (account_id, account_id, account_id, since, by or -1),
    )
    return Annotated(number, [(name, entry) for id, name, entry in rows if name is not None or not id])


def last(connection: Connection) -> int:
    """The number of the last change of anybody."""
    return changes(connection, 0, None).number
