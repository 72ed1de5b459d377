"""Attempts whose end nobody wrote down: whoever made them has died, and the stories of their messages say so.

What was behind its final dot may have been delivered, and it is tried again all the same (rules.md 17): without these
words a second delivery would be a riddle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, text, update

from mailserver.store import traces
from mailserver.store.schema import spool
from mailserver.store.statements import batches
from mailserver.story import event

WHY = "the server died before its end was written down; it may have been delivered"
LAPSED = "whoever tried it did not write down its end in time; it may have been delivered"
MOST_FREED = 2000       # leases of one transaction

_leased = spool.c.owner != text("''")       # literal, for the index "spool_leased"


def free_dead(connection: Connection, now: float, dead: str = "", living: str = "") -> bool:
    """Give back the leases of an owner that has died, or without one those of everybody but `living`.

    So many at a time that nobody waits long for the transaction; True: there may be more, call again.
    """
    whose = spool.c.owner == dead if dead else spool.c.owner != living
    of = spool.c
    query = select(of.id, of.content_id, of.recipient, of.target, of.attempts, of.next_attempt)
    query = query.where(_leased, whose).limit(MOST_FREED)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)     # what another server takes over at this moment it tells of
    rows = sorted(connection.execute(query).all())
    for some in batches([row.id for row in rows]):
        mine = update(spool).where(spool.c.id.in_(some))
        connection.execute(mine.values(owner="", lease=0.0))
        # The words of an operator who wants it to fail go into the report: they stay.
        connection.execute(mine.where(spool.c.expires > 0).values(reason=WHY))
    tell(connection, rows, now, WHY)
    return len(rows) == MOST_FREED


def tell(connection: Connection, rows: Sequence[Any], now: float, why: str) -> None:
    """Write into their stories that attempts at these entries, as their rows were, have no end."""
    traces.append_many(connection, [
        (row.content_id, event(
            now, "interrupted", recipient=row.recipient, target=row.target, attempt=row.attempts, said=why,
            next=round(row.next_attempt, 3),
        ))
        for row in rows
    ])
