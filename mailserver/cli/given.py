"""What a command was given: its configuration, its database, a password."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mailserver.config import Config, ConfigErrors, find, load
from mailserver.store.database import Database


def path() -> Path:
    """The file that ``--config`` or the environment names."""
    return find(click.get_current_context().meta.get("mailserver.config"))


def configuration() -> Config:
    """The configuration; raises `ConfigErrors`."""
    return load(path())


def data_in_use() -> Path:
    """The folder of the server that is meant, which may run whatever is wrong with its configuration by now."""
    try:
        return configuration().data
    except ConfigErrors as errors:
        if errors.partial is None or errors.partial.data is None:
            raise
        return errors.partial.data


@contextmanager
def opened_database(config: Config | None = None) -> Iterator[Database]:
    """The server's database, whether the server runs or not; raises `StartRefused`."""
    config = configuration() if config is None else config
    database = Database(config.database, config.data)
    database.open()
    try:
        yield database
    finally:
        database.close()


@contextmanager
def writing(config: Config | None = None) -> Iterator[Any]:
    """One write transaction; a running server sees what it changed within a second."""
    with opened_database(config) as database, database.transaction() as connection:
        yield connection


@contextmanager
def reading(config: Config | None = None) -> Iterator[Any]:
    """One consistent view of the database."""
    with opened_database(config) as database, database.reading() as connection:
        yield connection


def password(from_stdin: bool) -> str:
    """A password by a pipe or a prompt, never as an argument, which other users could see."""
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            raise click.UsageError("there is no password on standard input")
        return given
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for a password; use --password-stdin")
    prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return prompted


password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
