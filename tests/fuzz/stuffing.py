"""Content on its way out: what one side stuffs, the other unstuffs, and nothing in it ends it or says a command."""

from __future__ import annotations

import re

from mailserver.smtp.stuffing import Stuffer
from tests.fuzz import dots
from tests.fuzz.choices import Choices, split

WORDS = dots.WORDS
BEHIND = b"QUIT\r\n"


def run(octets: bytes) -> None:
    """What arrives is what was sent, with the line ends that it should have had."""
    choices, content = split(octets)
    choose = Choices(choices)
    stuffer = Stuffer()
    sent = b"".join(stuffer.feed(piece) for piece in choose.cut(content)) + stuffer.end()
    expected = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    if expected and not expected.endswith(b"\r\n"):
        expected += b"\r\n"
    arrived, ended, rest, is_strict = dots.read(choose.cut(sent + BEHIND))
    assert ended and rest == BEHIND, (content, sent)
    assert arrived == expected, (content, sent, arrived)
    assert is_strict or b"\0" in content, (content, sent)
    # A server that takes every CR and LF for a line end finds no end but the last.
    lines = re.split(rb"\r\n|\r|\n", sent)
    assert lines.count(b".") == 1 and lines[-2:] == [b".", b""], (content, sent)
