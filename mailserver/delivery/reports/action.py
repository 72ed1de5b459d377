"""What became of a recipient, in the word of a delivery report."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """The values of the Action field (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"             # to a server that will report nothing
    EXPANDED = "expanded"           # an alias of several: to all of them


# What NOTIFY must name for it (RFC 3461 4.1).
ASKED_BY = {
    Action.FAILED: "FAILURE", Action.DELAYED: "DELAY",
    Action.DELIVERED: "SUCCESS", Action.RELAYED: "SUCCESS", Action.EXPANDED: "SUCCESS",
}
