"""What a sender asked for beyond delivery, by ESMTP parameters: kept with each entry of the spool until it is gone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for with MAIL, for the whole message, and with RCPT, for one recipient.

    Times are seconds since the epoch; 0 is none.
    """

    utf8: bool = False              # SMTPUTF8 (RFC 6531 3.4): addresses or header fields may be beyond ASCII
    ret: str = ""                   # FULL or HDRS: how much of it a DSN sends back (RFC 3461 4.3)
    envid: str = ""                 # the sender's own name for the transaction (RFC 3461 4.4)
    notify: str = ""                # NEVER, or of SUCCESS,FAILURE,DELAY; "" is the usual (RFC 3461 4.1)
    orcpt: str = ""                 # "type;address" as the sender first wrote it (RFC 3461 4.2)
    require_tls: bool = False       # REQUIRETLS (RFC 8689 4)
    tls_optional: bool = False      # "TLS-Required: No" in the header (RFC 8689 3)
    release: float = 0.0            # not before (RFC 4865)
    priority: int = 0               # MT-PRIORITY, -9 to 9 (RFC 6710)
    deliver_by: float = 0.0         # RFC 2852
    by_mode: str = ""               # R: return it then; N: only notify; with T: trace too

    def of_recipient(self, notify: str, orcpt: str) -> Wishes:
        """The same, with what was asked for with one RCPT."""
        return replace(self, notify=notify, orcpt=orcpt) if notify or orcpt else self

    def write(self) -> str:
        """For the store: a JSON object of what was asked for, or "" for nothing."""
        if self == NONE:
            return ""
        asked = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(asked, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Wishes:
        """What `write` wrote; names that are not known (a newer program's) are passed over."""
        if not text:
            return NONE
        asked: dict[str, Any] = json.loads(text)
        return cls(**{name: asked[name] for name in _NAMES & asked.keys()})


NONE = Wishes()
_NAMES = {each.name for each in fields(Wishes)}
