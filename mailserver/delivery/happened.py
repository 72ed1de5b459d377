"""What listeners hear, and what is counted, of an attempt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mailserver.delivery.result import DEFERRED, DELIVERED, Result
from mailserver.events import Event
from mailserver.figures import Figures
from mailserver.listeners import Events
from mailserver.store.spool import Entry


def tell(events: Events, ended: Sequence[tuple[Entry, Result]], now: float, following: float) -> None:
    """How an attempt ended for each of its recipients, once that is written down."""
    for entry, result in ended:
        wanted = [kind for kind in ("attempted", _outcome(result)) if events.wanted(kind)]
        if not wanted:
            continue
        sender, more = str(entry.sender or ""), dict(_more(entry, result, following))
        for kind in wanted:
            events.tell(Event(kind, entry.content_id, now, sender, str(entry.recipient), more))


def count(figures: Figures, lane: str, ended: Sequence[tuple[Entry, Result]], now: float) -> None:
    """The same for whoever only counts."""
    for entry, result in ended:
        figures.attempts[result.kind, result.tls.partition(" ")[0] or "none"] += 1
        if result.kind == DELIVERED:
            figures.delivery_seconds.add(max(0.0, now - entry.created))
            figures.pace.add(lane, now)


def _outcome(result: Result) -> str:
    if result.kind in (DELIVERED, DEFERRED):
        return result.kind
    return "expired" if result.given_up else "bounced"


def _more(entry: Entry, result: Result, following: float) -> Iterator[tuple[str, Any]]:
    yield "target", str(entry.target)
    yield "result", result.kind
    for name in ("host", "address", "source", "tls", "policy"):
        if value := getattr(result, name):
            yield name, value
    yield "reply", result.words
    if result.kind != DELIVERED:
        yield "class", result.status
    elif result.reply is not None and result.reply.status:
        yield "class", result.reply.status
    yield "attempt", entry.attempts + 1
    if result.kind == DEFERRED:
        yield "next", round(following, 3)
