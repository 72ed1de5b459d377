"""What is known of the TLS of others: their MTA-STS policies, and whether it was always to be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Table, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailserver.store.schema import sts_policy, tls_memory

MOST = 10_000               # domains, of each table
KEPT = 90 * 86400.0         # seconds for which a domain without mail is remembered
MOST_PURGED = 5000          # rows of one transaction


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy (RFC 8461 3.2) as it was fetched; times are seconds since the epoch."""

    domain: str
    id: str
    text: str
    fetched: float
    expires: float
    used: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A domain that had TLS each time; `missing` is since when it cannot be had, 0 while it can."""

    domain: str
    since: float
    last: float
    times: int
    level: str
    tls: str
    missing: float = 0.0
    reason: str = ""


def known(connection: Connection, domain: str) -> tuple[Kept | None, Remembered | None]:
    """What is known of one domain."""
    kept = connection.execute(select(sts_policy).where(sts_policy.c.domain == domain)).first()
    remembered = connection.execute(select(tls_memory).where(tls_memory.c.domain == domain)).first()
    return (
        Kept(*kept) if kept is not None else None,
        Remembered(*remembered) if remembered is not None else None,
    )


def listing(connection: Connection) -> tuple[list[Kept], list[Remembered]]:
    """All that is known, by domain."""
    return (
        [Kept(*row) for row in connection.execute(select(sts_policy).order_by(sts_policy.c.domain))],
        [Remembered(*row) for row in connection.execute(select(tls_memory).order_by(tls_memory.c.domain))],
    )


def keep(connection: Connection, policy: Kept) -> None:
    """A policy in the place of the one before."""
    row = asdict(policy)
    new = _insert(connection, sts_policy).values(row)
    connection.execute(new.on_conflict_do_update(index_elements=[sts_policy.c.domain], set_=row))


def not_renewed(connection: Connection, domain: str, trouble: str) -> None:
    """A policy could not be fetched anew; it holds to its end."""
    connection.execute(update(sts_policy).where(sts_policy.c.domain == domain).values(trouble=trouble))


def used(connection: Connection, domain: str, now: float) -> None:
    """Mail goes there."""
    connection.execute(update(sts_policy).where(sts_policy.c.domain == domain).values(used=now))


def to_renew(connection: Connection, fetched_before: float, used_since: float, most: int) -> Sequence[Kept]:
    """Policies to fetch anew, of domains that mail goes to: the oldest first, but behind them what failed last time."""
    query = select(sts_policy).where(sts_policy.c.fetched < fetched_before, sts_policy.c.used >= used_since)
    query = query.order_by(case((sts_policy.c.trouble == "", 0), else_=1), sts_policy.c.fetched)
    return [Kept(*row) for row in connection.execute(query.limit(most))]


def had(connection: Connection, domain: str, now: float, level: str, tls: str) -> None:
    """A server of the domain had TLS."""
    seen = {"last": now, "level": level, "tls": tls, "missing": 0.0, "reason": ""}
    new = _insert(connection, tls_memory).values(domain=domain, since=now, times=1, **seen)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[tls_memory.c.domain], set_={"times": tls_memory.c.times + 1, **seen}
        )
    )


def _insert(connection: Connection, table: Table) -> Any:
    """Two servers on one database may learn the same at once."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def missed(connection: Connection, domain: str, now: float, reason: str) -> None:
    """It could not be had; since when counts from the first time."""
    rows = update(tls_memory).where(tls_memory.c.domain == domain, tls_memory.c.missing == 0)
    connection.execute(rows.values(missing=now, reason=reason))


def forget_memory(connection: Connection, domain: str) -> None:
    """A domain gets mail in the clear, and begins anew."""
    connection.execute(delete(tls_memory).where(tls_memory.c.domain == domain))


def forget(connection: Connection, domain: str) -> int:
    """Forget all about a domain; returns how much was known."""
    tables: tuple[Any, ...] = (sts_policy, tls_memory)
    return sum(connection.execute(delete(table).where(table.c.domain == domain)).rowcount for table in tables)


def purge(connection: Connection, now: float) -> bool:
    """Forget what is over, and what is too much, the oldest first; True: there may be more, call again."""
    more = False
    for table, old, age in (
        (sts_policy, sts_policy.c.expires < now, sts_policy.c.used),
        (tls_memory, tls_memory.c.last < now - KEPT, tls_memory.c.last),
    ):
        for chosen in (
            select(table.c.domain).where(old).limit(MOST_PURGED),
            select(table.c.domain).order_by(age.desc(), table.c.domain).offset(MOST).limit(MOST_PURGED),
        ):
            names = connection.execute(chosen).scalars().all()
            for start in range(0, len(names), 500):
                connection.execute(delete(table).where(table.c.domain.in_(names[start : start + 500])))
            more = more or len(names) == MOST_PURGED
    return more
