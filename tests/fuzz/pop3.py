"""Command lines of POP3, in each of its states."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.pop3.wire import LONGEST_AUTH, Command, Pop3Error, ServerWire, State
from tests.fuzz.choices import Choices, split

WORDS = (
    b"CAPA\r\n", b"QUIT\r\n", b"STLS\r\n", b"USER ", b"PASS ", b"AUTH PLAIN\r\n", b"AUTH ", b"NOOP\r\n", b"STAT\r\n",
    b"LIST 1\r\n", b"LIST\r\n", b"UIDL ", b"RETR 1\r\n", b"TOP 1 0\r\n", b"TOP ", b"DELE ", b"RSET\r\n", b"\r\n",
    b"UTF8\r\n", b"LANG\r\n", b"LANG *", b"LANG ja-", b"\n", b"\0", b"*", b"\xff", b"4294967296", b"-1", b" ",
    b"x" * 300,
)


def play(pieces: Iterable[bytes], choose: Choices) -> list[Command | bytes | str]:
    """What a session hears: commands, lines of an exchange, and errors as their texts."""
    wire = ServerWire()
    heard: list[Command | bytes | str] = []
    for piece in pieces:
        wire.receive(piece)
        while True:
            try:
                command = wire.next()
            except Pop3Error as error:
                assert str(error).isprintable()
                heard.append(str(error))
                if error.fatal:
                    return heard
                continue
            if command is None:
                break
            heard.append(command)
            if isinstance(command, bytes):
                assert wire.state is State.EXCHANGE and b"\n" not in command
                wire.state = (State.EXCHANGE, State.AUTHORIZATION, State.TRANSACTION)[choose.below(3)]
            elif command.verb == "QUIT":
                return heard
            elif command.verb == "STLS":
                wire.restart()
                assert not wire.buffered and wire.state is State.AUTHORIZATION
                return heard
            elif command.verb == "PASS":
                wire.state = (State.TRANSACTION, State.AUTHORIZATION)[choose.below(2)]
            elif command.verb == "AUTH":
                wire.state = (State.EXCHANGE, State.AUTHORIZATION, State.TRANSACTION)[choose.below(3)]
        assert wire.buffered <= LONGEST_AUTH, wire.buffered
    return heard


def run(octets: bytes) -> None:
    """The same is heard whatever the cuts, and of what nobody understands little is kept."""
    choices, said = split(octets)
    whole = play([said], Choices(choices))
    cut = play(Choices(choices).cut(said), Choices(choices))
    assert whole == cut, (whole, cut)
    for each in whole:
        if isinstance(each, Command):
            assert each.verb.isascii() and each.verb.isupper(), each
            assert each.number >= 0 and each.lines >= 0
            assert "\r" not in each.argument and "\n" not in each.argument and "\0" not in each.argument
