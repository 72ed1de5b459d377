"""The spool: one entry for each destination that is still to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, text, update

from mailserver.address import Address
from mailserver.envelope import Origin
from mailserver.store.contents import release, release_many
from mailserver.store.schema import spool
from mailserver.store.statements import batches, fetch, insert_rows, run_many
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
    prefix: bytes


def due(
    connection: Connection, now: float, limit: int, conditions: Sequence[ColumnElement[bool]] = ()
) -> list[Due]:
    """Entries that `claim` would take, the longest due first."""
    columns = [spool.c[name] for name in Due._fields]
    query = select(*columns).where(*_claimable(now), *conditions).order_by(spool.c.next_attempt).limit(limit)
    return [Due(*row) for row in connection.execute(query)]


def claim(
    connection: Connection, owner: str, now: float, limit: int, lease: float, ids: Sequence[int] | None = None
) -> list[Entry]:
    """Take entries that are due, and that nobody else is trying, for `lease` seconds; of these `ids` only.

    What is named by its id may be ours already: then a claim whose answer was lost is run again.
    """
    query = select(spool).where(*_claimable(now, "" if ids is None else owner))
    query = query.order_by(spool.c.next_attempt).limit(limit)
    if ids is not None:
        query = query.where(spool.c.id.in_(ids))
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    entries = [read_entry(row) for row in connection.execute(query)]
    if entries:
        connection.execute(
            update(spool)
            .where(spool.c.id.in_([each.id for each in entries]))
            .values(owner=owner, lease=now + lease)
        )
    return entries


def _claimable(now: float, owner: str = "") -> tuple[ColumnElement[bool], ...]:
    free: ColumnElement[bool] = or_(spool.c.owner.in_(["", owner]), spool.c.lease <= now)
    return spool.c.next_attempt <= now, spool.c.held == 0, free


def next_due(connection: Connection, now: float) -> float | None:
    """When the next entry that nobody is trying becomes due; None: the spool has none."""
    free: ColumnElement[bool] = or_(spool.c.owner == "", spool.c.lease <= now)
    return connection.execute(select(func.min(spool.c.next_attempt)).where(spool.c.held == 0, free)).scalar()


def note_attempt(connection: Connection, ids: Sequence[int], owner: str, next_attempt: float) -> list[int]:
    """Write down that these are being tried and when they would be tried again; only those whose lease we hold."""
    return note_attempts(connection, [(ids, owner, next_attempt)])[0]


def note_attempts(connection: Connection, notes: Sequence[tuple[Sequence[int], str, float]]) -> list[list[int]]:
    """`note_attempt` for (ids, owner, next attempt) of a whole batch; a group for `Database.write_with`."""
    run_many(
        connection,
        "UPDATE spool SET attempts = attempts + 1, next_attempt = ? WHERE id = ? AND owner = ?",
        [(following, id, owner) for ids, owner, following in notes for id in sorted(ids)],
    )
    owners: dict[int, str] = {}
    for some in batches([id for ids, _, _ in notes for id in ids]):
        owners.update(fetch(connection, f"SELECT id, owner FROM spool WHERE id IN ({_marks(some)})", some))
    return [[id for id in ids if owners.get(id) == owner] for ids, owner, _ in notes]


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))


def owned(connection: Connection, ids: Sequence[int], owner: str, now: float) -> bool:
    """Whether the leases of all these are still ours: asked before the final dot."""
    count = connection.execute(
        select(func.count())
        .select_from(spool)
        .where(spool.c.id.in_(ids), spool.c.owner == owner, spool.c.lease > now)
    ).scalar()
    return count == len(ids)


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
            text = f"DELETE FROM spool WHERE owner = ? AND id IN ({_marks(some)}) RETURNING content_id"
            content_ids += [row[0] for row in fetch(connection, text, [owner, *some])]
    release_many(connection, contents, content_ids)


def postpone(connection: Connection, id: int, owner: str, reason: str, next_attempt: float | None = None) -> bool:
    """It did not work yet: give the lease back, with the reason."""
    values: dict[str, Any] = {"owner": "", "lease": 0.0, "reason": reason}
    if next_attempt is not None:
        values["next_attempt"] = next_attempt
    done = connection.execute(update(spool).where(spool.c.id == id, spool.c.owner == owner).values(values))
    return done.rowcount == 1


def give_back(connection: Connection, ids: Sequence[int], owner: str) -> None:
    """Claimed and not tried: somebody else may."""
    connection.execute(
        update(spool).where(spool.c.id.in_(ids), spool.c.owner == owner).values(owner="", lease=0.0)
    )


def renew(connection: Connection, owner: str, until: float) -> None:
    """The owner is alive: all its leases go on."""
    connection.execute(update(spool).where(_leased, spool.c.owner == owner).values(lease=until))


def free(connection: Connection, owner: str) -> None:
    """Give back all leases of an owner that starts or stops."""
    connection.execute(update(spool).where(_leased, spool.c.owner == owner).values(owner="", lease=0.0))


def free_all(connection: Connection) -> None:
    """Give back every lease: nobody else works on this database."""
    connection.execute(update(spool).where(_leased).values(owner="", lease=0.0))


def retry_domain(connection: Connection, domain: str, now: float) -> int:
    """Make the entries for a domain due now, ".domain" for all below it too; returns how many.

    What was never tried is due, or waits for its release.
    """
    name = domain.removeprefix(".")
    theirs: ColumnElement[bool] = spool.c.domain == name
    if domain != name:
        theirs = or_(theirs, spool.c.domain.endswith(domain, autoescape=True))
    tried = update(spool).where(theirs, spool.c.held == 0, spool.c.attempts > 0)
    return connection.execute(tried.values(next_attempt=now)).rowcount
