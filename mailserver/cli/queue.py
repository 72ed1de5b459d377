"""``mailserver queue``: mail that waits for its next attempt."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from mailserver.cli.given import configuration, reading, writing
from mailserver.cli.shown import as_json, plural, show_json, show_pairs, show_table, when
from mailserver.errors import MailserverError, NotFound
from mailserver.ident import read, spell
from mailserver.store import spool, traces
from mailserver.store.spool import Entry
from mailserver.story import event


@click.group("queue")
def command() -> None:
    """Mail that waits for its next attempt: which, why, and until when."""


def chosen(work: Callable[..., Any]) -> Callable[..., Any]:
    """The ways to say which entries are meant."""
    for option in (
        click.argument("ids", nargs=-1, metavar="[ID...]"),
        click.option("--domain", metavar="NAME", help="Those for one domain."),
        click.option("--sender", metavar="ADDRESS", help="Those from one sender; '' is the null sender."),
        click.option("--reason", metavar="TEXT", help="Those whose reason holds this text."),
    ):
        work = option(work)
    return work


everything = click.option("--all", "everything", is_flag=True, help="All of them.")


@command.command("list")
@chosen
@as_json
def list_(
    ids: Sequence[str], domain: str | None, sender: str | None, reason: str | None, json_wanted: bool
) -> None:
    """What waits, oldest first."""
    with reading() as connection:
        entries = spool.listing(connection, numbers(ids), domain, sender, reason)
    now = time.time()
    if json_wanted:
        show_json([about(each, now) for each in entries])
        return
    show_table(
        ("id", "state", "attempts", "next attempt", "sender", "recipient", "reason"),
        [
            (spell(each.id), each.state(now), each.attempts, when(each.next_attempt), each.sender or "<>",
             each.target, each.reason)
            for each in entries
        ],
        "the queue is empty",
    )


@command.command("show")
@click.argument("id")
@as_json
def show(id: str, json_wanted: bool) -> None:
    """One entry, by its id or that of its message."""
    (number,) = numbers([id]) or [0]
    with reading() as connection:
        entries = spool.listing(connection, [number])
    if not entries:
        raise NotFound(f"there is no entry {id} in the queue")
    now = time.time()
    if json_wanted:
        found = [about(each, now) for each in entries]
        show_json(found[0] if len(found) == 1 else found)
        return
    for each in entries:
        told = about(each, now)
        for key in ("next_attempt", "created", "expires"):
            told[key] = when(told[key])
        told["sender"] = told["sender"] or "<>"
        show_pairs((key.replace("_", " "), value) for key, value in told.items())


@command.command("retry")
@chosen
@everything
def retry(
    ids: Sequence[str], domain: str | None, sender: str | None, reason: str | None, everything: bool
) -> None:
    """Try again now."""
    with writing() as connection:
        entries = _wanted(connection, ids, domain, sender, reason, everything)
        count = spool.retry(connection, [each.id for each in entries], time.time())
    click.echo(f"{plural(count, 'entry is', 'entries are')} tried again now")


@command.command("remove")
@chosen
@everything
def remove(
    ids: Sequence[str], domain: str | None, sender: str | None, reason: str | None, everything: bool
) -> None:
    """Take entries out of the queue; nobody gets a bounce."""
    config = configuration()
    now = time.time()
    with writing(config) as connection:
        entries = _wanted(connection, ids, domain, sender, reason, everything)
        for each in entries:
            traces.append(
                connection, each.content_id, event(now, "removed", recipient=str(each.recipient), by="an operator")
            )
        count = spool.remove(connection, config.data / "contents", [each.id for each in entries])
    click.echo(f"{plural(count, 'entry is', 'entries are')} removed")


def _wanted(
    connection: Any, ids: Sequence[str], domain: str | None, sender: str | None, reason: str | None, everything: bool
) -> list[Entry]:
    if not ids and domain is None and sender is None and reason is None and not everything:
        raise click.UsageError("say which: an id, --domain, --sender, --reason or --all")
    entries = spool.listing(connection, numbers(ids), domain, sender, reason)
    if ids and not entries:
        raise NotFound(f"there is no entry {', '.join(ids)} in the queue")
    return entries


def numbers(ids: Sequence[str]) -> list[int] | None:
    """The ids that were spelled; None for none at all."""
    try:
        return [read(each) for each in ids] or None
    except ValueError as error:
        raise MailserverError(f"this is {error}") from None


def about(entry: Entry, now: float) -> dict[str, Any]:
    """An entry for programs; times are seconds since the epoch."""
    return {
        "id": spell(entry.id),
        "message": spell(entry.content_id),
        "sender": str(entry.sender) if entry.sender else "",
        "recipient": str(entry.recipient),
        "target": str(entry.target),
        "domain": entry.domain,
        "kind": entry.kind,
        "place": entry.place,
        "state": entry.state(now),
        "reason": entry.reason,
        "next_attempt": entry.next_attempt,
        "attempts": entry.attempts,
        "created": entry.created,
        "expires": entry.expires,
        "wishes": json.loads(entry.wishes.write() or "{}"),
    }
