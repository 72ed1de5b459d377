"""Names of mailboxes: as people write them, and as IMAP does (RFC 9051 5.1, RFC 3501 5.1.3, RFC 6855 3)."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from binascii import Error, a2b_base64

from mailserver.imap.error import ImapError

INBOX = "INBOX"
SEPARATOR = "/"
LONGEST_NAME = 1000         # octets of a whole name in UTF-8
LONGEST_LEVEL = 255         # octets of one level, what file systems and other servers take

_PLAIN: re.Pattern[str] = re.compile(r"[^\x20-\x7e]+|&")
_SHIFTED: re.Pattern[bytes] = re.compile(rb"&([A-Za-z0-9+,]*)-")
# C0 and C1 and what breaks lines (RFC 5198 2), lone surrogates, and what Unicode says is no character.
_FORBIDDEN: re.Pattern[str] = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def read(octets: bytes, utf8: bool) -> str:
    """A mailbox that a command names, in the one form in which it is looked for.

    `utf8`: the session has enabled UTF8=ACCEPT or IMAP4rev2; otherwise it is modified UTF-7.  Raises `ImapError`.
    """
    return canonical(decode(octets, utf8))


def decode(octets: bytes, utf8: bool) -> str:
    """Only the characters, as a LIST pattern has them too; raises `ImapError`."""
    if len(octets) > 3 * LONGEST_NAME:
        raise ImapError("that name is too long", "NO", "CANNOT")
    try:
        return octets.decode("utf-8") if utf8 else _from_utf7(octets)
    except UnicodeDecodeError:
        raise ImapError("that name is not UTF-8" if utf8 else "that name is not modified UTF-7") from None


def encode(name: str, utf8: bool) -> bytes:
    """A name for an answer, not yet quoted."""
    return name.encode("utf-8") if utf8 else to_utf7(name)


def canonical(name: str) -> str:
    """A name that a mailbox may have, normalised (NFC, and INBOX in capitals); raises `ImapError`.

    ``../x`` is a name like any other: no store takes a name for a path.
    """
    name = unicodedata.normalize("NFC", name)
    if _FORBIDDEN.search(name):
        raise ImapError("a control character cannot be in a name", "NO", "CANNOT")
    levels = name.split(SEPARATOR)
    if "" in levels:
        raise ImapError("a level of a name cannot be empty", "NO", "CANNOT")
    if len(name.encode()) > LONGEST_NAME or any(len(level.encode()) > LONGEST_LEVEL for level in levels):
        raise ImapError("that name is too long", "NO", "CANNOT")
    # RFC 9051 5.1 says it of INBOX alone; below it too, so that nobody has two trees that look alike.
    return f"{INBOX}{name[len(INBOX):]}" if levels[0].upper() == INBOX and levels[0].isascii() else name


def to_utf7(name: str) -> bytes:
    """Modified UTF-7 (RFC 3501 5.1.3)."""
    return _PLAIN.sub(lambda found: _shift(found[0]), name).encode("ascii")


def _shift(text: str) -> str:
    if text == "&":
        return "&-"
    encoded = b64encode(text.encode("utf-16-be", "surrogatepass")).rstrip(b"=").replace(b"/", b",")
    return f"&{encoded.decode('ascii')}-"


def _from_utf7(octets: bytes) -> str:
    """Strictly: whatever has a second spelling is refused, so that each name has one."""
    parts = []
    place = 0
    for found in _SHIFTED.finditer(octets):
        parts.append(octets[place : found.start()].decode("ascii"))
        parts.append(_unshift(found[1]))
        place = found.end()
    parts.append(octets[place:].decode("ascii"))
    name = "".join(parts)
    if to_utf7(name) != octets:
        raise ImapError("that name is not modified UTF-7")
    return name


def _unshift(encoded: bytes) -> str:
    if not encoded:
        return "&"
    padded = encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4)
    try:
        return a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (Error, UnicodeDecodeError):
        raise ImapError("that name is not modified UTF-7") from None
