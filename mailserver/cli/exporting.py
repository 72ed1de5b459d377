"""``mailserver export``: an account in one file."""

from __future__ import annotations

from pathlib import Path

import click

from mailserver.cli.given import configuration, opened_database
from mailserver.cli.progress import progress
from mailserver.cli.shown import as_json, plural, show_json
from mailserver.cli.user import named
from mailserver.errors import NotFound
from mailserver.imap.names import canonical
from mailserver.moving.taking import Taking
from mailserver.store import directory, mailboxes


@click.command("export")
@click.argument("address")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--mailbox", "only", multiple=True, metavar="NAME", help="Only this; may be given several times.")
@click.option(
    "--format", "form", type=click.Choice(("maildir", "mbox")), default="maildir", show_default=True,
    help="What is in the zip: a Maildir++, or a file for each mailbox.",
)
@as_json
def command(address: str, file: Path, only: tuple[str, ...], form: str, json_wanted: bool) -> None:
    """All mail of an account in a zip: with flags, keywords, dates and subscriptions."""
    if file.exists():
        raise click.UsageError(f"{file} is there already")
    with opened_database(configuration()) as database:
        with database.reading() as connection:
            account = directory.find_account(connection, named(address).key)
            if account is None:
                raise NotFound(f"there is no account {address}")
            wanted = {canonical(each) for each in only}
            boxes = mailboxes.status(connection, account.id, wanted or None)
        missing = wanted - {each.name for each in boxes}
        if missing:
            raise NotFound(f"there is no mailbox {min(missing)}")
        with progress(sum(each.messages for each in boxes), "messages") as advance:
            taking = Taking(database, account.id, form, advance)
            taking.run(file, boxes)
    if json_wanted:
        show_json({
            "messages": taking.messages, "octets": taking.octets, "mailboxes": len(boxes),
            "skipped": [{"what": what, "why": why} for what, why in taking.skipped],
        })
    else:
        click.echo(
            f"{plural(taking.messages, 'message', 'messages')} of {plural(len(boxes), 'mailbox', 'mailboxes')},"
            f" {taking.octets} octets, are in {file}"
        )
