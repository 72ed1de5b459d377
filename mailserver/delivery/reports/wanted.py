"""Whether a sender is told something."""

from __future__ import annotations

import re

from mailserver.address import Address
from mailserver.delivery.reports.action import ASKED_BY, Action
from mailserver.envelope import Origin
from mailserver.store.spool import Entry

# The reverse-paths of programs: that of other servers' reports, and those where lists count their failures.
_REPORTER = re.compile(r"mailer-daemon", re.IGNORECASE)
_LIST = re.compile(r"owner-.*|.*-(?:request|owner|bounces?|return)(?:[+=-].*)?", re.IGNORECASE)


def wanted(entry: Entry, action: Action) -> bool:
    """Whether the sender of this entry is told of it.

    A list's address for failures is there to hear of them (RFC 3834 2 speaks of answers, not of reports), but of
    nothing else that it did not ask for.
    """
    return is_wanted(entry.sender, entry.wishes.notify, action, entry.origin is Origin.SUBMISSION)


def is_wanted(sender: Address | None, notify: str, action: Action, is_known: bool) -> bool:
    """The same before there is an entry; `is_known`: whoever sent it logged in, or is trusted."""
    if not is_reportable(sender):
        return False
    if action is not Action.FAILED and not is_known:
        return False
    if notify:
        return ASKED_BY[action] in notify.upper().split(",")
    assert sender is not None
    if action is Action.DELAYED:
        return _LIST.fullmatch(sender.local) is None
    return action is Action.FAILED                                              # RFC 3461 4.1, the usual


def is_reportable(sender: Address | None) -> bool:
    """Whether anybody may be told: never the null reverse-path (RFC 5321 4.5.5), nor who signs as a reporter."""
    return sender is not None and bool(sender.domain) and _REPORTER.fullmatch(sender.local) is None
