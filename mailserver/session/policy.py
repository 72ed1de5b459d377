"""What all SMTP sessions of one listener share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mailserver.acceptance import Acceptance
from mailserver.authentication import Authentication
from mailserver.interfaces import IDirectory
from mailserver.pipeline import Pipeline
from mailserver.routing import Router
from mailserver.store.contents import Incoming
from mailserver.world import World


@dataclass(frozen=True)
class SmtpPolicy:
    """The rooms that a session asks, and its limits.

    `size` is the largest content in octets; `errors` is how many 5xx replies a peer may collect before it
    is sent away.  `refused` writes the story of what was refused.
    """

    service: str                                # smtp, submission, lmtp
    hostname: str
    world: World
    pipeline: Pipeline
    router: Router
    directory: IDirectory
    authentication: Authentication
    acceptance: Acceptance
    incoming: Callable[[int], Incoming]         # a place for the octets of the content with this id
    refused: Callable[[int, str], None]         # id, record
    trusted: Callable[[str], bool]              # whether an address is inside [relay] networks
    relays: Callable[[str], bool] = lambda domain: False    # whether [relay] domains names a domain
    tls: bool = False                           # STARTTLS can be had, or TLS is on from the start
    size: int = 64 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20
    lmtp: bool = field(init=False)
    login_required: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lmtp", self.service == "lmtp")
        object.__setattr__(self, "login_required", self.service == "submission")
