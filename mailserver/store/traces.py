"""The stories of messages: one record at acceptance, one for each event after it; and of what was refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, select

from mailserver.errors import NotFound
from mailserver.ident import first_at
from mailserver.store.schema import refusal, trace
from mailserver.store.statements import batches, fetch_values, insert_rows, listed

MOST_FORGOTTEN = 5000       # records of one transaction


def add_many(connection: Connection, records: Sequence[tuple[int, str]]) -> None:
    """The first record of messages: (id, JSON)."""
    insert_rows(connection, trace, [(id, 0, record) for id, record in records])


def append(connection: Connection, id: int, record: str) -> None:
    """One more event of a message."""
    append_many(connection, [(id, record)])


def append_many(connection: Connection, records: Sequence[tuple[int, str]]) -> None:
    """More events of messages, in their order: (id, JSON)."""
    last: dict[int, int] = {}
    for some in batches(sorted({id for id, _ in records})):
        if connection.dialect.name == "postgresql":
            # Two couriers of one message tell of it at once: the first record is what they take turns by.
            first = select(trace.c.id).where(trace.c.id.in_(some), trace.c.number == 0)
            connection.execute(first.order_by(trace.c.id).with_for_update())
        marks, ids = listed(some)
        text = f"SELECT id || ':' || MAX(number) AS x FROM trace WHERE id IN ({marks}) GROUP BY id"
        for told in fetch_values(connection, text, ids):
            of, _, number = told.partition(":")
            last[int(of)] = int(number)
    rows = []
    for id, record in records:
        last[id] = last.get(id, -1) + 1
        rows.append((id, last[id], record))
    insert_rows(connection, trace, rows)


def refuse_many(connection: Connection, records: Sequence[tuple[int, str]]) -> list[None]:
    """The stories of what was refused: (id, JSON)."""
    insert_rows(connection, refusal, list(records))
    return [None] * len(records)


def story(connection: Connection, id: int) -> list[dict[str, Any]]:
    """All that is known under an id: its acceptance and what came after, or its refusal.  Raises `NotFound`."""
    records = list(
        connection.execute(select(trace.c.record).where(trace.c.id == id).order_by(trace.c.number)).scalars()
    )
    records += connection.execute(select(refusal.c.record).where(refusal.c.id == id)).scalars()
    if not records:
        raise NotFound("nothing is known under this id; stories are kept for a bounded time")
    return [json.loads(record) for record in records]


def search(
    connection: Connection,
    recipient: str | None = None,
    sender: str | None = None,
    since: float | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """First records, newest first, whose addresses hold these texts; `since` is in seconds since the epoch."""
    found: list[tuple[int, dict[str, Any]]] = []
    for table, condition in ((trace, trace.c.number == 0), (refusal, refusal.c.id > 0)):
        query = select(table.c.id, table.c.record).where(condition).order_by(table.c.id.desc())
        if since is not None:
            query = query.where(table.c.id >= first_at(since))
        for text in (recipient, sender):
            if text is not None and text.isascii():
                # The database passes over most records faster than we read them.
                query = query.where(table.c.record.icontains(json.dumps(text)[1:-1], autoescape=True))
        with connection.execute(query.execution_options(yield_per=100)) as rows:
            told = ((row.id, json.loads(row.record)) for row in rows)
            found += islice((each for each in told if _matches(each[1], recipient, sender)), limit)
    found.sort(key=lambda pair: pair[0], reverse=True)
    return [record for _, record in found[:limit]]


def _matches(record: dict[str, Any], recipient: str | None, sender: str | None) -> bool:
    if "event" in record:
        return False            # of a message whose story was forgotten before it was gone
    if sender is not None and sender.lower() not in record.get("sender", "").lower():
        return False
    if recipient is None:
        return True
    named = [*record.get("recipients", ()), *(each[0] for each in record.get("destinations", ()))]
    return any(recipient.lower() in each.lower() for each in named)


def purge(connection: Connection, before: float, most_refusals: int) -> bool:
    """Forget stories from before this time, and all refusals but the newest so many.

    It forgets so much at a time that nobody waits long for the transaction; True: there may be more, call again.
    """
    limits = [(trace, first_at(before)), (refusal, first_at(before))]
    query = select(refusal.c.id).order_by(refusal.c.id.desc()).offset(most_refusals).limit(1)
    last = connection.execute(query).scalar()
    if last is not None:
        limits.append((refusal, last + 1))
    more = False
    for table, oldest in limits:
        end = connection.execute(
            select(table.c.id).where(table.c.id < oldest).order_by(table.c.id).offset(MOST_FORGOTTEN).limit(1)
        ).scalar()
        connection.execute(delete(table).where(table.c.id < (oldest if end is None else end)))
        more = more or end is not None
    return more
