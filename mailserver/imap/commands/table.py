"""All commands: how each is read, when it may come, and whether it may have literals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from mailserver.imap.commands import (
    acl,
    append,
    batches,
    connection,
    contexts,
    fetch,
    listing,
    mailboxes,
    messages,
    metadata,
    multisearch,
    notify,
    search,
    urls,
)
from mailserver.imap.entries import LARGEST_VALUE
from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader


class State(Enum):
    """RFC 9051 3: how far a session is."""

    NOT_AUTHENTICATED = 1
    AUTHENTICATED = 2
    SELECTED = 3


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    **connection.PARSERS, **mailboxes.PARSERS, **listing.PARSERS, **messages.PARSERS, **fetch.PARSERS,
    **search.PARSERS, **append.BEGINNINGS,
    **metadata.PARSERS, **urls.PARSERS, **batches.PARSERS,
    **notify.PARSERS, **contexts.PARSERS, **multisearch.PARSERS,
    **acl.PARSERS,
}
ALWAYS = frozenset({"CAPABILITY", "NOOP", "LOGOUT", "ID"})
BEFORE_LOGIN = frozenset({"STARTTLS", "AUTHENTICATE", "LOGIN"})
IN_MAILBOX = frozenset({
    *messages.PARSERS, *fetch.PARSERS, *search.PARSERS, *batches.PARSERS, "REPLACE", "UID REPLACE", *contexts.PARSERS,
})

WITH_LITERAL8 = frozenset({"SETMETADATA"})      # of those that bring no messages


def read_name(reader: Reader) -> str:
    """``UID FETCH``: the name that a command has in the table; raises `ImapError` when there is none."""
    name = reader.word("a command")
    if name == "UID":
        reader.space()
        name = f"UID {reader.word('a command')}"
    if name not in PARSERS:
        raise ImapError("there is no such command")
    return name


def allow(name: str, state: State) -> None:
    """Raises `ImapError` for a command that may not come now."""
    if name in ALWAYS:
        return
    if (name in BEFORE_LOGIN) != (state is State.NOT_AUTHENTICATED):
        raise ImapError("log in first" if state is State.NOT_AUTHENTICATED else "you are logged in already")
    if name in IN_MAILBOX and state is not State.SELECTED:
        raise ImapError("choose a mailbox first")


def too_long(name: str) -> ImapError:
    """What is said of a literal that is too long for a command."""
    if name == "SETMETADATA":       # RFC 5464 4.3
        return ImapError("that value is too long", "NO", f"METADATA MAXSIZE {LARGEST_VALUE}")
    return ImapError("that is too long", code="TOOBIG")


def may_have_literals(name: str, state: State) -> bool:
    """Before a login only its name and password."""
    return state is not State.NOT_AUTHENTICATED or name == "LOGIN"
