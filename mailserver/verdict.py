"""What a filter may say of a connection, a sender, a recipient or a message.

A hook returns None (no opinion), one verdict, or a list of them.  Verdicts are values: returning one
is all it takes, nothing else changes the message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mailserver.address import Address
from mailserver.reply import NOT_NOW, Reply


@dataclass(frozen=True, slots=True)
class Accept:
    """This stage is done: the filters after this one are not asked.  Later stages are."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Never: the peer hears a 5xx reply."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now: the peer hears a 4xx reply and comes back."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Discard:
    """Say yes and drop it: at recipient this recipient, at content or sender the whole message."""

    why: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Take it, but into the mailbox Junk; for destinations elsewhere it has no effect."""

    why: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """At recipient: it is for `address` instead."""

    address: Address


@dataclass(frozen=True, slots=True)
class Score:
    """Points for or against a message, summed over all filters; the `why` stands in the trace."""

    points: float
    why: str


@dataclass(frozen=True, slots=True)
class AddHeader:
    """A header field to put above the message as it came."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoveHeader:
    """Take away header fields called `name`: all, or the one numbered `which` (0 is the first)."""

    name: str
    which: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """At connected: the greeting comes that many seconds late, and who speaks before it is sent away."""

    seconds: float
    why: str


Verdict: TypeAlias = (
    Accept | Reject | Defer | Discard | Quarantine | Rewrite | Score | AddHeader | RemoveHeader | Pause
)
Verdicts: TypeAlias = Verdict | Sequence[Verdict] | None

ACCEPT = Accept()

LONGEST_PAUSE = 60.0        # seconds; a client waits five minutes for a greeting (RFC 5321 4.5.3.2.1)

_KINDS = frozenset({Accept, Reject, Defer, Discard, Quarantine, Rewrite, Score, AddHeader, RemoveHeader, Pause})
_FIELD_NAME = re.compile(r"[!-9;-~]+")          # RFC 5322 3.6.8


def check(said: Any) -> None:
    """Raise `ValueError`, with what is wrong, unless a hook may answer this."""
    for each in said if isinstance(said, (list, tuple)) else (said,):
        if type(each) not in _KINDS:
            raise ValueError(f"it answered {each!r}, which is no verdict")
        match each:
            case Reject(reply) if not isinstance(reply, Reply) or reply.severity != 5:
                raise ValueError(f"it rejects with {reply!r}, which is no 5xx reply")
            case Defer(reply) if not isinstance(reply, Reply) or reply.severity != 4:
                raise ValueError(f"it defers with {reply!r}, which is no 4xx reply")
            case Rewrite(address) if not isinstance(address, Address):
                raise ValueError(f"it rewrites to {address!r}, which is no Address")
            case AddHeader(name) | RemoveHeader(name) if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a header field")
            case AddHeader(name, value) if not isinstance(value, str):
                raise ValueError(f"the value of {name} is {value!r}, which is no text")
            case Pause(seconds) if not isinstance(seconds, (int, float)) or not 0 <= seconds <= LONGEST_PAUSE:
                raise ValueError(f"{seconds!r} is no pause of at most {LONGEST_PAUSE:g} seconds")
            case Score(points) if not isinstance(points, (int, float)):
                raise ValueError(f"{points!r} is no number of points")


def reject(reply: Reply | str) -> Reject:
    """Refuse for good; a text becomes 550 5.7.1.  Raises `ValueError` for a reply that is no 5xx."""
    if isinstance(reply, str):
        reply = Reply(550, "7.1", reply)
    if reply.severity != 5:
        raise ValueError(f"a reject needs a 5xx reply, not {reply}")
    return Reject(reply)


def defer(reply: Reply | str = NOT_NOW) -> Defer:
    """Refuse for now; a text becomes 451 4.7.1.  Raises `ValueError` for a reply that is no 4xx."""
    if isinstance(reply, str):
        reply = Reply(451, "7.1", reply)
    if reply.severity != 4:
        raise ValueError(f"a defer needs a 4xx reply, not {reply}")
    return Defer(reply)


def discard(why: str) -> Discard:
    """Say yes and drop it."""
    return Discard(why)


def quarantine(why: str) -> Quarantine:
    """Take it into Junk."""
    return Quarantine(why)


def rewrite(address: Address) -> Rewrite:
    """Send this recipient's mail to `address` instead."""
    return Rewrite(address)


def score(points: float, why: str) -> Score:
    """Points against (positive) or for (negative) the message."""
    return Score(points, why)


def add_header(name: str, value: str) -> AddHeader:
    """Put a header field above the message."""
    return AddHeader(name, value)


def remove_header(name: str, which: int | None = None) -> RemoveHeader:
    """Take header fields away."""
    return RemoveHeader(name, which)


def pause(seconds: float, why: str) -> Pause:
    """Greet later."""
    return Pause(seconds, why)
