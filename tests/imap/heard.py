"""What a session hears of octets, under any cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mailserver.imap.commands.connection import Authenticate, Idle
from mailserver.imap.commands.table import State
from mailserver.imap.error import ImapError
from mailserver.imap.events import Announced, Event, Piece, Request, Wanted
from mailserver.imap.limits import Limits
from mailserver.imap.wire import ServerWire

Refuses = Callable[[Wanted | Announced], ImapError | None]


def grants(_: Wanted | Announced) -> None:
    """Whatever is announced may come."""


def hear(
    pieces: Iterable[bytes], state: State = State.SELECTED, refuses: Refuses = grants, utf8: bool = False,
    limits: Limits | None = None,
) -> list[object]:
    """Events, with the pieces of a message joined to its octets, and errors as tuples, to a fatal one."""
    wire = ServerWire(limits)
    wire.state, wire.utf8 = state, utf8
    heard: list[object] = []
    message = b""
    for piece in pieces:
        wire.receive(piece)
        while True:
            try:
                event = wire.next()
            except ImapError as error:
                heard.append((error.tag, "BYE" if error.fatal else error.condition, error.code, str(error)))
                message = b""
                if error.fatal:
                    return heard
                continue
            if event is None:
                break
            if isinstance(event, Piece):
                message += event.octets
                if event.is_last:
                    heard.append(message)
                    message = b""
                continue
            heard.append(event)
            _reply(wire, event, refuses)
    return heard


def _reply(wire: ServerWire, event: Event, refuses: Refuses) -> None:
    if isinstance(event, (Wanted, Announced)):
        error = refuses(event)
        if error is None:
            wire.grant()
        else:
            wire.refuse(error)
    elif isinstance(event, Request) and isinstance(event.command, Idle):
        wire.idle(event.tag)
    elif isinstance(event, Request) and isinstance(event.command, Authenticate):
        wire.challenge(event.tag)


def commands(octets: bytes, state: State = State.SELECTED, utf8: bool = False) -> list[object]:
    """Only what is asked; an error is a failure."""
    heard = hear([octets], state, utf8=utf8)
    assert not any(isinstance(each, tuple) for each in heard), heard
    return [each.command for each in heard if isinstance(each, Request)]


def command(line: bytes, state: State = State.SELECTED, utf8: bool = False) -> object:
    """The one command that a line is, without its tag and its end."""
    [found] = commands(b"a " + line + b"\r\n", state, utf8)
    return found


def refused(line: bytes, state: State = State.SELECTED, utf8: bool = False) -> str:
    """The condition, code and text of the one error that a line is."""
    [found] = hear([b"a " + line + b"\r\n"], state, utf8=utf8)
    assert isinstance(found, tuple) and found[0] == "a", found
    return " ".join(each for each in found[1:] if each)


def cut(octets: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """In pieces that end at these places."""
    start = 0
    for end in sorted({place for place in places if place < len(octets)} | {len(octets)}):
        yield octets[start:end]
        start = end
