"""``mailserver trace``: the story of a message."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

from mailserver.cli.given import reading
from mailserver.cli.shown import as_json, plain, show_json, show_table, when
from mailserver.cli.told import lines
from mailserver.errors import MailserverError, NotFound
from mailserver.ident import read
from mailserver.store import queue, traces

_AGO = re.compile(r"(\d+)\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.command("trace")
@click.argument("id", required=False)
@click.option("--to", "recipient", metavar="TEXT", help="Messages for addresses that hold this.")
@click.option("--from", "sender", metavar="TEXT", help="Messages from addresses that hold this.")
@click.option("--since", metavar="WHEN", help='"2h", "3d", or a date: "2026-11-24", "2026-11-24 08:00".')
@click.option("--limit", default=50, show_default=True, help="At most so many messages, the newest first.")
@as_json
def command(
    id: str | None, recipient: str | None, sender: str | None, since: str | None, limit: int, json_wanted: bool
) -> None:
    """Tell one message's whole story by its ID, or find messages by --to, --from and --since."""
    if id is not None:
        if recipient or sender or since:
            raise click.UsageError("say either an id, or --to, --from and --since")
        _tell(id, json_wanted)
        return
    if not (recipient or sender or since):
        raise click.UsageError("say an id, --to, --from or --since")
    with reading() as connection:
        found = traces.search(connection, recipient, sender, time_of(since) if since else None, limit)
    if json_wanted:
        show_json(found)
        return
    show_table(
        ("id", "when", "sender", "recipients", "reply"),
        [
            (each["id"], when(each["at"]), each.get("sender") or "<>", ", ".join(each.get("recipients", ())),
             each.get("reply", ""))
            for each in found
        ],
        "there is no such message",
    )


def _tell(id: str, json_wanted: bool) -> None:
    try:
        number = read(id)
    except ValueError as error:
        raise MailserverError(f"this is {error}") from None
    with reading() as connection:
        try:
            story = traces.story(connection, number)
        except NotFound:
            # Entries of the queue have ids of their own; their message's story is what is meant.
            entries = queue.listing(connection, [number], limit=1)
            if not entries:
                raise
            story = traces.story(connection, entries[0].content_id)
    if json_wanted:
        show_json(story)
        return
    for record in story:
        for line in lines(record):
            click.echo(plain(line))


def time_of(since: str) -> float:
    """A time in seconds since the epoch; a date without a zone is of the clock on the wall here."""
    ago = _AGO.fullmatch(since.strip())
    if ago is not None:
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(since).timestamp()
    except ValueError:
        raise click.UsageError(f'--since needs "2h", "3d" or a date, not {since!r}') from None
