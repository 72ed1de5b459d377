"""``mailserver run``: the server in the foreground."""

from __future__ import annotations

import click

from mailserver.cli.given import configuration
from mailserver.cli.serving import serve


@click.command("run")
def command() -> None:
    """Run the server until a signal ends it; the log goes to standard error."""
    serve(configuration())
