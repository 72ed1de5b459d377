"""ESEARCH: a search in several mailboxes (RFC 7377)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.commands.keys import Key
from mailserver.imap.commands.notify import Scope, read_scope
from mailserver.imap.commands.program import read_program
from mailserver.imap.commands.search import Results, UnknownCharset, read_charset, read_results
from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

WORDS = ("SELECTED", "INBOXES", "PERSONAL", "SUBSCRIBED", "SUBTREE", "SUBTREE-ONE", "MAILBOXES")
PERSONAL = frozenset({"INBOXES", "PERSONAL"})       # of which nothing is meant that belongs to others (RFC 5465 6)
MOST_SCOPES = 100


@dataclass(frozen=True, slots=True)
class ESearch:
    """Where, what, and what is answered of it, mailbox by mailbox; messages are always named by UID (2.1)."""

    scopes: tuple[Scope, ...]
    key: Key
    results: Results | None = None
    by_uid: bool = True

    @property
    def is_of_selected(self) -> bool:
        """Whether it is about no other mailbox than the one that is selected."""
        return all(each.is_selected for each in self.scopes)


def _esearch(reader: Reader) -> ESearch | UnknownCharset:
    scopes = [Scope("SELECTED")]
    if reader.octets[reader.at : reader.at + 4].upper() == b" IN ":
        reader.at += 4
        reader.expect(b"(")
        scopes = [read_scope(reader, WORDS)]
        while not reader.took(b")"):
            reader.space()
            if reader.follows(b"("):
                raise ImapError("there are no scope options")           # RFC 7377 4 leaves them to later
            scopes.append(read_scope(reader, WORDS))
            if len(scopes) > MOST_SCOPES:
                raise ImapError("too many mailboxes to be searched")
    results = read_results(reader)
    reader.space()
    if (unknown := read_charset(reader, results)) is not None:
        return unknown
    return ESearch(tuple(dict.fromkeys(scopes)), read_program(reader), results)


PARSERS: Mapping[str, Callable[[Reader], object]] = {"ESEARCH": _esearch}
