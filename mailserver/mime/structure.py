"""A message's structure, found in one pass over its octets.

What cannot be what it says is treated as something else: a multipart without a delimiter as text/plain, so that
it can be read; a message that is encoded, and what stands too deep, as application/octet-stream.  A Content-Type
that cannot be understood is text/plain (RFC 2045 5.2).
"""

from __future__ import annotations

import re

from mailserver.mime.headers import collect
from mailserver.mime.octets import Octets, line_ends
from mailserver.mime.parameters import Parameters, disposition, meant, media_type, token
from mailserver.mime.part import Kind, Part

DEEPEST = 100               # messages and multiparts inside of each other
MOST_PARTS = 1000           # the last takes all that is left
LONGEST_BOUNDARY = 250      # octets; RFC 2046 5.1.1 allows 70
MOST_HEADER = 512 * 1024    # octets of fields that are looked at, in the whole message
MOST_LINES = 500_000        # that begin as a delimiter does and are none; behind so many, no more parts are found

ENVELOPE = frozenset(
    (b"date", b"subject", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"in-reply-to", b"message-id")
)
_MIME = frozenset(
    b"content-" + each
    for each in (
        b"type", b"transfer-encoding", b"id", b"description", b"md5", b"disposition", b"language", b"location"
    )
)
_MESSAGE = ENVELOPE | _MIME | {b"references"}
_IDENTITY = ("", "7bit", "8bit", "binary")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_EMPTY_LINE_OR_DELIMITER = re.compile(rb"\n(?:\r?\n|--)")
_LANGUAGE = re.compile(rb"[A-Za-z0-9-]{1,40}")


def parse(octets: Octets) -> Part:
    """The root; never raises, whatever the octets are."""
    return _Walk(octets).walk()


class _Open:
    """A part whose end was not met yet."""

    __slots__ = ("body", "boundary", "fields", "is_message", "kind", "lines", "parameters", "parts", "start", "type")

    def __init__(self, start: int, is_message: bool) -> None:
        self.start = self.body = start
        self.is_message = is_message                # not a part of a multipart
        self.kind = Kind.LEAF
        self.type: tuple[str, str] = ("text", "plain")
        self.parameters: Parameters = ()
        self.boundary: bytes | None = None          # while its delimiters are looked for
        self.fields: dict[bytes, bytes] = {}
        self.parts: list[Part] = []
        self.lines = 0                              # that were counted before its body


class _Walk:
    """Goes forward only: each octet is looked at for line ends, for the end of a header and for delimiters once."""

    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self._size = len(octets)
        self._open: list[_Open] = []
        self._delimiters: dict[bytes, list[int]] = {}       # how deep the multiparts of a boundary stand
        self._count = 0                                     # of parts
        self._room = MOST_HEADER
        self._chances = MOST_LINES
        self._counted = self._lines = self._messages = 0

    def walk(self) -> Part:
        """All of it."""
        at, default, is_message = 0, ("text", "plain"), True
        while True:
            part = _Open(at, is_message)
            self._count += 1
            if self._count == MOST_PARTS:
                self._delimiters.clear()
                part.type = ("application", "octet-stream")
                self._open.append(part)
                break
            at = self._header(part, default)
            self._open.append(part)
            if part.kind is Kind.MESSAGE:
                self._messages += 1
                part.lines = self._lines_at(part.body)
                default, is_message = ("text", "plain"), True
                continue
            if part.type[0] == "text":
                part.lines = self._lines_at(part.body)
            found = self._next(at)
            if found is None:
                break
            depth, at = found
            digest = self._open[depth].type[1] == "digest"
            default, is_message = ("message", "rfc822") if digest else ("text", "plain"), False
        root = self._close(0, self._size)
        assert root is not None
        return root

    # -- headers

    def _header(self, part: _Open, default: tuple[str, str]) -> int:
        """Read a part's header and find out what it is; the offset from where to look for delimiters."""
        start = part.start
        end, part.body = self._header_end(start)
        part.fields = collect(self._octets, start, end, _MESSAGE if part.is_message else _MIME, self._room)
        self._room -= sum(map(len, part.fields.values()))
        stated = part.fields.get(b"content-type")
        known = media_type(stated) if stated else (*default, ())
        if known is None:
            return part.body
        part.type, part.parameters = known[:2], known[2]
        if part.type[0] not in ("multipart", "message"):
            return part.body
        is_plain = token(part.fields.get(b"content-transfer-encoding", b"")) in _IDENTITY
        is_deep = len(self._open) >= DEEPEST
        if part.type in (("message", "rfc822"), ("message", "global")):
            if is_plain and not is_deep:
                part.kind = Kind.MESSAGE
            else:
                part.type = ("application", "octet-stream")
        elif part.type[0] == "multipart":
            if is_deep:
                part.type = ("application", "octet-stream")
            else:
                self._expect(part, len(self._open))
        return part.body

    def _header_end(self, start: int) -> tuple[int, int]:
        """Where the fields end, and where the body begins."""
        octets, at = self._octets, max(start - 1, 0)
        if start == 0 and octets[:1] in (b"\r", b"\n") and (octets[:2] == b"\r\n" or octets[:1] == b"\n"):
            return 0, 1 if octets[:1] == b"\n" else 2
        pattern = _EMPTY_LINE_OR_DELIMITER if self._delimiters else _EMPTY_LINE
        while (found := pattern.search(octets, at)) is not None:
            if found.end() - found.start() != 3 or octets[found.end() - 1] != 45:
                return found.start() + 1, found.end()
            if self._match(found.start() + 1) is not None:
                end = max(start, self._before(found.start()))
                return end, end
            at = found.start() + 1
        return self._size, self._size

    # -- multiparts

    def _expect(self, part: _Open, depth: int) -> None:
        """Look for the delimiters of a multipart."""
        boundary = next((value for name, value in part.parameters if name.lower() == b"boundary"), None)
        if boundary is None:
            boundary = (meant(part.parameters, b"boundary") or "").encode()
        boundary = boundary.rstrip(b" \t")
        part.kind = Kind.MULTIPART
        if 0 < len(boundary) <= LONGEST_BOUNDARY and self._chances >= 0:
            part.boundary = boundary
            self._delimiters.setdefault(boundary, []).append(depth)

    def _forget(self, part: _Open) -> None:
        depths = self._delimiters.get(part.boundary) if part.boundary is not None else None
        if part.boundary is not None and depths is not None:
            depths.pop()
            if not depths:
                del self._delimiters[part.boundary]
        part.boundary = None

    def _match(self, line: int) -> tuple[int, bool, int] | None:
        """How deep the multipart stands that a line delimits, whether it ends that, and the offset behind the line."""
        octets, most = self._octets, line + LONGEST_BOUNDARY + 100
        end = octets.find(b"\n", line, most)
        if end < 0:
            if most < self._size:
                return None
            end = self._size
        self._chances -= 1
        if self._chances < 0:
            self._delimiters.clear()
            return None
        said = octets[line + 2 : end].rstrip(b" \t\r")
        begins = self._delimiters.get(said)
        ends = self._delimiters.get(said[:-2]) if said.endswith(b"--") else None
        if begins is None and ends is None:
            return None
        end = min(end + 1, self._size)
        if ends is None or (begins is not None and begins[-1] > ends[-1]):
            assert begins is not None
            return begins[-1], False, end
        return ends[-1], True, end

    def _next(self, at: int) -> tuple[int, int] | None:
        """Close what ends, up to where the next part begins: how deep its multipart stands, and its offset."""
        at -= 1
        while self._delimiters:
            at = self._octets.find(b"\n--", max(at, 0))
            if at < 0:
                return None
            found = self._match(at + 1)
            if found is None:
                at += 1
                continue
            depth, ends, behind = found
            self._close(depth + 1, self._before(at))
            if not ends:
                return depth, behind
            self._forget(self._open[depth])
            at = behind - 1
        return None

    def _before(self, at: int) -> int:
        """Where a body ends, before the line end at an offset, which belongs to the delimiter (RFC 2046 5.1.1)."""
        return at - 1 if at and self._octets[at - 1] == 13 else at

    # -- ends

    def _close(self, depth: int, end: int) -> Part | None:
        """All parts that stand so deep, or deeper, have ended."""
        part = None
        while len(self._open) > depth:
            ended = self._open.pop()
            self._forget(ended)
            end = max(end, ended.body)          # an empty body: its line end was that of the empty line
            part = self._part(ended, end)
            if self._open:
                self._open[-1].parts.append(part)
        return part

    def _lines_at(self, offset: int) -> int:
        """How many lines were counted up to an offset.  What is no text, and in no message, is passed over."""
        if offset > self._counted:
            self._lines += line_ends(self._octets, self._counted, offset)
            self._counted = offset
        return self._lines

    def _part(self, part: _Open, end: int) -> Part:
        fields, kind, (type, subtype) = part.fields, part.kind, part.type
        if kind is Kind.MULTIPART and not part.parts:
            kind, type, subtype, part.parameters = Kind.LEAF, "text", "plain", ()
            lines = line_ends(self._octets, part.body, end)
        elif kind is Kind.MESSAGE:
            self._messages -= 1
            lines = self._lines_at(end) - part.lines
        elif type == "text":
            lines = self._lines_at(end) - part.lines
        else:
            lines = 0
            if not self._messages:
                self._counted = max(self._counted, end)
        said = fields.get(b"content-disposition")
        put = disposition(said) if said else None
        stated = fields.get(b"content-language")
        return Part(
            kind, part.start, part.body, end, lines, type, subtype,
            token(fields.get(b"content-transfer-encoding", b"")), part.parameters,
            None if put is None else put[0], () if put is None else put[1],
            fields.get(b"content-id"), fields.get(b"content-description"), fields.get(b"content-md5"),
            tuple(_LANGUAGE.findall(stated)[:20]) if stated else (), fields.get(b"content-location"),
            tuple(part.parts), fields if part.is_message else {},
        )
