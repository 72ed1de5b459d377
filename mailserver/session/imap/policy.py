"""What all IMAP sessions of one listener share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mailserver.authentication import Authentication
from mailserver.figures import Figures
from mailserver.imap.referrals import Referral
from mailserver.interfaces import Account
from mailserver.session.imap.boards import Boards
from mailserver.session.links import Links
from mailserver.store.contents import Incoming
from mailserver.world import World


@dataclass(frozen=True)
class ImapPolicy:
    """`size` is the most octets of a message that may be appended.

    `comment` and `admin` are what the server says of itself (RFC 5464 6.2); an `admin` of "" is the postmaster of who
    asks.  `has_small_literals`: larger ones have to be asked for (LITERAL-, RFC 7888 5).  `referral` is the URL of a
    server that this one sends everybody to, `referred` finds that of one account (RFC 2221).
    """

    hostname: str
    world: World
    authentication: Authentication
    store: Any          # an `IImapStore`, perhaps an `ISharing`
    boards: Boards
    incoming: Callable[[int], Incoming]
    size: int
    tls: bool = False
    clear_passwords: bool = False
    links: Links | None = None          # where URLs of messages lead to
    message_limit: int = 0              # messages that one command may be about (RFC 9738); 0: any number
    save_limit: int = 0                 # the same, of COPY and APPEND alone
    other_users: str = "Other Users"        # below this name are the mailboxes that others share,
    shared: str = "Shared"                  # below this those of the domain
    with_anyone: bool = False               # whether one may share with more than one's own domain at once
    own_seen: bool = True                   # whether each has his own \Seen in mailboxes of others
    figures: Figures = field(default_factory=Figures)
    comment: str = ""
    admin: str = ""
    has_small_literals: bool = False
    referral: str = ""
    referred: Callable[[Account], Awaitable[Referral | None]] | None = None
