"""Texts made alike, so that what is looked for is found however it is written (RFC 5051, i;unicode-casemap)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

WINDOW = 64 * 1024          # characters that are folded at a time; some become eighteen of it
_LONGEST_MARKED = 256       # marks upon one character that are kept together; no language needs four


def fold(text: str) -> str:
    """Taken apart (NFKD), accents and points left out, katakana as hiragana, then in upper case.

    Two texts that i;unicode-casemap calls equal become the same.  More do: "é" and "e", "ß" and "SS", "カ", "ｶ" and
    "か", "Ａ" and "a".  What tells letters apart rather than how they are said stays: "が" is not "か".
    """
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", text).translate(_ALIKE).upper()


def folded(text: str) -> Iterator[str]:
    """The same in pieces, none of which is long, and none of which ends between a character and its marks."""
    start = 0
    while start < len(text):
        end = min(start + WINDOW, len(text))
        most = end + _LONGEST_MARKED
        while end < len(text) and end < most and unicodedata.combining(text[end]):
            end += 1
        yield fold(text[start:end])
        start = end


_ALIKE: dict[int, int | None] = {
    **{code: code - 0x60 for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)},     # katakana
    # Marks that are left out: of Latin, Greek and Cyrillic (but the iota, which is a letter when it is in upper case),
    # of Hebrew, of Arabic.
    **{
        code: None
        for low, high in ((0x0300, 0x0370), (0x0591, 0x05C8), (0x064B, 0x0660), (0x1DC0, 0x1E00), (0x20D0, 0x20F1))
        for code in range(low, high) if code != 0x0345 and unicodedata.combining(chr(code))
    },
    0x0670: None,
}
