"""The ways to say which entries of the queue are meant."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from mailserver import tomlvalues as values
from mailserver.errors import MailserverError, NotFound
from mailserver.ident import read, spell
from mailserver.store import queue
from mailserver.store.database import Database
from mailserver.store.queue import STATES, Choice
from mailserver.tomltable import Wrong

_OPTIONS = (
    click.argument("ids", nargs=-1, metavar="[ID...]"),
    click.option("--domain", metavar="NAME", help="Those for one domain."),
    click.option("--sender", metavar="ADDRESS", help="Those from one sender; '' is the null sender."),
    click.option("--recipient", metavar="ADDRESS", help="Those for one recipient."),
    click.option("--reason", metavar="TEXT", help="Those whose reason holds this text."),
    click.option("--state", type=click.Choice(STATES), help="Those in one state."),
    click.option("--older", metavar="TIME", help='Those that came longer ago: "2h", "3d".'),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first so many, the oldest."),
)


def choosing(work: Callable[..., Any]) -> Callable[..., Any]:
    """The options, which the command gets as `choice` and `limit`."""

    @wraps(work)
    def called(
        ids: Sequence[str], domain: str | None, sender: str | None, recipient: str | None, reason: str | None,
        state: str | None, older: str | None, limit: int | None, **others: Any,
    ) -> Any:
        choice = Choice(
            time.time(), numbers(ids), domain, sender, recipient, reason, state, seconds(older) if older else None
        )
        return work(choice=choice, limit=limit, **others)

    wrapped: Callable[..., Any] = called
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def choosing_some(work: Callable[..., Any]) -> Callable[..., Any]:
    """The same, where not to say which is not to mean all of them by accident."""

    @wraps(work)
    def called(choice: Choice, limit: int | None, everything: bool, **others: Any) -> Any:
        if not everything and not choice.conditions():
            raise click.UsageError("say which: an id, --domain, --sender, --reason ... or --all")
        return work(choice=choice, limit=limit, **others)

    return choosing(click.option("--all", "everything", is_flag=True, help="All of them.")(called))


def with_host(work: Callable[..., Any]) -> Callable[..., Any]:
    """The last word of all is no id but a host, which the command gets as `host`; "" when there is none."""
    for each in work.__click_params__:  # type: ignore[attr-defined]
        if each.name == "ids":
            each.metavar = "[ID...] [HOST]"

    @wraps(work)
    def called(ids: Sequence[str], **others: Any) -> Any:
        has_host = bool(ids) and (":" in ids[-1] or ids[-1] == "none")
        return work(ids=ids[:-1] if has_host else ids, host=ids[-1] if has_host else "", **others)

    return called


def found(database: Database, choice: Choice, limit: int | None = None) -> array[int]:
    """The ids of what is meant; raises `NotFound` when somebody named ids, and none of them is there."""
    with database.reading() as connection:
        ids = queue.chosen(connection, choice, limit)
    if choice.ids and not ids:
        raise NotFound(f"there is no entry {', '.join(map(spell, choice.ids))} in the queue")
    return ids


def numbers(ids: Sequence[str]) -> list[int] | None:
    """The ids that were spelled; None for none at all."""
    try:
        return [read(each) for each in ids] or None
    except ValueError as error:
        raise MailserverError(f"this is {error}") from None


def seconds(text: str, option: str = "--older") -> float:
    """A time as the configuration writes it, that an option was given."""
    try:
        return values.duration(text)
    except Wrong as error:
        raise click.UsageError(f"{option} {error}") from None
