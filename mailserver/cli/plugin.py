"""``mailserver plugin new``: a tested beginning."""

from __future__ import annotations

from pathlib import Path

import click

from mailserver.plugin import KINDS


@click.group("plugin")
def command() -> None:
    """Begin a plugin of your own."""


@command.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What it is.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path(), help="Where; else here.")
def new(name: str, kind: str, folder: Path) -> None:
    """Write a plugin called NAME with its tests, which pass."""
    from mailserver.plugin_skeleton import write

    for path in write(folder, name, kind):
        click.echo(path)
