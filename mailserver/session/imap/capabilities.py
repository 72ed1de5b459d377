"""What a server can do, as it says it (RFC 9051 6.1.1), and what a session can switch on (6.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import Interface

from mailserver.imap.limits import MEBI
from mailserver.imap.rights import NEW
from mailserver.imapmetadata import IMetadata
from mailserver.imapstore import IAccountWatcher
from mailserver.session.imap.policy import ImapPolicy
from mailserver.sharing import ISharing

BOTH = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "LOGIN-REFERRALS")
INSIDE = (
    "IDLE", "NAMESPACE", "CHILDREN", "UIDPLUS", "UNSELECT", "MOVE", "MULTIAPPEND", "BINARY", "CONDSTORE", "QRESYNC",
    "ESEARCH", "SEARCHRES", "WITHIN", "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES",
    "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE", "OBJECTID", "SAVEDATE",
    "PREVIEW", "UTF8=ACCEPT", "I18NLEVEL=1", "QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "PARTIAL", "REPLACE",
    "UNAUTHENTICATE", "INPROGRESS",
    "THREAD=REFS",
    "CATENATE", "URL-PARTIAL", "UIDONLY", "UIDBATCHES",
    "CONTEXT=SEARCH", "CONTEXT=SORT", "MULTISEARCH",
)
# What only some stores can do: what they provide, and what that is called.
OF_STORES: tuple[tuple[type[Interface], tuple[str, ...]], ...] = (
    (IMetadata, ("METADATA", "LIST-METADATA", "FILTERS")), (IAccountWatcher, ("NOTIFY",)),
    (ISharing, ("ACL", f"RIGHTS={NEW}", "LIST-MYRIGHTS")),
)
SWITCHES = frozenset({"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4REV2", "UIDONLY"})
SWITCHES_OF_STORES: tuple[tuple[type[Interface], str], ...] = ((IMetadata, "METADATA"),)


def switches(store: Any) -> frozenset[str]:
    """What can be switched on where mailboxes are kept by this store."""
    return SWITCHES | {word for interface, word in SWITCHES_OF_STORES if interface.providedBy(store)}


def outside(mechanisms: Sequence[str], may_log_in: bool, may_start_tls: bool) -> list[str]:
    """Before a login."""
    words = [*BOTH]
    if may_start_tls:
        words.append("STARTTLS")
    if not may_log_in:
        return [*words, "LOGINDISABLED"]
    return [*words, *(f"AUTH={name}" for name in mechanisms)]


def inside(policy: ImapPolicy, may_compress: bool) -> list[str]:
    """After it."""
    words = [*BOTH, *INSIDE, f"APPENDLIMIT={policy.size or 64 * MEBI}"]
    for interface, names in OF_STORES:
        if interface.providedBy(policy.store):
            words += names
    if policy.links is not None and policy.links.keys is not None:
        words += ["URLAUTH", "URLAUTH=BINARY"]
    if policy.message_limit:
        words.append(f"MESSAGELIMIT={policy.message_limit}")
    elif policy.save_limit:
        words.append(f"SAVELIMIT={policy.save_limit}")
    return [*words, "COMPRESS=DEFLATE"] if may_compress else words
