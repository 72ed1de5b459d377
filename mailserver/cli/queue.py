"""``mailserver queue``: mail that waits for its next attempt."""

from __future__ import annotations

import click

from mailserver.cli import changing, top, waiting


@click.group("queue")
def command() -> None:
    """Mail that waits for its next attempt: which, why, and until when."""


for each in (
    waiting.list_, waiting.show, changing.hold, changing.release, changing.retry, changing.remove, changing.route,
    top.command,
):
    command.add_command(each)
