"""What the POP3 sessions of a listener have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailserver.authentication import Authentication
from mailserver.figures import Figures
from mailserver.interfaces import IMailboxStore
from mailserver.net.tally import Tally
from mailserver.store.database import Database
from mailserver.world import World


@dataclass(frozen=True)
class Pop3Policy:
    """What all POP3 sessions of one listener share; `lease` and `login_delay` are in seconds, `expire` in days.

    `tally` is that of all processes of the server.  `utf8_messages`: what who has not said UTF8 gets of a message with
    UTF-8 in its header (RFC 6856 2.1), as `mailserver.session.maildrop.Maildrop` has it.
    """

    hostname: str
    world: World
    authentication: Authentication
    store: IMailboxStore
    database: Database
    instance: str
    tally: Tally
    tls: bool = False
    clear_passwords: bool = False
    lease: float = 90.0
    login_delay: float = 0.0
    expire: int | None = None
    language: str = "en"
    utf8_messages: str = "downgrade"
    figures: Figures = field(default_factory=Figures)
