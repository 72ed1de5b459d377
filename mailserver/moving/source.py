"""Where messages come from, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from mailserver.imapstore import Flags


class Damaged(Exception):
    """A message, a file or a folder that cannot be read; the words say why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One message: `key` names it within its source, for as long as it is there, whatever its flags are.

    `octets` gives it with CRLF line ends, piece by piece, and raises `Damaged`.
    """

    key: str
    mailbox: str
    flags: Flags
    received: float                 # seconds since the epoch
    octets: Callable[[], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """A mailbox of a source, as it will be called here."""

    name: str
    special_use: str = ""           # "\\Sent" ...
    subscribed: bool = False


class Source(Protocol):
    """`identity` is the same whenever this source is opened again: what was done is remembered by it."""

    identity: str
    total: int                      # messages, or octets where only those are known; for the progress alone
    skipped: list[tuple[str, str]]  # what could not be read, and why

    def folders(self) -> list[Folder]:
        """Its mailboxes, in which there may be nothing."""

    def items(self, is_done: Callable[[str], bool], advance: Callable[[int], None]) -> Iterator[Item]:
        """Those that are not done yet; `advance` is told of all of them, in the unit of `total`."""


def decoded_mailbox(name: str, into: str) -> str:
    """A name below another; INBOX itself becomes that other."""
    if not into:
        return name
    return into if name == "INBOX" else f"{into}/{name}"
