"""``mailserver check``: everything that is wrong with the configuration and its live parts, at once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from mailserver.checking import mistakes_of
from mailserver.cli.given import path
from mailserver.cli.shown import as_json, show_json
from mailserver.config import Config, ConfigErrors, KeyFiles, Mistake, load
from mailserver.errors import StartRefused


@click.command("check")
@as_json
def command(json_wanted: bool) -> int:
    """Say every mistake as FILE:LINE:COLUMN: sentence; exit 0 when there is none."""
    file = path()
    found = mistakes_of(file)
    if not found:
        found = list(live_mistakes(load(file)))
    if json_wanted:
        show_json([
            {"file": each.place.file, "line": each.place.line, "column": each.place.column,
             "sentence": each.sentence, "suggestion": each.suggestion or None}
            for each in found
        ])
    elif found:
        raise ConfigErrors(found)
    else:
        click.echo(f"{file}: nothing is wrong")
    return 1 if found else 0


def live_mistakes(config: Config) -> Iterator[Mistake]:
    """What only the machine can tell: keys that do not belong to their certificates, folders, the database."""
    from mailserver.net.tls import KeyPair, server_tls
    from mailserver.store.database import Database

    pairs: list[KeyFiles] = [each for each in (config.tls, *config.tls_names) if each is not None]
    for each in pairs:
        try:
            server_tls(KeyPair(each.certificate, each.key, each.names), [])
        except StartRefused as refused:
            yield Mistake(config.places["tls"], str(refused))
    folder = config.data
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Mistake(config.places["data"], f"nothing may be written in {folder}")
    elif config.database is not None or (config.data / "mailserver.sqlite3").exists():
        database = Database(config.database, config.data)
        try:
            database.open()
        except StartRefused as refused:
            yield Mistake(config.places["database"], str(refused))
        finally:
            database.close()
