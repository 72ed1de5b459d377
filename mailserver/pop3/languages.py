"""The languages that people are spoken to in (RFC 6856 3), and a voice that has one of them."""

from __future__ import annotations

import re

from mailserver.pop3.phrases import NOTHING, Phrase

LANGUAGES = {"en": "English", "ja": "日本語"}           # by their tags (RFC 5646), in themselves
ANY = "*"
LISTING = "".join(f"{tag} {name}\r\n" for tag, name in LANGUAGES.items()).encode()

_RANGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")     # RFC 4647 2.1


def chosen(range: str, preferred: str) -> str | None:
    """The language for a range, which may be narrower than what there is: "ja-JP" is "ja" (RFC 4647 3.4).

    `preferred` is what "*" means; None: there is no such language, or that is no range.
    """
    if range == ANY:
        return preferred
    if _RANGE.fullmatch(range) is None:
        return None
    tag = range.lower().partition("-")[0]
    return tag if tag in LANGUAGES else None


class Voice:
    """Answers in a language, which LANG changes; it begins with English, which is ASCII (RFC 1939 3)."""

    __slots__ = ("language",)

    def __init__(self) -> None:
        self.language = "en"

    def ok(self, phrase: Phrase = NOTHING, *values: object) -> bytes:
        """A positive status line."""
        return said(f"+OK {phrase.text(self.language, *values)}")

    def err(self, phrase: Phrase, *values: object) -> bytes:
        """A negative one."""
        return said(f"-ERR {phrase.text(self.language, *values)}")


def said(line: str) -> bytes:
    """A line as it is sent."""
    return line.rstrip(" ").encode() + b"\r\n"
