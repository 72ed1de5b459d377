"""Octets into lines of 7 bits: quoted-printable and base64 (RFC 2045 6.7, 6.8), whatever pieces they come in."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Protocol

LONGEST = 4096          # octets of a line that are kept for its end
_LINE = 57              # octets that make 76 characters of base64
_BEYOND = re.compile(rb"[\x80-\xff]")
_ALL_BEYOND = bytes(range(128, 256))


class Encoder(Protocol):
    """What a body goes through on its way out."""

    def feed(self, octets: bytes) -> bytes:
        """What there is to send for these."""

    def end(self, at_end: bool) -> bytes:
        """What is left; `at_end`: nothing stands behind it, not even the line end that belongs to a delimiter."""


class Quoted:
    """Text whose line ends are CRLF into quoted-printable."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        """The whole lines that there are, and the beginnings of those that do not end."""
        *lines, rest = (self._held + octets).split(b"\r\n")
        encoded = []
        for line in lines:
            encoded += [_beginnings(line), _quoted(line[_cut(line):]), b"\r\n"]
        encoded.append(_beginnings(rest))
        self._held = rest[_cut(rest):]
        return b"".join(encoded)

    def end(self, at_end: bool) -> bytes:
        """The last line; where nothing stands behind it, it has no end either."""
        rest, self._held = _quoted(self._held), b""
        return rest + b"=\r\n" if rest and at_end else rest


def _cut(line: bytes) -> int:
    """How much of a line is given before it has ended: always the same, however the line came."""
    return max(0, len(line) - 2) // LONGEST * LONGEST


def _beginnings(line: bytes) -> bytes:
    return b"".join(_quoted(line[at : at + LONGEST]) + b"=\r\n" for at in range(0, _cut(line), LONGEST))


def _quoted(line: bytes) -> bytes:
    encoded = binascii.b2a_qp(line, istext=False)
    return encoded.replace(b"=\n", b"=\r\n") if b"\n" in encoded else encoded


class Base64:
    """Any octets into base64."""

    __slots__ = ("_began", "_held")

    def __init__(self) -> None:
        self._began = False
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        """As many whole lines as there are."""
        block = self._held + octets
        whole = len(block) // _LINE * _LINE
        self._held = block[whole:]
        return self._lines(block[:whole])

    def end(self, at_end: bool) -> bytes:
        """The last line."""
        rest, self._held = self._lines(self._held), b""
        return rest + b"\r\n" if at_end and self._began else rest

    def _lines(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        lines = [base64.b64encode(octets[at : at + _LINE]) for at in range(0, len(octets), _LINE)]
        between, self._began = b"\r\n" if self._began else b"", True
        return between + b"\r\n".join(lines)


class MendedQuoted:
    """Quoted-printable that has octets beyond ASCII all the same: they are quoted too."""

    def feed(self, octets: bytes) -> bytes:
        """The same with these."""
        return octets if octets.isascii() else _BEYOND.sub(lambda found: b"=%02X" % found[0][0], octets)

    def end(self, at_end: bool) -> bytes:
        """Nothing."""
        return b""


class MendedBase64:
    """Base64 that has octets beyond ASCII all the same: readers pass over them (RFC 2045 6.8), and so do we."""

    def feed(self, octets: bytes) -> bytes:
        """The same without them."""
        return octets.translate(None, _ALL_BEYOND)

    def end(self, at_end: bool) -> bytes:
        """Nothing."""
        return b""
