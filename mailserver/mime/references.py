"""Message ids, by which threads are found (RFC 5322 3.6.4, RFC 5256 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST = 500               # octets of an id; what is longer is none
MOST = 100                  # of the References; of more, the first and the last

_ID = re.compile(rb'<\s*+((?:"(?:[^"\\\r\n]|\\.)*+"|[^<>\s"])++)\s*+>')
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*+)"(?=@)')
_PLAIN = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*+")
_PAIR = re.compile(rb"\\(.)")


def ids(value: bytes) -> tuple[str, ...]:
    """The ids of a field, without brackets and without quotes that are not needed (RFC 5256), each once, in order."""
    found: dict[str, None] = {}
    for each in _ID.finditer(value):
        if len(each[1]) <= LONGEST:
            found[_normal(each[1])] = None
    if len(found) > MOST:
        first, *others = found
        return (first, *others[-(MOST - 1) :])
    return tuple(found)


def message_id(fields: Mapping[bytes, bytes]) -> str | None:
    """A message's own; None: it has none that can be used."""
    found = ids(fields.get(b"message-id", b""))
    return found[0] if found else None


def references(fields: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """Its ancestors, the parent last: References, or else the first id of In-Reply-To (RFC 5256, step 1)."""
    return ids(fields.get(b"references", b"")) or ids(fields.get(b"in-reply-to", b""))[:1]


def _normal(octets: bytes) -> str:
    found = _QUOTED.match(octets)
    if found is not None:
        plain = _PAIR.sub(rb"\1", found[1])
        if _PLAIN.fullmatch(plain):
            octets = plain + octets[found.end() :]
    return octets.decode("utf-8", "replace")
