"""What SORT compares (RFC 5256 3, RFC 5957): words made alike, so that keys can be compared as they are."""

from __future__ import annotations

import unicodedata

from mailserver.mime import words
from mailserver.mime.addresses import Address, parse

LONGEST = 200               # characters of a key before they are taken apart


def key(text: str) -> str:
    """By i;unicode-casemap (RFC 5051): title case, then taken apart (NFKD)."""
    text = text[:LONGEST]
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", "".join(map(str.title, text)))


def first(value: bytes | None) -> Address | None:
    """The first mailbox of a list, whether or not it stands in a group."""
    if not value:
        return None
    return next((each for each in parse(value, most=20) if each.is_mailbox), None)


def mailbox(address: Address | None) -> str:
    """The key of FROM, TO and CC: the local part; "" where there is none."""
    return "" if address is None or address.local is None else key(address.local.decode("utf-8", "replace"))


def display(address: Address | None) -> str:
    """The key of DISPLAYFROM and DISPLAYTO: the name, or else the address."""
    if address is None or address.local is None:
        return ""
    if address.name:
        return key(words.decode(address.name[: 10 * LONGEST]))
    return key(b"%b@%b".__mod__((address.local, address.domain or b"")).decode("utf-8", "replace"))
