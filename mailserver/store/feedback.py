"""The book of what became of our mail elsewhere, and what follows from it: who is not written to any more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text

from mailserver.address import Address
from mailserver.errors import BadAddress
from mailserver.feedback.kinds import Kind
from mailserver.feedback.rules import Rules
from mailserver.feedback.told import Sort
from mailserver.ident import spell
from mailserver.store import suppressions, traces
from mailserver.store.schema import feedback, spool, trace
from mailserver.store.suppressions import Suppression
from mailserver.story import event

MOST = 500_000              # rows; the oldest go
MOST_FORGOTTEN = 5000       # rows of one transaction
LONGEST_TEXT = 1000         # characters

OWN, VERP, TRACE = "own", "verp", "trace"
# What only somebody who was there can have: others than the recipient may know a message's id.
_STRONG = (OWN, VERP)


@dataclass(frozen=True, slots=True)
class Booking:
    """One thing that was said of one recipient; `message_id` is our message's.

    `proof` is "own" (we saw it ourselves), "verp" (it came to a keyed reverse-path), or "trace" (it names a message
    that we sent to this recipient).  Nobody is suppressed for the last: each recipient of a message knows its id.
    """

    at: float
    sort: Sort
    recipient: Address
    kind: Kind
    status: str
    message_id: int
    proof: str
    reporter: str = ""
    text: str = ""


def book(connection: Connection, bookings: Sequence[Booking], rules: Rules) -> list[bool]:
    """Write these down, tell the stories of their messages, and suppress whom the rules say.

    False for what stands there already: a report that comes twice is booked once.
    """
    done = []
    events: list[tuple[int, str]] = []
    for each in bookings:
        if _is_there(connection, each):
            done.append(False)
            continue
        connection.execute(insert(feedback).values(
            at=each.at, sort=each.sort.value, key=each.recipient.key, recipient=str(each.recipient),
            kind=each.kind.value, status=each.status, message_id=each.message_id, proof=each.proof,
            reporter=each.reporter[:255], text=each.text[:LONGEST_TEXT],
        ))
        done.append(True)
        if each.proof != OWN:
            events.append((each.message_id, event(
                each.at, "feedback", sort=each.sort.value, recipient=str(each.recipient), about=each.kind.value,
                status=each.status, reporter=each.reporter[:255], proof=each.proof, said=each.text[:LONGEST_TEXT],
            )))
        new = _follows(connection, each, rules)
        if new is not None:
            suppressions.put(connection, new)
            events.append((each.message_id, event(
                each.at, "suppressed", recipient=new.address, why=new.reason, until=new.until,
            )))
    known = _with_stories(connection, {id for id, _ in events})
    traces.append_many(connection, [(id, record) for id, record in events if id in known])
    return done


def _is_there(connection: Connection, each: Booking) -> bool:
    query = select(feedback.c.id).where(
        feedback.c.key == each.recipient.key, feedback.c.message_id == each.message_id,
        feedback.c.sort == each.sort.value,
    )
    return connection.execute(query.limit(1)).first() is not None


def _follows(connection: Connection, each: Booking, rules: Rules) -> Suppression | None:
    """The suppression that this leads to; None when none does, or one stands already."""
    if not rules.automatic or each.proof not in _STRONG:
        return None
    key, address = each.recipient.key, str(each.recipient)
    if suppressions.find(connection, key, each.at) is not None:
        return None
    new = Suppression(key, address, "", "", "automatic", each.at, 0.0, each.message_id)
    if each.sort is Sort.COMPLAINT and rules.complaints:
        until = each.at + rules.complaint_until if rules.complaint_until else 0.0
        return replace(new, kind="complaint", reason=f"complained of {spell(each.message_id)}", until=until)
    if each.sort is not Sort.BOUNCE or each.kind is not Kind.GONE:
        return None
    count = connection.execute(
        select(func.count(func.distinct(feedback.c.message_id))).where(
            feedback.c.key == key, feedback.c.sort == Sort.BOUNCE.value, feedback.c.kind == Kind.GONE.value,
            feedback.c.proof.in_(_STRONG), feedback.c.at > each.at - rules.within,
        )
    ).scalar() or 0
    if count < rules.bounces:
        return None
    until = each.at + rules.bounce_until if rules.bounce_until else 0.0
    times = "one message" if count == 1 else f"{count} messages"
    reason = f"{times} bounced: {each.text or each.status or 'nobody is there'}"
    return replace(new, kind="bounce", reason=reason[:LONGEST_TEXT], until=until)


def _with_stories(connection: Connection, ids: set[int]) -> set[int]:
    query = select(trace.c.id).where(trace.c.id.in_(ids), trace.c.number == 0)
    return set(connection.execute(query).scalars()) if ids else set()


def recipients_of(connection: Connection, message_id: int) -> list[Address]:
    """To whom the message with this id went: as its sender named them, and as they were sent to.  Empty: not ours."""
    found: dict[str, Address] = {}
    query = select(trace.c.record).where(trace.c.id == message_id).order_by(trace.c.number).limit(2000)
    for written in connection.execute(query).scalars():
        record: dict[str, Any] = json.loads(written)
        named = [*record.get("recipients", ()), record.get("target", ""), record.get("recipient", "")]
        for each in named:
            try:
                address = Address.parse(each)
            except BadAddress:
                continue
            found[address.key] = address
    return list(found.values())


def sent_to(connection: Connection, message_id: int) -> list[Address]:
    """To whom it went at other servers: as its sender named them, and as they were sent to.  Empty: it did not leave.

    The id of what is delivered here its sender hears with the 250, and whoever he is could book what he wants for it.
    """
    found: dict[str, Address] = {}
    query = select(trace.c.record).where(
        trace.c.id == message_id, trace.c.number > 0, trace.c.record.contains('"delivered"')
    )
    records = connection.execute(query.order_by(trace.c.number).limit(2000)).scalars()
    stories: list[dict[str, Any]] = [json.loads(record) for record in records]
    named = [
        (each["recipient"], each["target"]) for each in stories
        if each.get("event") == "attempt" and each.get("result") == "delivered" and each.get("host")
    ]
    # Their report can be here before the end of our attempt is written down.
    tried = select(spool.c.recipient, spool.c.target).where(
        spool.c.owner != text("''"), spool.c.content_id == message_id, spool.c.kind == "remote"
    )
    named += [(row.recipient, row.target) for row in connection.execute(tried.limit(2000))]
    for each in (name for both in named for name in both):
        try:
            address = Address.parse(each)
        except BadAddress:
            continue
        found.setdefault(address.key, address)
    return list(found.values())


def listing(
    connection: Connection,
    since: float | None = None,
    recipient: str | None = None,
    kind: str | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest first, for programs; `kind` is what it is about, or of which sort it is."""
    query = select(feedback).order_by(feedback.c.at.desc(), feedback.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(feedback.c.at >= since)
    if recipient is not None:
        query = query.where(feedback.c.key.icontains(recipient, autoescape=True))
    if kind is not None:
        query = query.where((feedback.c.kind == kind) | (feedback.c.sort == kind))
    return [
        {
            "at": row.at, "sort": row.sort, "recipient": row.recipient, "kind": row.kind, "status": row.status,
            "message": spell(row.message_id), "proof": row.proof, "reporter": row.reporter, "text": row.text,
        }
        for row in connection.execute(query)
    ]


def purge(connection: Connection, before: float) -> bool:
    """Forget what is older, and the oldest beyond the most; True: there may be more, call again."""
    last = connection.execute(
        select(feedback.c.id).order_by(feedback.c.id.desc()).offset(MOST).limit(1)
    ).scalar()
    old = feedback.c.at < before if last is None else (feedback.c.at < before) | (feedback.c.id <= last)
    some = select(feedback.c.id).where(old).order_by(feedback.c.id).limit(MOST_FORGOTTEN)
    return connection.execute(delete(feedback).where(feedback.c.id.in_(some))).rowcount == MOST_FORGOTTEN
