"""``mailserver domain``: the domains whose mail ends here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from mailserver.address import domain_key
from mailserver.cli import quotas
from mailserver.cli.given import configuration, reading, writing
from mailserver.cli.shown import as_json, show_json, show_pairs, show_table
from mailserver.errors import NotFound
from mailserver.store import directory


@click.group("domain")
def command() -> None:
    """The domains whose mail ends here; their postmaster exists with them."""


@command.command("add")
@click.argument("name")
def add(name: str) -> None:
    """Take mail for a domain from now on."""
    with writing() as connection:
        directory.add_domain(connection, name, time.time())
    click.echo(f"mail for {name} ends here now")


@command.command("list")
@as_json
def list_(json_wanted: bool) -> None:
    """All domains."""
    with reading() as connection:
        found = [_about(connection, name) for name in directory.domains(connection)]
    if json_wanted:
        show_json(found)
    else:
        show_table(
            ("domain", "accounts", "aliases", "catch-all"),
            [(each["domain"], each["accounts"], each["aliases"], ", ".join(each["catch_all"])) for each in found],
            "there are no domains; mailserver domain add makes one",
        )


@command.command("show")
@click.argument("name")
@as_json
def show(name: str, json_wanted: bool) -> None:
    """One domain."""
    with reading() as connection:
        if directory.find_domain(connection, name) is None:
            raise NotFound(f"the domain {name} is not here")
        about = _about(connection, name)
    if json_wanted:
        show_json(about)
    else:
        show_pairs((key.replace("_", "-"), ", ".join(value) if isinstance(value, list) else value)
                   for key, value in about.items())


@command.command("set")
@click.argument("name")
@click.option("--catch-all", "targets", multiple=True, metavar="ADDRESS", help="Who gets mail for nobody there.")
@click.option("--no-catch-all", "none", is_flag=True, help="Mail for nobody there is refused.")
def set_(name: str, targets: Sequence[str], none: bool) -> None:
    """Say who gets the mail for those who are not there."""
    if bool(targets) == none:
        raise click.UsageError("say either --catch-all ADDRESS or --no-catch-all")
    config = configuration()
    address = f"@{name}"
    with writing(config) as connection:
        there = directory.find_alias(connection, directory.alias_key(address)) is not None
        if none and there:
            directory.remove_alias(connection, address, time.time())
        elif targets and there:
            directory.set_alias(connection, address, targets, time.time(), config.data / "contents")
        elif targets:
            directory.add_alias(connection, address, targets, time.time(), config.data / "contents")
    click.echo(f"mail for nobody at {name} " + (f"goes to {', '.join(targets)}" if targets else "is refused"))


@command.command("quota")
@click.argument("name")
@quotas.limits
@click.option("--none", is_flag=True, help="It has no limits; its accounts may have theirs.")
@as_json
def quota(name: str, octets: int | None, messages: int | None, none: bool, json_wanted: bool) -> None:
    """What all accounts of a domain have and may have together; with options, what they may have from now on."""
    changes = octets is not None or messages is not None
    if none and changes:
        raise click.UsageError("say either --none or what its accounts may have together")
    config = configuration()
    if none or changes:
        with writing(config) as connection:
            before = directory.domain_quota(connection, name)
            directory.set_domain_quota(
                connection, name,
                octets if octets is not None else 0 if none else before.most_octets,
                messages if messages is not None else 0 if none else before.most_messages,
            )
    with reading(config) as connection:
        found = directory.domain_quota(connection, name)
    if json_wanted:
        show_json({"domain": domain_key(name), **quotas.as_object(found)})
    else:
        show_pairs(quotas.as_pairs(found))


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Take no more mail for a domain that has no accounts and no aliases any more."""
    with writing() as connection:
        directory.remove_domain(connection, name)
    click.echo(f"mail for {name} no longer ends here")


def _about(connection: Any, name: str) -> dict[str, Any]:
    key = domain_key(name)
    ours = [each for each in directory.aliases(connection) if each.key.endswith(f"@{key}")]
    catch_all = next((list(each.targets) for each in ours if each.key == f"@{key}"), [])
    return {
        "domain": key,
        "accounts": len(directory.accounts(connection, key)),
        "aliases": sum(each.key != f"@{key}" for each in ours),
        "catch_all": catch_all,
    }
