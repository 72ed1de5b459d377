"""The beginning of a command: its tag, its name, and whether it may come now (RFC 9051 2.2.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailserver.imap.commands.append import BEGINNINGS, Append, Replace
from mailserver.imap.commands.catenate import Catenate, Joined, Link, Place, Step, read_messages
from mailserver.imap.commands.table import PARSERS, State, allow, read_name
from mailserver.imap.error import ImapError
from mailserver.imap.events import Event, Joining, Joint, Linked, Request
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


def parts(begun: tuple[str, Append | Replace], steps: Sequence[Step]) -> list[Event]:
    """What the session is told of messages that are put together of parts, but for the literals of such."""
    events: list[Event] = []
    for step in steps:
        if isinstance(step, Catenate):
            events.append(Joining(*begun, step.draft))
        elif isinstance(step, Link):
            events.append(Linked(step.url))
        elif isinstance(step, Joined):
            events.append(Joint())
    return events


def read_whole(octets: bytes, state: State, utf8: bool) -> list[Event]:
    """A command that is all here, with the parts of its messages before it; raises `ImapError`."""
    reader = Reader(octets, utf8)
    head = read_head(reader, state)
    try:
        if head.name in BEGINNINGS:
            command = BEGINNINGS[head.name](reader)
            steps = read_messages(reader, Place.BEGINNING, isinstance(command, Replace))
            reader.end()
            begun = head.tag, command
            return [*parts(begun, steps), Request(*begun)]
        whole = PARSERS[head.name](reader)
        reader.end()
    except ImapError as error:
        error.tag = head.tag
        raise
    return [Request(head.tag, whole)]
