"""``mailserver stop``: end a running server."""

from __future__ import annotations

import time

import click

from mailserver.cli.given import data_in_use
from mailserver.control.client import ask
from mailserver.errors import MailserverError
from mailserver.store.tenancy import Tenancy

PATIENCE = 120.0        # seconds for it to end
LOOK = 0.1


@click.command("stop")
def command() -> None:
    """Let nobody new in, tell those who are connected, commit what was begun; returns when it has ended."""
    data = data_in_use()
    ask(data, "stop")
    until = time.monotonic() + PATIENCE
    while Tenancy(data / "lock").is_held:
        if time.monotonic() > until:
            raise MailserverError(f"the server of {data} has not ended in {PATIENCE:.0f} seconds")
        time.sleep(LOOK)
    click.echo("stopped")
