"""Texts made alike, so that what is looked for is found however it is written (RFC 5051, i;unicode-casemap)."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Taken apart (NFKD), then in upper case: two texts that i;unicode-casemap calls equal become the same.

    Some more do, as "ß" and "SS", and a ligature and its letters in upper case.
    """
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", text).upper()
