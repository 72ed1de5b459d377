"""The messages of APPEND and REPLACE, each as it comes or put together of parts (RFC 3502, RFC 4469)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailserver.imap.commands.append import Draft, read_draft, read_options
from mailserver.imap.literal import Marker
from mailserver.imap.reader import Reader


class Place(Enum):
    """Where in the list of messages a command is."""

    BEGINNING = 1       # a message has to begin
    PART = 2            # a part of one has just ended
    BEHIND = 3          # a message has just ended


@dataclass(frozen=True, slots=True)
class Catenate:
    """A message begins that is put together of parts; `draft` has no size of its own."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class Text:
    """A part that comes as a literal."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class Link:
    """A part that lies here already: its URL, unread."""

    url: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """That was the last part of a message."""


Step = Draft | Catenate | Text | Link | Joined


def read_messages(reader: Reader, place: Place, only_one: bool) -> list[Step]:
    """What is said to the end of the command, or to the literal of a message or a part; `only_one`: REPLACE."""
    steps: list[Step] = []
    while True:
        if place is Place.BEHIND:
            if only_one or reader.octets[reader.at :] in (b"", b" "):
                return steps
            reader.space()
        if place is not Place.PART:
            flags, date = read_options(reader)
            if reader.octets[reader.at : reader.at + 10].upper() != b"CATENATE (":
                steps.append(read_draft(reader, flags, date))
                return steps
            reader.at += 10
            steps.append(Catenate(Draft(0, False, flags, date)))
        elif reader.took(b")"):
            steps.append(Joined())
            place = Place.BEHIND
            continue
        else:
            reader.space()
        word = reader.word("TEXT or URL")
        if word == "UTF8":
            reader.space()
            reader.expect(b"(")
            marker = reader.message()
            if not marker.is_binary:
                reader.fail("UTF8 has a literal8")
            steps.append(_text(marker, is_utf8=True))
            return steps
        if word not in ("TEXT", "URL"):
            reader.fail("a part is TEXT or URL")
        reader.space()
        if word == "TEXT":
            steps.append(_text(reader.message()))
            return steps
        steps.append(Link(reader.astring()))
        place = Place.PART


def _text(marker: Marker, is_utf8: bool = False) -> Text:
    return Text(Draft(marker.size, marker.waits, is_binary=marker.is_binary, is_utf8=is_utf8))
