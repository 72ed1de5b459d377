"""The spool: one entry for each destination that is still to be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, text, update

from mailserver.address import Address
from mailserver.envelope import Origin
from mailserver.store import destinations, interrupted
from mailserver.store.contents import release, release_many
from mailserver.store.schema import spool
from mailserver.store.statements import batches, fetch, fetch_values, insert_rows, listed, run_many, run_with
from mailserver.wishes import NONE, Wishes

CANCELLED = 0.0         # when an entry expires that an operator wants to fail (`mailserver.store.queue.cancel`)

_leased = spool.c.owner != text("''")       # literal, so that SQLite sees that the index "spool_leased" is meant


@dataclass(frozen=True, slots=True)
class Entry:
    """A destination that waits; the columns of the table ``spool`` (`mailserver.store.schema`) as values.

    `kind` is "remote" (then `place` is a fixed host or empty) or "mailbox" (then it is "store/mailbox").
    """

    id: int
    content_id: int             # the message's id too
    origin: Origin
    sender: Address | None
    recipient: Address
    kind: str
    target: Address
    place: str
    domain: str
    prefix: bytes
    body: str
    created: float
    expires: float
    next_attempt: float
    attempts: int
    held: bool
    reason: str
    owner: str = ""
    lease: float = 0.0
    wishes: Wishes = NONE
    login: str = ""             # the account that submitted it
    told: int = 0               # how often the sender heard of the delay

    def state(self, now: float) -> str:
        """In the operator's words: held, ready (due, or being tried) or waiting."""
        if self.held:
            return "held"
        return "ready" if self.next_attempt <= now or (self.owner and self.lease > now) else "waiting"


def insert_many(connection: Connection, entries: Sequence[Entry]) -> None:
    """Put entries into the spool; their contents' rows count them already."""
    insert_rows(
        connection,
        spool,
        [
            (
                each.id, each.content_id, each.origin.value, str(each.sender) if each.sender else "",
                str(each.recipient), each.kind, str(each.target), each.place, each.domain, each.prefix, each.body,
                each.created, each.expires, each.next_attempt, each.attempts, int(each.held), each.reason,
                each.owner, each.lease, each.wishes.write(), each.wishes.priority, each.login, each.told,
            )
            for each in entries
        ],
    )


def read_entry(row: Any) -> Entry:
    """A row of the table as a value."""
    return Entry(
        row.id, row.content_id, Origin(row.origin), Address.parse(row.sender) if row.sender else None,
        Address.parse(row.recipient), row.kind, Address.parse(row.target), row.place, row.domain, bytes(row.prefix),
        row.body, row.created, row.expires, row.next_attempt, row.attempts, bool(row.held), row.reason, row.owner,
        row.lease, Wishes.read(row.wishes), row.login, row.told,
    )


# -- the scheduler's side


class Due(NamedTuple):
    """As much of an entry as must be known to choose it."""

    id: int
    content_id: int
    kind: str
    place: str
    domain: str
    sender: str
    login: str
    target: str
    prefix: bytes
    wishes: str
    priority: int
    attempts: int
    expires: float


_DUE = f"SELECT {', '.join(Due._fields)} FROM spool WHERE held = 0 AND (owner = '' OR lease <= ?) AND next_attempt <= ?"


def due(connection: Connection, now: float, limit: int) -> list[Due]:
    """Entries that `claim` would take: by priority (RFC 6710), the longest due first."""
    found: list[Due] = []
    below: int | None = 1000
    while len(found) < limit:
        # One step in the index for each priority that there is; nearly always there is one.
        below = fetch(connection, "SELECT MAX(priority) FROM spool WHERE held = 0 AND priority < ?", [below])[0][0]
        if below is None:
            break
        rows = fetch(
            connection, f"{_DUE} AND priority = ? ORDER BY next_attempt LIMIT ?", [now, now, below, limit - len(found)]
        )
        found += [Due(*row) for row in rows]
    return found


def due_elsewhere(
    connection: Connection, now: float, after: str, domains: int, each: int, waits: Callable[[str], bool]
) -> tuple[list[Due], str]:
    """Of the next `domains` domains behind `after`, in the order of the alphabet, the `each` longest due of each.

    So that the million entries of a domain that has to wait (`waits`) keep nobody else waiting: each domain costs
    some steps in an index, however much lies there.  Also returns where to go on; "" when all were seen.
    """
    found: list[Due] = []
    name: str | None = after
    for _ in range(domains):
        name = fetch(connection, "SELECT MIN(domain) FROM spool WHERE domain > ?", [name])[0][0]
        if name is None:
            return found, ""
        if not waits(name):
            rows = fetch(connection, f"{_DUE} AND domain = ? ORDER BY next_attempt LIMIT ?", [now, now, name, each])
            found += [Due(*row) for row in rows]
    return found, name or ""


def claim(
    connection: Connection, owner: str, now: float, lease: float, following: Mapping[int, float]
) -> list[Entry]:
    """Take entries that are due and that nobody else is trying, for `lease` seconds, and count the attempt.

    `following` says for each id when it would be tried again: that is written down before it is tried.  Run again
    after its answer was lost, it finds them.  A lease that has lapsed is another's who died: the story says so.
    """
    entries: list[Entry] = []
    lapsed: list[Any] = []
    notes: list[tuple[Any, ...]] = []
    for some in batches(sorted(following)):
        query = select(spool).where(spool.c.id.in_(some), spool.c.held == 0).order_by(spool.c.id)
        if connection.dialect.name == "postgresql":
            query = query.with_for_update(skip_locked=True)
        for row in connection.execute(query):
            entry, then = read_entry(row), following[row.id]
            if row.owner == owner and row.next_attempt == then:
                entries.append(entry)
            elif row.next_attempt <= now and (row.owner in ("", owner) or row.lease <= now):
                notes.append((owner, now + lease, then, row.id))
                if row.owner not in ("", owner):
                    lapsed.append(row)
                entries.append(replace(
                    entry, owner=owner, lease=now + lease, next_attempt=then, attempts=entry.attempts + 1
                ))
    run_many(
        connection,
        "UPDATE spool SET owner = ?, lease = ?, next_attempt = ?, attempts = attempts + 1 WHERE id = ?",
        notes,
    )
    if lapsed:
        interrupted.tell(connection, lapsed, now, interrupted.LAPSED)
    return entries


def next_due(connection: Connection, now: float) -> float | None:
    """When the next entry that nobody is trying becomes due; None: the spool has none."""
    earliest: float | None = None
    below: int | None = 1000
    while True:
        below = fetch(connection, "SELECT MAX(priority) FROM spool WHERE held = 0 AND priority < ?", [below])[0][0]
        if below is None:
            return earliest
        text = "SELECT next_attempt FROM spool WHERE held = 0 AND (owner = '' OR lease <= ?) AND priority = ?"
        for (following,) in fetch(connection, f"{text} ORDER BY next_attempt LIMIT 1", [now, below]):
            earliest = following if earliest is None else min(earliest, following)


def owned(connection: Connection, ids: Sequence[int], owner: str, now: float) -> bool:
    """Whether the leases of all these are still ours: asked before the final dot."""
    count = connection.execute(
        select(func.count())
        .select_from(spool)
        .where(spool.c.id.in_(ids), spool.c.owner == owner, spool.c.lease > now)
    ).scalar()
    return count == len(ids)


def has_leases(connection: Connection, ids: Sequence[int], owner: str) -> bool:
    """Whether nobody else has taken over any of these: asked inside the transaction that depends on it."""
    count = connection.execute(
        select(func.count()).select_from(spool).where(spool.c.id.in_(ids), spool.c.owner == owner)
    ).scalar()
    return count == len(ids)


def wait(connection: Connection, waits: Sequence[tuple[int, float, str]]) -> None:
    """Entries that nobody tries, (id, until when, why): they are not due before that."""
    run_many(
        connection,
        "UPDATE spool SET next_attempt = ?, reason = ? WHERE id = ? AND owner = ''",
        [(until, why, id) for id, until, why in sorted(waits)],
    )


def finish(connection: Connection, contents: Path, id: int, owner: str | None = None) -> bool:
    """An entry is done with: delivered, bounced or removed.  False when it is not ours (any more)."""
    where = spool.c.id == id
    if owner is not None:
        where &= spool.c.owner == owner
    content_id = connection.execute(delete(spool).where(where).returning(spool.c.content_id)).scalar()
    if content_id is None:
        return False
    release(connection, contents, content_id)
    return True


def finish_many(connection: Connection, contents: Path, done: Sequence[tuple[int, str]]) -> None:
    """`finish` for (id, owner) of a whole batch."""
    by_owner: dict[str, list[int]] = {}
    for id, owner in done:
        by_owner.setdefault(owner, []).append(id)
    content_ids: list[int] = []
    for owner, ids in by_owner.items():
        for some in batches(sorted(ids)):
            marks, named = listed(some)
            theirs = f"FROM spool WHERE owner = ? AND id IN ({marks})"
            if connection.dialect.name != "sqlite":
                rows = fetch(connection, f"DELETE {theirs} RETURNING content_id", [owner, *named])
                content_ids += [row[0] for row in rows]
                continue
            content_ids += map(int, fetch_values(connection, f"SELECT content_id AS x {theirs}", [owner, *named]))
            run_with(connection, f"DELETE {theirs}", [owner, *named])
    release_many(connection, contents, content_ids)


def postpone(
    connection: Connection, id: int, owner: str, reason: str, next_attempt: float | None = None,
    told: int | None = None,
) -> bool:
    """It did not work yet: give the lease back, with the reason, and with how often the sender was warned."""
    values: dict[str, Any] = {"owner": "", "lease": 0.0, "reason": reason}
    if told is not None:
        values["told"] = told
    if next_attempt is not None:
        values["next_attempt"] = next_attempt
    done = connection.execute(update(spool).where(spool.c.id == id, spool.c.owner == owner).values(values))
    return done.rowcount == 1


def give_back(connection: Connection, ids: Sequence[int], owner: str, now: float | None = None) -> None:
    """Claimed and not tried: somebody else may; with `now`, at once, and it does not count as an attempt."""
    values: dict[str, Any] = {"owner": "", "lease": 0.0}
    if now is not None:
        values |= {"next_attempt": now, "attempts": spool.c.attempts - 1}
    for some in batches(sorted(ids)):
        connection.execute(update(spool).where(spool.c.id.in_(some), spool.c.owner == owner).values(values))


def renew(connection: Connection, owner: str, until: float) -> None:
    """The owner is alive: all its leases go on."""
    connection.execute(update(spool).where(_leased, spool.c.owner == owner).values(lease=until))


def free(connection: Connection, owner: str) -> None:
    """Give back all leases of an owner that stops; of one that died, `mailserver.store.interrupted`."""
    connection.execute(update(spool).where(_leased, spool.c.owner == owner).values(owner="", lease=0.0))


def retry_domain(connection: Connection, domain: str, lane: Callable[[Any], str], now: float) -> int:
    """Make the entries for a domain due now, ".domain" for all below it too; returns how many.

    Their lanes, as `lane` names them, rest no more.  What was never tried is due, or waits for its release.
    """
    name = domain.removeprefix(".")
    theirs: ColumnElement[bool] = spool.c.domain == name
    if domain != name:
        theirs = or_(theirs, spool.c.domain.endswith(domain, autoescape=True))
    tried = and_(theirs, spool.c.held == 0, spool.c.attempts > 0)
    destinations.end_rests(connection, lane, tried, now)
    return connection.execute(update(spool).where(tried).values(next_attempt=now)).rowcount
