"""``mailserver init``: a configuration and a database, and nothing asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from mailserver.address import parse_domain
from mailserver.cli.certificate import self_signed
from mailserver.cli.given import password, password_stdin
from mailserver.cli.user import derived, named
from mailserver.config import load
from mailserver.errors import AlreadyExists, BadAddress, MailserverError
from mailserver.store import directory
from mailserver.store.database import Database

# service, its standard port, its TLS
LISTENERS = (
    ("smtp", 25, "starttls"),
    ("submission", 587, "starttls"),
    ("submission", 465, "implicit"),
    ("lmtp", 24, "none"),
    ("imap", 143, "starttls"),
    ("imap", 993, "implicit"),
    ("pop3", 110, "starttls"),
    ("pop3", 995, "implicit"),
)


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--hostname", required=True, metavar="NAME", help="The name of this server: mx.example.org.")
@click.option("--domain", "domains", required=True, multiple=True, metavar="NAME", help="Whose mail ends here.")
@click.option("--user", metavar="ADDRESS", help="A first account.")
@password_stdin
@click.option("--port-base", type=click.IntRange(0, 60000), metavar="N",
              help="Listen on loopback only, at N + the standard ports.")
def command(
    folder: Path,
    hostname: str,
    domains: Sequence[str],
    user: str | None,
    password_stdin: bool,
    port_base: int | None,
) -> None:
    """Write DIR/mailserver.toml and the database, with a certificate that is signed by itself."""
    for each in (hostname, *domains):
        try:
            parse_domain(each)
        except BadAddress as error:
            raise MailserverError(f"{each!r} cannot be used: {error}") from None
    file = folder / "mailserver.toml"
    if file.exists():
        raise AlreadyExists(f"{file} is there already")
    who = named(user) if user else None
    if who is not None and not password_stdin:
        raise click.UsageError("--user needs --password-stdin")
    credentials = derived(password(True)) if who is not None else []
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    names = [hostname] if port_base is None else [hostname, "localhost", "127.0.0.1", "::1"]
    self_signed(folder / "tls.pem", folder / "tls.key", names)
    file.write_text(written(hostname, port_base), "utf-8")
    config = load(file)
    config.data.mkdir(mode=0o700, exist_ok=True)
    database = Database(config.database, config.data)
    database.open(migrate=True)
    try:
        with database.transaction() as connection:
            here = set(directory.domains(connection))
            for each in domains:
                if parse_domain(each) not in here:
                    directory.add_domain(connection, each, time.time())
                    here.add(parse_domain(each))
            if who is not None:
                account = directory.find_account(connection, who.key)
                if account is None:
                    account = directory.add_account(connection, who, time.time())
                directory.set_credentials(connection, account.id, credentials)
    finally:
        database.close()
    click.echo(f"wrote {file}; mailserver run --config {file} starts the server")


def written(hostname: str, port_base: int | None) -> str:
    """The configuration."""
    lines = [
        f'hostname = "{hostname}"',
        'data = "data"                       # beside this file',
        "",
        "[tls]                               # signed by itself: put a real certificate in its place",
        'certificate = "tls.pem"',
        'key = "tls.key"',
    ]
    lines += listeners(LISTENERS, port_base)
    lines += [
        "",
        "[relay]",
        'networks = []                       # addresses that may relay without a login: "192.0.2.0/24"',
        "",
        "# [outbound]",
        '# smarthost = "tcp:relay.example.net:587"',
        "",
        "# Filters, in this order; these three are the usual ones.",
        "[[filter]]",
        'use = "headers"',
        "",
        "[[filter]]",
        'use = "loops"',
        "",
        "[[filter]]",
        'use = "feedback"',
        "",
        "# What has lain in Junk or Trash for a month goes; without these tables nothing ever does.",
        "[[retention]]",
        'special_use = "Junk"',
        'older_than = "30d"',
        "",
        "[[retention]]",
        'special_use = "Trash"',
        'older_than = "30d"',
    ]
    return "\n".join(lines) + "\n"


def listeners(wanted: Sequence[tuple[str, int, str]], port_base: int | None) -> list[str]:
    """The [[listen]] tables; LMTP, which knows no logins, is for this machine only."""
    lines = []
    for service, port, tls in wanted:
        endpoint = f"tcp:{port + (port_base or 0)}"
        if port_base is not None or service == "lmtp":
            endpoint += ":interface=127.0.0.1"
        lines += ["", "[[listen]]", f'service = "{service}"', f'endpoint = "{endpoint}"', f'tls = "{tls}"']
    return lines
