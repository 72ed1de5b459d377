"""Rights on a mailbox, a letter each (RFC 4314 2.1), in one order: a set of them is a string."""

from __future__ import annotations

from collections.abc import Collection

from mailserver.imap.error import ImapError

RIGHTS = "lrswipkxtea"
NEW = "kxte"                # those that RFC 2086 did not have: the capability names them (RFC 4314 5.1.1)
CREATE, DELETE = "k", "te"  # what the obsolete "c" and "d" mean (RFC 4314 2.1.1)
VISIBLE = "lrikxa"          # who has one of these may ask for his rights (RFC 4314 4)

_SEEN, _DELETED = 1, 8      # the bits of every mailbox store


def ordered(letters: Collection[str]) -> str:
    """Each of them once."""
    return "".join(each for each in RIGHTS if each in letters)


def parse(text: str) -> str:
    """The rights that letters name, the obsolete ones among them; raises `ImapError` for a letter that is none."""
    found: set[str] = set()
    for letter in text:
        if letter not in f"{RIGHTS}cd":
            raise ImapError("there is no such right")
        found.update({"c": CREATE, "d": DELETE}.get(letter, letter))
    return ordered(found)


def parse_change(text: str) -> tuple[str, str]:
    """"+", "-" or "=", and rights (RFC 4314 3.1); raises `ImapError`."""
    if text[:1] in ("+", "-"):
        return text[0], parse(text[1:])
    return "=", parse(text)


def changed(rights: str, how: str, letters: str) -> str:
    """Rights with some more, without some, or others in their place."""
    if how == "=":
        return letters
    if how == "+":
        return ordered(rights + letters)
    return "".join(each for each in rights if each not in letters)


def spelled(rights: str) -> str:
    """As they are told: with the obsolete letters of which any part is there (RFC 4314 2.1.1)."""
    told = rights
    if any(each in rights for each in CREATE):
        told += "c"
    if any(each in rights for each in DELETE):
        told += "d"
    return told


def changeable(rights: str) -> int:
    """The bits of flags that may be changed: "s" is for \\Seen, "t" for \\Deleted, "w" for all others (RFC 4314 4)."""
    bits = 0
    if "w" in rights:
        bits |= ~(_SEEN | _DELETED)
    if "s" in rights:
        bits |= _SEEN
    if "t" in rights:
        bits |= _DELETED
    return bits
