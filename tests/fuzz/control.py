"""Orders to a running server, a JSON line each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.testing import StringTransport

from mailserver.control.lines import Desk, OrderFailed
from tests.fuzz.choices import Choices, split

WORDS = (
    b'{"order": "echo", "what": 1}\n', b'{"order": "fail"}\n', b'{"order": "echo", "number": ', b'"\\ud800"', b"\n",
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"1e999", b"NaN", b"9" * 30, b"null", b"\xff", b"\0", b"\r\n",
    b'{"order": ["echo"]}\n',
)
LONGEST = 300       # octets of a line here, so that one that is too long is soon found


async def echo(order: Mapping[str, Any]) -> Any:
    return order.get("what")


async def fail(order: Mapping[str, Any]) -> Any:
    raise OrderFailed("as asked")


def answers(pieces: Iterable[bytes]) -> tuple[list[Any], bool]:
    """The answers to what comes in these pieces, and whether the connection was closed."""
    desk, transport = Desk({"echo": echo, "fail": fail}, LONGEST), StringTransport()
    transport.connected = True
    desk.makeConnection(transport)
    for piece in pieces:
        if transport.disconnecting:
            break
        desk.dataReceived(piece)
    said = transport.value()
    assert said.endswith(b"\n") or not said, said
    return [json.loads(line) for line in said.split(b"\n")[:-1]], transport.disconnecting


def run(octets: bytes) -> None:
    """Each line is answered by one line, which says what was done or why not."""
    choices, said = split(octets)
    whole, closed = answers([said])
    cut, cut_closed = answers(Choices(choices).cut(said))
    assert (repr(whole), closed) == (repr(cut), cut_closed), (whole, cut)
    for answer in whole:
        assert set(answer) - {"number"} in ({"done"}, {"error"}), answer
    if not closed:
        assert len(whole) == said.count(b"\n")
