"""What IMAP asks of a mailbox store for URLs that carry their authorization (RFC 4467)."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Interface

from mailserver.imapstore import IImapMailbox
from mailserver.interfaces import Account

KEY = 32                    # octets of a key: 128 bits at the least (RFC 4467 2.2)


class IAccessKeys(Interface):
    """A key for each account and mailbox, of which the tokens of its URLs are made (RFC 4467 2.2).

    A mailbox that is deleted loses its keys, and one that gets its name has others.
    """

    def access_key(account: Account, mailbox: IImapMailbox, new: bytes) -> Awaitable[bytes]:
        """The key; `new` becomes it when there is none."""

    def find_access_key(account: Account, mailbox: IImapMailbox) -> Awaitable[bytes | None]:
        """The key, if there is one."""

    def forget_access_keys(account: Account, mailbox: IImapMailbox | None = None) -> Awaitable[None]:
        """Of a mailbox, or of all of the account: what was authorized with them is so no more."""
