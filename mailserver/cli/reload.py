"""``mailserver reload``: let a running server read its configuration again."""

from __future__ import annotations

import click

from mailserver.cli.given import data_in_use
from mailserver.control.client import Refused, ask


@click.command("reload")
def command() -> int:
    """Apply what can be applied, and say what needs a restart; a file with a mistake changes nothing."""
    try:
        done = ask(data_in_use(), "reload")
    except Refused as refused:
        click.echo(f"{refused}\nnothing is changed", err=True)
        return 1
    click.echo("reloaded")
    if done["needs_restart"]:
        click.echo(f"a restart is needed for: {', '.join(done['needs_restart'])}")
    return 0
