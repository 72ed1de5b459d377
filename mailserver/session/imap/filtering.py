"""FILTER (RFC 5466): what a name means is looked up among the account's annotations, or those that all share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from mailserver.imap.commands.filters import MOST_PASSES, inserted, named, read_filter
from mailserver.imap.commands.keys import Key
from mailserver.imap.commands.search import Search, Sort, Thread
from mailserver.imap.error import ImapError
from mailserver.imapmetadata import FILTERS
from mailserver.session.imap.annotating import store_of
from mailserver.session.imap.folders import account

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

Command = TypeVar("Command", Search, Sort, Thread)


async def meant(session: ImapSession, command: Command) -> Command:
    """The command with all names of filters replaced by what they mean; raises `ImapError`."""
    key = await expanded(session, command.key)
    return command if key is command.key else replace(command, key=key)


async def expanded(session: ImapSession, key: Key) -> Key:
    """A search without names of filters.

    A name that nobody has given, that stands for no whole search, or that leads in a circle is not defined (RFC 5466
    3.1).  Raises `ImapError`.
    """
    for _ in range(MOST_PASSES):
        names = named(key)
        if not names:
            return key
        entries = {name: [f"{top}{name.lower()}" for top in FILTERS] for name in names}
        every = {each for both in entries.values() for each in both}
        found = await store_of(session).annotations(account(session), None, every)
        meanings = {}
        for name, both in entries.items():
            value = next((found[each] for each in both if each in found), None)
            try:
                if value is None:
                    raise ImapError("there is no such filter")
                meanings[name] = read_filter(value)
            except ImapError as error:
                raise _undefined(name, str(error)) from None
        key = inserted(key, meanings)
    left = named(key)
    if left:
        raise _undefined(min(left), "filters within filters, without end")
    return key


def _undefined(name: str, why: str) -> ImapError:
    return ImapError(why, "NO", f"UNDEFINED-FILTER {name}")
