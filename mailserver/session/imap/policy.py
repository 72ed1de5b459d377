"""What all IMAP sessions of one listener share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mailserver.authentication import Authentication
from mailserver.figures import Figures
from mailserver.session.imap.boards import Boards
from mailserver.store.contents import Incoming
from mailserver.world import World


@dataclass(frozen=True)
class ImapPolicy:
    """`size` is the most octets of a message that may be appended."""

    hostname: str
    world: World
    authentication: Authentication
    store: Any          # an `IImapStore`, perhaps an `ISharing`
    boards: Boards
    incoming: Callable[[int], Incoming]
    size: int
    tls: bool = False
    clear_passwords: bool = False
    other_users: str = "Other Users"        # below this name are the mailboxes that others share,
    shared: str = "Shared"                  # below this those of the domain
    with_anyone: bool = False               # whether one may share with more than one's own domain at once
    own_seen: bool = True                   # whether each has his own \Seen in mailboxes of others
    figures: Figures = field(default_factory=Figures)
