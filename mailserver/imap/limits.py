"""How much of a command is read."""

from __future__ import annotations

from dataclasses import dataclass

KIBI, MEBI = 1024, 1024 * 1024
UNASKED = 4096              # octets of a literal that need not wait, by LITERAL- (RFC 7888 5)
MOST_SIZE = (1 << 63) - 1   # RFC 9051 9: number64


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets, all of them.

    `command` is a whole command, its literals too but not its messages; `literal` one of those that are held;
    `message` one that is not; `unasked` one that comes without waiting; `swallowed` what of a refused command is read
    and thrown away, before the peer is given up.
    """

    command: int
    literal: int
    message: int
    unasked: int
    swallowed: int


# RFC 7162 4: a line of 8192 octets at least; a base64 response may be longer (RFC 4954 4 has 12288).
BEFORE_LOGIN = Limits(12 * KIBI, 4 * KIBI, 0, UNASKED, 64 * KIBI)


def after_login(message: int = 64 * MEBI, unasked: int = MOST_SIZE) -> Limits:
    """For who has logged in; what is refused of a message a little too large is still read (RFC 7888 4)."""
    return Limits(256 * KIBI, 64 * KIBI, message, unasked, 4 * message + 256 * KIBI)
