"""One attempt: some recipients of one message that go one way together, while this is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted.internet.defer import Deferred

from mailserver.delivery.consignment import Consignment
from mailserver.store.contents import Stored
from mailserver.store.spool import Entry


class Way(NamedTuple):
    """What those must have in common who go over one connection; see `mailserver.delivery.lanes`."""

    lane: str
    domain: str                 # "" where a fixed host takes those of all domains
    source: str = ""            # the address of this machine to leave from; "" any
    login: str = ""             # the smarthost's entry that is logged in with; "" none
    level: str = ""             # of TLS, where the configuration says it for the domain
    require_tls: bool = False
    tls_optional: bool = False


NO_WAY = Way("given up", "")    # of what is only to be ended, while its own lane rests


@dataclass(eq=False, slots=True)
class Attempt:
    """`following` is when its entries are due again if this one fails, in seconds since the epoch; so is `claimed`."""

    entries: Sequence[Entry]
    way: Way
    following: float
    claimed: float                  # when the lease was written
    stored: Stored | None = None    # the content, when it is at hand
    load: Consignment | None = None
    octets: int = 0                 # of the content, as long as it counts among those at hand
    host: str = ""                  # whom it talks to
    is_final: bool = False          # the final dot is being said, or a store writes, or we write: let it end
    is_stopped: bool = False        # the server stops: say no final dot any more
    ended: Deferred[None] = field(default_factory=Deferred)     # when its end is written down
