"""``mailserver import``: mail of a Maildir, an mbox file, or another server comes into an account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mailserver.cli.given import configuration, opened_database, password, password_stdin
from mailserver.cli.progress import progress
from mailserver.cli.shown import as_json, plural, show_json, show_rows
from mailserver.cli.user import named
from mailserver.errors import MailserverError, NotFound, OverQuota
from mailserver.imap.names import canonical
from mailserver.moving.bringing import Bringing, Report
from mailserver.moving.imaps import Imaps, connect
from mailserver.moving.maildirs import Maildirs
from mailserver.moving.mbox import Mbox
from mailserver.moving.source import Source
from mailserver.store import directory, imported

SHOWN = 20              # of those that were skipped; the others are counted

into = click.option("--into", metavar="NAME", help="The mailbox that they come into, or below.")
again = click.option("--again", is_flag=True, help="Bring all of it, though it was brought before.")
PORTS = {"tls": 993, "starttls": 143, "none": 143}


@click.group("import")
def command() -> None:
    """Mail of a Maildir, an mbox file, or another server comes into an account.

    What was interrupted goes on when it is begun again, and nothing comes twice.
    """


@command.command("maildir")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("address")
@into
@again
@as_json
def maildir(path: Path, address: str, into: str | None, again: bool, json_wanted: bool) -> None:
    """A Maildir++ with all its folders, flags, keywords and dates; nothing is changed there."""
    _bring(address, lambda: Maildirs(path, canonical(into) if into else ""), again, json_wanted)


@command.command("mbox")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("address")
@into
@again
@as_json
def mbox(file: Path, address: str, into: str | None, again: bool, json_wanted: bool) -> None:
    """A file of messages, mboxo or mboxrd; into the mailbox that is called as the file."""
    _bring(address, lambda: Mbox(file, canonical(into or file.stem)), again, json_wanted)


@command.command("imap")
@click.argument("server", metavar="HOST[:PORT]")
@click.argument("user")
@click.argument("address")
@click.option("--tls", type=click.Choice(tuple(PORTS)), default="tls", show_default=True, help="How it is spoken.")
@click.option("--mailboxes", metavar="PATTERN", default="*", help='Only these, as files are named: "Lists/*".')
@into
@again
@password_stdin
@as_json
def imap(
    server: str, user: str, address: str, tls: str, mailboxes: str, into: str | None, again: bool,
    password_stdin: bool, json_wanted: bool,
) -> None:
    """An account on another IMAP server, with flags, keywords and dates; nothing is changed there."""
    host, _, port = server.partition(":")
    if port and not port.isdigit():
        raise click.UsageError("HOST may be followed by a colon and a port")
    secret = password(password_stdin)

    def source() -> Source:
        client = connect(host, int(port or PORTS[tls]), tls, user, secret)
        return Imaps(client, f"{user}@{host}:{port or PORTS[tls]}", canonical(into) if into else "", mailboxes)

    _bring(address, source, again, json_wanted)


def _bring(address: str, open_source: Callable[[], Source], again: bool, json_wanted: bool) -> None:
    config = configuration()
    if any(use.name == "maildir" for use in config.mailbox):
        raise click.UsageError("this is for the store sql; a Maildir is taken over as it is (howto/maildir)")
    with opened_database(config) as database:
        with database.reading() as connection:
            account = directory.find_account(connection, named(address).key)
        if account is None:
            raise NotFound(f"there is no account {address}")
        source = open_source()
        if again:
            with database.transaction() as connection:
                imported.forget(connection, account.id, source.identity)
        stopped: MailserverError | None = None
        with progress(source.total, "messages" if not isinstance(source, Mbox) else "octets") as advance:
            bringing = Bringing(database, account, source, config.usual_quota, config.limits.size, advance)
            try:
                bringing.run()
            except OverQuota as error:
                stopped = error
    _tell(bringing.report, json_wanted)
    if stopped is not None:
        raise stopped


def _tell(report: Report, json_wanted: bool) -> None:
    skipped: list[dict[str, Any]] = [{"what": what, "why": why} for what, why in report.skipped]
    if json_wanted:
        show_json({
            "messages": report.messages, "octets": report.octets, "mailboxes": sorted(report.mailboxes),
            "known": report.known, "skipped": skipped,
        })
        return
    click.echo(
        f"{plural(report.messages, 'message', 'messages')} came, {report.octets} octets, into"
        f" {plural(len(report.mailboxes), 'mailbox', 'mailboxes')}"
        + (f"; {report.known} had come before" if report.known else "")
    )
    if skipped:
        click.echo(f"{len(skipped)} could not be brought:")
        show_rows(("what", "why"), [(each["what"], each["why"]) for each in skipped[:SHOWN]], "")
