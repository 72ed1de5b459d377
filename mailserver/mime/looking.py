"""Looks for texts in a message, as people read it: encodings, charsets and HTML undone, case and width ignored.

What is plain ASCII, as most of what machines write, is searched as the octets that it is; all else is understood first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailserver.mime import words
from mailserver.mime.folding import fold
from mailserver.mime.headers import LONGEST_VALUE, Field, fields, unfolded
from mailserver.mime.octets import Octets
from mailserver.mime.structure import MOST_HEADER, parse
from mailserver.mime.text import MOST_TEXT, texts

WINDOW = 64 * 1024          # characters of a text that are folded at a time; some become eighteen of it
ESCAPE = b"\x1b"            # begins another charset of ISO 2022, in what looks like ASCII

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
# The fields of a header, in upper case and behind a line end, that say no more than that the body is what it is.
_SAYS_PLAIN = re.compile(
    rb"\nCONTENT-(?:TRANSFER-ENCODING:[ \t]*(?:7BIT|8BIT|BINARY)|LENGTH:[ \t]*[0-9]++|LANGUAGE:[ \t]*[A-Z-]++"
    rb"|TYPE:[ \t]*TEXT/PLAIN(?:[ \t]*;(?:\r?\n)?[ \t]*(?:"
    rb"CHARSET=\"?(?:US-ASCII|UTF-8|ISO-8859-(?:1|15)|WINDOWS-1252)\"?"
    rb"|FORMAT=\"?(?:FLOWED|FIXED)\"?|DELSP=\"?(?:YES|NO)\"?))*+)[ \t]*\r?\n(?![ \t])"
)


@dataclass(frozen=True, slots=True)
class Needle:
    """What is looked for: folded, and as octets where it is ASCII.  "" is in every text."""

    text: str
    octets: bytes | None
    may_span_lines: bool        # in a header, where a field may be folded at any space

    @classmethod
    def of(cls, text: str) -> Needle:
        """For a text as the client sent it."""
        folded = fold(text)
        octets = folded.encode("ascii") if folded.isascii() else None
        return cls(folded, octets, any(map(str.isspace, folded)))


class Looked:
    """One message, of which no more is understood than has to be; what was, is kept for the next needle.

    `prefix` are the header fields that its recipient alone has.
    """

    __slots__ = (
        "_body", "_end", "_header", "_is_literal", "_literal", "_long", "_octets", "_pieces", "_said", "_upper",
    )

    def __init__(self, prefix: bytes, octets: Octets) -> None:
        self._octets = octets
        end, self._body = _header_end(octets)
        self._end = min(end, MOST_HEADER)
        self._header = prefix + octets[: self._end]
        self._upper: bytes | None = None        # of the header
        self._said: list[str] | None = None     # the fields of the header, folded
        self._pieces: list[str] | None = None   # of the body, folded ...
        self._long: list[str] = []              # ... but for those that are long
        self._is_literal: bool | None = None

    # -- header

    def in_header(self, needle: Needle) -> bool:
        """Whether a field, with its name, has it."""
        if not needle.text:
            return True
        if self._is_ruled_out(needle):
            return False
        if self._said is None:
            self._said = [fold(words.decode(unfolded(self._header[each.start : each.end]))) for each in self._fields()]
        return any(needle.text in each for each in self._said)

    def in_field(self, name: bytes, needle: Needle) -> bool:
        """Whether the value of a field of this name, in lower case, has it; "": whether there is such a field."""
        if name.upper() not in self._upper_header() or self._is_ruled_out(needle):
            return False
        return any(
            needle.text in fold(words.decode(unfolded(self._header[each.value : each.end])))
            for each in self._fields() if each.name == name
        )

    def _fields(self) -> Iterator[Field]:
        for each in fields(self._header, 0, len(self._header)):
            yield each if each.end - each.value <= LONGEST_VALUE else each._replace(end=each.value + LONGEST_VALUE)

    def _upper_header(self) -> bytes:
        if self._upper is None:
            self._upper = self._header.upper()
        return self._upper

    def _is_ruled_out(self, needle: Needle) -> bool:
        """Whether the header is what it looks like, and what it looks like has not got it."""
        header = self._header
        if not header.isascii() or b"=?" in header or ESCAPE in header:
            return False
        if needle.octets is None:
            return True
        upper = self._upper_header()
        if needle.octets in upper:
            return False
        return not needle.may_span_lines or needle.octets not in _FOLD.sub(b"", upper).translate(_NO_CONTROLS)

    # -- body

    def in_body(self, needle: Needle) -> bool:
        """Whether a text, or the name of a file, has it."""
        if not needle.text:
            return True
        if self._is_literal is None:
            self._is_literal = self._says_plain()
            self._literal = bytes(self._octets[self._body :]).upper() if self._is_literal else b""
        if self._is_literal:
            return needle.octets is not None and needle.octets in self._literal
        if self._pieces is None:
            pieces = list(texts(self._octets, parse(self._octets)))
            self._pieces = [fold(each) for each in pieces if len(each) <= WINDOW]
            self._long = [each for each in pieces if len(each) > WINDOW]
        return any(needle.text in each for each in self._pieces) or any(_is_in(needle, each) for each in self._long)

    def _says_plain(self) -> bool:
        """Whether its octets are its text."""
        octets = self._octets
        if not isinstance(octets, bytes) or len(octets) > MOST_TEXT or not octets.isascii() or ESCAPE in octets:
            return False
        upper = b"\n" + octets[: self._end].upper()
        stated = upper.count(b"\nCONTENT-")
        return not stated or (
            len(_SAYS_PLAIN.findall(upper)) == stated and upper.count(b"\nCONTENT-TYPE:") <= 1
        )


def _is_in(needle: Needle, text: str) -> bool:
    """In windows that overlap by as much as a needle can be long, for no text becomes shorter when it is folded."""
    behind = WINDOW + len(needle.text)
    return any(needle.text in fold(text[start : start + behind]) for start in range(0, len(text), WINDOW))


_NO_CONTROLS = bytes.maketrans(b"\r\n\0", b"   ")


def _header_end(octets: Octets) -> tuple[int, int]:
    """Where the fields end, with the last line's end, and where the body begins, as `structure.parse` finds it."""
    if octets[:1] == b"\n":
        return 0, 1
    if octets[:2] == b"\r\n":
        return 0, 2
    end = octets.find(b"\n\r\n")
    bare = octets.find(b"\n\n") if end < 0 else octets.find(b"\n\n", 0, end + 1)
    if bare >= 0:
        return bare + 1, bare + 2
    return (len(octets), len(octets)) if end < 0 else (end + 1, end + 3)
