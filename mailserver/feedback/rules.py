"""When an address is not written to any more."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86400.0
APPLIES = ("bulk", "all", "none")


@dataclass(frozen=True, slots=True)
class Rules:
    """``[outbound.suppression]``; times in seconds, 0 is for ever."""

    automatic: bool = True
    bounces: int = 2                    # messages that bounced because nobody is there
    within: float = 14 * DAY            # so many in this time
    bounce_until: float = 90 * DAY      # for how long it is not written to
    complaints: bool = True             # whoever complains is not written to any more, at once
    complaint_until: float = 0.0
    applies: str = "bulk"               # to which mail: bulk, all, none
