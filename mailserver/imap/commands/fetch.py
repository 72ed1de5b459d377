"""FETCH: what is asked of which messages (RFC 9051 6.4.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from mailserver.imap.commands.sections import MACROS, Attribute, Item, read_item
from mailserver.imap.error import ImapError
from mailserver.imap.numbers import HIGHEST, SequenceSet
from mailserver.imap.reader import MOST_NUMBER64, Reader


@dataclass(frozen=True, slots=True)
class Fetch:
    """Items in the order in which they were asked for, each once; UID among them when it is `by_uid`.

    `changed_since` is a MODSEQ, `vanished` wants those that are gone (RFC 7162 3.1.4.1, 3.2.6); `partial` is a range
    of the messages found, as `partial_range` reads it (RFC 9394 3.3).
    """

    numbers: SequenceSet
    items: tuple[Item, ...]
    by_uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


Asked: TypeAlias = tuple[tuple[Item, ...], bool, int | None, bool, tuple[int, int] | None]
LONGEST_KEPT = 200          # octets of what is asked for, that is not read again when it comes again


def partial_range(reader: Reader) -> tuple[int, int]:
    """``1:500``, or ``-1:-500`` from the end, as it was sent; the number nearer to that side is first."""

    def number() -> int:
        is_negative = reader.took(b"-")
        found = reader.number(HIGHEST, 1)
        return -found if is_negative else found

    first = number()
    reader.expect(b":")
    last = number()
    if (first < 0) != (last < 0):
        raise ImapError("a partial range counts from one side")
    return (first, last) if abs(first) <= abs(last) else (last, first)


def _fetch(reader: Reader, by_uid: bool) -> Fetch:
    reader.space()
    numbers = reader.sequence_set()
    reader.space()
    asked, reader.at = reader.octets[reader.at :], len(reader.octets)
    # Clients ask for the same of one message after the other.
    return Fetch(numbers, *(_asked(asked, by_uid) if len(asked) <= LONGEST_KEPT else _read_asked(asked, by_uid)))


def _read_asked(octets: bytes, by_uid: bool) -> Asked:
    """What stands behind the numbers, as `Fetch` has it behind them."""
    reader = Reader(octets)
    items: tuple[Item, ...]
    if reader.follows(b"("):
        items = reader.list_of(lambda: read_item(reader))
    else:
        items = _macro(reader) or (read_item(reader),)
    asked = dict.fromkeys(items)
    if by_uid:
        asked.setdefault(Attribute.UID)
    changed_since: int | None = None
    vanished = False
    partial: tuple[int, int] | None = None
    if reader.took(b" "):

        def modifier() -> None:
            nonlocal changed_since, vanished, partial
            word = reader.word("a modifier")
            if word == "CHANGEDSINCE":
                reader.space()
                changed_since = reader.number(MOST_NUMBER64)
            elif word == "VANISHED":
                vanished = True
            elif word == "PARTIAL":
                reader.space()
                partial = partial_range(reader)
            else:
                raise ImapError("there is no such modifier")

        reader.list_of(modifier)
    reader.end()
    if vanished and (not by_uid or changed_since is None):
        raise ImapError("VANISHED is for UID FETCH with CHANGEDSINCE")      # RFC 7162 3.2.6
    if changed_since is not None:
        asked.setdefault(Attribute.MODSEQ)                                  # RFC 7162 3.1.4.1
    return tuple(asked), by_uid, changed_since, vanished, partial


_asked = lru_cache(maxsize=256)(_read_asked)


def _macro(reader: Reader) -> tuple[Item, ...]:
    """Nothing when it is none, and then nothing is taken."""
    start = reader.at
    macro = MACROS.get(reader.word("an attribute"))
    if macro is None:
        reader.at = start
        return ()
    return macro


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "FETCH": lambda reader: _fetch(reader, False), "UID FETCH": lambda reader: _fetch(reader, True),
}
