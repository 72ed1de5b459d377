"""What an IMAP client reads of a server's answer: lists, strings, NIL and numbers, and nothing else."""

from __future__ import annotations

import re
from typing import Any

_WORD = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"|\{([0-9]+)\}\r\n|(NIL)|([0-9]+)')


def read(octets: bytes) -> list[Any]:
    """One list in parentheses; AssertionError where it is not well formed, or something stands behind it."""
    value, end = _value(octets, 0)
    assert end == len(octets) and isinstance(value, list), octets
    return value


def _value(octets: bytes, at: int) -> tuple[Any, int]:
    if octets[at : at + 1] == b"(":
        done, at = [], at + 1
        while octets[at : at + 1] != b")":
            assert at < len(octets), octets
            if octets[at : at + 1] == b" ":
                at += 1
            value, at = _value(octets, at)
            done.append(value)
        return done, at + 1
    found = _WORD.match(octets, at)
    assert found is not None, octets[at:]
    quoted, size, nil, number = found.groups()
    if size is not None:
        end = found.end() + int(size)
        assert end <= len(octets) and b"\0" not in octets[found.end() : end]
        return octets[found.end() : end], end
    if quoted is not None:
        assert b"\0" not in quoted
        return re.sub(rb"\\(.)", rb"\1", quoted), found.end()
    return None if nil else int(number), found.end()
