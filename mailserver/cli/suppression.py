"""``mailserver suppression``: who is not written to any more."""

from __future__ import annotations

import time
from typing import Any

import click

from mailserver.cli.given import reading, writing
from mailserver.cli.shown import as_json, show_json, show_pairs, show_table, when
from mailserver.config import parse_account
from mailserver.errors import MailserverError
from mailserver.ident import spell
from mailserver.store import suppressions
from mailserver.store.suppressions import Suppression
from mailserver.tomltable import Wrong
from mailserver.tomlvalues import duration

LONGEST_REASON = 500        # characters


@click.group("suppression")
def command() -> None:
    """Who is not written to any more: because mail for them bounced, because they complained, or by your word."""


@command.command("list")
@click.option("--domain", metavar="NAME", help="Those of one domain.")
@click.option("--limit", default=1000, show_default=True, help="At most so many, the newest first.")
@as_json
def list_(domain: str | None, limit: int, json_wanted: bool) -> None:
    """All of them, the newest first."""
    with reading() as connection:
        found = suppressions.listing(connection, time.time(), domain, limit)
    if json_wanted:
        show_json([about(each) for each in found])
        return
    show_table(
        ("address", "since", "until", "by", "reason"),
        [(each.address, when(each.created), _until(each), each.by, each.reason) for each in found],
        "everybody is written to",
    )


@command.command("show")
@click.argument("address")
@as_json
def show(address: str, json_wanted: bool) -> None:
    """Why one address is not written to."""
    with reading() as connection:
        found = suppressions.show(connection, parse_account(address), time.time())
    if json_wanted:
        show_json(about(found))
        return
    show_pairs([
        ("address", found.address), ("since", when(found.created)), ("until", _until(found)), ("by", found.by),
        ("kind", found.kind), ("reason", found.reason), ("message", about(found)["message"]),
    ])


@command.command("add")
@click.argument("address")
@click.option("--reason", default="", metavar="TEXT", help="Why; senders read it.")
@click.option("--for", "period", metavar="TIME", help='For so long: "30d"; else for ever.')
def add(address: str, reason: str, period: str | None) -> None:
    """Write to ADDRESS no more."""
    now = time.time()
    try:
        until = now + duration(period) if period else 0.0
    except Wrong as error:
        raise MailserverError(f"--for {error}") from None
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise MailserverError(f"a reason is one line of at most {LONGEST_REASON} characters")
    with writing() as connection:
        suppressions.add(connection, parse_account(address), reason or "no reason was given", now, until)
    click.echo(f"{address} is not written to any more")


@command.command("remove")
@click.argument("address")
def remove(address: str) -> None:
    """Write to ADDRESS again."""
    with writing() as connection:
        suppressions.remove(connection, parse_account(address))
    click.echo(f"{address} is written to again")


def about(each: Suppression) -> dict[str, Any]:
    """One for programs; times are seconds since the epoch, an "until" of 0 is for ever."""
    return {
        "address": each.address, "kind": each.kind, "reason": each.reason, "by": each.by, "created": each.created,
        "until": each.until, "message": spell(each.message_id) if each.message_id else "",
    }


def _until(each: Suppression) -> str:
    return when(each.until) if each.until else "for ever"
