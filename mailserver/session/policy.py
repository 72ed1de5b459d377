"""What all SMTP sessions of one listener share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from mailserver.acceptance import Acceptance
from mailserver.address import Address
from mailserver.authentication import Authentication
from mailserver.envelope import Reverse
from mailserver.figures import Figures
from mailserver.interfaces import IDirectory
from mailserver.net.limits import Limits
from mailserver.pipeline import Pipeline
from mailserver.reply import Reply
from mailserver.routing import Router
from mailserver.session.links import Links
from mailserver.session.offers import Offers
from mailserver.session.room import Room
from mailserver.store.contents import Incoming
from mailserver.world import World


async def _nobody(domain: str) -> int:
    return 0


async def everybody(recipient: Address) -> Reply | None:
    """Nobody is asked."""
    return None


@dataclass(frozen=True)
class SmtpPolicy:
    """The rooms that a session asks, and its limits.

    `size` is the largest content in octets; `errors` is how many 5xx replies a peer may collect before it
    is sent away, and after `tarpit_after` of them each waits for `tarpit` seconds.  `refused` writes the story of
    what was refused; `retry` makes what waits for a domain due (ETRN) and says how many entries that were.
    """

    service: str                                # smtp, submission, lmtp
    hostname: str
    world: World
    pipeline: Pipeline
    router: Router
    directory: IDirectory
    room: Room
    authentication: Authentication
    acceptance: Acceptance
    incoming: Callable[[int], Incoming]         # a place for the octets of the content with this id
    refused: Callable[[int, str], None]         # id, record
    trusted: Callable[[str], bool]              # whether an address is inside [relay] networks
    offers: Offers
    limits: Limits
    reverse: Callable[[str], Coroutine[Any, Any, Reverse]]      # who has an address, by the DNS
    relays: Callable[[str], bool] = lambda domain: False    # whether [relay] domains names a domain
    exists: Callable[[Address], Awaitable[Reply | None]] = everybody   # in a relay domain: the reply if not
    retry: Callable[[str], Awaitable[int]] = _nobody
    links: Links | None = None                  # where URLs of messages lead to (BURL)
    tls: bool = False                           # STARTTLS can be had, or TLS is on from the start
    size: int = 64 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20
    tarpit_after: int = 5
    tarpit: float = 1.0
    early_talkers: bool = False                 # whether a peer may speak before it is greeted
    normalises: bool = False                    # bare line ends of who is logged in become CRLF
    figures: Figures = field(default_factory=Figures)
    lmtp: bool = field(init=False)
    login_required: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lmtp", self.service == "lmtp")
        object.__setattr__(self, "login_required", self.service == "submission")
