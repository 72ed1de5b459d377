"""Patterns of LIST: `*` is anything, `%` anything within one level (RFC 9051 6.3.9)."""

from __future__ import annotations

import unicodedata

from mailserver.imap.error import ImapError
from mailserver.imap.names import INBOX, LONGEST_NAME, SEPARATOR


class Pattern:
    """Finds names in one walk over each, however many wildcards there are.

    Bit n of a set of states means: the first n characters of the pattern (wildcards do not count) have been found.
    A wildcard is a state in which characters may pass by.
    """

    __slots__ = ("_anything", "_end", "_level", "_takes", "text")

    def __init__(self, text: str) -> None:
        """Raises `ImapError` for one that is too long."""
        self.text = text = unicodedata.normalize("NFC", text)
        if len(text) > LONGEST_NAME:
            raise ImapError("that pattern is too long")
        self._takes: dict[str, int] = {}
        self._anything = self._level = 0
        state = 1
        for character in text:
            if character == "*":
                self._anything |= state
            elif character == "%":
                self._level |= state
            else:
                self._takes[character] = self._takes.get(character, 0) | state
                state <<= 1
        self._end = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def matches(self, name: str) -> bool:
        """Whether it is the pattern of this whole name; INBOX has no case."""
        if self._matches(name):
            return True
        return name == INBOX and not self.text.isupper() and Pattern(self.text.upper())._matches(name)

    def _matches(self, name: str) -> bool:
        states = 1
        takes, anything = self._takes, self._anything
        within = anything | self._level
        for character in name:
            passed = states & (anything if character == SEPARATOR else within)
            states = (states & takes.get(character, 0)) << 1 | passed
            if not states:
                return False
        return bool(states & self._end)


def joined(reference: str, pattern: str) -> Pattern:
    """What LIST looks for: the pattern below its reference, or alone when it begins at the root."""
    return Pattern(pattern if pattern.startswith(SEPARATOR) else reference + pattern)
