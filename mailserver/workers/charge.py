"""What a master hands to a worker, as one line of text."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mailserver.config import Config
from mailserver.net.tls import Keys
from mailserver.station import Station

CHANNEL = 3             # the descriptor of a worker's socket to its master
FIRST_SOCKET = 5        # its first listener; between them is the lock on the data


@dataclass(frozen=True, slots=True)
class Charge:
    """All that a worker must know to begin.  The configuration is the master's: it may not be readable any more."""

    config: Config
    station: Station
    reactor: str                    # the module that installs the reactor which the master has
    logs_events: bool               # its log goes to the master, who writes it down; else to standard error, in lines


@dataclass(frozen=True, slots=True)
class Anew:
    """What a worker goes on under after a reload."""

    config: Config
    keys: Sequence[Keys]


def packed(value: Charge | Anew) -> str:
    """As text.  It is unpacked by nobody but our own child, which has it from nobody but us."""
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def unpacked(text: str) -> Any:
    """What `packed` got."""
    return pickle.loads(base64.b64decode(text))
