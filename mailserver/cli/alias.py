"""``mailserver alias``: addresses that stand for others."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from mailserver.cli.given import configuration, reading, writing
from mailserver.cli.shown import as_json, show_json, show_pairs, show_table
from mailserver.errors import NotFound
from mailserver.store import directory


@click.group("alias")
def command() -> None:
    """Addresses that stand for others; @DOMAIN stands for everybody else there."""


@command.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
def add(address: str, targets: Sequence[str]) -> None:
    """Send mail for ADDRESS to each TARGET."""
    config = configuration()
    with writing(config) as connection:
        directory.add_alias(connection, address, targets, time.time(), config.data / "contents")
    click.echo(f"mail for {address} goes to {', '.join(targets)}")


@command.command("list")
@as_json
def list_(json_wanted: bool) -> None:
    """All aliases."""
    with reading() as connection:
        found = directory.aliases(connection)
    if json_wanted:
        show_json([{"address": each.address, "targets": list(each.targets)} for each in found])
    else:
        show_table(
            ("alias", "targets"),
            [(each.address, ", ".join(each.targets)) for each in found],
            "there are no aliases; mailserver alias add makes one",
        )


@command.command("show")
@click.argument("address")
@as_json
def show(address: str, json_wanted: bool) -> None:
    """Where one alias leads."""
    with reading() as connection:
        targets = directory.find_alias(connection, directory.alias_key(address))
    if targets is None:
        raise NotFound(f"there is no alias {address}")
    if json_wanted:
        show_json({"address": address, "targets": [str(each) for each in targets]})
    else:
        show_pairs([("alias", address), ("targets", ", ".join(map(str, targets)))])


@command.command("set")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
def set_(address: str, targets: Sequence[str]) -> None:
    """Give an alias other targets."""
    config = configuration()
    with writing(config) as connection:
        directory.set_alias(connection, address, targets, time.time(), config.data / "contents")
    click.echo(f"mail for {address} goes to {', '.join(targets)}")


@command.command("remove")
@click.argument("address")
def remove(address: str) -> None:
    """Forget an alias."""
    with writing() as connection:
        directory.remove_alias(connection, address, time.time())
    click.echo(f"the alias {address} is gone")

