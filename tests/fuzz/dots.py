"""Content behind DATA, with dots before dots: the only end is CRLF "." CRLF."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailserver.smtp.dots import Unstuffer
from tests.fuzz.choices import Choices, split

WORDS = (
    b"\r\n.\r\n", b"\r\n..", b"\r\n.", b".\r\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n",
    b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\r\n.\0\r\n", b"\x85.\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\x1c", b"\0",
    b"\r", b"\n", b".", b"a",
)
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


def read(pieces: Iterable[bytes]) -> tuple[bytes, bool, bytes, bool]:
    """Content, whether it has ended, what stands behind the end, whether its line ends were strict."""
    unstuffer = Unstuffer()
    content, rest, ended = b"", b"", False
    for piece in pieces:
        if ended:
            rest += piece
            continue
        block, ended = unstuffer.feed(piece)
        content += block
        rest = unstuffer.rest
    return content, ended, rest, unstuffer.is_strict


def oracle(said: bytes) -> tuple[bytes, bytes, bool] | None:
    """The same by the letter of RFC 5321 4.5.2, for content that is whole: content, rest, whether it is strict."""
    whole, end, rest = (b"\r\n" + said).partition(b"\r\n.\r\n")
    if not end:
        return None
    lines = whole.split(b"\r\n")[1:]
    content = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)
    return content, rest, BARE.search(whole) is None


def run(octets: bytes) -> None:
    """The content is the RFC's, whatever the cuts; what is held back of it can only be the beginning of the end."""
    choices, said = split(octets)
    whole = read([said])
    content, ended, rest, is_strict = read(Choices(choices).cut(said))
    expected = oracle(said)
    if expected is None:
        assert not ended and not whole[1]
        assert len(content) <= len(said)
        return
    assert whole == (expected[0], True, *expected[1:]), (whole, expected)
    assert (content, ended, rest, is_strict) == whole, (content, rest, whole)
