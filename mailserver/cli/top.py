"""``mailserver queue top``: where mail goes at this moment, and where it waits."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click

from mailserver.cli.given import configuration, opened_database
from mailserver.cli.shown import as_json, plain, show_json, show_table, when
from mailserver.cli.waiting import about_rest
from mailserver.config import Config
from mailserver.control.client import NoServer, Refused, ask
from mailserver.delivery.lanes import Lanes
from mailserver.store import queue
from mailserver.store.database import Database

EASE = 4.0                  # how many times as long as a look took it waits for the next one, at least
HEADS = ("destination", "queued", "ready", "held", "active", "per minute", "oldest", "what it says")


@click.command("top")
@click.option("--once", is_flag=True, help="Show it once, as plain text.")
@click.option("--every", type=click.FloatRange(0.2), default=2.0, show_default=True, metavar="SECONDS",
              help="How often to look anew.")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, metavar="N",
              help="Only so many destinations, those with the most.")
@as_json
def command(once: bool, every: float, limit: int, json_wanted: bool) -> None:
    """Watch the destinations: what waits for each, what is being sent, what rests and why."""
    config = configuration()
    with opened_database(config) as database:
        if json_wanted:
            show_json(look(config, database)[:limit])
        elif once or not sys.stdout.isatty():
            rows = look(config, database)
            show_table(HEADS, [_row(each) for each in rows[:limit]], "the queue is empty")
        else:
            _watch(config, database, every, limit)


def look(config: Config, database: Database) -> list[dict[str, Any]]:
    """An object for each destination: those where something is being sent first, then by what waits."""
    now = time.time()
    lanes = Lanes(config.outbound)
    with database.reading() as connection:
        waiting = queue.by_lane(connection, lanes.of, now)
        rests = queue.resting(connection, now)
    at_work, rates = _of_server(config)
    active = Counter(str(each.get("lane")) for each in at_work)
    told = []
    for name in {*waiting, *active, *rates, *rests}:
        some = waiting.get(name, queue.Waiting())
        rest = rests.get(name)
        told.append({
            "destination": name,
            "queued": some.count,
            "ready": some.ready,
            "held": some.held,
            "active": active[name],
            "at_work": [each for each in at_work if each.get("lane") == name],
            "per_minute": rates.get(name, 0),
            "oldest": some.oldest if some.count else None,
            "next_attempt": some.next_attempt if some.count else None,
            "rests": about_rest(rest) if rest is not None else None,
            "says": queue.in_words(rest, now) if rest is not None else some.reason,
        })
    return sorted(told, key=lambda each: (-each["active"], -each["queued"], each["destination"]))


def _of_server(config: Config) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, float]]:
    """What is being sent, and how fast; nothing, where no server runs."""
    try:
        told = ask(config.data, "queue")
    except (NoServer, Refused):
        return [], {}
    return told["at_work"], told["rates"]


def _row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        each["destination"], each["queued"], each["ready"], each["held"], each["active"], f"{each['per_minute']:g}",
        when(each["oldest"]) if each["oldest"] is not None else "-", each["says"],
    )


def _watch(config: Config, database: Database, every: float, limit: int) -> None:
    """Until somebody has seen enough (Ctrl-C)."""
    from rich.live import Live

    with Live(screen=True, auto_refresh=False) as live:
        try:
            while True:
                began = time.monotonic()
                rows = look(config, database)
                live.update(_picture(config, rows, limit), refresh=True)
                time.sleep(max(every, EASE * (time.monotonic() - began)))
        except KeyboardInterrupt:
            return


def _picture(config: Config, rows: Sequence[Mapping[str, Any]], limit: int) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    queued, active = (sum(each[name] for each in rows) for name in ("queued", "active"))
    title = f"{config.hostname}  {when(time.time())}  {queued} queued, {active} being sent, {len(rows)} destinations"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in HEADS:
        table.add_column(head, justify="right" if head in HEADS[1:6] else "left", no_wrap=head != HEADS[-1])
    for each in rows[:limit]:
        table.add_row(*(Text(plain(cell)) for cell in _row(each)), style="dim" if each["rests"] else "")
    return Group(Text(title), Text(), table)
