"""``mailserver plugins``: what is loaded, from where, in which order, with what errors."""

from __future__ import annotations

from typing import Any

import click

from mailserver.checking import plugin_mistakes
from mailserver.cli.given import configuration
from mailserver.cli.shown import as_json, plain, show_json, show_table
from mailserver.config import Config
from mailserver.errors import MailserverError
from mailserver.plugin import KINDS, Registry


@click.command("plugins")
@click.option("--kind", type=click.Choice(KINDS), help="Those of one kind.")
@as_json
def command(kind: str | None, json_wanted: bool) -> int:
    """Show every plugin that is offered, and its place in the order in which it is asked."""
    config = configuration()
    registry = Registry(config.folders).load()
    rows = [each for each in offered(config, registry) if kind in (None, each["kind"])]
    errors = [str(each) for each in plugin_mistakes(config)]
    if json_wanted:
        show_json(rows + [{"kind": None, "name": None, "error": each} for each in errors])
    else:
        show_table(
            ("kind", "order", "name", "does", "from"),
            [
                (each["kind"], each["order"] or "-", each["name"], each["description"], each["file"])
                for each in rows
            ],
            "there are no plugins",
        )
        for error in [*errors, *(each["error"] for each in rows if each["error"] and not each["order"])]:
            click.echo(plain(error), err=True)
    return 1 if errors else 0


def offered(config: Config, registry: Registry) -> list[dict[str, Any]]:
    """A row for each offer: those that are used in their order, then the others; errors where one cannot be had."""
    used = {
        "mailbox": config.mailbox, "auth": config.auth, "forward": config.forward, "filter": config.filters,
        "listener": config.listeners,
    }
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        orders: dict[str, list[int]] = {}
        for number, use in enumerate(used[kind], 1):
            orders.setdefault(use.name, []).append(number)
        of_kind = []
        for found in registry.offers(kind):
            error = None
            try:
                registry.load_class(kind, found.offer.name)
            except MailserverError as broken:
                error = str(broken)
            order = orders.get(found.offer.name, [])
            of_kind.append({
                "kind": kind, "name": found.offer.name, "description": found.offer.description, "file": found.file,
                "order": order[0] if order else None, "uses": len(order), "error": error,
            })
        rows += sorted(of_kind, key=lambda each: (each["order"] is None, each["order"] or 0, each["name"]))
    return rows
