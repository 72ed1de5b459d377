"""How TLS went on the way to others, day by day, and the reports that are owed for it (RFC 8460)."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailserver.store.schema import tls_owed, tls_result
from mailserver.store.statements import batches

MOST_ROWS = 200             # of one domain and day; what fails beyond is counted by its result alone
MOST_POLICIES = 10          # of one domain and day; those beyond lose their text
LONGEST = 1000              # characters of how it went
NOT_WANTED = "not wanted"
MOST_PLANNED = 500          # of one transaction


@dataclass(frozen=True, slots=True)
class Kind:
    """Sessions that are counted together; `policy` is JSON, whose first item is the type."""

    day: int
    domain: str
    policy: str
    result: str
    mx: str = ""
    receiving: str = ""
    sending: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """Short, and another for another kind of the same day and domain."""
        told = json.dumps([self.policy, self.result, self.mx, self.receiving, self.sending, self.reason])
        return hashlib.sha256(told.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Owed:
    """A report that is owed; `endpoints` is None until the domain was asked for them."""

    day: int
    domain: str
    report: str
    attempts: int
    endpoints: tuple[str, ...] | None


_TOLD = tuple(each.name for each in fields(Kind))


def add_many(connection: Connection, counts: Mapping[Kind, int]) -> None:
    """Add sessions to those that are known."""
    added = _folded(connection, counts)
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(tls_result)
    statement = new.on_conflict_do_update(
        index_elements=[tls_result.c.day, tls_result.c.domain, tls_result.c.key],
        set_={"count": tls_result.c.count + new.excluded.count},
    )
    # In one order, so that two servers of one database do not wait for each other.
    for kind in sorted(added, key=lambda each: (each.day, each.domain, each.key)):
        connection.execute(statement, {
            **{name: getattr(kind, name) for name in _TOLD}, "key": kind.key, "count": added[kind],
        })


def _folded(connection: Connection, counts: Mapping[Kind, int]) -> Mapping[Kind, int]:
    """The same, with less told of those that are one kind too many for their domain and day."""
    groups: dict[tuple[int, str], list[Kind]] = {}
    for kind in counts:
        groups.setdefault((kind.day, kind.domain), []).append(kind)
    folded: dict[Kind, int] = {}
    rows = _rows(connection, list(groups))
    for group, kinds in groups.items():
        if rows.get(group, 0) + len(kinds) <= MOST_POLICIES:            # no bound is near, and most domains end here
            folded.update({kind: counts[kind] for kind in kinds})
            continue
        keys, policies = _known(connection, *group)
        for kind in kinds:
            small = _fold(kind, keys, policies)
            folded[small] = folded.get(small, 0) + counts[kind]
    return folded


def _fold(kind: Kind, keys: set[str], policies: set[str]) -> Kind:
    if kind.key in keys:
        return kind
    if kind.policy not in policies and len(policies) >= MOST_POLICIES:
        kind = replace(kind, policy=json.dumps([json.loads(kind.policy)[0], [], []]))
    if len(keys) >= MOST_ROWS:
        kind = Kind(kind.day, kind.domain, kind.policy, kind.result)
    keys.add(kind.key)
    policies.add(kind.policy)
    return kind


def _rows(connection: Connection, groups: Sequence[tuple[int, str]]) -> Mapping[tuple[int, str], int]:
    """How many rows each day and domain has."""
    found: dict[tuple[int, str], int] = {}
    for day in sorted({day for day, _ in groups}):
        for some in batches([domain for its, domain in groups if its == day]):
            rows = connection.execute(
                select(tls_result.c.domain, func.count()).where(tls_result.c.day == day, tls_result.c.domain.in_(some))
                .group_by(tls_result.c.domain)
            )
            found.update({(day, domain): count for domain, count in rows})
    return found


def _known(connection: Connection, day: int, domain: str) -> tuple[set[str], set[str]]:
    rows = connection.execute(
        select(tls_result.c.key, tls_result.c.policy).where(tls_result.c.day == day, tls_result.c.domain == domain)
    ).all()
    return {row.key for row in rows}, {row.policy for row in rows}


def of_day(connection: Connection, day: int, domain: str) -> Sequence[tuple[Kind, int]]:
    """What is known of one domain and day."""
    rows = connection.execute(
        select(tls_result).where(tls_result.c.day == day, tls_result.c.domain == domain)
        .order_by(tls_result.c.policy, tls_result.c.result, tls_result.c.mx, tls_result.c.key)
    )
    return [
        (Kind(**{name: row[name] for name in _TOLD}), row["count"])
        for row in rows.mappings()
    ]


# -- what is owed

def plan(
    connection: Connection,
    today: int,
    start: float,
    spread: float,
    chance: random.Random,
    hostname: str,
    after: tuple[int, str] = (0, ""),
) -> tuple[int, str] | None:
    """Owe a report to each domain with results before `today`, due by chance within `spread` seconds of `start`.

    Returns the day and the domain `after` which to go on, None at the end.
    """
    day, domain = after
    theirs = and_(tls_owed.c.day == tls_result.c.day, tls_owed.c.domain == tls_result.c.domain)
    rows = connection.execute(
        select(tls_result.c.day, tls_result.c.domain, tls_owed.c.report).distinct()
        .select_from(tls_result.outerjoin(tls_owed, theirs))
        .where(
            tls_result.c.day < today, tls_result.c.day >= day,
            or_(tls_result.c.day > day, tls_result.c.domain > domain),
        )
        .order_by(tls_result.c.day, tls_result.c.domain)
        .limit(MOST_PLANNED)
    ).all()
    new: Any = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(tls_owed)
    for day, domain, known in rows:
        if known is None:
            connection.execute(new.on_conflict_do_nothing(), {
                "day": day, "domain": domain, "report": f"{day}.{domain}.{chance.getrandbits(64):016x}@{hostname}",
                "next_attempt": start + chance.random() * spread, "attempts": 0, "endpoints": "", "done": 0, "said": "",
            })
    return (day, domain) if len(rows) == MOST_PLANNED else None


def claim(connection: Connection, now: float, again: float, limit: int) -> Sequence[Owed]:
    """Some that are due; nobody else gets them before `again`."""
    due = connection.execute(
        select(tls_owed).where(tls_owed.c.done == 0, tls_owed.c.next_attempt <= now)
        .order_by(tls_owed.c.next_attempt).limit(limit)
    ).all()
    claimed = []
    for row in due:
        mine = connection.execute(
            update(tls_owed)
            .where(_is(row), tls_owed.c.done == 0, tls_owed.c.next_attempt == row.next_attempt)
            .values(next_attempt=again, attempts=row.attempts + 1)
        )
        if mine.rowcount:
            endpoints = tuple(json.loads(row.endpoints)) if row.endpoints else None
            claimed.append(Owed(row.day, row.domain, row.report, row.attempts + 1, endpoints))
    return claimed


def change_endpoints(
    connection: Connection, owed: Owed, before: Sequence[str] | None, after: Sequence[str]
) -> bool:
    """Note whom it is still to be sent to; False when somebody else has noted something by now."""
    known = "" if before is None else json.dumps(list(before))
    changed = connection.execute(
        update(tls_owed).where(_is(owed), tls_owed.c.endpoints == known, tls_owed.c.done == 0)
        .values(endpoints=json.dumps(list(after)))
    )
    return bool(changed.rowcount)


def finish(connection: Connection, owed: Owed, said: str, done: bool) -> None:
    """Note how it went; when it is done, it is done for ever, and the results of that day are of no more use."""
    said = said[:LONGEST].replace("\0", "")
    connection.execute(update(tls_owed).where(_is(owed), tls_owed.c.done == 0).values(said=said, done=int(done)))
    if done:
        connection.execute(
            delete(tls_result).where(tls_result.c.day == owed.day, tls_result.c.domain == owed.domain)
        )


def _is(row: Any) -> Any:
    return and_(tls_owed.c.day == row.day, tls_owed.c.domain == row.domain)


def sent(connection: Connection, domain: str | None = None, limit: int = 1000) -> Sequence[Mapping[str, Any]]:
    """The reports that were or are owed, the newest first; of one domain also those that it did not want."""
    query = select(tls_owed).order_by(tls_owed.c.day.desc(), tls_owed.c.domain).limit(limit)
    if domain is not None:
        query = query.where(tls_owed.c.domain == domain)
    else:
        query = query.where(tls_owed.c.said != NOT_WANTED)
    return [dict(row) for row in connection.execute(query).mappings()]


def purge(connection: Connection, before: int) -> None:
    """Forget days before this one."""
    connection.execute(delete(tls_result).where(tls_result.c.day < before))
    connection.execute(delete(tls_owed).where(tls_owed.c.day < before))
