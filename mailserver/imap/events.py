"""What the wire tells a session."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailserver.imap.commands.append import Append, Draft, Replace


@dataclass(frozen=True, slots=True)
class Request:
    """A whole command: one of the values in `mailserver.imap.commands`.

    An `Append` or `Replace` is whole when all its messages have come.
    """

    tag: str
    command: object


@dataclass(frozen=True, slots=True)
class Wanted:
    """A literal of a command that is still to come, of a size that is fine: `ServerWire.grant` or `refuse` it."""

    tag: str
    size: int


@dataclass(frozen=True, slots=True)
class Announced:
    """A message is about to come, the first or another one of its command: `ServerWire.grant` or `refuse` it.

    Granted, it comes as `Piece`s.  Unless `draft.waits`, its octets are on their way already.  `is_part`: it is only
    a part of the message that a `Joining` has begun.
    """

    tag: str
    command: Append | Replace
    draft: Draft
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Joining:
    """A message begins that is put together of parts (RFC 4469); behind the last of them comes a `Joint`."""

    tag: str
    command: Append | Replace
    draft: Draft


@dataclass(frozen=True, slots=True)
class Linked:
    """A part that lies here already; whether its URL is one has not been looked at."""

    url: bytes


@dataclass(frozen=True, slots=True)
class Joint:
    """That was the last part of its message."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets of a message, and whether they are its last; there is one at least."""

    octets: bytes = field(repr=False)
    is_last: bool


@dataclass(frozen=True, slots=True)
class Response:
    """The peer's answer to a challenge of AUTHENTICATE."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The peer gives an AUTHENTICATE up."""


@dataclass(frozen=True, slots=True)
class Done:
    """The peer ends its IDLE."""


Event = Request | Wanted | Announced | Joining | Linked | Joint | Piece | Response | Cancelled | Done
