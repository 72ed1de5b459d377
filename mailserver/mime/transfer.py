"""Content-Transfer-Encodings (RFC 2045 6, and uuencode), read piece by piece, and as far as they can be read."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from typing import Protocol

from mailserver.mime.octets import Octets

PIECE = 64 * 1024           # octets that are decoded at a time
LONGEST_LINE = 64 * 1024    # of quoted-printable or uuencode; what is longer is cut

_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_PADDING = re.compile(rb"=+")
_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")


class Decoder(Protocol):
    """One body's decoder; octets in, octets out."""

    def feed(self, octets: bytes) -> bytes:
        """What these octets, behind those before, say for certain."""

    def end(self) -> bytes:
        """The rest."""


class Identity:
    """7bit, 8bit, binary."""

    def feed(self, octets: bytes) -> bytes:
        """All of it."""
        return octets

    def end(self) -> bytes:
        """Nothing."""
        return b""


class Base64:
    """RFC 2045 6.8: octets that are not of its alphabet are passed over; padding in the middle ends a group."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> bytes:
        """Whole groups of four."""
        octets = self._rest + octets.translate(None, _NOT_BASE64)
        if b"=" in octets:
            *ended, octets = _PADDING.split(octets)
            done = [_groups(each) for each in ended]
        else:
            done = []
        whole = len(octets) & ~3
        self._rest = octets[whole:]
        done.append(binascii.a2b_base64(octets[:whole]))
        return b"".join(done)

    def end(self) -> bytes:
        """A group that was not ended, as far as it goes."""
        return _groups(self._rest)


def _groups(octets: bytes) -> bytes:
    if len(octets) % 4 == 1:
        octets = octets[:-1]            # six bits are no octet
    return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4)) if octets else b""


def base64(octets: bytes) -> bytes:
    """All of it at once."""
    decoder = Base64()
    return decoder.feed(octets) + decoder.end()


class _Lines:
    """What has to see whole lines."""

    def __init__(self, line: Callable[[bytes], bytes]) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._decoded = line

    def feed(self, octets: bytes) -> bytes:
        """The whole lines."""
        end = octets.rfind(b"\n") + 1
        if end == 0 and self._size + len(octets) < LONGEST_LINE:
            self._rest.append(octets)
            self._size += len(octets)
            return b""
        end = end or max(len(octets) - 2, 0)        # of a line without end the last two may be half of "=3D"
        whole = b"".join((*self._rest, octets[:end]))
        if not whole.endswith(b"\n") and b"=" in whole[-2:]:
            cut = whole.rindex(b"=")
            whole, octets, end = whole[:cut], whole[cut:] + octets[end:], 0
        self._rest = [octets[end:]]
        self._size = len(octets) - end
        return self._decoded(whole)

    def end(self) -> bytes:
        """The last line."""
        whole, self._rest = b"".join(self._rest), []
        return self._decoded(whole)


def quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 6.7; what is no code stays as it is."""
    if b" \r\n" in octets or b"\t\r\n" in octets or b" \n" in octets or b"\t\n" in octets:
        octets = _BLANKS.sub(b"", octets)
    return binascii.a2b_qp(octets)


def _uudecoded(octets: bytes) -> bytes:
    done = []
    for line in octets.split(b"\n"):
        line = line.rstrip(b"\r")
        if not line or line.startswith((b"begin ", b"end")) or not 32 < line[0] <= 96:
            continue
        count = (line[0] - 32) & 63
        try:
            done.append(binascii.a2b_uu(line[: 1 + (count * 4 + 2) // 3]))
        except binascii.Error:
            continue
    return b"".join(done)


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "": Identity, "7bit": Identity, "8bit": Identity, "binary": Identity, "base64": Base64,
    "quoted-printable": lambda: _Lines(quoted_printable),
    **dict.fromkeys(("x-uuencode", "x-uue", "uuencode", "x-uu"), lambda: _Lines(_uudecoded)),
}


def decoder(encoding: str) -> Decoder | None:
    """For an encoding in lower case; None: nobody knows it (RFC 9051's UNKNOWN-CTE)."""
    make = _DECODERS.get(encoding)
    return None if make is None else make()


def decoded(octets: Octets, start: int, end: int, encoding: str) -> Iterator[bytes] | None:
    """What a body says, piece by piece; None: its encoding is unknown."""
    machine = decoder(encoding)
    return None if machine is None else _pieces(octets, start, end, machine)


def _pieces(octets: Octets, start: int, end: int, machine: Decoder) -> Iterator[bytes]:
    for at in range(start, end, PIECE):
        if piece := machine.feed(octets[at : min(at + PIECE, end)]):
            yield piece
    if piece := machine.end():
        yield piece
