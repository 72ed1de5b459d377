"""Lists of addresses in headers (RFC 5322 3.4, with its obsolete forms; RFC 6532), as far as anybody can read them.

Encoded words are left as they were sent.  A comment is the name where there is no other ("bob@example.org (Bob)").
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_ADDRESSES = 1000       # of one list

_ATOM = rb'[^\s"<>,;:()@\\\[\]]'
_USUAL = re.compile(
    rb'\s*+(?:(?:"([^"\\]*+)"\s*+|([^"<>,;:()@\\\[\]]*+))<(%b++)@(%b++)>|(%b++)@(%b++))\s*+(?:,|\Z)'
    % (_ATOM, _ATOM, _ATOM, _ATOM)
)
_TOKEN = re.compile(
    rb'(\s++|\([^()\\]*+\))|"((?:[^"\\]|\\.)*+)"?|(\[(?:[^\[\]\\]|\\.)*+\]?)|([()<>@,;:\]])|((?:\\.|[^\s()<>@,;:"\[\]\\])++)|(\\)',
    re.DOTALL,
)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"(?:\\.|[^()\\])++|[()]|\\", re.DOTALL)


class Address(NamedTuple):
    """One of a list, or the beginning of a group (only `local`, its name), or the end of one (nothing).

    A mailbox without a domain, which is none, has an empty one.
    """

    name: bytes | None
    route: bytes | None         # source route (RFC 5322 4.4), obsolete
    local: bytes | None         # without quotes
    domain: bytes | None

    @property
    def is_mailbox(self) -> bool:
        """Whether it is no end of a group."""
        return self.domain is not None


END_OF_GROUP = Address(None, None, None, None)


def parse(value: bytes, most: int = MOST_ADDRESSES) -> list[Address]:
    """The addresses of an unfolded value, in order; of a long list the first."""
    found: list[Address] = []
    at = 0
    while at < len(value) and len(found) < most:
        usual = _USUAL.match(value, at)
        if usual is None:
            return found + _Reader(value, at, most - len(found)).read()
        quoted, plain, local, domain, bare, bare_domain = usual.groups()
        if bare is not None:
            found.append(Address(None, None, bare, bare_domain))
        else:
            name = b" ".join(plain.split()) if quoted is None else quoted
            found.append(Address(name or None, None, local, domain))
        at = usual.end()
    return found


class _Reader:
    """Reads what is not quite usual, token by token."""

    def __init__(self, value: bytes, at: int, most: int) -> None:
        self._value = value
        self._at = at
        self._most = most
        self._found: list[Address] = []
        self._in_group = False
        self._begin()

    def _begin(self) -> None:
        self._words: list[bytes] = []           # before an angle bracket; or all, where there is none
        self._angle: list[bytes] | None = None  # behind one
        self._closed = False
        self._route: list[bytes] = []
        self._in_route = False
        self._mark = -1                         # where the last "@" stands
        self._comment: bytes | None = None

    def read(self) -> list[Address]:
        """All that is left."""
        while (found := _TOKEN.match(self._value, self._at)) is not None and len(self._found) < self._most:
            self._at = found.end()
            blank, quoted, literal, special, atom, _ = found.groups()
            if blank is not None:
                if blank[0] == 40:
                    self._comment = blank[1:-1].strip() or self._comment
                self._add(b" ")
            elif quoted is not None:
                self._add(_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
            elif special is not None:
                self._special(special)
            else:
                self._add(literal or atom or b"\\")
        self._end()
        if self._in_group:
            self._found.append(END_OF_GROUP)
        return self._found

    def _add(self, word: bytes) -> None:
        if self._angle is None:
            self._words.append(word)
        elif not self._closed:
            self._angle.append(word)

    def _special(self, special: bytes) -> None:
        if special == b"(":
            self._skip_comment()
        elif special == b"," and self._in_route:
            self._add(special)
        elif special == b"," or (special == b";" and not self._in_group):
            self._end()
        elif special == b";":
            self._end()
            self._found.append(END_OF_GROUP)
            self._in_group = False
        elif special == b"<":
            if self._angle is None:
                self._angle, self._mark = [], -1
        elif special == b">":
            self._closed, self._in_route = self._angle is not None, False
        elif special == b":":
            self._colon()
        elif special == b"@":
            words = self._words if self._angle is None else self._angle
            if not self._closed:
                self._in_route = self._in_route or (words is self._angle and self._mark < 0 and not _tight(words))
                self._mark = len(words)
            self._add(b"@")
        else:
            self._add(special)

    def _colon(self) -> None:
        """The end of a route, or of a group's name."""
        if self._angle is not None:
            if self._mark >= 0 and not self._closed:
                self._route, self._angle, self._mark, self._in_route = self._angle, [], -1, False
        elif self._mark < 0 and not self._in_group:
            name = b"".join(self._words).strip()
            self._found.append(Address(None, None, name, None))
            self._in_group = True
            self._begin()
        else:
            self._add(b":")

    def _skip_comment(self) -> None:
        """To its end, however many are in it."""
        depth, said = 1, []
        for found in _COMMENT.finditer(self._value, self._at):
            self._at = found.end()
            depth += {b"(": 1, b")": -1}.get(found[0], 0)
            if depth == 0:
                break
            said.append(found[0])
        self._comment = _PAIR.sub(rb"\1", b"".join(said)).strip() or self._comment
        self._add(b" ")

    def _end(self) -> None:
        words, mark = (self._words, self._mark) if self._angle is None else (self._angle, self._mark)
        name = None if self._angle is None else b" ".join(b"".join(self._words).split())
        if mark < 0:
            local, domain = _tight(words), b""
        else:
            local, domain = _tight(words[:mark]), _tight(words[mark + 1 :])
        if local or domain or name:
            route = _tight(self._route) or None
            self._found.append(Address(name or self._comment, route, local, domain))
        self._begin()


def _tight(words: list[bytes]) -> bytes:
    """Without the white space between words, which obsolete forms have."""
    return b"".join(each for each in words if each != b" ")
