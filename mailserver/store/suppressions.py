"""Who is not written to any more, why, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from mailserver.address import Address, domain_key
from mailserver.errors import AlreadyExists, NotFound
from mailserver.store.schema import suppression

MOST_AUTOMATIC = 1_000_000      # rows that nobody put there by hand; the oldest go
MOST_FORGOTTEN = 5000           # rows of one transaction


@dataclass(frozen=True, slots=True)
class Suppression:
    """A row; times are seconds since the epoch, an `until` of 0 is for ever."""

    key: str
    address: str
    kind: str               # bounce, complaint, operator
    reason: str
    by: str                 # automatic, operator
    created: float
    until: float
    message_id: int = 0


def find(connection: Connection, key: str, now: float) -> Suppression | None:
    """Of this `Address.key`, if it stands now."""
    row = connection.execute(select(suppression).where(suppression.c.key == key, _stands(now))).first()
    return None if row is None else Suppression(*row)


def listing(
    connection: Connection, now: float, domain: str | None = None, limit: int | None = None
) -> Sequence[Suppression]:
    """Those that stand, the newest first; of one domain's addresses only."""
    query = select(suppression).where(_stands(now)).order_by(suppression.c.created.desc(), suppression.c.key)
    if domain is not None:
        query = query.where(suppression.c.key.endswith(f"@{domain_key(domain)}", autoescape=True))
    return [Suppression(*row) for row in connection.execute(query if limit is None else query.limit(limit))]


def show(connection: Connection, address: Address, now: float) -> Suppression:
    """Raises `NotFound`."""
    found = find(connection, address.key, now)
    if found is None:
        raise NotFound(f"{address} is written to as usual")
    return found


def add(connection: Connection, address: Address, reason: str, now: float, until: float = 0.0) -> None:
    """By an operator; takes the place of an automatic one.  Raises `AlreadyExists`."""
    found = find(connection, address.key, now)
    if found is not None and found.by == "operator":
        raise AlreadyExists(f"{address} is not written to already: {found.reason}")
    put(connection, Suppression(address.key, str(address), "operator", reason, "operator", now, until))


def put(connection: Connection, new: Suppression) -> None:
    """Instead of what stands there."""
    connection.execute(delete(suppression).where(suppression.c.key == new.key))
    connection.execute(insert(suppression).values(
        key=new.key, address=new.address, kind=new.kind, reason=new.reason, by=new.by, created=new.created,
        until=new.until, message_id=new.message_id,
    ))


def remove(connection: Connection, address: Address) -> None:
    """It is written to again; raises `NotFound`."""
    if not connection.execute(delete(suppression).where(suppression.c.key == address.key)).rowcount:
        raise NotFound(f"{address} is written to as usual")


def purge(connection: Connection, now: float) -> bool:
    """Forget those whose time is over, and the oldest automatic ones beyond the most; True: there may be more."""
    over = select(suppression.c.key).where(suppression.c.until > 0, suppression.c.until <= now).limit(MOST_FORGOTTEN)
    count = connection.execute(delete(suppression).where(suppression.c.key.in_(over))).rowcount
    automatic = suppression.c.by == "automatic"
    many = connection.execute(select(func.count()).select_from(suppression).where(automatic)).scalar() or 0
    if many > MOST_AUTOMATIC:
        oldest = select(suppression.c.key).where(automatic).order_by(suppression.c.created)
        oldest = oldest.limit(min(MOST_FORGOTTEN, many - MOST_AUTOMATIC))
        connection.execute(delete(suppression).where(suppression.c.key.in_(oldest)))
    return count == MOST_FORGOTTEN or many > MOST_AUTOMATIC + MOST_FORGOTTEN


def _stands(now: float) -> Any:
    return or_(suppression.c.until == 0, suppression.c.until > now)
