"""``mailserver queue hold``, ``release``, ``retry``, ``remove`` and ``route``: what is done with what waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from mailserver import tomlvalues as values
from mailserver.cli.chosen import choosing_some, found, with_host
from mailserver.cli.given import configuration, opened_database
from mailserver.cli.shown import plural
from mailserver.control.client import NoServer, Refused, ask
from mailserver.delivery.lanes import Lanes
from mailserver.store import queue
from mailserver.store.queue import Choice
from mailserver.tomltable import Wrong

BREATH = 0.05               # seconds at most between two transactions, in which others have their turn

Change = Callable[[Connection, Any, float], int]


@click.command("hold")
@choosing_some
@click.option("--why", default="", metavar="TEXT", help="The reason, which list, show and trace tell.")
def hold(choice: Choice, limit: int | None, why: str) -> None:
    """Let nobody try them, until they are released."""
    count = _change(choice, limit, lambda connection, ids, now: queue.hold(connection, ids, why, now))
    click.echo(f"{plural(count, 'entry is', 'entries are')} held")


@click.command("release")
@choosing_some
def release(choice: Choice, limit: int | None) -> None:
    """Let what is held be tried again."""
    count = _change(choice, limit, queue.free)
    click.echo(f"{plural(count, 'entry is', 'entries are')} released")


@click.command("retry")
@choosing_some
def retry(choice: Choice, limit: int | None) -> None:
    """Try again now, where the destination rests too."""
    lane = Lanes(configuration().outbound).of
    count = _change(choice, limit, lambda connection, ids, now: queue.retry(connection, ids, lane, now))
    click.echo(f"{plural(count, 'entry is', 'entries are')} tried again now")


@click.command("remove")
@choosing_some
@click.option("--bounce", is_flag=True, help="Tell the senders that their mail was not delivered.")
def remove(choice: Choice, limit: int | None, bounce: bool) -> None:
    """Take entries out of the queue; nobody gets a bounce, unless --bounce says so."""
    if bounce:
        count = _change(choice, limit, queue.cancel)
        click.echo(f"{plural(count, 'entry is', 'entries are')} removed, and the senders are told")
        return
    contents: Path = configuration().data / "contents"
    count = _change(choice, limit, lambda connection, ids, now: queue.remove(connection, contents, ids, now))
    click.echo(f"{plural(count, 'entry is', 'entries are')} removed")


@click.command("route")
@with_host
@choosing_some
@click.option("--mx", is_flag=True, help="No host: they go where the configuration and the DNS send them.")
def route(choice: Choice, limit: int | None, mx: bool, host: str) -> None:
    """Send them by HOST, which is "tcp:relay.example.net:25", or by another way that [outbound.route] may name."""
    if mx == bool(host):
        raise click.UsageError("say either a host, tcp:relay.example.net:25, or --mx")
    try:
        place = values.route(host) if host else ""
    except Wrong as error:
        raise click.UsageError(f"the host {error}") from None
    count = _change(choice, limit, lambda connection, ids, now: queue.reroute(connection, ids, place, now))
    way = f"by {place}" if place else "where it would" if count == 1 else "where they would"
    click.echo(f"{plural(count, 'entry goes', 'entries go')} {way}")


def _change(choice: Choice, limit: int | None, change: Change) -> int:
    """Batch by batch; a server that runs gets its turn between them, and is told to look at the end."""
    config = configuration()
    count = 0
    with opened_database(config) as database:
        for some in queue.pages(found(database, choice, limit)):
            began = time.monotonic()
            with database.transaction() as connection:
                count += change(connection, some, choice.now)
            if len(some) == queue.MOST_CHANGED:
                time.sleep(min(BREATH, time.monotonic() - began))
    if count:
        try:
            ask(config.data, "wake")
        except (NoServer, Refused):
            pass                # nobody is there, or it looks by itself within seconds
    return count
