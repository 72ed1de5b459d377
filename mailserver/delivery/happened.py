"""What listeners hear, and what is counted, of an attempt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from mailserver.delivery.booking import SUPPRESSED
from mailserver.delivery.classify import Kind
from mailserver.delivery.result import DEFERRED, DELIVERED, Result
from mailserver.events import Event
from mailserver.figures import Figures
from mailserver.listeners import Events
from mailserver.store.spool import Entry

Told: TypeAlias = tuple[Entry, Result, Kind | None, float]
"""An entry, how it ended, what a failure is about, and when it is tried again."""


def tell(events: Events, ended: Sequence[Told], now: float) -> None:
    """How an attempt ended for each of its recipients, once that is written down."""
    for entry, result, about, following in ended:
        wanted = [kind for kind in ("attempted", _outcome(result)) if events.wanted(kind)]
        if not wanted:
            continue
        sender, more = str(entry.sender or ""), dict(_more(entry, result, about, following))
        for kind in wanted:
            events.tell(Event(kind, entry.content_id, now, sender, str(entry.recipient), more))


def count(figures: Figures, lane: str, ended: Sequence[Told], now: float) -> None:
    """The same for whoever only counts."""
    for entry, result, _, _ in ended:
        figures.attempts[result.kind, result.tls.partition(" ")[0] or "none"] += 1
        if result.kind == DELIVERED:
            figures.delivery_seconds.add(max(0.0, now - entry.created))
            figures.pace.add(lane, now)


def _outcome(result: Result) -> str:
    if result.kind in (DELIVERED, DEFERRED):
        return result.kind
    if result.words.startswith(SUPPRESSED):
        return "suppressed"
    return "expired" if result.given_up else "bounced"


def _more(entry: Entry, result: Result, about: Kind | None, following: float) -> Iterator[tuple[str, Any]]:
    yield "target", str(entry.target)
    yield "result", result.kind
    for name in ("host", "address", "source", "tls", "policy"):
        if value := getattr(result, name):
            yield name, value
    yield "reply", result.words
    if result.kind != DELIVERED:
        yield "status", result.status
    elif result.reply is not None and result.reply.status:
        yield "status", result.reply.status
    if about is not None:
        yield "class", about.value
    yield "attempt", entry.attempts
    if result.kind == DEFERRED:
        yield "next", round(following, 3)
