"""Header fields as octets (RFC 5322 2.2): found and taken out by scanning, never parsed further."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FIELD = re.compile(rb"[^\r\n]*(?:\r\n|\Z)(?:[ \t][^\r\n]*(?:\r\n|\Z))*")


def remove_fields(header: bytes, removals: Sequence[tuple[str, int | None]]) -> bytes:
    """A header section without some fields: all called by a name, or the one of that number (0 is the first)."""
    wanted: dict[bytes, set[int | None]] = {}
    for name, which in removals:
        wanted.setdefault(name.lower().encode("ascii", "replace"), set()).add(which)
    seen: dict[bytes, int] = {}
    kept = []
    for found in _FIELD.finditer(header):
        field: bytes = found[0]
        name = field.partition(b":")[0].rstrip(b" \t").lower()
        if name in wanted:
            number = seen.get(name, 0)
            seen[name] = number + 1
            if None in wanted[name] or number in wanted[name]:
                continue
        kept.append(field)
    return b"".join(kept)
