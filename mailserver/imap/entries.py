"""Names of annotations: paths such as ``/private/comment`` (RFC 5464 3.2)."""

from __future__ import annotations

import re

from mailserver.imap.error import ImapError

LONGEST_ENTRY = 255         # octets of a name
LARGEST_VALUE = 32 * 1024   # octets of a value (RFC 5464 4.1 wants 1,024 at the least)

# Beyond what the RFC forbids no control character at all, which would only break lines and terminals.
_ENTRY: re.Pattern[bytes] = re.compile(rb"/(?:private|shared)(?:/[^\x00-\x1f\x7f-\xff/*%]+)*", re.IGNORECASE)
_VENDOR: re.Pattern[str] = re.compile(r"/[^/]+/vendor(?:/[^/]+)?", re.IGNORECASE)


def read(octets: bytes) -> str:
    """A name that may be asked for, as it was sent; raises `ImapError`."""
    if len(octets) > LONGEST_ENTRY:
        raise ImapError("the name of an entry is too long")
    if _ENTRY.fullmatch(octets) is None:
        raise ImapError("an entry has a name like /private/comment or /shared/vendor/name/comment")
    return octets.decode("ascii")


def read_whole(octets: bytes) -> str:
    """A name that may have a value: two levels, or four below ``vendor``; raises `ImapError`."""
    name = read(octets)
    if name.count("/") < 2 or _VENDOR.fullmatch(name):
        raise ImapError("that is no entry, it only has some below it")
    return name


def is_below(entry: str, top: str, depth: int | None) -> bool:
    """Whether a name is another or lies at most so many levels below it; None: any number.  Both in lower case."""
    if entry == top:
        return True
    return entry.startswith(f"{top}/") and (depth is None or entry.count("/") - top.count("/") <= depth)
