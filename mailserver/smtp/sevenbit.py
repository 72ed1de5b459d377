"""Content for servers that take no octets beyond ASCII, or nothing binary (RFC 6152 3, RFC 3030 3).

It goes by twice: a `Survey` finds out which parts have to change, a `Conversion` changes them and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from mailserver.errors import MailserverError
from mailserver.smtp.lineends import LineEnds
from mailserver.smtp.parts import IDENTITY, Body, Parts
from mailserver.smtp.transferred import Base64, Encoder, MendedBase64, MendedQuoted, Quoted

MOST_PARTS = 100_000        # of which it is known that they change: an octet each
LONGEST_LINE = 998          # octets without its end (RFC 5322 2.1.1)

_BEYOND = re.compile(rb"[\x00\x80-\xff]")


class NotConvertible(MailserverError):
    """It cannot be made what the server takes; the text says why."""


class Change(IntEnum):
    """What becomes of a part."""

    NONE = 0
    SEVEN = 1               # it is only called something else
    EIGHT = 2
    QUOTED = 3
    BASE64 = 4
    MEND_QUOTED = 5
    MEND_BASE64 = 6


_LABELS = {Change.SEVEN: b"7bit", Change.EIGHT: b"8bit", Change.QUOTED: b"quoted-printable", Change.BASE64: b"base64"}
_ENCODERS: dict[Change, type[Encoder]] = {
    Change.QUOTED: Quoted, Change.BASE64: Base64, Change.MEND_QUOTED: MendedQuoted, Change.MEND_BASE64: MendedBase64,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a `Conversion` does; `body` is what the content is then: 7BIT or 8BITMIME."""

    changes: bytes          # one octet for each header section, a `Change`
    binary: bool
    body: str


class Survey(Parts):
    """Looks at a content; `eight`: octets beyond ASCII may stay, `binary`: it came as BINARYMIME.

    What is not binary is looked at as it would be sent: with every bare CR or LF as CRLF.
    """

    def __init__(self, eight: bool = False, binary: bool = False) -> None:
        super().__init__()
        self._eight = eight
        self._binary = binary
        self._ends = None if binary else LineEnds(normalises=True)
        self._changes = bytearray()
        self._needed = False
        self.has_eight = False              # octets beyond ASCII, once all is changed
        self._cannot = ""
        self._beside_high = False           # beside the parts of a multipart of which there may be none
        self._high = self._long = False     # of this body: octets beyond ASCII, a line too long
        self._line = b""                    # its last one so far
        self._strict = LineEnds()

    def feed(self, octets: bytes) -> None:
        """Look at these."""
        self.walk(self._ends.feed(octets) if self._ends is not None else octets)

    def end(self) -> Plan | None:
        """What there is to do, if anything; raises `NotConvertible`."""
        self.walk(self._ends.feed(b"", True) if self._ends is not None else b"", True)
        if self._cannot:
            raise NotConvertible(self._cannot)
        if not self._needed:
            return None
        return Plan(bytes(self._changes), self._binary, "8BITMIME" if self._eight and self.has_eight else "7BIT")

    # -- what is seen

    def field(self, name: bytes, octets: bytes, begins: bool) -> None:
        if not octets.isascii():
            self.has_eight = True
            if not self._eight:
                self._fail("a header field has octets beyond ASCII")

    def blank(self, octets: bytes) -> None:
        section = self.section
        if section.is_composite and section.transfer in ("8bit", "binary"):
            if not self._eight:
                self._change(Change.SEVEN)
            elif section.transfer == "binary":
                self._change(Change.EIGHT)

    def body(self, kind: Body, octets: bytes) -> None:
        self._high = self._high or not octets.isascii()
        if kind is Body.BESIDE:
            if self._high and not self._eight:
                self._needed = self._beside_high = True
            return
        if self._strict.is_strict:
            self._strict.feed(octets)
        if self._binary and not self._long:
            lines = (self._line + octets).split(b"\n")
            self._long = max(len(line.removesuffix(b"\r")) for line in lines) > LONGEST_LINE
            self._line = lines[-1]

    def body_ends(self, kind: Body, at_end: bool) -> None:
        if kind is not Body.BESIDE:
            if self._strict.is_strict:
                self._strict.feed(b"", True)
            self._judge(kind)
        self.has_eight = self.has_eight or self._high
        self._new_leaf()

    def no_parts(self) -> None:
        if self._beside_high:
            self._fail("the parts of a multipart cannot be found")

    def delimiter(self, octets: bytes) -> None:
        self._beside_high = False

    # -- what is made of it

    def _new_leaf(self) -> None:
        self._high = self._long = False
        self._line = b""
        self._strict = LineEnds()

    def _judge(self, kind: Body) -> None:
        section, encoding = self.section, self.section.transfer
        high = self._high and not self._eight
        raw = not self._strict.is_strict
        if kind is Body.OPAQUE:
            if high or (self._binary and (raw or self._long)):
                self._fail(section.why_opaque)
            elif encoding == "binary" and not section.is_composite:
                self._change(Change.EIGHT if self._high else Change.SEVEN)
        elif encoding in IDENTITY:
            if high or raw or self._long:
                self._needed = self._needed or high or self._binary
                self._change(Change.QUOTED if section.is_text and not raw else Change.BASE64)
                self._high = False
            elif encoding == "binary" or (encoding == "8bit" and not self._eight):
                self._change(Change.EIGHT if self._high else Change.SEVEN)
        elif high:
            self._needed = True
            if encoding == "quoted-printable":
                self._change(Change.MEND_QUOTED)
            elif encoding == "base64":
                self._change(Change.MEND_BASE64)
            else:
                self._fail("the encoding of a part cannot be understood")

    def _change(self, change: Change) -> None:
        number = self.section.number
        if number >= MOST_PARTS:
            if change in _ENCODERS:
                self._fail(f"it has more than {MOST_PARTS} parts")
            return
        self._needed = self._needed or self._binary
        self._changes.extend(bytes(number + 1 - len(self._changes)))
        self._changes[number] = change

    def _fail(self, why: str) -> None:
        self._cannot = self._cannot or why


class Conversion(Parts):
    """Takes the content again and gives what is sent."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._ends = None if plan.binary else LineEnds(normalises=True)
        self._given: list[bytes] = []
        self._encoder: Encoder | None = None
        self._is_called = False             # the Content-Transfer-Encoding stands there
        self._drops = False                 # the field that goes on

    def feed(self, octets: bytes) -> bytes:
        """The octets to send for these."""
        self.walk(self._ends.feed(octets) if self._ends is not None else octets)
        return self._take()

    def end(self) -> bytes:
        """The octets that are left."""
        self.walk(self._ends.feed(b"", True) if self._ends is not None else b"", True)
        return self._take()

    def _take(self) -> bytes:
        given, self._given = b"".join(self._given), []
        return given

    def _change(self) -> Change:
        number, changes = self.section.number, self._plan.changes
        return Change(changes[number]) if number < len(changes) else Change.NONE

    def field(self, name: bytes, octets: bytes, begins: bool) -> None:
        if begins:
            self._drops = name == b"content-transfer-encoding" and self._change() in _LABELS
            if self._drops:
                self._call()
        if not self._drops:
            self._given.append(octets)

    def _call(self) -> None:
        """The part's new encoding, once."""
        if not self._is_called:
            self._given.append(b"Content-Transfer-Encoding: %b\r\n" % _LABELS[self._change()])
            self._is_called = True

    def blank(self, octets: bytes) -> None:
        section, change = self.section, self._change()
        if section.is_message and not section.has_version and (change or not section.number):
            self._given.append(b"MIME-Version: 1.0\r\n")
        if section.is_message and section.type is None and change in (Change.QUOTED, Change.BASE64):
            # RFC 1428 3: nobody knows what it is written in.
            self._given.append(b"Content-Type: text/plain; charset=unknown-8bit\r\n")
        if change in _LABELS:
            self._call()
        self._is_called = self._drops = False
        self._given.append(octets)
        if change in _ENCODERS:
            self._encoder = _ENCODERS[change]()

    def body(self, kind: Body, octets: bytes) -> None:
        if kind is Body.BESIDE:
            # RFC 2046 5.1.1: it is to be ignored by everybody; but it is there, and stays of the same length.
            scrubs = self._plan.body == "7BIT" and _BEYOND.search(octets)
            self._given.append(_BEYOND.sub(b"?", octets) if scrubs else octets)
        elif self._encoder is not None:
            self._given.append(self._encoder.feed(octets))
        else:
            self._given.append(octets)

    def body_ends(self, kind: Body, at_end: bool) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            self._given.append(encoder.end(at_end))

    def delimiter(self, octets: bytes) -> None:
        self._is_called = self._drops = False
        self._given.append(octets)


def converted(octets: bytes, eight: bool = False, binary: bool = False) -> tuple[bytes, str] | None:
    """A whole content, and what its BODY is then; None when nothing has to change.  Raises `NotConvertible`."""
    if not binary and octets.isascii():
        return None
    survey = Survey(eight, binary)
    survey.feed(octets)
    plan = survey.end()
    return None if plan is None else (b"".join(changed([octets], plan)), plan.body)


def changed(pieces: Iterable[bytes], plan: Plan) -> Iterable[bytes]:
    """A content, piece by piece, as planned."""
    conversion = Conversion(plan)
    for each in pieces:
        yield conversion.feed(each)
    yield conversion.end()
