"""``mailserver mailbox restore``: removed messages, and deleted mailboxes, come back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from mailserver.cli.chosen import seconds
from mailserver.cli.given import configuration, opened_database
from mailserver.cli.sharing import owned
from mailserver.cli.shown import as_json, plural, show_json, show_json_array, show_rows, when
from mailserver.config import Config
from mailserver.errors import NotFound
from mailserver.imap.names import canonical
from mailserver.imapstore import Removed
from mailserver.mime.folding import fold
from mailserver.mime.headers import collect
from mailserver.mime.words import decode
from mailserver.store import contents
from mailserver.store.database import Database
from mailserver.store.restoring import RESTORED, removed_messages
from mailserver.store.restoring import restore as bring_back

HEADER = 16 * 1024          # octets of a message in which its subject is looked for
WANTED = frozenset((b"subject", b"from"))


@click.command("restore")
@click.argument("address")
@click.argument("mailbox", required=False)
@click.option("--since", metavar="TIME", help='Only what was removed lately: "2d", "3h".')
@click.option("--subject", metavar="TEXT", help="Only those with this in the subject.")
@click.option("--list", "only_list", is_flag=True, help="Show what could be restored, and change nothing.")
@as_json
def restore(
    address: str, mailbox: str | None, since: str | None, subject: str | None, only_list: bool, json_wanted: bool
) -> None:
    """Bring back what was removed, with new UIDs: into the mailbox where it was.

    With MAILBOX, only what was in the mailbox of this name; one that was deleted is made again.  Without, what was
    in mailboxes that were deleted comes into "Restored".
    """
    config, name = configuration(), canonical(mailbox) if mailbox else None
    earliest = max(
        time.time() - config.keeping.undelete, time.time() - seconds(since, "--since") if since else 0.0
    )
    with opened_database(config) as database:
        with database.reading() as connection:
            account = owned(connection, address)
        pages = _pages(database, account.id, name, earliest, subject, only_list)
        if only_list:
            _show((each for page in pages for each in page), json_wanted)
            return
        done = _restore(database, config, account.id, pages, name or RESTORED)
    if json_wanted:
        show_json([{"mailbox": each, "messages": count} for each, count in sorted(done.items())])
    elif not done:
        click.echo("there is nothing to restore")
    for each, count in sorted(done.items()) if not json_wanted else ():
        click.echo(f"{each}: {plural(count, 'message is', 'messages are')} back")


def _restore(
    database: Database, config: Config, account_id: int, pages: Iterator[Sequence[tuple[Removed, dict[str, str]]]],
    into: str,
) -> dict[str, int]:
    """Page by page, each a short transaction: what is done stays done."""
    done: dict[str, int] = {}
    for page in pages:
        if not page:
            continue
        with database.transaction() as connection:
            some = bring_back(
                connection, account_id, [each for each, _ in page], into, time.time(), config.usual_quota
            )
        for name, count in some.items():
            done[name] = done.get(name, 0) + count
    return done


def _pages(
    database: Database, account_id: int, name: str | None, since: float, subject: str | None, told: bool
) -> Iterator[Sequence[tuple[Removed, dict[str, str]]]]:
    """What was removed, with subject and sender where somebody looks at them."""
    after = None
    while True:
        with database.reading() as connection:
            found = removed_messages(connection, account_id, name, since, after)
            page = [
                (each, _header(connection, database.contents, each) if told or subject else {}) for each in found
            ]
        if not found:
            return
        after = found[-1].key
        yield [(each, about) for each, about in page if not subject or fold(subject) in fold(about["subject"])]


def _header(connection: Any, folder: Path, message: Removed) -> dict[str, str]:
    try:
        octets = contents.beginning(connection, folder, message.key.content_id, HEADER)
    except (NotFound, FileNotFoundError):
        octets = b""
    end = octets.find(b"\r\n\r\n")
    fields = collect(octets, 0, end + 2 if end >= 0 else len(octets), WANTED, HEADER)
    return {each.decode(): decode(fields.get(each, b"")) for each in sorted(WANTED)}


def _show(found: Iterator[tuple[Removed, dict[str, str]]], json_wanted: bool) -> None:
    if json_wanted:
        show_json_array(
            {
                "mailbox": each.name, "is_deleted": not each.is_there, "removed": each.at, "why": each.why,
                "received": each.received, "octets": each.size, **about,
            }
            for each, about in found
        )
        return
    show_rows(
        ("removed", "mailbox", "why", "octets", "from", "subject"),
        (
            (when(each.at), each.name, each.why, each.size, about["from"][:40], about["subject"][:60])
            for each, about in found
        ),
        "there is nothing to restore",
    )
