"""The parts of a message (RFC 2045, RFC 2046), found while its octets go by: header sections, bodies, delimiters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

LONGEST = 4096              # octets of a header line that are looked at together
LONGEST_DELIMITER = 1000
LONGEST_TYPE = 16 * 1024    # octets of a Content-Type
LONGEST_ENCODING = 200
DEEPEST = 50                # multiparts inside of multiparts

_TYPE = re.compile(rb"[ \t\r\n]*([!#$&+.^_a-z0-9-]+)[ \t\r\n]*/[ \t\r\n]*([!#$&+.^_a-z0-9-]+)", re.IGNORECASE)
_TOKEN = re.compile(rb"[ \t\r\n]*([a-z0-9-]+)[ \t\r\n]*(?=[;(]|\Z)", re.IGNORECASE)
_PARAMETER = re.compile(
    rb';[ \t\r\n]*([^\s=;"]+)[ \t\r\n]*(?:=[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?', re.DOTALL
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

IDENTITY = ("", "7bit", "8bit", "binary")


class Body(Enum):
    """What the octets between two delimiters, or behind a header section, are."""

    LEAF = "leaf"               # a part that has no parts
    OPAQUE = "opaque"           # a part that nobody may look into, or can
    BESIDE = "beside"           # what stands before the first part of a multipart, or behind its last


@dataclass(slots=True)
class Section:
    """One header section, as far as it was read."""

    number: int
    is_message: bool            # not of a body part
    default: bytes              # its type when it says none
    type: bytes | None = None
    encoding: bytes | None = None
    has_version: bool = False
    is_text: bool = False       # of a leaf
    is_composite: bool = False
    why_opaque: str = ""

    @property
    def transfer(self) -> str:
        """The Content-Transfer-Encoding; "?" when it is none that could be read."""
        if self.encoding is None or not self.encoding.strip():
            return ""
        found = _TOKEN.match(self.encoding)
        return found[1].decode().lower() if found else "?"


@dataclass(slots=True)
class _Frame:
    """A multipart that has not ended."""

    delimiter: bytes
    default: bytes
    has_parts: bool = False


class Parts:
    """Takes a message in pieces and calls what a subclass does with each thing in it, in order.

    Line ends are CRLF and nothing else.  Whatever comes, nothing is raised; of it no more is kept than a line, a
    Content-Type and the delimiters of `DEEPEST` multiparts.
    """

    def __init__(self) -> None:
        self._block = b""
        self._at = 0                        # in the block
        self._at_start = True               # of a line
        self._frames: list[_Frame] = []
        self._field = b""                   # the name of the field that a line belongs to
        self._noted = ""                    # what is made of it
        self._in_header = True
        self._body_kind = Body.LEAF
        self.section = Section(0, True, b"text/plain")

    def walk(self, octets: bytes, last: bool = False) -> None:
        """Go on with these; `last`: there will be no more."""
        self._block, self._at = self._block[self._at :] + octets, 0
        while self._header_line(last) if self._in_header else self._some_body(last):
            pass
        if last:
            if not self._in_header:
                self.body_ends(self._body_kind, True)
            self._leave(0)

    # -- what a subclass does

    def field(self, name: bytes, octets: bytes, begins: bool) -> None:
        """A line, or a piece of a long one, of the field of this name (in lower case; empty: of no field)."""

    def blank(self, octets: bytes) -> None:
        """The line behind a header section, of which `section` tells now."""

    def body(self, kind: Body, octets: bytes) -> None:
        """Some of a body."""

    def body_ends(self, kind: Body, at_end: bool) -> None:
        """It is whole; `at_end` of all."""

    def delimiter(self, octets: bytes) -> None:
        """A line between parts, and the line end before it, which belongs to it."""

    def no_parts(self) -> None:
        """A multipart has ended, in which there was none."""

    # -- header sections

    def _header_line(self, last: bool) -> bool:
        """Take a line, or a piece of a long one; False when more octets are needed."""
        block, at = self._block, self._at
        end = block.find(b"\r\n", at, at + LONGEST + 2) + 2
        if end < 2:
            if len(block) - at >= LONGEST + 2:
                end = at + LONGEST
            elif last and at < len(block):
                end = len(block)
            else:
                return False
        self._at, line = end, block[at:end]
        begins, self._at_start = self._at_start, line.endswith(b"\r\n")
        if begins and line == b"\r\n":
            self._header_ends(line)
            return True
        if begins and line.startswith(b"--") and self._delimits(line, line):
            return True
        begins = begins and not line.startswith((b" ", b"\t"))
        if begins:
            name, colon, value = line.partition(b":")
            self._field = name.rstrip(b" \t").lower() if colon else b""
            self._begin_note()
            self._note(value)
        else:
            self._note(line)
        self.field(self._field, line, begins)
        return True

    def _begin_note(self) -> None:
        """Of several fields of one name the first counts."""
        section, self._noted = self.section, ""
        if self._field == b"content-type" and section.type is None:
            section.type, self._noted = b"", "type"
        elif self._field == b"content-transfer-encoding" and section.encoding is None:
            section.encoding, self._noted = b"", "encoding"
        elif self._field == b"mime-version":
            section.has_version = True

    def _note(self, value: bytes) -> None:
        section = self.section
        if self._noted == "type":
            section.type = ((section.type or b"") + value)[: LONGEST_TYPE + 1]
        elif self._noted == "encoding":
            section.encoding = ((section.encoding or b"") + value)[:LONGEST_ENCODING]

    def _header_ends(self, line: bytes) -> None:
        """What comes behind this header section is found out, and told."""
        section, frame, message = self.section, None, False
        value = section.type if section.type is not None and section.type.strip() else section.default
        found = _TYPE.match(value)
        type, subtype = (found[1].lower(), found[2].lower()) if found else (b"text", b"plain")
        if len(value) > LONGEST_TYPE:
            section.why_opaque = "the Content-Type of a part is too long"
        elif found is None and b"/" in value:
            section.why_opaque = "the Content-Type of a part cannot be understood"
        elif type == b"multipart" or (type == b"message" and subtype in (b"rfc822", b"news")):
            section.is_composite = True
            if section.transfer not in IDENTITY:
                section.why_opaque = "a part that has parts is encoded as a whole"
            elif type == b"message":
                message = True
            else:
                frame = self._multipart(section, subtype, value)
        elif type == b"message" and subtype in (b"partial", b"external-body"):
            section.is_composite = True
            section.why_opaque = f"a part of type message/{subtype.decode()} may not be encoded"     # RFC 2046 5.2
        section.is_text = type == b"text"
        self.blank(line)
        self._field, self._noted = b"", ""
        if message:
            self._begin(True, b"text/plain")
            return
        self._in_header = False
        self._body_kind = Body.OPAQUE if section.why_opaque else Body.LEAF
        if frame is not None:
            self._frames.append(frame)
            self._body_kind = Body.BESIDE

    def _multipart(self, section: Section, subtype: bytes, value: bytes) -> _Frame | None:
        """How its parts are told apart; None, and why, when it is left alone."""
        boundary = b""
        for name, quoted, token in _PARAMETER.findall(value):
            if name.lower() == b"boundary":
                boundary = (_QUOTED_PAIR.sub(rb"\1", quoted) if quoted else token).rstrip(b" \t\r\n")
                break
        if subtype in (b"signed", b"encrypted"):
            section.why_opaque = f"a part of it is {subtype.decode()}"
        elif not 0 < len(boundary) <= LONGEST_DELIMITER // 2 or b"\r\n" in boundary:
            section.why_opaque = "a multipart has no boundary"
        elif len(self._frames) >= DEEPEST:
            section.why_opaque = f"there are more than {DEEPEST} multiparts inside of each other"
        else:
            return _Frame(b"--" + boundary, b"message/rfc822" if subtype == b"digest" else b"text/plain")
        return None

    def _begin(self, is_message: bool, default: bytes) -> None:
        self.section = Section(self.section.number + 1, is_message, default)
        self._in_header = self._at_start = True
        self._field, self._noted = b"", ""

    # -- bodies

    def _some_body(self, last: bool) -> bool:
        """Give a body as far as it is certain; False when more octets are needed, else a delimiter was passed."""
        if not self._frames:
            self._give(len(self._block))
            return False
        block = self._block
        look = self._at
        while True:
            if self._at_start:
                if not block.startswith(b"--", look):
                    if not last and len(block) - look < 2 and b"--".startswith(block[look:]):
                        return False
                    self._at_start = False
                    continue
                before = line = look
            else:
                before = block.find(b"\r\n--", look)
                if before < 0:
                    self._give(len(block) - (0 if last else _beginning(block, look)))
                    return False
                line = before + 2
            end = block.find(b"\r\n", line, line + LONGEST_DELIMITER) + 2
            if end < 2 and len(block) - line < LONGEST_DELIMITER:
                if not last:
                    self._give(before)
                    return False
                end = len(block)
            if end >= 2 and self._match(block[line:end]) is not None:
                self._give(before)
                self.body_ends(self._body_kind, False)
                self._at = end
                return self._delimits(block[line:end], block[before:end])
            self._at_start, look = False, line + 2

    def _give(self, end: int) -> None:
        if self._at < end:
            self.body(self._body_kind, self._block[self._at : end])
            self._at, self._at_start = end, False

    def _match(self, line: bytes) -> tuple[int, bool] | None:
        """Which multipart a line delimits, the innermost first, and whether it ends that."""
        line = line.rstrip(b" \t\r\n")
        for number in range(len(self._frames) - 1, -1, -1):
            delimiter = self._frames[number].delimiter
            if line.startswith(delimiter):
                if len(line) == len(delimiter):
                    return number, False
                if line[len(delimiter) :] == b"--":
                    return number, True
        return None

    def _delimits(self, line: bytes, octets: bytes) -> bool:
        """Go on behind a line, if it is a delimiter."""
        match = self._match(line)
        if match is None:
            return False
        number, ends = match
        self.delimiter(octets)
        if ends:
            self._leave(number)
            self._in_header, self._at_start, self._body_kind = False, True, Body.BESIDE
        else:
            self._leave(number + 1)
            self._frames[number].has_parts = True
            self._begin(False, self._frames[number].default)
        return True

    def _leave(self, count: int) -> None:
        """All multiparts but so many have ended."""
        while len(self._frames) > count:
            if not self._frames.pop().has_parts:
                self.no_parts()


def _beginning(block: bytes, at: int) -> int:
    """How many octets at the end could begin a line end and a delimiter."""
    for count in (3, 2, 1):
        if len(block) - at >= count and block.endswith(b"\r\n-"[:count]):
            return count
    return 0
