"""What IMAP asks of a mailbox store that keeps annotations (METADATA, RFC 5464), beside `mailserver.imapstore`.

An annotation is an entry, such as ``/private/comment``, with a value of octets.  It is of one mailbox, or of the server
(where a mailbox is None).  Below ``/private`` each account has values of its own; below ``/shared`` everybody who sees
the mailbox has the same.  Entries are in lower case: they have no case (RFC 5464 3.2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from zope.interface import Interface

from mailserver.imap.entries import LARGEST_VALUE, LONGEST_ENTRY
from mailserver.interfaces import Account

__all__ = [
    "FILTERS", "LARGEST_VALUE", "LONGEST_ENTRY", "MOST_ENTRIES", "MOST_OCTETS", "PRIVATE", "SHARED", "SPECIAL_USE",
    "Annotated", "IMetadata",
]

PRIVATE, SHARED = "/private/", "/shared/"
SPECIAL_USE = "/private/specialuse"         # tied to what LIST says (RFC 6154 4)
FILTERS = ("/private/filters/values/", "/shared/filters/values/")       # RFC 5466 3.2, in the order in which they count

MOST_ENTRIES = 256          # that one account sees of a mailbox, or of the server (RFC 5464 4.1 wants 10 at the least)
MOST_OCTETS = 4 * 1024 * 1024       # of all values for which one account is answerable


@dataclass(frozen=True, slots=True)
class Annotated:
    """Changes of annotations up to `number`: mailbox (None is the server) and entry of each, without its value."""

    number: int
    changed: Sequence[tuple[str | None, str]] = ()


class IMetadata(Interface):
    """A mailbox store with annotations.

    They follow their mailbox when it is renamed and go with it when it is deleted; INBOX, of which only the messages go
    elsewhere, keeps its own and gives a copy (RFC 5464 4.1).
    """

    def annotations(
        account: Account, mailbox: str | None, entries: Collection[str] | None = None
    ) -> Awaitable[Mapping[str, bytes]]:
        """The values of these entries, or of all, that this account sees.  Raises `NotFound` (the mailbox)."""

    def annotations_of_all(account: Account, entries: Collection[str]) -> Awaitable[Mapping[str, Mapping[str, bytes]]]:
        """The values of these entries by the names of the account's mailboxes; who has none is left out."""

    def annotate(
        account: Account | None, mailbox: str | None, values: Mapping[str, bytes | None], by: int = 0
    ) -> Awaitable[None]:
        """Set these entries, or with None remove them: all, or none of them.

        `by` names who did it, who is not told of it; 0 is nobody.  What is shared of the server is the operator's, who
        comes without an account.  Raises `NotFound` (the mailbox), `OverQuota` for too many entries or octets,
        `PermanentFailure` for what only the operator may change, and `AlreadyExists` for a special use that another
        mailbox has.
        """

    def annotated(account: Account, since: int | None, by: int = 0) -> Awaitable[Annotated]:
        """What others than `by` have changed after this number; None: nothing, only the number of the last."""

    def watch_annotations(account: Account, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, within a second, when `annotated` may have something new; call the result to end."""
