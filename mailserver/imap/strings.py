"""Strings in answers: as atoms, in quotes, or as literals (RFC 9051 4.3, RFC 6855 3)."""

from __future__ import annotations

import re

from mailserver.imap.names import encode

LONGEST_QUOTED = 1024       # octets; what is longer is a literal, which no peer has to search for its end

_ATOM: re.Pattern[bytes] = re.compile(rb"[^\x00-\x20(){%*\"\\\x7f-\xff]{1,255}")
_PLAIN: re.Pattern[bytes] = re.compile(rb"[^\x00\r\n\"\\\x7f-\xff]*")
_SPECIAL: re.Pattern[bytes] = re.compile(rb"[\"\\]")
NIL = b"NIL"


def string(octets: bytes, utf8: bool = False) -> bytes:
    """In quotes where that can be, else a literal; `utf8`: the session accepts UTF-8 in quotes.

    What holds a NUL can only be a literal8, which no more than BINARY and such have: here it loses its NULs.
    """
    if len(octets) <= LONGEST_QUOTED:
        if _PLAIN.fullmatch(octets):
            return b'"%b"' % octets
        if b"\r" not in octets and b"\n" not in octets and b"\0" not in octets and (octets.isascii() or utf8):
            return _quoted_or_literal(octets)
    return literal(octets.replace(b"\0", b""))


def _quoted_or_literal(octets: bytes) -> bytes:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return literal(octets)
    return b'"%b"' % _SPECIAL.sub(rb"\\\g<0>", octets)


def nstring(octets: bytes | None, utf8: bool = False) -> bytes:
    """A string, or NIL for none."""
    return NIL if octets is None else string(octets, utf8)


def astring(octets: bytes, utf8: bool = False) -> bytes:
    """An atom where that can be."""
    if _ATOM.fullmatch(octets) and octets.upper() != NIL:
        return octets
    return string(octets, utf8)


def mailbox(name: str, utf8: bool = False) -> bytes:
    """The name of a mailbox as a session reads it."""
    return astring(encode(name, utf8), utf8)


def literal(octets: bytes) -> bytes:
    """With its announcement."""
    return b"{%d}\r\n%b" % (len(octets), octets)


def literal8(octets: bytes) -> bytes:
    """For octets of any kind (RFC 3516 4.4)."""
    return b"~{%d}\r\n%b" % (len(octets), octets)


def announcement(size: int, is_binary: bool = False) -> bytes:
    """What stands before a literal that is sent in pieces."""
    return b"%b{%d}\r\n" % (b"~" * is_binary, size)
