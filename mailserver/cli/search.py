"""``mailserver search``: the index of what messages say, by which IMAP's searches are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mailserver.cli.given import configuration, reading
from mailserver.cli.house import in_reactor, opened_house
from mailserver.cli.shown import as_json, plural, show_json, show_table
from mailserver.config import parse_account
from mailserver.errors import NotFound
from mailserver.mailbox.sql import Sql
from mailserver.store import directory, searching


@click.group("search")
def command() -> None:
    """The index of what messages say.  Searches are right without it, and quick with it."""


@command.command("status")
@click.argument("address", required=False)
@as_json
def status(address: str | None, json_wanted: bool) -> None:
    """How much of each mailbox is in the index, or of those of the account ADDRESS."""
    with reading() as connection:
        found = searching.state(connection, None if address is None else _account(connection, address))
    if json_wanted:
        show_json(found)
        return
    show_table(
        ("account", "mailbox", "messages", "indexed", "octets", "pieces"),
        [[each[name] for name in ("account", "mailbox", "messages", "indexed", "octets", "pieces")] for each in found],
        "there are no messages",
    )


@command.command("rebuild")
@click.argument("address", required=False)
@as_json
def rebuild(address: str | None, json_wanted: bool) -> None:
    """Make the index anew, of all mailboxes or of those of the account ADDRESS; a server may run meanwhile."""
    config = configuration()

    async def work(reactor: Any) -> Mapping[str, int]:
        mailboxes = messages = 0
        async with opened_house(config, reactor) as house:
            indexers = [store.indexer for store in house.rooms.stores.values() if isinstance(store, Sql)]
            if not indexers:
                raise NotFound("no mailbox store has an index")
            account_id = None if address is None else await house.database.read(_account, address)
            for row in await house.database.read(searching.mailboxes, account_id):
                await house.database.write(searching.forget, row)
                messages += await indexers[0].index(row)
                mailboxes += 1
            if account_id is None:
                await indexers[0].tidy()
        return {"mailboxes": mailboxes, "messages": messages}

    done = in_reactor(work)
    if json_wanted:
        show_json(done)
    else:
        click.echo(
            f"{plural(done['messages'], 'message', 'messages')} of"
            f" {plural(done['mailboxes'], 'mailbox', 'mailboxes')} are in the index"
        )


def _account(connection: Any, address: str) -> int:
    found = directory.find_account(connection, str(parse_account(address)))
    if found is None:
        raise NotFound(f"there is no account {address}")
    return found.id
