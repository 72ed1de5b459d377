"""What a server can do, as it says it (RFC 9051 6.1.1), and what a session can switch on (6.3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from mailserver.imap.limits import MEBI
from mailserver.imap.rights import NEW
from mailserver.sharing import ISharing

BOTH = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE")
INSIDE = (
    "IDLE", "NAMESPACE", "CHILDREN", "UIDPLUS", "UNSELECT", "MOVE", "MULTIAPPEND", "BINARY", "CONDSTORE", "QRESYNC",
    "ESEARCH", "SEARCHRES", "WITHIN", "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES",
    "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE", "OBJECTID", "SAVEDATE",
    "PREVIEW", "UTF8=ACCEPT", "I18NLEVEL=1", "QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "PARTIAL", "REPLACE",
    "UNAUTHENTICATE", "INPROGRESS",
)
SHARING = ("ACL", f"RIGHTS={NEW}", "LIST-MYRIGHTS")
SWITCHES = frozenset({"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4REV2"})


def outside(mechanisms: Sequence[str], may_log_in: bool, may_start_tls: bool) -> list[str]:
    """Before a login."""
    words = [*BOTH]
    if may_start_tls:
        words.append("STARTTLS")
    if not may_log_in:
        return [*words, "LOGINDISABLED"]
    return [*words, *(f"AUTH={name}" for name in mechanisms)]


def inside(size: int, may_compress: bool, store: object = None) -> list[str]:
    """After it; what only some stores can is said of those."""
    words = [*BOTH, *INSIDE, f"APPENDLIMIT={size or 64 * MEBI}"]
    if ISharing.providedBy(store):
        words += SHARING
    return [*words, "COMPRESS=DEFLATE"] if may_compress else words
