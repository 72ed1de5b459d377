"""UIDONLY (RFC 9586): once it is enabled, no message is named by its sequence number, by neither side."""

from __future__ import annotations

from mailserver.imap.commands.append import Replace
from mailserver.imap.commands.fetch import Fetch
from mailserver.imap.commands.keys import And, Key, Not, Numbers, Or
from mailserver.imap.commands.mailboxes import Select
from mailserver.imap.commands.messages import Copy, Move, Store
from mailserver.imap.commands.search import Search, Sort, Thread
from mailserver.imap.error import ImapError

NUMBERED = (Fetch, Store, Copy, Move, Search, Sort, Thread, Replace)


def check(command: object) -> None:
    """Raises `ImapError` for a command that names messages, or has them named, by sequence numbers (RFC 9586 3)."""
    if isinstance(command, NUMBERED) and not command.by_uid:
        raise ImapError("with UIDONLY only UID commands name messages", code="UIDREQUIRED")
    if isinstance(command, (Search, Sort, Thread)) and has_numbers(command.key):
        raise ImapError("with UIDONLY a search has no sequence numbers", code="UIDREQUIRED")
    if isinstance(command, Select) and command.qresync is not None and command.qresync.sequence is not None:
        raise ImapError("with UIDONLY there are no sequence numbers to compare", code="UIDREQUIRED")


def has_numbers(key: Key) -> bool:
    """Whether a search names messages by their sequence numbers; what the last search saved are UIDs."""
    if isinstance(key, (And, Or)):
        return any(map(has_numbers, key.keys))
    if isinstance(key, Not):
        return has_numbers(key.key)
    return isinstance(key, Numbers) and not key.numbers.saved
