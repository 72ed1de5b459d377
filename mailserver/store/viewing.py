"""What a session sees of a mailbox: all of it at one moment, what changed since, rows, and octets."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from mailserver.errors import NotFound
from mailserver.imapstore import Changes, Ranges, State
from mailserver.store.digests import VERSION, Digest
from mailserver.store.ranges import within
from mailserver.store.statements import batches, fetch, fetch_one, listed, run_with

OF_DIGEST = frozenset(Digest._fields)
KEEP = 30 * 24 * 3600.0     # seconds for which it is remembered what was expunged
KEEP_MOST = 100_000         # UIDs of one mailbox that are remembered


def load(connection: Connection, mailbox_id: int) -> State:
    """All messages; raises `NotFound` when the mailbox has been deleted."""
    uidnext, modseq, recent, keywords, _ = _row(connection, mailbox_id)
    uids, flags, modseqs = array("I"), array("Q"), array("Q")
    text = "SELECT uid, flags, modseq FROM message WHERE mailbox_id = ? ORDER BY uid"
    for uid, flag, changed in fetch(connection, text, (mailbox_id,)):
        uids.append(uid)
        flags.append(flag)
        modseqs.append(changed)
    return State(uids, flags, modseqs, uidnext, modseq, recent, keywords)


def changes(connection: Connection, mailbox_id: int, since: int) -> Changes:
    """What happened after a mod-sequence; raises `NotFound` when the mailbox has been deleted."""
    uidnext, modseq, _, keywords, forgotten = _row(connection, mailbox_id)
    if modseq <= since:
        return Changes((), (), uidnext, modseq, keywords)
    changed = fetch(
        connection, "SELECT uid, flags, modseq FROM message WHERE mailbox_id = ? AND modseq > ?", (mailbox_id, since)
    )
    gone = None
    if since >= forgotten:
        text = "SELECT uid FROM expunged WHERE mailbox_id = ? AND modseq > ?"
        gone = sorted(row[0] for row in fetch(connection, text, (mailbox_id, since)))
    return Changes(sorted(map(tuple, changed)), gone, uidnext, modseq, keywords)


def _row(connection: Connection, mailbox_id: int) -> tuple[int, int, int, tuple[str, ...], int]:
    text = "SELECT uidnext, modseq, recent, keywords, forgotten FROM mailbox WHERE id = ?"
    row = fetch_one(connection, text, (mailbox_id,))
    if row is None:
        raise NotFound("the mailbox has been deleted")
    return row[0], row[1], row[2], tuple(row[3].split()), row[4]


def keywords(connection: Connection, mailbox_id: int) -> tuple[str, ...]:
    """The keywords of a mailbox, by their bits; raises `NotFound` when it has been deleted."""
    return _row(connection, mailbox_id)[3]


def modseqs(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """The mod-sequences of mailboxes, by their rows; those that are gone are left out."""
    found: dict[int, int] = {}
    for some in batches(ids):
        marks, values = listed(some)
        found.update(map(tuple, fetch(connection, f"SELECT id, modseq FROM mailbox WHERE id IN ({marks})", values)))
    return found


def claim_recent(connection: Connection, mailbox_id: int, until: int) -> None:
    """Messages below this UID are not recent any more for who comes next."""
    run_with(connection, "UPDATE mailbox SET recent = ? WHERE id = ? AND recent < ?", [until, mailbox_id, until])


def rows(
    connection: Connection, mailbox_id: int, uids: Ranges, columns: Sequence[str], after: int, limit: int
) -> Sequence[tuple[Any, ...]]:
    """The columns of at most `limit` messages behind the UID `after`, by UID.

    Each stands behind its UID, its content's id and whether it is understood, if that is asked for: what is not yet has
    None there and in the columns of ``digest``.
    """
    where, parameters = within(connection, mailbox_id, uids)
    names = ", ".join(f"{'digest' if each in OF_DIGEST else 'message'}.{each}" for each in columns)
    join, known = "", "1"
    if OF_DIGEST.intersection(columns):
        join = f" LEFT JOIN digest ON digest.content_id = message.content_id AND digest.version = {VERSION}"
        known = "digest.version"
    text = (
        f"SELECT message.uid, message.content_id, {known}{', ' if names else ''}{names} FROM message{join}"
        f" WHERE message.mailbox_id = ? AND message.uid > ? AND message.{where} ORDER BY message.uid LIMIT ?"
    )
    return fetch(connection, text, [mailbox_id, after, *parameters, limit])


def octets(
    connection: Connection, mailbox_id: int, uids: Ranges, after: int, most: int, limit: int
) -> tuple[list[tuple[int, bytes, int, str | None, bytes | None]], int]:
    """Messages behind the UID `after` until `most` octets are at hand: UID, prefix, content's id, file, and data.

    Also the UID behind which to go on; 0 when there is nothing more.
    """
    where, parameters = within(connection, mailbox_id, uids)
    text = (
        f"SELECT uid, size FROM message WHERE mailbox_id = ? AND uid > ? AND {where} ORDER BY uid LIMIT ?"
    )
    last, size = 0, 0
    listed = fetch(connection, text, [mailbox_id, after, *parameters, limit])
    for uid, each in listed:
        size += each
        if size > most and last:
            break
        last = uid
    if not last:
        return [], 0
    text = (
        "SELECT message.uid, message.prefix, content.id, content.file, content.data FROM message"
        " JOIN content ON content.id = message.content_id"
        f" WHERE message.mailbox_id = ? AND message.uid > ? AND message.uid <= ? AND message.{where}"
        " ORDER BY message.uid"
    )
    found = [
        (row[0], bytes(row[1]), row[2], row[3], None if row[4] is None else bytes(row[4]))
        for row in fetch(connection, text, [mailbox_id, after, last, *parameters])
    ]
    is_all = len(listed) < limit and last == listed[-1][0]
    return found, 0 if is_all else last


def forget_expunged(connection: Connection, now: float) -> None:
    """What was expunged long ago is forgotten, and the oldest where it is too much."""
    text = "SELECT mailbox_id, MAX(modseq) FROM expunged WHERE at < ? GROUP BY mailbox_id"
    for mailbox_id, modseq in fetch(connection, text, [now - KEEP]):
        _forget(connection, mailbox_id, modseq)
    text = "SELECT mailbox_id, COUNT(*) FROM expunged GROUP BY mailbox_id HAVING COUNT(*) > ?"
    for mailbox_id, _ in fetch(connection, text, [KEEP_MOST]):
        text = "SELECT modseq FROM expunged WHERE mailbox_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?"
        _forget(connection, mailbox_id, fetch(connection, text, [mailbox_id, KEEP_MOST])[0][0])


def _forget(connection: Connection, mailbox_id: int, modseq: int) -> None:
    run_with(connection, "DELETE FROM expunged WHERE mailbox_id = ? AND modseq <= ?", [mailbox_id, modseq])
    run_with(
        connection, "UPDATE mailbox SET forgotten = ? WHERE id = ? AND forgotten < ?", [modseq, mailbox_id, modseq]
    )
