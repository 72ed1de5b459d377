"""What a transaction has changed, for those who are told of it once it has committed."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

KEY = "news"


@dataclass(slots=True)
class News:
    """Rows of mailboxes in which something is new, and contents that were put into mailboxes.

    `accounts` are those that have something new in any mailbox, or in the names of them, or in what they subscribed to.
    """

    mailboxes: set[int] = field(default_factory=set)
    accounts: set[int] = field(default_factory=set)
    contents: list[int] = field(default_factory=list)

    def take(self) -> News | None:
        """What there is, which is forgotten here; None when there is nothing."""
        if not self.mailboxes and not self.accounts and not self.contents:
            return None
        taken = News(self.mailboxes, self.accounts, self.contents)
        self.mailboxes, self.accounts, self.contents = set(), set(), []
        return taken


def news(connection: Connection) -> News:
    """Those of the transaction at hand; what is rolled back may stay in them, and does no harm."""
    found: News = connection.get_execution_options()[KEY]
    return found
