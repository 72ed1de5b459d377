"""The beginning of a command: its tag, its name, and whether it may come now (RFC 9051 2.2.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailserver.imap.commands.append import BEGINNINGS, read_draft
from mailserver.imap.commands.table import PARSERS, State, allow, read_name
from mailserver.imap.error import ImapError
from mailserver.imap.events import Request
from mailserver.imap.reader import Reader

LONGEST_TAG = 64            # octets

_TAG: re.Pattern[bytes] = re.compile(rb"([^\x00-\x20(){%%*\"\\+\x7f-\xff]{1,%d})(?: |\Z)" % LONGEST_TAG)


@dataclass(frozen=True, slots=True)
class Head:
    """A tag, and the name that the command has in the table."""

    tag: str
    name: str


def read_tag(octets: bytes) -> str | None:
    """The tag that a line begins with, if it has one."""
    found = _TAG.match(octets)
    return None if found is None else found[1].decode("ascii")


def read_head(reader: Reader, state: State) -> Head:
    """To the end of the name; raises `ImapError` with the tag as far as there is one."""
    tag = read_tag(reader.octets)
    if tag is None:
        raise ImapError("a tag and a command are missing")
    reader.at = len(tag)
    try:
        reader.space()
        name = read_name(reader)
        allow(name, state)
    except ImapError as error:
        error.tag = tag
        raise
    return Head(tag, name)


def read_whole(octets: bytes, state: State, utf8: bool) -> Request:
    """A command that is all here; raises `ImapError`."""
    reader = Reader(octets, utf8)
    head = read_head(reader, state)
    try:
        command = PARSERS[head.name](reader)
        if head.name in BEGINNINGS:
            read_draft(reader)          # which is not there: a message would have been announced
        reader.end()
    except ImapError as error:
        error.tag = head.tag
        raise
    return Request(head.tag, command)
