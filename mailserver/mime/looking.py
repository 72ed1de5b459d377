"""Looks for texts in a message, as people read it: encodings, charsets and HTML undone, case and width ignored.

What is plain ASCII, as most of what machines write, is searched as the octets that it is; all else is understood first.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from mailserver.mime import words
from mailserver.mime.folding import WINDOW, fold, folded
from mailserver.mime.headers import LONGEST_VALUE, Field, fields, unfolded, values
from mailserver.mime.html import UNSEEN
from mailserver.mime.octets import Octets
from mailserver.mime.structure import MOST_HEADER, parse
from mailserver.mime.text import MOST_TEXT, texts

OVERLAP = 64                # characters
LONGEST_SAID = 64 * 1024    # characters of all fields of one name that are kept for searches
# Fields whose values are digits of signatures: where TEXT looks, they are without them.
SIGNATURES = frozenset((
    b"dkim-signature", b"arc-seal", b"arc-message-signature", b"domainkey-signature", b"x-google-dkim-signature",
    b"x-gm-message-state",
))
ESCAPE = b"\x1b"            # begins another charset of ISO 2022, in what looks like ASCII

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
# The fields of a header, in upper case and behind a line end, that say no more than that the body is what it is.
_SAYS_PLAIN = re.compile(
    rb"\nCONTENT-(?:TRANSFER-ENCODING:[ \t]*(?:7BIT|8BIT|BINARY)|LENGTH:[ \t]*[0-9]++|LANGUAGE:[ \t]*[A-Z-]++"
    rb"|TYPE:[ \t]*TEXT/PLAIN(?:[ \t]*;(?:\r?\n)?[ \t]*(?:"
    rb"CHARSET=\"?(?:US-ASCII|UTF-8|ISO-8859-(?:1|15)|WINDOWS-1252)\"?"
    rb"|FORMAT=\"?(?:FLOWED|FIXED)\"?|DELSP=\"?(?:YES|NO)\"?))*+)[ \t]*(?=\r?\n(?![ \t]))"
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
        "_bare", "_body", "_end", "_header", "_is_literal", "_literal", "_long", "_octets", "_own", "_pieces",
        "_said", "_upper",
    )

    def __init__(self, prefix: bytes, octets: Octets) -> None:
        self._octets = octets
        end, self._body = _header_end(octets)
        self._end = min(end, MOST_HEADER)
        self._header = prefix + octets[: self._end]
        self._own = len(prefix)
        self._upper: bytes | None = None        # of the header
        self._said: list[str] | None = None     # the fields of the header, folded
        self._pieces: list[str] | None = None   # of the body, folded ...
        self._long: list[str] = []              # ... but for those that are long
        self._is_literal: bool | None = None
        self._bare: tuple[bytes, ...] | None = None     # as the function of that name says

    # -- header

    def in_header(self, needle: Needle) -> bool:
        """Whether a field, with its name, has it."""
        if not needle.text:
            return True
        if self._is_ruled_out(needle):
            return False
        return any(needle.text in each for each in self.header_texts())

    def in_field(self, name: bytes, needle: Needle) -> bool:
        """Whether the value of a field of this name, in lower case, has it; "": whether there is such a field."""
        if name.upper() not in self._upper_header() or self._is_ruled_out(needle):
            return False
        return any(
            needle.text in fold(words.decode(unfolded(self._header[each.value : each.end])))
            for each in self._fields() if each.name == name
        )

    def said(self, *names: bytes) -> list[str]:
        """The values of the fields of each name, in lower case, as they are searched; a line for each of its fields."""
        found: dict[bytes, list[str]] = {name: [] for name in names}
        for name, value in values(self._header, found):
            found[name].append(fold(words.decode(unfolded(value))))
        return ["\n".join(found[name])[:LONGEST_SAID] for name in names]

    def apart(self, names: Container[bytes]) -> tuple[dict[bytes, str], list[str]]:
        """Of the content's fields the values of those with these names, as they are searched, a line for each field.

        And the texts of the fields with other names, and of those that its recipient alone has.
        """
        kept: dict[bytes, list[str]] = {}
        others: list[str] = []
        for name, start, value, end in self._fields():
            if name in names and start >= self._own:
                kept.setdefault(name, []).append(fold(words.decode(unfolded(self._header[value:end]))))
            else:
                others.append(self._text(name, start, value, end))
        return {name: "\n".join(some)[:LONGEST_SAID] for name, some in kept.items()}, others

    def header_texts(self) -> list[str]:
        """The fields with their names, in order, as they are searched; of signatures the names alone.

        Nobody looks for the digits of a signature, and "servers may implement flexible matching" (RFC 9051 6.4.4).
        """
        if self._said is None:
            self._said = [self._text(*each) for each in self._fields()]
        return self._said

    def _text(self, name: bytes, start: int, value: int, end: int) -> str:
        return fold(words.decode(unfolded(self._header[start : value if name in SIGNATURES else end])))

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
        if self._is_text():
            return needle.octets is not None and needle.octets in self._literal
        if self._pieces is None and self._has_not(needle):
            return False
        self._understand()
        assert self._pieces is not None
        return any(needle.text in each for each in self._pieces) or any(_is_in(needle, each) for each in self._long)

    def body_texts(self) -> Iterator[str]:
        """The texts, and the names of files, as they are searched; long ones in pieces that overlap by `OVERLAP`."""
        if self._is_text():
            yield self._literal.decode("ascii")
            return
        self._understand()
        yield from self._pieces or ()
        for each in self._long:
            before = ""
            for piece in folded(each):
                yield before + piece
                before = (before + piece)[-OVERLAP:]

    def _is_text(self) -> bool:
        if self._is_literal is None:
            self._is_literal = self._says_plain()
            self._literal = bytes(self._octets[self._body :]).upper() if self._is_literal else b""
        return self._is_literal

    def _understand(self) -> None:
        if self._pieces is None:
            pieces = list(texts(self._octets, parse(self._octets)))
            self._pieces = [fold(each) for each in pieces if len(each) <= WINDOW]
            self._long = [each for each in pieces if len(each) > WINDOW]

    def _has_not(self, needle: Needle) -> bool:
        """Whether all that might be text lies there as octets, which have not got it, so that none is taken apart."""
        if self._bare is None:
            self._bare = _bare(self._octets)
        if not self._bare or (needle.octets is not None and _QUOTED.search(needle.octets)):
            return False
        if needle.octets is None:
            return True
        is_html = len(self._bare) > 1
        if any(needle.octets in each for each in self._bare) or (is_html and needle.may_span_lines):
            return False
        return not needle.may_span_lines or needle.octets not in _FOLD.sub(b"", self._bare[0])

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
    """In pieces, of each of which so much is kept as the beginning of a needle can be long."""
    before = ""
    for piece in folded(text):
        if needle.text in before + piece:
            return True
        before = (before + piece)[1 - len(needle.text) :] if len(needle.text) > 1 else ""
    return False


def _bare(octets: Octets) -> tuple[bytes, ...]:
    """The octets of a message in upper case, if its texts stand there as they are read; of HTML, without its tags too.

    Nothing, when they may not.
    """
    if not isinstance(octets, bytes) or len(octets) > MOST_TEXT or not octets.isascii():
        return ()
    upper = octets.upper()
    if b"=?" in upper or ESCAPE in upper or b"\0" in upper or (b"*" in upper and _IN_PIECES.search(upper)):
        return ()
    if not _all_are(upper, b"TRANSFER-ENCODING", _IDENTITY) or not _all_are(upper, b"CHARSET", _ASCII):
        return ()
    if b"\\" in upper and b"NAME" in upper:
        return ()
    if b"HTML" not in upper:
        return (upper,)
    if b"&" in upper and _ENTITY.search(upper):
        return ()
    # What nobody sees is marked; where a word stands right before it, the word may go on behind it.
    shown = _TAG.sub(b"", _UNSEEN_ENDS.sub(b"\2", _UNSEEN.sub(b"\1", upper)))
    return () if b"\1" in shown and _BEFORE_UNSEEN.search(shown) else (upper, shown)


def _all_are(upper: bytes, word: bytes, wanted: re.Pattern[bytes]) -> bool:
    """Whether each place of a word is a place of a pattern, for which so much of the octets need not be looked at."""
    at = upper.find(word)
    while at >= 0:
        if wanted.match(upper, at) is None:
            return False
        at = upper.find(word, at + 1)
    return True


_NAMES = "|".join(UNSEEN).upper().encode("ascii")
_IDENTITY = re.compile(rb"TRANSFER-ENCODING:[ \t]*(?:7BIT|8BIT|BINARY)[ \t]*\r?\n(?![ \t])")
_ASCII = re.compile(rb"CHARSET=\"?(?:US-ASCII|UTF-8|ISO-8859-(?:1|15)|WINDOWS-1252)(?![A-Z0-9_-])")
_IN_PIECES = re.compile(rb"\*[0-9=]")      # names of files (RFC 2231)
_ENTITY = re.compile(rb"&(?!(?:NBSP|AMP|LT|GT|QUOT);)[A-Z#]")
_UNSEEN = re.compile(rb"<(?:!--|(?:%b)(?![A-Z0-9])[^>]*>)" % _NAMES)
_UNSEEN_ENDS = re.compile(rb"-->|</(?:%b)[^>]*>" % _NAMES)
_BEFORE_UNSEEN = re.compile(rb"[^\s\x01\x02]\x01")
_TAG = re.compile(rb"<[/!?A-Z][^>]*>")
_QUOTED = re.compile(rb'["\\()<>&]')
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
