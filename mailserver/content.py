"""A message's content: its octets as they came, small ones in memory, large ones in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LARGE = 128 * 1024          # octets; beyond this, content is kept in a file
CHUNK = 256 * 1024          # octets read at a time


@dataclass(frozen=True, slots=True)
class Content:
    """The octets of a message (RFC 5322), immutable, with CRLF line ends.

    ``beginning`` holds the first `LARGE` octets: all of them when the content is not large.  The
    methods that read a large content's file block: call them in a thread.
    """

    size: int
    beginning: bytes = field(repr=False)
    path: str | None = None

    @classmethod
    def of(cls, octets: bytes) -> Content:
        """A content that lies whole in memory."""
        return cls(len(octets), octets)

    @property
    def is_large(self) -> bool:
        """Whether only its beginning lies in memory."""
        return self.path is not None

    @property
    def header(self) -> bytes:
        """The header section with the CRLF of its last line, without the empty line (bounded by `LARGE`)."""
        if self.beginning.startswith(b"\r\n"):
            return b""
        end = self.beginning.find(b"\r\n\r\n")
        return self.beginning if end < 0 else self.beginning[: end + 2]

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """All octets from `start`, piece by piece; blocks when large."""
        if self.path is None:
            if start < self.size:
                yield self.beginning[start:] if start else self.beginning
            return
        with open(self.path, "rb", buffering=0) as file:
            file.seek(start)
            while piece := file.read(CHUNK):
                yield piece

    def read(self, start: int, count: int) -> bytes:
        """At most `count` octets from `start`; blocks when they lie beyond the beginning."""
        if self.path is None or start + count <= len(self.beginning):
            return self.beginning[start : start + count]
        with open(self.path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), count, start)

    def fields(self, name: str) -> Iterator[bytes]:
        """The bodies of the header fields called `name`, in order, still folded, without their CRLF."""
        pattern = re.compile(rb"(?im)^" + re.escape(name.encode("ascii")) + rb"[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)")
        for found in pattern.finditer(self.header):
            yield found[1].removesuffix(b"\r").strip(b" \t")
