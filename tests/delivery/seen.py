"""How TLS went on a connection, as the one who made it tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Session:
    """A `mailserver.delivery.tlsrpt.records.Seen`."""

    time: float
    domain: str
    policy_type: str
    result: str = ""
    mx: str = ""
    address: str = ""
    source: str = ""
    reason: str = ""
    policy: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
