"""What happens to mail, as values that listeners hear of (`mailserver.interfaces.IListener`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mailserver.ident import spell

# What there is to hear, and when.
KINDS: Mapping[str, str] = MappingProxyType({
    "accepted": "a message was taken, once for all its recipients",
    "attempted": "it was tried to deliver it to a recipient, however that ended",
    "delivered": "a recipient's server, or mailbox, has it",
    "deferred": "it is tried again later",
    "bounced": "it will never reach this recipient",
    "expired": "it was given up, since it took too long",
    "complained": "its recipient called it spam (a report by RFC 5965 came in)",
    "suppressed": "it is not sent, since mail to this recipient bounced before, or was complained of",
})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    `more` is what else is known of it, of what JSON can say: of "accepted", `recipients`, `size`, `origin`, `client`
    and `login`; of what was tried, `target`, `host`, `address`, `source`, `tls`, `reply`, `status` (the enhanced
    status code, RFC 3463), `class` (what a failure is about, `mailserver.feedback.kinds`), `attempt` (its number, from
    1) and `next` (seconds since the epoch); of what a report said, `reporter`, and `proof` that it is about this mail:
    "verp", which only who has the recipient's copy can give, or "trace", which each recipient of the message can forge.
    """

    kind: str                   # of `KINDS`
    id: int                     # the message's
    at: float                   # seconds since the epoch
    sender: str                 # "" is the null reverse-path
    recipient: str              # as the sender named it; "" of what is about the whole message
    more: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """For programs elsewhere, as JSON has it."""
        return {
            "kind": self.kind, "id": spell(self.id), "at": round(self.at, 3), "sender": self.sender,
            "recipient": self.recipient, **self.more,
        }
