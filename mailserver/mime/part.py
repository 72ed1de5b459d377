"""A message or a part of one (RFC 2045 2), as a value: where it lies, and what its MIME fields say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from mailserver.mime.parameters import Parameters, meant


class Kind(IntEnum):
    """What its body is."""

    LEAF = 0            # nothing that has parts, or nothing that is looked into
    MULTIPART = 1       # parts between delimiters: at least one
    MESSAGE = 2         # message/rfc822 or message/global: a message, which is its only part


@dataclass(frozen=True, slots=True)
class Part:
    """Offsets are octets of the whole message, whose root has `start` 0; the body ends before the delimiter."""

    kind: Kind
    start: int                              # of its header
    body: int                               # of its body; before that stands the empty line, if there is one
    end: int                                # of its body
    lines: int                              # LF in the body, of text and of messages; else 0
    type: str                               # in lower case, as it is treated: see `mailserver.mime.structure`
    subtype: str
    encoding: str = ""                      # in lower case; "" when none is stated
    parameters: Parameters = ()             # as they were sent
    disposition: str | None = None          # in lower case
    disposition_parameters: Parameters = ()
    id: bytes | None = None
    description: bytes | None = None
    md5: bytes | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    parts: tuple[Part, ...] = ()
    # Of a message: the fields that an envelope is made of.  A structure that was stored has them no more.
    fields: Mapping[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Octets of the body, as it was sent."""
        return self.end - self.body

    @property
    def charset(self) -> str:
        """As it is labelled; "" when it is not."""
        return meant(self.parameters, b"charset") or ""

    @property
    def file_name(self) -> str | None:
        """What its sender calls it, in either of the two spellings; never a path that anybody should use."""
        return meant(self.disposition_parameters, b"filename") or meant(self.parameters, b"name")

    def walk(self) -> Iterator[Part]:
        """This part and all in it, in order."""
        yield self
        for each in self.parts:
            yield from each.walk()
