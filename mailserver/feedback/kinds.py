"""What failures are about."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Why it did not work, in what it means for the next attempt and for who sent it."""

    GREYLIST = "greylist"           # they do not know us yet: the same again, a little later
    RATE = "rate"                   # too much at a time, too many recipients, too fast
    REPUTATION = "reputation"       # our address or domain stands on a list, or is not thought well of
    POLICY = "policy"               # they do not want it, by a rule of theirs
    FULL = "full"                   # the mailbox
    GONE = "gone"                   # no such user, or no such domain
    SIZE = "size"                   # the message is too big for them
    AUTH = "auth"                   # SPF, DKIM or DMARC, or a login
    TLS = "tls"
    CONTENT = "content"             # spam, a virus, a forbidden attachment
    BUSY = "busy"                   # they are overloaded, or broken for the moment
    UNREACHABLE = "unreachable"     # no connection, no answer, no DNS
    LOOP = "loop"
    UNKNOWN = "unknown"
