"""Where routing says that a recipient's mail goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from mailserver.address import Address
from mailserver.reply import Reply


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox of an account here, in the mailbox store called `store`."""

    account: Address
    store: str = "sql"
    name: str = "INBOX"


@dataclass(frozen=True, slots=True)
class Remote:
    """The server that takes mail for `address`; `host`, an endpoint string, overrides MX."""

    address: Address
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """Another address, which is routed again from the top (RFC 5321 3.9.1)."""

    address: Address


@dataclass(frozen=True, slots=True)
class Drop:
    """Nowhere: taken and forgotten; the reason stands in the trace."""

    why: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody: the peer hears `reply` at RCPT."""

    reply: Reply


Destination: TypeAlias = Mailbox | Remote | Forward | Drop | Refuse

_KINDS = frozenset({Mailbox, Remote, Forward, Drop, Refuse})


def check(answer: Any) -> None:
    """Raise `ValueError`, with what is wrong, unless a forwarder may answer this."""
    if not isinstance(answer, (list, tuple)):
        raise ValueError(f"it answered {answer!r}, which is neither None nor a list of destinations")
    for each in answer:
        if type(each) not in _KINDS:
            raise ValueError(f"it answered with {each!r}, which is no destination")
        if isinstance(each, Refuse) and each.reply.severity not in (4, 5):
            raise ValueError(f"it refuses with {each.reply!r}, which is neither 4xx nor 5xx")
