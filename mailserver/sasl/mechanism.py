"""What all mechanisms have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from mailserver.errors import MailserverError


class SaslError(MailserverError):
    """What the peer sent is none of this mechanism's messages."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Octets for the peer, not yet in base64."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the peer says it is; `authorize_as` is whom it wants to act for, empty for itself."""

    name: str
    password: str = field(repr=False)
    authorize_as: str = ""


Step: TypeAlias = Challenge | Credentials


class Mechanism(Protocol):
    """One exchange."""

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response if there was one; raises `SaslError`."""

    def step(self, response: bytes) -> Step:
        """Go on with the answer to a challenge; raises `SaslError`."""


def text(octets: bytes) -> str:
    """UTF-8 without NUL; raises `SaslError`."""
    try:
        read = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("that is not UTF-8") from None
    if "\0" in read:
        raise SaslError("there is a NUL")
    return read
