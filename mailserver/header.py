"""Header fields as octets (RFC 5322 2.2): found and taken out by scanning, never parsed further."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailserver.content import Content

# A bare CR or LF ends a line too: some readers take it for an end, so a field must not hide behind one.
_LINE = rb"[^\r\n]*(?:\r\n?|\n|\Z)"
_NEXT: re.Pattern[bytes] = re.compile(rb"\r\n(?=[^ \t])")
_FIELD: re.Pattern[bytes] = re.compile(rb"%b(?:[ \t]%b)*" % (_LINE, _LINE))


def remove_fields(header: bytes, removals: Sequence[tuple[str, int | None]]) -> bytes:
    """A header section without some fields: all called by a name, or the one of that number (0 is the first)."""
    wanted: dict[bytes, set[int | None]] = {}
    for name, which in removals:
        wanted.setdefault(name.lower().encode("ascii", "replace"), set()).add(which)
    seen: dict[bytes, int] = {}
    kept: list[bytes] = []
    for found in _FIELD.finditer(header):
        octets = found.group(0)
        key = octets.partition(b":")[0].rstrip(b" \t").lower()
        if key in wanted:
            number = seen.get(key, 0)
            seen[key] = number + 1
            if None in wanted[key] or number in wanted[key]:
                continue
        kept.append(octets)
    return b"".join(kept)


def whole_fields(header: bytes) -> bytes:
    """As much of a header section that is cut off somewhere as is certainly whole: all fields but the last."""
    end = 0
    for found in _NEXT.finditer(header):
        end = found.end()
    return header[:end]


def solicitations(content: Content) -> set[str]:
    """The keywords of the Solicitation fields (RFC 3865 2.7)."""
    words = b",".join(content.fields("Solicitation")).decode("ascii", "replace")
    return {word.strip() for word in words.split(",") if word.strip()}


def tls_is_optional(content: Content) -> bool:
    """Whether the header says "TLS-Required: No" (RFC 8689 3): delivery comes before secrecy."""
    if b"tls-required" not in content.header.lower():
        return False
    return [each.lower() for each in content.fields("TLS-Required")] == [b"no"]
