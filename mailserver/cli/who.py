"""``mailserver who``: the connections that there are now."""

from __future__ import annotations

import click

from mailserver.cli.given import data_in_use
from mailserver.cli.shown import as_json, show_json, show_table, when
from mailserver.control.client import ask


@click.command("who")
@as_json
def command(json_wanted: bool) -> None:
    """Show who is connected: to which service, from where, since when, and as whom."""
    told = ask(data_in_use(), "who")
    if json_wanted:
        show_json(told)
        return
    show_table(
        ("id", "service", "address", "hello", "login", "TLS", "since", "doing", "worker"),
        [
            (each["id"], each["service"], each["address"], each["hello"], each["login"],
             each["tls"].partition(" ")[0], when(each["since"]), each["doing"], each["worker"])
            for each in told
        ],
        "nobody is connected",
    )
