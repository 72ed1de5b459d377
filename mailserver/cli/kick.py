"""``mailserver kick``: end connections."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mailserver.cli.given import data_in_use
from mailserver.cli.shown import plural
from mailserver.control.client import ask
from mailserver.errors import NotFound


@click.command("kick")
@click.argument("whom", nargs=-1, required=True)
def command(whom: Sequence[str]) -> None:
    """End connections: by the id that "who" shows, by address or network, by login.

    A command that is being answered is answered first; then the peer hears 421.
    """
    count = ask(data_in_use(), "kick", whom=list(whom))
    if not count:
        raise NotFound(f"nobody is connected as {', '.join(whom)}")
    click.echo(f"{plural(count, 'connection is', 'connections are')} ended")
