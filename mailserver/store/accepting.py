"""What acceptance writes: contents, messages, spool entries and traces of a whole batch, table by table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection

from mailserver.content import Content
from mailserver.interfaces import Delivery
from mailserver.store import contents, spool, traces
from mailserver.store.spool import Entry
from mailserver.store.statements import fetch_one

Write: TypeAlias = Callable[[Any, Sequence[Delivery]], None]


@dataclass(frozen=True, slots=True)
class Accepting:
    """One message to be accepted: its content, its story, and each of its destinations.

    `deliveries` are pairs of a transactional store's ``write`` and what it shall write; `also` are messages that
    are accepted with it or not at all (reports of it).
    """

    id: int
    content: Content
    record: str
    deliveries: Sequence[tuple[Write, Delivery]]
    entries: Sequence[Entry]
    also: Sequence[Accepting] = ()


def write_many(connection: Connection, batch: Sequence[Accepting]) -> list[None]:
    """Insert all rows of a batch; a group for `mailserver.store.database.Database.write_with`."""
    done = [None] * len(batch)
    batch = [accepting for each in batch for accepting in (each, *each.also)]
    contents.insert_many(
        connection,
        [(each.id, each.content, uses) for each in batch if (uses := len(each.deliveries) + len(each.entries))],
    )
    by_store: dict[Write, list[Delivery]] = {}
    for each in batch:
        for write, delivery in each.deliveries:
            by_store.setdefault(write, []).append(delivery)
    for write, deliveries in by_store.items():
        write(connection, deliveries)
    spool.insert_many(connection, [entry for each in batch for entry in each.entries])
    traces.add_many(connection, [(each.id, each.record) for each in batch])
    return done


def is_there(connection: Connection, id: int) -> bool:
    """Whether the message with this id was accepted."""
    return fetch_one(connection, "SELECT 1 FROM trace WHERE id = ? AND number = 0", (id,)) is not None


write_many.is_there = lambda connection, accepting: is_there(connection, accepting.id)  # type: ignore[attr-defined]
