"""Commands that change the messages of the chosen mailbox, or leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.error import ImapError
from mailserver.imap.flags import Flags
from mailserver.imap.numbers import SequenceSet
from mailserver.imap.reader import MOST_NUMBER64, Reader


@dataclass(frozen=True, slots=True)
class Check:
    """RFC 3501 6.4.1; RFC 9051 has it no more."""


@dataclass(frozen=True, slots=True)
class Close:
    """RFC 9051 6.4.1."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """RFC 9051 6.4.2."""


@dataclass(frozen=True, slots=True)
class Expunge:
    """RFC 9051 6.4.3; `uids` are those of UID EXPUNGE (6.4.9)."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """RFC 9051 6.4.7."""

    numbers: SequenceSet
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """RFC 9051 6.4.8."""

    numbers: SequenceSet
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """RFC 9051 6.4.6; `how` is "+", "-" or nothing: instead of all flags.

    `unchanged_since` is a MODSEQ (RFC 7162 3.1.3).
    """

    numbers: SequenceSet
    how: str
    flags: Flags
    silent: bool = False
    by_uid: bool = False
    unchanged_since: int | None = None


def _expunge_uids(reader: Reader) -> Expunge:
    reader.space()
    return Expunge(reader.sequence_set())


def _copy(reader: Reader, make: type[Copy | Move], by_uid: bool) -> Copy | Move:
    reader.space()
    numbers = reader.sequence_set()
    reader.space()
    return make(numbers, reader.mailbox(), by_uid)


def _store(reader: Reader, by_uid: bool) -> Store:
    reader.space()
    numbers = reader.sequence_set()
    reader.space()
    unchanged_since = None
    if reader.took(b"("):
        if reader.word("a modifier") != "UNCHANGEDSINCE":
            raise ImapError("there is no such modifier")
        reader.space()
        unchanged_since = reader.number(MOST_NUMBER64)
        reader.expect(b")")
        reader.space()
    sign = "+" if reader.took(b"+") else "-" if reader.took(b"-") else ""
    name, _, silent = reader.word("FLAGS").partition(".")
    if name != "FLAGS" or silent not in ("", "SILENT"):
        raise ImapError("only FLAGS can be stored")
    reader.space()
    return Store(numbers, sign, reader.flags(), bool(silent), by_uid, unchanged_since)


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "CHECK": lambda _: Check(), "CLOSE": lambda _: Close(), "UNSELECT": lambda _: Unselect(),
    "EXPUNGE": lambda _: Expunge(), "UID EXPUNGE": _expunge_uids,
    "COPY": lambda reader: _copy(reader, Copy, False), "UID COPY": lambda reader: _copy(reader, Copy, True),
    "MOVE": lambda reader: _copy(reader, Move, False), "UID MOVE": lambda reader: _copy(reader, Move, True),
    "STORE": lambda reader: _store(reader, False), "UID STORE": lambda reader: _store(reader, True),
}
