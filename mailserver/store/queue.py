"""The spool as its operator sees it: which entries are meant, what they are, and what is done with them.

A queue can hold a million entries.  So what is meant is found as ids alone (eight octets each), is looked at page by
page, and is changed batch by batch, each in a short transaction of its own: a server that runs is never kept waiting.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, and_, case, delete, func, literal, or_, select, text, update

from mailserver import ident
from mailserver.errors import NotFound
from mailserver.store import destinations, traces
from mailserver.store.contents import release_many
from mailserver.store.schema import destination, spool
from mailserver.store.spool import CANCELLED, Entry, read_entry
from mailserver.store.statements import batches, fetch
from mailserver.story import event

MOST_CHANGED = 5000         # entries of one transaction
MOST_NAMED = 100            # recipients that one event of a story names
MOST_RESTING = 10_000       # destinations that are looked at together
STATES = ("ready", "waiting", "held")
OPERATOR = "an operator"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries are meant: all that is said here must hold of them; what is None says nothing.

    `now` is the time by which a state is told; `older` is in seconds since an entry came.
    """

    now: float
    ids: Sequence[int] | None = None        # theirs, or their messages'
    domain: str | None = None
    sender: str | None = None               # "" or "<>" is the null reverse-path
    recipient: str | None = None            # as the sender named it, or the target
    reason: str | None = None               # a part of it
    state: str | None = None                # of `STATES`
    older: float | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a WHERE."""
        found: list[ColumnElement[bool]] = []
        if self.ids is not None:
            found.append(or_(spool.c.id.in_(self.ids), spool.c.content_id.in_(self.ids)))
        if self.domain is not None:
            found.append(spool.c.domain == self.domain.lower())
        if self.sender is not None:
            found.append(func.lower(spool.c.sender) == self.sender.lower().strip("<>"))
        if self.recipient is not None:
            whom = self.recipient.lower().strip("<>")
            found.append(or_(func.lower(spool.c.recipient) == whom, func.lower(spool.c.target) == whom))
        if self.reason is not None:
            found.append(spool.c.reason.icontains(self.reason, autoescape=True))
        if self.state is not None:
            found.append(state_is(self.state, self.now))
        if self.older is not None:
            found.append(spool.c.created <= self.now - self.older)
        return found


def state_is(state: str, now: float) -> ColumnElement[bool]:
    """The condition for what `mailserver.store.spool.Entry.state` says."""
    if state == "held":
        return spool.c.held != 0
    ready: ColumnElement[bool] = or_(spool.c.next_attempt <= now, and_(spool.c.owner != "", spool.c.lease > now))
    return and_(spool.c.held == 0, ready if state == "ready" else ~ready)


# -- looking


def chosen(connection: Connection, choice: Choice, limit: int | None = None) -> array[int]:
    """The ids of what is meant, the oldest first."""
    query = select(spool.c.id).where(*choice.conditions())
    if limit is not None:
        query = query.order_by(spool.c.id).limit(limit)
    found = array("q")
    with connection.execute(query.execution_options(yield_per=10_000)) as rows:
        for some in rows.partitions():
            found.extend([row[0] for row in some])
    # Sorted here: the database would write a million ids to the disk for it.
    return found if limit is not None else array("q", sorted(found))


def pages(ids: Sequence[int], size: int = MOST_CHANGED) -> Iterator[Sequence[int]]:
    """Ids, so many at a time as one transaction looks at or changes."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def rows(connection: Connection, ids: Sequence[int], columns: Sequence[str]) -> list[Any]:
    """These columns of those entries that are still there, in the order of their ids."""
    names = ", ".join(spool.c[name].name for name in columns)
    found: list[Any] = []
    for some in batches(ids):
        marks = ", ".join("?" * len(some))
        found += fetch(connection, f"SELECT {names} FROM spool WHERE id IN ({marks}) ORDER BY id", some)
    return found


def listing(
    connection: Connection,
    ids: Sequence[int] | None = None,
    domain: str | None = None,
    sender: str | None = None,
    reason: str | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Entries by id (theirs or their message's), domain, sender, or a part of their reason, oldest first."""
    choice = Choice(0.0, ids, domain, sender, reason=reason)
    query = select(spool).where(*choice.conditions()).order_by(spool.c.id)
    return [read_entry(row) for row in connection.execute(query if limit is None else query.limit(limit))]


def show(connection: Connection, id: int) -> Entry:
    """One entry; raises `NotFound`."""
    entries = listing(connection, [id])
    if not entries:
        raise NotFound("there is no such entry in the queue")
    return entries[0]


@dataclass(frozen=True, slots=True)
class Rest:
    """What was learned of a destination, and still holds: it rests, or takes `connections` at a time."""

    until: float                # seconds since the epoch
    rule: str
    why: str
    failures: int
    connections: int            # 0: as configured


def resting(connection: Connection, now: float) -> dict[str, Rest]:
    """The destinations of which something is known, by the names of their lanes."""
    columns = [destination.c[name] for name in ("name", "until", "rule", "why", "failures", "connections")]
    holds = (destination.c.until > now) | (destination.c.connections > 0)
    query = select(*columns).where(holds).order_by(destination.c.until.desc()).limit(MOST_RESTING)
    return {name: Rest(*rest) for name, *rest in connection.execute(query)}


def in_words(rest: Rest, now: float) -> str:
    """What was learned of a destination, as an operator reads it."""
    why = f": {rest.why}" if rest.why and rest.why != rest.rule else ""
    if rest.until <= now:
        return f"destination gets {rest.connections} at a time: {rest.rule}{why}"
    until = datetime.fromtimestamp(rest.until).astimezone()
    moment = until.strftime("%H:%M" if rest.until - now < 86400 else "%Y-%m-%d %H:%M")
    return f"destination rests until {moment}: {rest.rule}{why}"


def totals(connection: Connection, now: float) -> dict[str, float]:
    """How many entries are in each state, and the age of the oldest in seconds; found in indexes alone."""
    count = select(func.count()).select_from(spool)
    all_of_them = connection.execute(count).scalar_one()
    free = connection.execute(count.where(spool.c.held == text("0"))).scalar_one()
    due = connection.execute(count.where(spool.c.held == text("0"), spool.c.next_attempt <= now)).scalar_one()
    tried = connection.execute(
        count.where(spool.c.owner != text("''"), spool.c.held == 0, spool.c.next_attempt > now, spool.c.lease > now)
    ).scalar_one()
    oldest = connection.execute(select(func.min(spool.c.id))).scalar()
    age = now - ident.seconds(oldest) if oldest is not None else 0.0
    return {
        "held": all_of_them - free, "ready": due + tried, "waiting": free - due - tried, "oldest": max(0.0, age),
    }


# -- changing


def hold(connection: Connection, ids: Sequence[int], why: str, now: float) -> int:
    """Let nobody try these until they are released; returns how many were not held before."""
    words = f"held: {why}" if why else "held"
    change = update(spool).where(spool.c.held == 0, spool.c.expires > CANCELLED)
    return _change(connection, ids, change.values(held=1, reason=words), now, "held", why=why)


def free(connection: Connection, ids: Sequence[int], now: float) -> int:
    """Let what is held be tried again, when its time comes or has come; returns how many were held.

    What should have been given up meanwhile is tried once more, as everything is.
    """
    change = update(spool).where(spool.c.held != 0).values(held=0, reason="released")
    return _change(connection, ids, change, now, "released")


def retry(connection: Connection, ids: Sequence[int], lane: Callable[[Any], str], now: float) -> int:
    """Make entries due now, and let their lanes, as `lane` names them, rest no more; returns how many.

    What is held is passed over.
    """
    for some in batches(ids):
        destinations.end_rests(connection, lane, and_(spool.c.id.in_(some), spool.c.held == 0), now)
    change = update(spool).where(spool.c.held == 0).values(next_attempt=now)
    return _change(connection, ids, change, now, "retried")


def reroute(connection: Connection, ids: Sequence[int], host: str, now: float) -> int:
    """Send entries for other servers to this host, or with "" where they would go; returns how many.

    What has failed on its old way is tried on the new one at once; the rest has its time.
    """
    due = case((and_(spool.c.attempts > 0, spool.c.next_attempt > now), now), else_=spool.c.next_attempt)
    change = update(spool).where(spool.c.kind == "remote", spool.c.expires > CANCELLED)
    return _change(connection, ids, change.values(place=host, next_attempt=due), now, "rerouted", host=host or "mx")


def cancel(connection: Connection, ids: Sequence[int], now: float) -> int:
    """Let entries fail for good at their next attempt, which is now, so that their senders hear of it.

    One for another server gets a way of its own ("none"), for its own destination may rest.
    """
    place = case((spool.c.kind == "remote", "none"), else_=spool.c.place)
    change = update(spool).where(spool.c.expires > CANCELLED).values(
        place=place, expires=CANCELLED, next_attempt=now, held=0, reason="removed by an operator"
    )
    return _change(connection, ids, change, now, "removed", bounce=True)


def remove(connection: Connection, contents: Path, ids: Sequence[int], now: float) -> int:
    """Take entries out, and nobody gets a bounce; returns how many."""
    gone: list[Any] = []
    for some in batches(ids):
        gone += connection.execute(
            delete(spool).where(spool.c.id.in_(some)).returning(spool.c.content_id, spool.c.recipient)
        )
    _tell(connection, gone, now, "removed")
    release_many(connection, contents, [row.content_id for row in gone])
    return len(gone)


def _change(
    connection: Connection, ids: Sequence[int], change: Update, now: float, kind: str, **fields: Any
) -> int:
    changed: list[Any] = []
    for some in batches(ids):
        changed += connection.execute(
            change.where(spool.c.id.in_(some)).returning(spool.c.content_id, spool.c.recipient)
        )
    _tell(connection, changed, now, kind, **fields)
    return len(changed)


def _tell(connection: Connection, changed: Sequence[Any], now: float, kind: str, **fields: Any) -> None:
    """An event in the story of each message."""
    whose: dict[int, list[str]] = {}
    for content_id, recipient in changed:
        whose.setdefault(content_id, []).append(recipient)
    said = {name: value for name, value in fields.items() if value}
    records = []
    for id, recipients in whose.items():
        more = {"more": len(recipients) - MOST_NAMED} if len(recipients) > MOST_NAMED else {}
        records.append((id, event(now, kind, recipients=recipients[:MOST_NAMED], **more, **said, by=OPERATOR)))
    traces.append_many(connection, records)


# -- all of it at a glance


class Sums:
    """Counts entries by domain, state and reason; numbers in reasons (ids, times, addresses) are one.

    `most` groups are told apart; what comes after them is counted under the domain "…".
    """

    COLUMNS = ("domain", "held", "next_attempt", "owner", "lease", "created", "reason")

    def __init__(self, now: float, general: Callable[[str], str], most: int = 50_000) -> None:
        self._now = now
        self._general = general
        self._most = most
        self._sums: dict[tuple[str, str, str], list[float]] = {}       # count, oldest, next attempt

    def add(self, found: Sequence[Any]) -> None:
        """Some more rows, of `COLUMNS`."""
        now, sums, general = self._now, self._sums, self._general
        for domain, held, due, owner, lease, created, reason in found:
            ready = due <= now or (owner and lease > now)
            state = "held" if held else "ready" if ready else "waiting"
            key = domain, state, general(reason)
            known = sums.get(key)
            if known is None and len(sums) >= self._most:
                key = "…", state, ""
                known = sums.get(key)
            if known is None:
                sums[key] = [1, created, due]
                continue
            known[0] += 1
            if created < known[1]:
                known[1] = created
            if due < known[2]:
                known[2] = due

    def told(self) -> list[dict[str, Any]]:
        """An object for each group, the largest first."""
        found = [
            {"domain": domain, "state": state, "reason": reason, "count": int(count), "oldest": oldest,
             "next_attempt": due}
            for (domain, state, reason), (count, oldest, due) in self._sums.items()
        ]
        return sorted(found, key=lambda each: (-each["count"], each["domain"], each["state"], each["reason"]))


@dataclass(slots=True)
class Waiting:
    """What waits for one lane."""

    count: int = 0
    ready: int = 0
    held: int = 0
    oldest: float = float("inf")
    next_attempt: float = float("inf")
    reason: str = ""            # of one of them


def by_lane(connection: Connection, lane: Callable[[Any], str], now: float, most: int = 50_000) -> dict[str, Waiting]:
    """What waits, by what `lane` says of (kind, place, domain); what comes behind `most` lanes is the lane "…"."""
    # Of smarthosts that are chosen by sender, the lanes are told as the domain has them.
    ways = (spool.c.kind, spool.c.place, spool.c.domain, literal("").label("login"), literal("").label("sender"))
    query = select(
        *ways,
        func.count().label("count_"),
        func.sum(case((state_is("ready", now), 1), else_=0)).label("ready"),
        func.sum(case((spool.c.held != 0, 1), else_=0)).label("held"),
        func.min(spool.c.created).label("oldest"),
        func.min(spool.c.next_attempt).label("next_attempt"),
        func.max(spool.c.reason).label("reason"),
    ).group_by(*ways[:3])
    lanes: dict[str, Waiting] = {}
    with connection.execute(query.execution_options(yield_per=1000)) as rows:
        for row in rows:
            name = lane(row)
            if name not in lanes and len(lanes) >= most:
                name = "…"
            waiting = lanes.setdefault(name, Waiting())
            waiting.count += row.count_
            waiting.ready += row.ready
            waiting.held += row.held
            waiting.oldest = min(waiting.oldest, row.oldest)
            waiting.next_attempt = min(waiting.next_attempt, row.next_attempt)
            waiting.reason = waiting.reason or row.reason
    return lanes
