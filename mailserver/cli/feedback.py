"""``mailserver feedback``: what others said of our mail, and what failed here."""

from __future__ import annotations

import click

from mailserver.cli.given import reading
from mailserver.cli.shown import as_json, show_json, show_table, when
from mailserver.cli.trace import time_of
from mailserver.feedback.kinds import Kind
from mailserver.feedback.told import Sort
from mailserver.store import feedback

KINDS = (*(each.value for each in Sort), *(each.value for each in Kind))


@click.group("feedback")
def command() -> None:
    """Bounces, delays and complaints, as they were booked."""


@command.command("list")
@click.option("--since", metavar="WHEN", help='"2h", "3d", or a date: "2026-11-24", "2026-11-24 08:00".')
@click.option("--recipient", metavar="TEXT", help="Of addresses that hold this.")
@click.option("--kind", type=click.Choice(KINDS), metavar="KIND", help="bounce, complaint ...; gone, full ...")
@click.option("--limit", default=50, show_default=True, help="At most so many, the newest first.")
@as_json
def list_(since: str | None, recipient: str | None, kind: str | None, limit: int, json_wanted: bool) -> None:
    """What was booked, the newest first."""
    with reading() as connection:
        found = feedback.listing(connection, time_of(since) if since else None, recipient, kind, limit)
    if json_wanted:
        show_json(found)
        return
    show_table(
        ("when", "sort", "recipient", "kind", "status", "message", "proof", "text"),
        [
            (when(each["at"]), each["sort"], each["recipient"], each["kind"], each["status"], each["message"],
             each["proof"], each["text"])
            for each in found
        ],
        "nothing was booked",
    )
