"""Fields and parts of what strangers sent: found by scanning, in linear time, and never believed to be well formed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

MOST_PARTS = 20
MOST_FIELDS = 500           # of one block
LONGEST_FIELD = 2000        # characters

_LINE = re.compile(rb"\r?\n")
_BOUNDARY = re.compile(r'boundary\s{0,9}=\s{0,9}(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)


def split(octets: bytes) -> tuple[bytes, bytes]:
    """A header section and what comes behind the empty line."""
    if octets[:2] == b"\r\n" or octets[:1] == b"\n":
        return b"", octets.lstrip(b"\r\n")
    ends = [(at, len(end)) for end in (b"\r\n\r\n", b"\n\n") if (at := octets.find(end)) >= 0]
    if not ends:
        return octets, b""
    at, length = min(ends)
    return octets[:at], octets[at + length :]


def fields(block: bytes) -> list[tuple[str, str]]:
    """Names in lower case and bodies, unfolded, in order."""
    found: list[list[str]] = []
    for line in _LINE.split(block):
        if line[:1] in (b" ", b"\t"):
            if found and len(found[-1]) < 50:
                found[-1].append(_text(line[:LONGEST_FIELD]))
            continue
        name, colon, body = line.partition(b":")
        if colon and len(name) < 80:
            if len(found) == MOST_FIELDS:
                break
            found.append([_text(name).lower(), _text(body[:LONGEST_FIELD])])
    return [(each[0], " ".join(each[1:])[:LONGEST_FIELD]) for each in found]


def _text(octets: bytes) -> str:
    return printable(octets.decode("utf-8", "replace")).strip()


def printable(text: str) -> str:
    """Words of strangers as every database takes them, and no terminal obeys them."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def first(some: list[tuple[str, str]], name: str) -> str:
    """The body of the first field called so; "" when there is none."""
    return next((body for each, body in some if each == name), "")


def parts(header: list[tuple[str, str]], body: bytes) -> Iterator[tuple[str, bytes]]:
    """The type of each part of a multipart, in lower case, and its octets, decoded."""
    boundary = _BOUNDARY.search(first(header, "content-type"))
    if boundary is None:
        return
    end = b"--" + (boundary[1] or boundary[2]).encode("utf-8", "replace")
    pieces = (b"\n" + body).split(b"\n" + end, MOST_PARTS)
    for piece in pieces[1:]:
        line, _, rest = piece.partition(b"\n")
        if line.startswith(b"--"):
            return
        above, below = split(rest)
        named = fields(above)
        type = first(named, "content-type").partition(";")[0].strip().lower() or "text/plain"
        yield type, _decoded(first(named, "content-transfer-encoding").lower(), below)


def _decoded(encoding: str, octets: bytes) -> bytes:
    try:
        if encoding == "base64":
            return base64.b64decode(re.sub(rb"[^A-Za-z0-9+/=]", b"", octets))
        if encoding == "quoted-printable":
            return binascii.a2b_qp(octets)
    except (binascii.Error, ValueError):
        pass
    return octets


def blocks(octets: bytes) -> list[bytes]:
    """What empty lines keep apart."""
    return [each for each in re.split(rb"\n(?:[ \t]*\r?\n)+", octets.strip(b"\r\n"), maxsplit=2000) if each.strip()]
