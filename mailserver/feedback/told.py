"""Feedback as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sort(StrEnum):
    """What was said of a recipient's mail."""

    BOUNCE = "bounce"
    DELAY = "delay"
    DELIVERED = "delivered"         # or relayed, or expanded
    COMPLAINT = "complaint"         # somebody pressed "spam"
    OTHER = "other"                 # "not-spam", a report about authentication


@dataclass(frozen=True, slots=True)
class Told:
    """Of one recipient; what was not said is empty."""

    sort: Sort
    recipient: str                  # the address that its last server knew it by
    original: str = ""              # the one that the sender wrote (ORCPT)
    status: str = ""                # 5.1.1
    code: int = 0                   # of the reply, when a server replied
    text: str = ""                  # the words


@dataclass(frozen=True, slots=True)
class Feedback:
    """One report, of however many recipients, of one message."""

    recipients: tuple[Told, ...]
    reporter: str = ""              # the server that wrote it
    envelope_id: str = ""           # what we gave with ENVID
    sender: str = ""                # the reverse-path that the message had
    message_id: str = ""            # with its brackets
    received: tuple[tuple[str, str], ...] = ()      # "by" and "id" of its Received fields, the topmost first
