"""Values with parameters (RFC 2045 5.1, RFC 2183): as they were sent, and as they are meant (RFC 2231)."""

from __future__ import annotations

import re
from itertools import islice
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from mailserver.mime import charsets, words

Parameters: TypeAlias = tuple[tuple[bytes, bytes], ...]     # names and values in order, without quotes

MOST_PARAMETERS = 200
LONGEST_NAME = 1000         # characters of a file name

_TYPE = re.compile(rb"\s*+([^\s/;()\"=,]{1,100}+)\s*+/\s*+([^\s/;()\"=,]{1,100}+)")
_TOKEN = re.compile(rb"\s*+([^\s/;()\"=,]{1,100}+)")
_PARAMETER = re.compile(rb';\s*+([^\s=;"()]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))', re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb'"(?:[^"\\]|\\.)*+"?|(?<![^\s;])\(|\)|\\.', re.DOTALL)
_SEGMENT = re.compile(rb"\*(?:([0-9]{1,4})(\*)?)?")


def media_type(value: bytes) -> tuple[str, str, Parameters] | None:
    """Type and subtype in lower case, and the parameters; None: it cannot be understood."""
    value = _without_comments(value)
    found = _TYPE.match(value)
    if found is None:
        return None
    return _lower(found[1]), _lower(found[2]), _parameters(value, found.end())


def disposition(value: bytes) -> tuple[str, Parameters] | None:
    """What stands before the parameters, in lower case, and these; None: it cannot be understood."""
    value = _without_comments(value)
    found = _TOKEN.match(value)
    return None if found is None else (_lower(found[1]), _parameters(value, found.end()))


def token(value: bytes) -> str:
    """The first word of a value without parameters, in lower case (Content-Transfer-Encoding); "" if none."""
    found = _TOKEN.match(_without_comments(value))
    return "" if found is None else _lower(found[1])


def meant(parameters: Parameters, name: bytes) -> str | None:
    """A parameter as its sender meant it: put together, percents and charsets read (RFC 2231 3 and 4).

    Values with encoded words in quotes, which RFC 2047 5 forbids and half the world sends, are read too.
    """
    plain: bytes | None = None
    segments: dict[int, tuple[bool, bytes]] = {}
    for key, octets in parameters:
        key = key.lower()
        if not key.startswith(name):
            continue
        if len(key) == len(name):
            plain = octets if plain is None else plain
        elif (found := _SEGMENT.fullmatch(key, len(name))) is not None:
            number = int(found[1] or 0)
            segments.setdefault(number, (found[1] is None or found[2] is not None, octets))
    if 0 not in segments:
        return None if plain is None else words.decode(plain)[:LONGEST_NAME]
    charset, joined = "", []
    for number in range(len(segments)):
        if number not in segments:
            break
        is_extended, octets = segments[number]
        if is_extended and number == 0 and octets.count(b"'") >= 2:
            label, _, octets = octets.split(b"'", 2)
            charset = label.decode("ascii", "replace")
        joined.append(unquote_to_bytes(octets) if is_extended else octets)
    return charsets.decode(b"".join(joined), charset)[:LONGEST_NAME]


def _parameters(value: bytes, start: int) -> Parameters:
    if b";" not in value:
        return ()
    found = []
    for each in islice(_PARAMETER.finditer(value, start), MOST_PARAMETERS):
        name, quoted, bare = each.groups()
        if quoted is None:
            quoted = bare.rstrip()
        elif b"\\" in quoted:
            quoted = _PAIR.sub(rb"\1", quoted)
        found.append((name, quoted))
    return tuple(found)


def _lower(octets: bytes) -> str:
    return octets.decode("ascii", "replace").replace("\ufffd", "?").lower()


def _without_comments(value: bytes) -> bytes:
    """Only where white space or a semicolon stands before it: "report(1).pdf" without quotes is a name."""
    if b"(" not in value:
        return value
    kept, depth, at = [], 0, 0
    for found in _COMMENT.finditer(value):
        if found[0] == b"(":
            if depth == 0:
                kept.append(value[at : found.start()])
            depth += 1
        elif found[0] == b")" and depth:
            depth -= 1
            at = found.end()
    if depth == 0:
        kept.append(value[at:])
    return b"".join(kept)
