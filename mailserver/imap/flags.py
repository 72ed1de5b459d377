"""Flags of messages: the system's as bits, keywords as words (RFC 9051 2.3.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mailserver.imap.error import ImapError

# The bits are those of every mailbox store.
SYSTEM: dict[str, int] = {"\\Seen": 1, "\\Answered": 2, "\\Flagged": 4, "\\Deleted": 8, "\\Draft": 16}
RECENT = "\\Recent"
# Registered keywords, in the spelling that other programs look for; keywords have no case.
KNOWN = (
    "$Forwarded", "$MDNSent", "$SubmitPending", "$Submitted", "$Junk", "$NotJunk", "$Phishing", "$Important",
    "$HasAttachment", "$HasNoAttachment",
)
LONGEST_KEYWORD = 128       # octets
MOST_KEYWORDS = 64          # in one command, and a sensible most for one message

_SYSTEM = {name.lower(): bit for name, bit in SYSTEM.items()}
_KNOWN = {name.lower(): name for name in KNOWN}
_KEYWORD: re.Pattern[str] = re.compile(r"[^\x00-\x20(){%*\"\\\]\x7f-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Flags:
    """System flags as bits, and keywords, each once, in the order in which they came."""

    bits: int = 0
    keywords: tuple[str, ...] = ()


NONE = Flags()


def keyword(word: str) -> str:
    """A keyword in its usual spelling; raises `ImapError`."""
    if len(word) > LONGEST_KEYWORD or not _KEYWORD.fullmatch(word):
        raise ImapError("that is no keyword")
    return _KNOWN.get(word.lower(), word)


def collect(words: Iterable[str]) -> Flags:
    """Flags for STORE and APPEND; raises `ImapError` for those that nobody may set, and for too many."""
    bits = 0
    keywords: dict[str, str] = {}
    for word in words:
        if not word.startswith("\\"):
            keywords.setdefault(word.lower(), keyword(word))
            if len(keywords) > MOST_KEYWORDS:
                raise ImapError("too many keywords")
        elif word.lower() in _SYSTEM:
            bits |= _SYSTEM[word.lower()]
        elif word.lower() == RECENT.lower():
            raise ImapError("\\Recent cannot be set")
        else:
            raise ImapError("there is no such system flag")
    return Flags(bits, tuple(keywords.values()))


@lru_cache(4096)
def spell(bits: int, keywords: tuple[str, ...] = (), recent: bool = False) -> bytes:
    """``(\\Seen $Junk)``, kept for the next message with the same."""
    words = [name for name, bit in SYSTEM.items() if bits & bit]
    return f"({' '.join([*words, *[RECENT] * recent, *keywords])})".encode("ascii")
