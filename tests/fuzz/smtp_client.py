"""What servers reply to our client."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.reply import Reply
from mailserver.smtp.client import LARGEST, LONGEST_LINE, MOST_LINES, NotSmtp, ReplyReader, extensions
from tests.fuzz.choices import Choices, split

WORDS = (
    b"220 mx.example.org ESMTP\r\n", b"250-", b"250 ", b"250-PIPELINING\r\n", b"250-SIZE 100\r\n", b"250 2.1.0 ",
    b"354 ", b"421 4.7.0 ", b"451-4.3.0 ", b"550 5.1.1 ", b"550-5.1.1 ", b"\r\n", b"\n", b"\r", b"\0", b"\x1b[2J",
    b"\xe2\x80\xa8", b"999 ", b"25", b"2.",
)


def read(pieces: Iterable[bytes]) -> list[Reply | str]:
    """The replies in these pieces; the last is a text when it is no reply."""
    reader = ReplyReader()
    replies: list[Reply | str] = []
    for piece in pieces:
        reader.receive(piece)
        try:
            while (reply := reader.next()) is not None:
                replies.append(reply)
        except NotSmtp as error:
            return [*replies, str(error)]
        assert reader.buffered < LONGEST_LINE + LARGEST, reader.buffered
    return replies


def run(octets: bytes) -> None:
    """The same replies whatever the cuts; of each reply no line writes another."""
    choices, said = split(octets)
    replies = read([said])
    cut = read(Choices(choices).cut(said))
    assert cut == replies, (replies, cut)
    for reply in replies:
        if isinstance(reply, str):
            assert reply.isprintable(), reply
            continue
        assert 200 <= reply.code <= 599
        lines = reply.text.split("\n")
        assert len(lines) <= MOST_LINES and all(line.isprintable() for line in lines), lines
        assert str(reply).isprintable(), str(reply)
        again = read([reply.encode()])
        assert len(again) == 1 and isinstance(again[0], Reply) and again[0].code == reply.code, (reply, again)
        for keyword, value in extensions(reply).items():
            assert keyword and " " not in keyword and "\n" not in keyword + value
