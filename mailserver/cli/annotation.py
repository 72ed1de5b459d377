"""``mailserver annotation``: what IMAP clients read of the server, and of mailboxes (RFC 5464)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from sqlalchemy import Connection

from mailserver.cli.given import reading, writing
from mailserver.cli.shown import as_json, show_json, show_table
from mailserver.cli.user import named
from mailserver.errors import MailserverError, NotFound
from mailserver.imap import entries
from mailserver.imap.commands import filters
from mailserver.imapmetadata import FILTERS, LARGEST_VALUE
from mailserver.store import annotation, directory

F = TypeVar("F", bound=Callable[..., Any])


@click.group("annotation")
def command() -> None:
    """Annotations: /shared ones of the server, which all see; with --account, what that account sees and may set."""


def _whose(function: F) -> F:
    function = click.option("--mailbox", metavar="NAME", help="Of this mailbox of the account.")(function)
    return click.option("--account", metavar="ADDRESS", help="As this account.")(function)


@command.command("list")
@_whose
@as_json
def list_(account: str | None, mailbox: str | None, json_wanted: bool) -> None:
    """All of them; octets that are no text are shown as escapes."""
    with reading() as connection:
        found = annotation.find(connection, _account(connection, account, mailbox), mailbox)
    shown = [(entry, found[entry].decode("utf-8", "backslashreplace")) for entry in sorted(found)]
    if json_wanted:
        show_json([{"entry": entry, "value": value} for entry, value in shown])
    else:
        show_table(("entry", "value"), shown, "there are none; mailserver annotation set makes one")


@command.command("set")
@click.argument("entry")
@click.argument("value")
@_whose
def set_(entry: str, value: str, account: str | None, mailbox: str | None) -> None:
    """Set ENTRY, such as /shared/filters/values/boss, to VALUE."""
    _change(entry, value.encode(), account, mailbox)
    click.echo(f"{entry} is set")


@command.command("remove")
@click.argument("entry")
@_whose
def remove(entry: str, account: str | None, mailbox: str | None) -> None:
    """Forget ENTRY."""
    _change(entry, None, account, mailbox)
    click.echo(f"{entry} is gone")


def _change(entry: str, value: bytes | None, account: str | None, mailbox: str | None) -> None:
    entry = entries.read_whole(entry.encode()).lower()
    if value is not None and len(value) > LARGEST_VALUE:
        raise MailserverError(f"a value may have {LARGEST_VALUE} octets")
    if value is not None and mailbox is None and entry.startswith(FILTERS):
        filters.check(entry.rpartition("/values/")[2], value)
    with writing() as connection:
        whose = _account(connection, account, mailbox)
        if value is None and entry not in annotation.find(connection, whose, mailbox, {entry}):
            raise NotFound(f"there is no {entry}")
        annotation.change(connection, whose, mailbox, {entry: value})


def _account(connection: Connection, address: str | None, mailbox: str | None) -> int:
    """0 is everybody."""
    if address is None:
        if mailbox is not None:
            raise click.UsageError("--mailbox needs --account beside it")
        return 0
    found = directory.find_account(connection, named(address).key)
    if found is None:
        raise NotFound(f"there is no account {address}")
    return found.id
