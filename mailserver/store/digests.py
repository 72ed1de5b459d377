"""What is understood of contents (`mailserver.mime`), as rows: written soon after delivery, or when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from mailserver.store.statements import batches, fetch, listed, run_many, run_with

VERSION = 2         # of what is understood: rows with another are done anew


class Digest(NamedTuple):
    """A row of ``digest`` behind its content's id; see `mailserver.store.schema`."""

    envelope: bytes
    body: bytes
    structure: bytes
    parts: bytes
    header_size: int
    preview: str
    sent: float | None
    subject: str
    is_reply: int
    by_from: str
    by_to: str
    by_cc: str
    display_from: str
    display_to: str
    message_id: str
    refs: str
    find_subject: str
    find_from: str
    find_to: str
    find_cc: str
    find_bcc: str
    thread: int


_NAMES = ", ".join(Digest._fields)
_TYPES = {"sent": "DOUBLE PRECISION", "thread": "BIGINT"}
_MARKS = ", ".join(f"CAST(? AS {_TYPES[name]})" if name in _TYPES else "?" for name in Digest._fields)


def put(connection: Connection, digests: Sequence[tuple[int, Digest]]) -> None:
    """Write them, by their contents' ids; those of contents that are gone meanwhile are left out."""
    ids = [id for id, _ in digests]
    for some in batches(ids):
        marks, values = listed(some)
        run_with(connection, f"DELETE FROM digest WHERE content_id IN ({marks})", values)
    run_many(
        connection,
        f"INSERT INTO digest (content_id, version, {_NAMES})"
        f" SELECT id, {VERSION}, {_MARKS} FROM content WHERE id = ?",
        [(*each, id) for id, each in digests],
    )


def unknown(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those contents of which nothing is written yet."""
    found: set[int] = set()
    for some in batches(ids):
        marks, values = listed(some)
        text = f"SELECT content_id FROM digest WHERE version = {VERSION} AND content_id IN ({marks})"
        found.update(row[0] for row in fetch(connection, text, values))
    return [id for id in ids if id not in found]


def unknown_after(
    connection: Connection, after: tuple[int, int], limit: int
) -> tuple[list[int], tuple[int, int] | None]:
    """Contents of messages behind a place (mailbox, UID) of which nothing is written; and where to go on.

    That is None at the end.
    """
    rows: Sequence[Any] = fetch(
        connection,
        "SELECT message.mailbox_id, message.uid, message.content_id, digest.content_id FROM message"
        f" LEFT JOIN digest ON digest.content_id = message.content_id AND digest.version = {VERSION}"
        " WHERE (message.mailbox_id, message.uid) > (?, ?) ORDER BY message.mailbox_id, message.uid LIMIT ?",
        [*after, limit],
    )
    last = (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
    return [row[2] for row in rows if row[3] is None], last
