"""GETMETADATA and SETMETADATA: annotations of mailboxes and of the server (RFC 5464)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailserver.imap import entries, names
from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

DEPTHS: Mapping[str, int | None] = {"0": 0, "1": 1, "INFINITY": None}


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """`mailbox` "" is the server.  `depth` says how far below the entries; None: all the way.

    Values of more octets than `most` are not told; None: all are.
    """

    mailbox: str
    entries: tuple[str, ...]
    depth: int | None = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Entries and their values; None removes."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...] = field(repr=False)


def wanted(reader: Reader) -> tuple[str, ...]:
    """One entry, or several in brackets."""
    if not reader.follows(b"("):
        return (entries.read(reader.astring()),)
    return reader.list_of(lambda: entries.read(reader.astring()))


def _mailbox(reader: Reader) -> str:
    octets = reader.astring()
    return names.read(octets, reader.utf8) if octets else ""


def _get(reader: Reader) -> GetMetadata:
    """The options stand before the mailbox by the syntax, behind it in the RFC's examples: either is taken."""
    depth: int | None = 0
    most: int | None = None

    def option() -> None:
        nonlocal depth, most
        word = reader.word("an option")
        reader.space()
        if word == "MAXSIZE":
            most = reader.number()
        elif word == "DEPTH":
            value = reader.word("a depth")
            if value not in DEPTHS:
                raise ImapError("a depth is 0, 1 or infinity")
            depth = DEPTHS[value]
        else:
            raise ImapError("there is no such option")

    reader.space()
    if reader.follows(b"("):
        reader.list_of(option)
        reader.space()
    mailbox = _mailbox(reader)
    reader.space()
    if reader.follows(b"(") and reader.octets[reader.at + 1 : reader.at + 2] in (b"D", b"d", b"M", b"m"):
        reader.list_of(option)
        reader.space()
    return GetMetadata(mailbox, wanted(reader), depth, most)


def _set(reader: Reader) -> SetMetadata:
    reader.space()
    mailbox = _mailbox(reader)
    reader.space()

    def pair() -> tuple[str, bytes | None]:
        entry = entries.read_whole(reader.astring())
        reader.space()
        return entry, reader.nstring8()

    return SetMetadata(mailbox, reader.list_of(pair))


PARSERS: Mapping[str, Callable[[Reader], object]] = {"GETMETADATA": _get, "SETMETADATA": _set}
