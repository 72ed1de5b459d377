"""Sections of a message (RFC 9051 6.4.5, the argument of BODY[...]), found by a stored structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mailserver.mime.headers import fields
from mailserver.mime.octets import Octets
from mailserver.mime.part import Kind, Part
from mailserver.mime.transfer import decoded

LONGEST = 16 * 1024         # octets of a section as a client writes it
DEEPEST = 200               # numbers of a path

_SECTION = re.compile(
    rb"((?:[1-9][0-9]{0,8}\.)*+(?:[1-9][0-9]{0,8})?)\.?(HEADER\.FIELDS(\.NOT)? ?\(([^()]*)\)|HEADER|TEXT|MIME)?",
    re.IGNORECASE,
)
_NAME = re.compile(rb'"((?:[^"\\]|\\.)*+)"|([^\s"]+)')


class What(Enum):
    """What of a part is meant."""

    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    OTHER_FIELDS = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


class BadSection(ValueError):
    """It follows no grammar."""


@dataclass(frozen=True, slots=True)
class Section:
    """Which part, from 1 on each level, and what of it; names of fields in lower case."""

    path: tuple[int, ...] = ()
    what: What = What.ALL
    names: frozenset[bytes] = frozenset()

    @classmethod
    def parse(cls, octets: bytes) -> Section:
        """What stands between the brackets, its literals as quoted strings; raises `BadSection`."""
        found = _SECTION.fullmatch(octets) if len(octets) <= LONGEST else None
        if found is None or octets.endswith(b"."):
            raise BadSection("that is no section")
        path = tuple(int(each) for each in found[1].split(b".") if each)
        if len(path) > DEEPEST:
            raise BadSection("the path of that section is too long")
        what, names = found[2], frozenset[bytes]()
        if path and what and octets[len(found[1].rstrip(b".")) :][:1] != b".":
            raise BadSection("that is no section")
        if what is None:
            return cls(path)
        if found[4] is not None:
            names = frozenset((quoted or plain).lower() for quoted, plain in _NAME.findall(found[4]))
            if not names:
                raise BadSection("there are no names of fields")
            return cls(path, What.OTHER_FIELDS if found[3] else What.FIELDS, names)
        if what.upper() == b"MIME" and not path:
            raise BadSection("MIME needs the number of a part")
        return cls(path, What(what.decode().upper()))


class Range(NamedTuple):
    """Offsets of the whole message."""

    start: int
    end: int


def find(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part of a path; None: there is none.  Part 1 of a message that is no multipart is its body."""
    part, is_message = root, True           # a message, until a number has chosen a part of it
    for number in path:
        if not is_message and part.kind is Kind.LEAF:
            return None
        if not is_message and part.kind is Kind.MESSAGE:
            part = part.parts[0]
        if part.kind is Kind.MULTIPART:
            if number > len(part.parts):
                return None
            part = part.parts[number - 1]
        elif number != 1:
            return None
        is_message = False
    return part


def ranges(octets: Octets, root: Part, section: Section) -> list[Range] | None:
    """Where it lies, in order; None: there is no such part (NIL).  A part without that, or without fields, is []."""
    part = find(root, section.path)
    if part is None:
        return None
    what = section.what
    if what is What.ALL:
        return [Range(part.body if section.path else part.start, part.end)]
    if what is What.MIME:
        return [Range(part.start, part.body)]
    if section.path:
        if part.kind is not Kind.MESSAGE:
            return None                         # only a message has these (RFC 9051 6.4.5.1)
        part = part.parts[0]
    if what is What.TEXT:
        return [Range(part.body, part.end)]
    if what is What.HEADER:
        return [Range(part.start, part.body)]
    return list(_fields(octets, part, section.names, what is What.FIELDS))


def _fields(octets: Octets, part: Part, names: frozenset[bytes], wanted: bool) -> Iterator[Range]:
    """The fields, and the empty line, which belongs to them always."""
    end = fields_end(octets, part)
    for each in fields(octets, part.start, end, most=1 << 62):
        if (each.name in names) is wanted:
            yield Range(each.start, each.end)
    if end < part.body:
        yield Range(end, part.body)


def fields_end(octets: Octets, part: Part) -> int:
    """Where the fields of a header end and the empty line begins, if there is one."""
    start, body = part.start, part.body
    if body - start >= 2 and octets[body - 2 : body] == b"\r\n" and (body - start == 2 or octets[body - 3] == 10):
        return body - 2
    if body - start >= 1 and octets[body - 1] == 10 and (body - start == 1 or octets[body - 2] == 10):
        return body - 1
    return body


def binary(octets: Octets, root: Part, path: tuple[int, ...]) -> Iterator[bytes] | UnknownEncoding | None:
    """BINARY[path] (RFC 9051 6.4.5.2), decoded piece by piece; None: no such part.

    Of a part that has parts, and of the whole message, it is the octets as they came.
    """
    part = find(root, path)
    if part is None:
        return None
    if not path:
        return decoded(octets, part.start, part.end, "")
    encoding = part.encoding if part.kind is Kind.LEAF else ""
    return decoded(octets, part.body, part.end, encoding) or UnknownEncoding(part.encoding)


@dataclass(frozen=True, slots=True)
class UnknownEncoding:
    """NO [UNKNOWN-CTE]: the part's Content-Transfer-Encoding is none that is known."""

    encoding: str
