"""Messages as POP3 sends them: in pieces, with dots before dots; TOP as much as was asked for."""

from __future__ import annotations

import re

from mailserver.pop3.multiline import Stuffer, Top
from tests.fuzz import dots
from tests.fuzz.choices import Choices, split

WORDS = dots.WORDS


def run(octets: bytes) -> None:
    """A client that reads by the RFC gets the message, and no client sees its end too early."""
    choices, message = split(octets)
    choose = Choices(choices)
    stuffer = Stuffer()
    sent = b"".join(stuffer.feed(piece) for piece in choose.cut(message)) + stuffer.end()
    assert sent.endswith(b".\r\n")
    # By CRLF alone, and by LF, with or without a CR before it: the last line is the only lone dot.
    assert sent.split(b"\r\n").count(b".") == 1, (message, sent)
    assert re.split(rb"\r?\n", sent).count(b".") == 1, (message, sent)
    lines = sent.split(b"\n")[:-2]
    arrived = b"\n".join(line.removeprefix(b".") for line in lines) + (b"\n" if lines else b"")
    ended = message if not message or message.endswith(b"\r\n") else message + b"\r\n"
    assert arrived == ended, (message, sent, arrived)
    count = choose.below(5)
    top = Top(count)
    said = b"".join(top.feed(piece) for piece in choose.cut(message))
    assert said == _top(message, count), (message, count, said)


def _top(message: bytes, count: int) -> bytes:
    head, empty, body = (b"\r\n" + message).partition(b"\r\n\r\n")
    if not empty:
        return message
    lines = re.findall(rb"[^\n]*\n|[^\n]+$", body)
    return (head + empty)[2:] + b"".join(lines[:count])
