"""``mailserver mailbox``: the mailboxes of accounts and domains."""

from __future__ import annotations

import click

from mailserver.cli import sharing


@click.group("mailbox")
def command() -> None:
    """The mailboxes of accounts and domains."""


for each in sharing.commands:
    command.add_command(each)
