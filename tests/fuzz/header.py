"""Header fields, found and taken out by scanning."""

from __future__ import annotations

import re

from mailserver.header import remove_fields
from tests.fuzz.choices import Choices, split

WORDS = (
    b"Subject: x\r\n", b"X-Old: 1\r\n", b"x-old : 2\r\n\tfolded\r\n", b"\r\n\r\n", b":", b"X-Old", b" ", b"\t", b"\r",
    b"\n", b"\0", b"\xff",
)
NAMES = ("X-Old", "Subject", "", "Received")


def run(octets: bytes) -> None:
    """Nothing is lost that was not asked for, and all that was is."""
    choices, header = split(octets)
    choose = Choices(choices)
    assert remove_fields(header, []) == header, header
    assert remove_fields(header, [("Not-There", None)]) == header or b"not-there" in header.lower()
    which = choose.below(3)
    name = NAMES[choose.below(len(NAMES))]
    left = remove_fields(header, [(name, which or None)])
    assert len(left) <= len(header)
    rest = iter(header)
    assert all(octet in rest for octet in left), (header, left)         # in the same order
    if not which and name:
        lines = re.split(rb"\r\n|\r|\n", left)
        names = [line.partition(b":")[0].rstrip(b" \t").lower() for line in lines if b":" in line]
        assert name.lower().encode() not in names, left
        assert remove_fields(left, [(name, None)]) == left
