"""A structure as octets to be kept, so that nothing is parsed again when a client asks: JSON, with a version."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from mailserver.mime.parameters import Parameters
from mailserver.mime.part import Kind, Part

VERSION = b"1"


def dump(part: Part) -> bytes:
    """Offsets are written from the beginning of the part that a part stands in, so that the numbers stay small."""
    return VERSION + json.dumps(_row(part, 0), separators=(",", ":")).encode()


def load(octets: bytes, before: int = 0) -> Part:
    """What was dumped; its fields are empty.  Raises ValueError for what is nothing of the kind.

    `before`: how many octets of header now stand before the message that was understood (Return-Path, Received), as
    each recipient has his own.  They belong to the root's header.
    """
    if octets[:1] != VERSION:
        raise ValueError(f"this structure was stored by another version: {octets[:1]!r}")
    try:
        root = _part(json.loads(octets[1:]), before)
        return replace(root, start=0) if before else root
    except (TypeError, IndexError, RecursionError) as error:
        raise ValueError("that is no structure") from error


def _row(part: Part, base: int) -> list[Any]:
    row: list[Any] = [
        int(part.kind), part.start - base, part.body - part.start, part.end - part.body, part.lines, part.type,
        part.subtype, part.encoding or None, _flat(part.parameters), [_row(each, part.start) for each in part.parts],
        part.disposition, _flat(part.disposition_parameters), _text(part.id), _text(part.description),
        _text(part.md5), [_text(each) for each in part.language], _text(part.location),
    ]
    while row[-1] is None or row[-1] == []:
        del row[-1]
    return row


def _part(row: list[Any], base: int) -> Part:
    row = row + [None] * (17 - len(row))
    start = base + row[1]
    body = start + row[2]
    return Part(
        Kind(row[0]), start, body, body + row[3], row[4], row[5], row[6], row[7] or "", _pairs(row[8] or []),
        row[10], _pairs(row[11] or []), _octets(row[12]), _octets(row[13]), _octets(row[14]),
        tuple(each.encode("latin-1") for each in row[15] or ()), _octets(row[16]),
        tuple(_part(each, start) for each in row[9] or ()),
    )


def _flat(parameters: Parameters) -> list[str]:
    return [each.decode("latin-1") for pair in parameters for each in pair]


def _pairs(flat: list[str]) -> Parameters:
    octets = [each.encode("latin-1") for each in flat]
    return tuple(zip(octets[::2], octets[1::2], strict=True))


def _text(octets: bytes | None) -> str | None:
    return None if octets is None else octets.decode("latin-1")


def _octets(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")
