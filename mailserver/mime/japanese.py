"""ISO-2022-JP as it is really sent (CP50220, CP50221), and the guess between Japanese charsets.

No codec of Python reads half-width kana, the circled digits of NEC's row 13 and IBM's extensions in it: here the
two-byte codes are read as cp932 reads their Shift_JIS spelling.
"""

from __future__ import annotations

import re
from functools import cache

_ESCAPE = re.compile(rb"\x1b(\([BJIH]|\$[@B]|\$\([@BDO]|&@\x1b\$B)|[\x0e\x0f]|\n")
_EUC = re.compile(rb"(?:[\xa1-\xfe]{2})+|\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2}|[\x80-\xff]")
_KANA = re.compile("[\u3041-\u30fe]")
_WIDE = re.compile("[\u3000-\u30fe\u4e00-\u9fff\uff01-\uff5e]{2,}")      # one alone is an accent of Europe
_LOOKED_AT = 2000           # characters


@cache
def _table() -> dict[bytes, str]:
    """The two octets of each code of JIS X 0208 with the extensions, and its character."""
    table = {}
    for row in range(94):
        lead = (row >> 1) + (0x81 if row < 62 else 0xC1)
        for cell in range(94):
            trail = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)
            character = bytes((lead, trail)).decode("cp932", "replace")
            table[bytes((row + 0x21, cell + 0x21))] = character if len(character) == 1 else "\ufffd"
    return table


def _codes(octets: bytes) -> str:
    """A run of two-byte codes; white space and line ends within it stay, an odd octet is lost."""
    known, done, at = _table(), [], 0
    while at < len(octets):
        pair = octets[at : at + 2]
        character = known.get(pair)
        if character is None:
            if octets[at] <= 0x20:
                done.append(chr(octets[at]))
                at += 1
                continue
            character = "\ufffd"
        done.append(character)
        at += 2
    return "".join(done)


def _one_byte(octets: bytes) -> str:
    """ASCII or JIS X 0201: octets beyond ASCII are half-width kana, or else Shift_JIS that was labelled wrongly."""
    return octets.decode("ascii" if octets.isascii() else "cp932", "replace")


def _kana(octets: bytes) -> str:
    return "".join(chr(each + 0xFF40) if 0x21 <= each <= 0x5F else chr(each) for each in octets)


def _supplement(octets: bytes) -> str:
    """JIS X 0212."""
    pairs = (octets[at : at + 2] for at in range(0, len(octets), 2))
    high = (b"\x8f" + bytes(each | 0x80 for each in pair) for pair in pairs)
    return b"".join(high).decode("euc_jp", "replace")


_SETS = {
    b"(B": _one_byte, b"(J": _one_byte, b"(H": _one_byte, b"(I": _kana, b"$@": _codes, b"$B": _codes, b"$(@": _codes,
    b"$(B": _codes, b"$(O": _codes, b"$(D": _supplement, b"&@\x1b$B": _codes,
}


def iso_2022_jp(octets: bytes) -> str:
    """With all that CP50221 adds to it; a line end brings ASCII back, as RFC 1468 wants lines to end."""
    if b"\x1b" not in octets and b"\x0e" not in octets:
        return _one_byte(octets)
    done, at, decode = [], 0, _one_byte
    for found in _ESCAPE.finditer(octets):
        if at < found.start():
            done.append(decode(octets[at : found.start()]))
        at = found.end()
        if found[1] is not None:
            decode = _SETS[found[1]]
        elif found[0] == b"\x0e":
            decode = _kana                      # SO and SI: seven-bit kana, CP50222
        else:
            decode = _one_byte
            if found[0] == b"\n":
                done.append("\n")
    done.append(decode(octets[at:]))
    return "".join(done)


def euc_jp(octets: bytes) -> str:
    """With NEC's and IBM's extensions."""
    try:
        return octets.decode("euc_jp")
    except UnicodeDecodeError:
        return _EUC.sub(_euc, octets).decode("utf-8", "replace")


def _euc(found: re.Match[bytes]) -> bytes:
    octets = found[0]
    if octets[0] in (0x8E, 0x8F) or len(octets) < 2:
        return octets.decode("euc_jp", "replace").encode()
    return _codes(bytes(each & 0x7F for each in octets)).encode()


def guess(octets: bytes) -> str | None:
    """What it says if it is Shift_JIS or EUC-JP and looks like Japanese; None otherwise."""
    best, most = None, 0.0
    for name in ("euc_jp", "cp932"):
        try:
            text = octets.decode(name)
        except UnicodeDecodeError:
            continue
        seen = text[:_LOOKED_AT]
        beyond = sum(not each.isascii() for each in seen)
        likely = sum(map(len, _WIDE.findall(seen))) + 2 * len(_KANA.findall(seen))
        if beyond and likely >= beyond and likely / beyond > most:
            best, most = text, likely / beyond
    return best
