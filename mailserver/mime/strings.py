"""Strings as an IMAP server sends them (RFC 9051 4.3): what is worked out at delivery is stored ready to be sent.

There is one stored form: ASCII is quoted, all else is a literal, which every session may be sent.  A session that
has enabled UTF8=ACCEPT or IMAP4rev2 can be sent quoted UTF-8 instead: `with_utf_8` makes that of the stored form.
"""

from __future__ import annotations

import re

LONGEST_QUOTED = 1000       # octets; some clients have a small buffer for what is no literal

_SPECIAL = re.compile(rb'(["\\])')
_LITERAL = re.compile(rb'"(?:[^"\\]|\\.)*+"|\{([0-9]{1,9})\}\r\n')
_NO_LINES = bytes.maketrans(b"\r\n", b"  ")


def string(octets: bytes) -> bytes:
    """Quoted, or a literal for what is not ASCII or is long; there may be no NUL in either, so it is left out."""
    if octets.isascii() and len(octets) <= LONGEST_QUOTED:
        if b'"' in octets or b"\\" in octets:
            octets = _SPECIAL.sub(rb"\\\1", octets)
        if b"\r" not in octets and b"\n" not in octets and b"\0" not in octets:
            return b'"' + octets + b'"'
        return b'"' + octets.translate(_NO_LINES, b"\0") + b'"'
    octets = octets.replace(b"\0", b"")
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """NIL for what is not there."""
    return b"NIL" if octets is None else string(octets)


def with_utf_8(stored: bytes) -> bytes:
    """For sessions that take UTF-8 in quoted strings (RFC 6855 3, RFC 9051 4.3): literals of it are quoted."""
    if b"}\r\n" not in stored:
        return stored
    done, at = [], 0
    while (found := _LITERAL.search(stored, at)) is not None:
        if found[1] is None:
            done.append(stored[at : found.end()])
            at = found.end()
            continue
        end = found.end() + int(found[1])
        octets = stored[found.end() : end]
        done.append(stored[at : found.start()])
        done.append(_quoted(octets) or stored[found.start() : end])
        at = end
    done.append(stored[at:])
    return b"".join(done)


def _quoted(octets: bytes) -> bytes | None:
    if b"\r" in octets or b"\n" in octets or len(octets) > LONGEST_QUOTED:
        return None
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return b'"' + _SPECIAL.sub(rb"\\\1", octets) + b'"'
