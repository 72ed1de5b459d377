"""Commands that bring messages (RFC 9051 6.3.12, RFC 3502, RFC 6855 4, RFC 8508); the messages come in pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.flags import NONE, Flags
from mailserver.imap.numbers import HIGHEST
from mailserver.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Append:
    """One message or several (MULTIAPPEND), all of them or none."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Replace:
    """A message for another, by its sequence number or UID; 0 for a number: `*`."""

    number: int
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What is said of a message before it comes.

    `date` is seconds since the epoch, None: now.  `is_binary`: a literal8, which may hold NUL; `is_utf8`: its header
    may be UTF-8 (RFC 6855 4).  A size of 0 takes the whole command back (RFC 3502 6.3.11).
    """

    size: int
    waits: bool
    flags: Flags = NONE
    date: int | None = None
    is_binary: bool = False
    is_utf8: bool = False


def begin_append(reader: Reader) -> Append:
    """To the space before its first message."""
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    return Append(mailbox)


def begin_replace(reader: Reader, by_uid: bool = False) -> Replace:
    """To the space before its message."""
    reader.space()
    number = 0 if reader.took(b"*") else reader.number(HIGHEST, 1)
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    return Replace(number, mailbox, by_uid)


def read_options(reader: Reader) -> tuple[Flags, int | None]:
    """The flags and the date of a message, where they are said, with the space behind them."""
    flags, date = NONE, None
    if reader.follows(b"("):
        flags = reader.flags()
        reader.space()
    if reader.follows(b'"'):
        date = reader.date_time()
        reader.space()
    return flags, date


def read_draft(reader: Reader, flags: Flags, date: int | None) -> Draft:
    """The announcement of a message, at the end of what is here."""
    is_utf8 = reader.octets[reader.at : reader.at + 4].upper() == b"UTF8"
    if is_utf8:
        reader.at += 4
        reader.space()
        reader.expect(b"(")
    marker = reader.message()
    if is_utf8 and not marker.is_binary:
        reader.fail("UTF8 has a literal8")
    return Draft(marker.size, marker.waits, flags, date, marker.is_binary, is_utf8)


BEGINNINGS: Mapping[str, Callable[[Reader], Append | Replace]] = {
    "APPEND": begin_append, "REPLACE": begin_replace, "UID REPLACE": lambda reader: begin_replace(reader, True),
}
