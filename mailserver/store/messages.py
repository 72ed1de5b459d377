"""Messages as they are delivered and read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import Connection, select

from mailserver.errors import NotFound
from mailserver.interfaces import SEEN, Delivery, Message
from mailserver.store.mailboxes import ensure_mailbox
from mailserver.store.news import news
from mailserver.store.schema import mailbox, message
from mailserver.store.statements import batches, fetch, fetch_one, insert_rows, run_many

T = TypeVar("T")


def insert_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """A message row for each delivery, with the next UIDs of their mailboxes.

    The contents' rows are there, and count these uses already.  Raises an IntegrityError when an account is gone.
    """
    boxes: dict[tuple[int, str], list[Delivery]] = {}
    for each in deliveries:
        boxes.setdefault((each.account.id, each.mailbox), []).append(each)
    found = _next_uids(connection, boxes)
    for account_id, name in boxes.keys() - found.keys():
        ensure_mailbox(connection, account_id, name, boxes[account_id, name][0].received)
    if len(found) < len(boxes):
        found = _next_uids(connection, boxes)
    rows = []
    moved = []
    told = news(connection)
    for place, those in boxes.items():
        box, uid, modseq = found[place]
        modseq += 1
        octets = unseen = 0
        for each in those:
            size = len(each.prefix) + each.content.size
            rows.append((box, uid, each.message, size, each.received, each.flags, each.prefix, modseq, 0.0))
            uid += 1
            octets += size
            unseen += not each.flags & SEEN
            told.contents.append(each.message)
        moved.append((uid, modseq, len(those), unseen, octets, box))
        told.mailboxes.add(box)
        told.accounts.add(place[0])
    run_many(
        connection,
        "UPDATE mailbox SET uidnext = ?, modseq = ?, messages = messages + ?, unseen = unseen + ?, octets = octets + ?"
        " WHERE id = ?",
        moved,
    )
    insert_rows(connection, message, rows)


def is_delivered(connection: Connection, delivery: Delivery) -> bool:
    """Whether the mailbox holds this message with this prefix already."""
    query = (
        select(message.c.uid)
        .join(mailbox)
        .where(
            mailbox.c.account_id == delivery.account.id,
            mailbox.c.name == delivery.mailbox,
            message.c.content_id == delivery.message,
            message.c.prefix == delivery.prefix,
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def _next_uids(
    connection: Connection, places: Collection[tuple[int, str]]
) -> dict[tuple[int, str], tuple[int, int, int]]:
    """The rows of mailboxes, locked, their next UIDs and mod-sequences, by account and name; those that exist."""
    found = {}
    for some in batches(list(places)):
        count, wanted = _filled(some)
        text = _lock_mailboxes(connection.dialect.name, count)
        for account_id, name, id, uid, modseq in fetch(connection, text, [each for pair in wanted for each in pair]):
            found[account_id, name] = (id, uid, modseq)
    return found


def _filled(some: Sequence[T]) -> tuple[int, list[T]]:
    """A list filled up to a power of two, so that there are few texts of statements to prepare, and its length."""
    count = 1 << (len(some) - 1).bit_length()
    return count, [*some, *[some[-1]] * (count - len(some))]


@lru_cache(maxsize=32)
def _lock_mailboxes(dialect: str, count: int) -> str:
    text = (
        "SELECT account_id, name, id, uidnext, modseq FROM mailbox"
        f" WHERE (account_id, name) IN (VALUES {', '.join(['(?, ?)'] * count)})"
    )
    # On PostgreSQL locked in order of id, as everybody does, so that two transactions never wait for each other.
    return text if dialect == "sqlite" else f"{text} ORDER BY id FOR UPDATE"


def listing(connection: Connection, mailbox_id: int) -> list[Message]:
    """All messages of a mailbox, in ascending order of UID."""
    rows = fetch(
        connection, "SELECT uid, size, received, flags FROM message WHERE mailbox_id = ? ORDER BY uid", (mailbox_id,)
    )
    return [Message(*row) for row in rows]


def find_message(connection: Connection, mailbox_id: int, uid: int) -> tuple[bytes, int]:
    """The prefix and the content's id of a message; raises `NotFound`."""
    row = fetch_one(
        connection, "SELECT prefix, content_id FROM message WHERE mailbox_id = ? AND uid = ?", (mailbox_id, uid)
    )
    if row is None:
        raise NotFound(f"there is no message {uid} in this mailbox")
    return bytes(row[0]), row[1]


def read_many(connection: Connection, mailbox_id: int, uids: Collection[int]) -> dict[int, bytes]:
    """The octets of messages that are not large, by UID; those that are gone are left out."""
    found = {}
    for some in batches(sorted(uids)):
        count, wanted = _filled(some)
        for uid, prefix, data in fetch(connection, _read_messages(count), [mailbox_id, *wanted]):
            found[uid] = bytes(prefix) + bytes(data)
    return found


@lru_cache(maxsize=32)
def _read_messages(count: int) -> str:
    return (
        "SELECT message.uid, message.prefix, content.data FROM message JOIN content ON content.id = message.content_id"
        f" WHERE mailbox_id = ? AND uid IN ({', '.join('?' * count)}) AND content.data IS NOT NULL"
    )
