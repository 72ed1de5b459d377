"""Finding the report in a mail: as much of MIME (RFC 2045, RFC 2046) as that needs, bounded in depth and number."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from itertools import islice

from mailserver.content import Content
from mailserver.tlsrpt.reading import BadReport

LARGEST = 6 * 1024 * 1024       # octets of a mail that are looked at: one and a half of the largest report
DEEPEST = 3                     # parts inside of parts
MOST_PARTS = 50                 # of one body
MOST_LEAVES = 200               # that are looked at in all

_TYPES = ("application/tlsrpt+gzip", "application/tlsrpt+json")
_LIKELY = ("application/gzip", "application/x-gzip", "application/json", "application/octet-stream")
_BOUNDARY = re.compile(rb'(?i);[ \t\r\n]*boundary[ \t]*=[ \t]*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))')
_ENCODING = re.compile(rb"[A-Za-z0-9-]+")


def report_in(octets: bytes) -> bytes:
    """The octets of the report, decoded, still packed; raises `BadReport` when there is none."""
    if len(octets) > LARGEST:
        raise BadReport(f"the message is larger than {LARGEST} octets")
    found = list(islice(_leaves(octets, DEEPEST), MOST_LEAVES))
    for types in (_TYPES, _LIKELY):
        for type, encoding, body in found:
            if type in types:
                return _decoded(body, encoding)
    raise BadReport("the message has no part of type application/tlsrpt+gzip or application/tlsrpt+json")


def _leaves(octets: bytes, depth: int) -> Iterator[tuple[str, str, bytes]]:
    """Type, encoding and body of each part that has no parts itself."""
    head = Content.of(octets)
    header = head.header
    body = octets[2:] if octets.startswith(b"\r\n") else octets[len(header) + 2 :]
    fields = next(head.fields("Content-Type"), b"text/plain")
    type = fields.partition(b";")[0].strip().lower().decode("ascii", "replace")
    if not type.startswith("multipart/"):
        encoding = _ENCODING.search(next(head.fields("Content-Transfer-Encoding"), b""))
        yield type, encoding[0].lower().decode() if encoding else "", body
        return
    boundary = _BOUNDARY.search(fields)
    if boundary is None or not depth:
        return
    mark = b"\r\n--" + (boundary[1] or boundary[2]).rstrip(b" \t")
    for part in (b"\r\n" + body).split(mark, MOST_PARTS + 1)[1 : MOST_PARTS + 1]:
        if part.startswith(b"--"):
            return
        line, end, rest = part.partition(b"\r\n")
        if end and not line.strip(b" \t"):
            yield from _leaves(rest, depth - 1)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        try:
            return base64.b64decode(body)               # passes over what is no base64, as RFC 2045 6.8 wants
        except binascii.Error as error:
            raise BadReport(f"its base64 is broken: {error}") from None
    return quopri.decodestring(body) if encoding == "quoted-printable" else body
