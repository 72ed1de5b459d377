"""What sharing asks of a mailbox store beside `mailserver.imapstore.IImapStore`: rights of others (RFC 4314).

A mailbox has one owner, who has every right and cannot lose one.  Everybody else has what the mailbox's list says of
him, of his domain and of everybody, less what it denies them.  Public mailboxes belong to a domain: their owner is an
account without a local part, as which nobody logs in.

Where each has his own \\Seen, `viewer` is whose: what he has read is seen for him, and for nobody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from mailserver.imapstore import Appended, Copied, Flags, IImapMailbox, IImapStore, Ranges, Status, Stored
from mailserver.interfaces import Account

ANYONE = "anyone"           # whoever there is (RFC 4314 2)
MOST_SHARES = 1000          # entries of one mailbox's list


@dataclass(frozen=True, slots=True)
class Share:
    """An entry of a mailbox's list: who, with which rights.

    `who` is an address, ``@domain`` for all accounts there, or ``anyone``; with a "-" before it, rights are denied.
    """

    who: str
    rights: str


@dataclass(frozen=True, slots=True)
class Shared:
    """A mailbox of somebody else, by its owner's name for it, and what one may do there."""

    owner: Account
    status: Status
    rights: str


@dataclass(frozen=True, slots=True)
class Into:
    """Where messages are put: a mailbox, which bits of flags may be set there, and whose \\Seen it is.

    `viewer` None: everybody's.
    """

    owner: Account
    name: str
    may_set: int
    viewer: Account | None = None


class ISharing(IImapStore):
    """A store whose mailboxes can be shared."""

    def owner(address: str) -> Awaitable[Account | None]:
        """The account of an address; of ``@domain``, the one that has the domain's public mailboxes."""

    def rights(account: Account, owner: Account, name: str) -> Awaitable[str | None]:
        """What an account may do in a mailbox; None: it does not exist."""

    def parent_rights(account: Account, owner: Account, name: str) -> Awaitable[str]:
        """What it may do in the nearest mailbox above a name (RFC 4314 4); none where there is none."""

    def shared(account: Account) -> Awaitable[Sequence[Shared]]:
        """The mailboxes of others in which an account has any right, with the counts of their owners."""

    def unseen(viewer: Account, owner: Account, name: str) -> Awaitable[int]:
        """How many messages a viewer with his own \\Seen has not seen.  Raises `NotFound`."""

    def shares(owner: Account, name: str) -> Awaitable[Sequence[Share]]:
        """A mailbox's list, by who; without its owner.  Raises `NotFound`."""

    def share(owner: Account, name: str, who: str, how: str, rights: str) -> Awaitable[None]:
        """Give rights ("+"), take them ("-"), or say which there are ("="); with none left the entry goes.

        Raises `NotFound` (the mailbox, or who), `AlreadyExists` for the owner, and `OverQuota` for too many entries.
        """

    def known(who: str) -> Awaitable[str]:
        """Who that is, as lists have it.  Raises `NotFound` for who does not exist, or cannot be in a list."""

    def view(owner: Account, name: str, viewer: Account) -> Awaitable[Any]:
        """The mailbox as an `ISharedMailbox` with the viewer's own \\Seen.  Raises `NotFound`."""

    def put(mailbox: Any, uids: Ranges, into: Into, move: bool = False) -> Awaitable[Copied]:
        """As `IImapMailbox.copy`, from one that may be shared into one that may be."""

    def bring(into: Into, messages: Sequence[Appended], replaces: tuple[Any, int] | None = None) -> Awaitable[Copied]:
        """As `IImapStore.append`, into one that may be shared."""


class ISharedMailbox(IImapMailbox):
    """A mailbox of an `ISharing`."""

    def change(
        uids: Ranges, how: str, flags: Flags, may_set: int, unchanged_since: int | None = None
    ) -> Awaitable[Stored]:
        """As `IImapMailbox.store`; of flags, only these bits are changed."""
