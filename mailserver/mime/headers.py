"""Header sections (RFC 5322 2.2) as they came: fields by their offsets, duplicates, case and folding kept."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import islice
from typing import NamedTuple

from mailserver.mime.octets import Octets

MOST_FIELDS = 5000          # of one header section; those behind are kept, but nobody looks at them
LONGEST_VALUE = 64 * 1024   # octets of a field that are looked at

# A field, or else a line that is none; each match begins where the one before ended.
_FIELD = re.compile(rb"([^\s:]{1,200}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?|[^\n]*+\n?(?:[ \t][^\n]*+\n?)*+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_NO_CONTROLS = bytes.maketrans(b"\r\n\0", b"   ")

# Those of which all are read, not the first alone: a list that was cut in two is still one list.
LISTS = frozenset((b"to", b"cc", b"bcc", b"references", b"in-reply-to"))


class Field(NamedTuple):
    """One field: its name in lower case, and where it lies in the message, with the line ends that are its own."""

    name: bytes
    start: int
    value: int      # where its value begins
    end: int


def fields(octets: Octets, start: int, end: int, most: int = MOST_FIELDS) -> Iterator[Field]:
    """The fields of a header section without its empty line; lines that are none are passed over."""
    for found in _FIELD.finditer(octets, start, end):
        if found.start(1) >= 0:
            if most == 0:
                return
            most -= 1
            yield Field(found[1].lower(), found.start(), found.start(2), found.end())


def values(header: bytes, wanted: Container[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The names of some fields, and their values as they came, of a whole header section; long ones are cut."""
    for found in islice(_FIELD.finditer(header), MOST_FIELDS):
        if (name := found[1]) is not None and (name := name.lower()) in wanted:
            yield name, found[2][:LONGEST_VALUE]


def collect(octets: Octets, start: int, end: int, wanted: frozenset[bytes], most: int) -> dict[bytes, bytes]:
    """The unfolded values of some fields, by name; of a field that is there twice the first, but lists are joined.

    Together they take no more than `most` octets; what is too long ends at a comma.
    """
    values: dict[bytes, bytes] = {}
    for number, found in enumerate(_FIELD.finditer(octets, start, end)):
        if number >= MOST_FIELDS:
            break
        if found.start(1) < 0 or (name := found[1].lower()) not in wanted:
            continue
        before = values.get(name)
        if before is not None and name not in LISTS:
            continue
        begins, ends = found.span(2)
        room = min(LONGEST_VALUE, most) if before is None else min(LONGEST_VALUE - len(before), most)
        if room <= 0:
            continue
        if ends - begins > room:
            value = unfolded(octets[begins : begins + room])
            value = value.rpartition(b",")[0] or value
        else:
            value = unfolded(octets[begins:ends])
        most -= len(value)
        if before is not None:
            value = before + (b", " if before and value and name in (b"to", b"cc", b"bcc") else b" ") + value
        values[name] = value
    return values


def unfolded(value: bytes) -> bytes:
    """A field's value on one line (RFC 5322 2.2.3), without white space around it; no CR, LF or NUL is left."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return value.translate(_NO_CONTROLS).strip(b" \t")
