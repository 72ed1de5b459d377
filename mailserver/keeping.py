"""For how long mail is kept: what was removed, what lies in a mailbox; and when a quota is nearly used up."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long mailboxes keep their messages; 0 is for ever, or any number."""

    mailbox: str = ""           # a pattern of names (RFC 9051 6.3.9); "" by its use alone
    special_use: str = ""       # "\\Junk" ...; "" by its name alone
    older_than: float = 0.0     # seconds since a message came into the mailbox
    at_most: int = 0            # messages, the newest


@dataclass(frozen=True, slots=True)
class Keeping:
    """What ``[keeping]`` and ``[[retention]]`` say."""

    undelete: float = 14 * DAY              # seconds in which removed mail can be brought back; 0: none
    warnings: tuple[int, ...] = (80, 95)    # percent of a quota, ascending
    retention: tuple[Retention, ...] = ()   # the first that fits a mailbox counts
