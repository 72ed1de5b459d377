"""``mailserver queue list`` and ``show``: what waits, why, and until when."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import click

from mailserver.cli.chosen import choosing, found, numbers
from mailserver.cli.given import configuration, opened_database
from mailserver.cli.shown import as_json, show_json, show_json_array, show_pairs, show_rows, show_table, when
from mailserver.config import Outbound
from mailserver.delivery.lanes import Lanes
from mailserver.errors import NotFound
from mailserver.ident import spell
from mailserver.store import queue
from mailserver.store.database import Database
from mailserver.store.queue import Choice, Rest, Sums

PAGE = 1000                 # entries that are in memory at a time
MOST_SUMS = 50              # groups that a summary shows

_NUMBERS = re.compile(r"\S*\d\S*")
_CODE = re.compile(r"[245]\d\d(?:[ -][245]\.\d{1,3}\.\d{1,3})?|")


class Row(NamedTuple):
    """As much of an entry as is shown."""

    id: int
    content_id: int
    sender: str
    recipient: str
    target: str
    domain: str
    kind: str
    place: str
    held: int
    reason: str
    next_attempt: float
    attempts: int
    created: float
    expires: float
    owner: str
    lease: float
    wishes: str
    login: str


@click.command("list")
@choosing
@click.option("--summary", is_flag=True, help="How many there are by domain, state and reason, and the oldest.")
@as_json
def list_(choice: Choice, limit: int | None, summary: bool, json_wanted: bool) -> None:
    """What waits, oldest first."""
    config = configuration()
    with opened_database(config) as database:
        if summary:
            _summary(database, choice, limit, json_wanted)
            return
        ids = found(database, choice, limit)
        told = _told(database, ids, Looks(config.outbound, database, choice.now))
        if json_wanted:
            show_json_array(told)
            return
        show_rows(
            ("id", "state", "attempts", "next attempt", "sender", "recipient", "reason"),
            (
                (each["id"], each["state"], each["attempts"], when(each["next_attempt"]), each["sender"] or "<>",
                 each["target"], each["destination"] or each["reason"])
                for each in told
            ),
            "the queue is empty",
        )


@click.command("show")
@click.argument("id")
@as_json
def show(id: str, json_wanted: bool) -> None:
    """One entry, by its id or that of its message."""
    import time

    config = configuration()
    with opened_database(config) as database:
        choice = Choice(time.time(), numbers([id]))
        entries = list(_told(database, found(database, choice), Looks(config.outbound, database, choice.now)))
    if not entries:
        raise NotFound(f"there is no entry {id} in the queue")
    if json_wanted:
        show_json(entries[0] if len(entries) == 1 else entries)
        return
    for each in entries:
        for key in ("next_attempt", "created", "expires"):
            each[key] = when(each[key]) if each[key] > 0 else "now"
        each["sender"] = each["sender"] or "<>"
        each["wishes"] = ", ".join(f"{name}={value}" for name, value in each["wishes"].items())
        each.pop("rests")
        show_pairs((key.replace("_", " "), value) for key, value in each.items())


class Looks:
    """How entries look to an operator: what the spool has of them, and what was learned of where they go."""

    def __init__(self, outbound: Outbound, database: Database, now: float) -> None:
        self._lanes = Lanes(outbound)
        self._now = now
        with database.reading() as connection:
            self._resting = queue.resting(connection, now)

    def about(self, row: Row) -> dict[str, Any]:
        """An entry for programs; times are seconds since the epoch."""
        ready = row.next_attempt <= self._now or (row.owner and row.lease > self._now)
        way: Any = row              # of its kind, its place and its domain
        lane = self._lanes.of(way)
        rest = self._resting.get(lane)
        return {
            "id": spell(row.id),
            "message": spell(row.content_id),
            "sender": row.sender,
            "recipient": row.recipient,
            "target": row.target,
            "domain": row.domain,
            "kind": row.kind,
            "place": row.place,
            "lane": lane,
            "state": "held" if row.held else "ready" if ready else "waiting",
            "reason": row.reason,
            "destination": queue.in_words(rest, self._now) if rest is not None and not row.held else "",
            "rests": about_rest(rest) if rest is not None else None,
            "next_attempt": row.next_attempt,
            "attempts": row.attempts,
            "created": row.created,
            "expires": row.expires,
            "login": row.login,
            "wishes": json.loads(row.wishes or "{}"),
        }


def _told(database: Database, ids: Any, looks: Looks) -> Iterator[dict[str, Any]]:
    """Page by page: no transaction lasts while somebody reads what we print."""

    def page(some: Any) -> Iterator[dict[str, Any]]:
        with database.reading() as connection:
            rows = queue.rows(connection, some, Row._fields)
        return (looks.about(Row(*each)) for each in rows)

    return chain.from_iterable(map(page, queue.pages(ids, PAGE)))


def about_rest(rest: Rest) -> Mapping[str, Any]:
    """For programs."""
    return {name: getattr(rest, name) for name in ("until", "rule", "why", "failures", "connections")}


# -- at a glance


def _summary(database: Database, choice: Choice, limit: int | None, json_wanted: bool) -> None:
    sums = Sums(choice.now, general)
    for some in queue.pages(found(database, choice)):
        with database.reading() as connection:
            sums.add(queue.rows(connection, some, Sums.COLUMNS))
    told = sums.told()
    if json_wanted:
        show_json(told if limit is None else told[:limit])
        return
    most = limit or MOST_SUMS
    show_table(
        ("count", "domain", "state", "oldest", "next attempt", "reason"),
        [
            (each["count"], each["domain"], each["state"], when(each["oldest"]), when(each["next_attempt"]),
             each["reason"])
            for each in told[:most]
        ],
        "the queue is empty",
    )
    if len(told) > most:
        left = sum(each["count"] for each in told[most:])
        click.echo(f"and {len(told) - most} groups more, with {left} entries; --limit shows more of them")


@lru_cache(maxsize=4096)
def general(reason: str) -> str:
    """A reason without what differs from message to message: ids, times, addresses; its code stays."""
    code = _CODE.match(reason)
    assert code is not None
    return code[0] + _NUMBERS.sub("#", reason[code.end():])
