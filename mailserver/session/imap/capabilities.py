"""What a server can do, as it says it (RFC 9051 6.1.1), and what a session can switch on (6.3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from mailserver.imap.limits import MEBI

BOTH = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE")
INSIDE = (
    "IDLE", "NAMESPACE", "CHILDREN", "UIDPLUS", "UNSELECT", "MOVE", "MULTIAPPEND", "BINARY", "CONDSTORE", "QRESYNC",
    "ESEARCH", "SEARCHRES", "WITHIN", "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES",
    "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE", "OBJECTID", "SAVEDATE",
    "PREVIEW", "UTF8=ACCEPT", "I18NLEVEL=1", "QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "PARTIAL", "REPLACE",
    "UNAUTHENTICATE", "INPROGRESS",
    "CONTEXT=SEARCH", "CONTEXT=SORT", "MULTISEARCH",
)
SWITCHES = frozenset({"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4REV2"})


def outside(mechanisms: Sequence[str], may_log_in: bool, may_start_tls: bool) -> list[str]:
    """Before a login."""
    words = [*BOTH]
    if may_start_tls:
        words.append("STARTTLS")
    if not may_log_in:
        return [*words, "LOGINDISABLED"]
    return [*words, *(f"AUTH={name}" for name in mechanisms)]


def inside(size: int, may_compress: bool, can_notify: bool = False) -> list[str]:
    """After it."""
    words = [*BOTH, *INSIDE, *["NOTIFY"] * can_notify, f"APPENDLIMIT={size or 64 * MEBI}"]
    return [*words, "COMPRESS=DEFLATE"] if may_compress else words
