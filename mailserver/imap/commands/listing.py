"""LIST and LSUB: which mailboxes there are (RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 9590)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.commands import metadata
from mailserver.imap.commands.mailboxes import status_items
from mailserver.imap.error import ImapError
from mailserver.imap.names import decode
from mailserver.imap.patterns import Pattern, joined
from mailserver.imap.reader import Reader

SELECTIONS = ("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE")
RETURNS = ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "METADATA", "MYRIGHTS")
MOST_PATTERNS = 32


@dataclass(frozen=True, slots=True)
class List:
    """Which of them, found by which patterns, with what said of each.

    `selections` and `returns` are words of `SELECTIONS` and `RETURNS`; `status` the items of STATUS, `metadata` the
    entries of METADATA.  `is_extended`: a LIST that only RFC 5258 has.  A LIST that `asks_for_separator` has an empty
    pattern, and wants no mailbox.
    """

    patterns: tuple[Pattern, ...]
    reference: str = ""
    selections: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    is_extended: bool = False
    asks_for_separator: bool = False
    metadata: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        """Whether one of the patterns is that of a name."""
        return any(pattern.matches(name) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Lsub:
    """The older way to list subscriptions (RFC 3501 6.3.9)."""

    pattern: Pattern
    reference: str = ""


def _list(reader: Reader) -> List:
    reader.space()
    selections: tuple[str, ...] = ()
    is_extended = reader.follows(b"(")
    if is_extended:
        selections = reader.list_of(lambda: _one_of(reader, SELECTIONS), may_be_empty=True)
        if set(selections) & {"RECURSIVEMATCH", "REMOTE"} == set(selections) and "RECURSIVEMATCH" in selections:
            raise ImapError("RECURSIVEMATCH needs something to match")      # RFC 5258 3.1
        reader.space()
    reference = decode(reader.astring(), reader.utf8)
    reader.space()
    if reader.follows(b"("):
        is_extended = True
        patterns = reader.list_of(reader.pattern)
        if len(patterns) > MOST_PATTERNS:
            raise ImapError("too many patterns")
    else:
        patterns = (reader.pattern(),)
    status: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    returns: set[str] = set()
    if reader.took(b" "):
        is_extended = True
        if reader.word("RETURN") != "RETURN":
            reader.fail("there should be RETURN")
        reader.space()

        def option() -> None:
            nonlocal status, entries
            returns.add(word := _one_of(reader, RETURNS))
            if word == "STATUS":
                reader.space()
                status = status_items(reader)
            elif word == "METADATA":
                reader.space()
                entries = metadata.wanted(reader)

        reader.list_of(option, may_be_empty=True)
    return List(
        tuple(joined(reference, pattern) for pattern in patterns if pattern or is_extended), reference,
        frozenset(selections), frozenset(returns), status, is_extended, not is_extended and patterns == ("",),
        entries,
    )


def _one_of(reader: Reader, words: tuple[str, ...]) -> str:
    word = reader.word("an option")
    if word not in words:
        raise ImapError("there is no such option")
    return word


def _lsub(reader: Reader) -> Lsub:
    reader.space()
    reference = decode(reader.astring(), reader.utf8)
    reader.space()
    return Lsub(joined(reference, reader.pattern()), reference)


PARSERS: Mapping[str, Callable[[Reader], object]] = {"LIST": _list, "LSUB": _lsub}
