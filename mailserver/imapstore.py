"""What IMAP asks of a mailbox store beside `mailserver.interfaces.IMailboxStore` (RFC 9051, RFC 7162).

A store that provides `IImapStore` can be served by IMAP; one that does not is good for delivery and POP3.  Messages
are named by UIDs, in `Ranges`; message sequence numbers are the session's.  Everything that changes a mailbox moves its
mod-sequence, by one for each transaction, and whoever `watch`\\ es it is told, also of what other processes did.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from zope.interface import Attribute, Interface

from mailserver.content import Content
from mailserver.interfaces import Account, IMailbox, IMailboxStore

Ranges: TypeAlias = Sequence[tuple[int, int]]       # of UIDs, both ends included; ascending, none touches the next

SYSTEM = 0xFF               # the bits of system flags; those above are the mailbox's keywords, in their order
KEYWORD = 8                 # the bit of the first
MOST_KEYWORDS = 54          # of one mailbox
LARGEST_KEYWORD = 100       # octets
LONGEST_NAME = 1000         # octets of a mailbox's name

# The uses that a mailbox can have (RFC 6154 2), and the names under which a new account gets them.
SPECIAL_USES = {
    "\\Archive": "Archive", "\\Drafts": "Drafts", "\\Junk": "Junk", "\\Sent": "Sent", "\\Trash": "Trash",
}


@dataclass(frozen=True, slots=True)
class Flags:
    """System flags as bits (`mailserver.interfaces.SEEN` ...), and keywords by name."""

    system: int = 0
    keywords: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """A mailbox as LIST and STATUS tell of it (RFC 9051 6.3.9, 6.3.11)."""

    name: str
    id: str                 # MAILBOXID: it stays when the mailbox is renamed (RFC 8474 4)
    uidvalidity: int
    uidnext: int
    modseq: int             # HIGHESTMODSEQ (RFC 7162)
    messages: int
    unseen: int
    size: int               # octets (RFC 8438)
    recent: int
    special_use: str        # "\\Sent" ...; "" none


@dataclass(frozen=True, slots=True)
class State:
    """All messages of a mailbox at one moment: three columns, in ascending order of UID."""

    uids: array[int]        # typecode I
    flags: array[int]       # typecode Q: system flags, and the bits of `keywords`
    modseqs: array[int]     # typecode Q
    uidnext: int
    modseq: int
    recent: int             # the first UID of which no session was told
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a mailbox since a mod-sequence.

    `changed` are UID, flags and mod-sequence of messages that are new or have other flags, by UID; `gone` are UIDs in
    ascending order, None when nobody remembers as far back.
    """

    changed: Sequence[tuple[int, int, int]]
    gone: Sequence[int] | None
    uidnext: int
    modseq: int
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What STORE did: UID and flags of what it changed, and whose mod-sequence was too new for it (RFC 7162 3.1.3)."""

    changed: Sequence[tuple[int, int]]
    modified: Sequence[int]
    modseq: int
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """Where messages went (COPYUID and APPENDUID, RFC 9051 7.1): `targets` are in the order of `sources`."""

    uidvalidity: int
    sources: Sequence[int]
    targets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Appended:
    """A message to be appended; `received` is its internal date, in seconds since the epoch.

    `id` is a new one (`mailserver.ident`), by which a large content's file is named as well.
    """

    id: int
    content: Content
    flags: Flags
    received: float


@dataclass(frozen=True, slots=True)
class Quota:
    """How much an account has and may have (RFC 9208); a limit of 0 is none.

    `is_full`: there is no room, whatever the limits say, for others in its domain have used it up.
    """

    octets: int
    most_octets: int
    messages: int
    most_messages: int
    is_full: bool = False

    def has_room(self, octets: int, messages: int = 1) -> bool:
        """Whether so much more may come."""
        if self.is_full and (octets > 0 or messages > 0):
            return False
        return (not self.most_octets or self.octets + octets <= self.most_octets) and (
            not self.most_messages or self.messages + messages <= self.most_messages
        )


@dataclass(frozen=True, slots=True)
class Removed:
    """A message that was removed and can be brought back; `name` is its mailbox's, which `is_there` or was deleted."""

    key: Any                # what the store knows it by, in ascending order
    name: str
    is_there: bool
    at: float               # when it was removed, in seconds since the epoch
    why: str                # expunge, pop3, delete (its mailbox), retention
    size: int
    received: float
    flags: int              # those of the system


@dataclass(frozen=True, slots=True)
class Wanted:
    """Columns that a session asks of messages, of those that `IImapMailbox.rows` names.

    `at_once` are the rows of one step; of small columns it may be more.
    """

    columns: tuple[str, ...]
    render: Callable[[Sequence[tuple[Any, ...]]], Any] = field(compare=False)
    at_once: int = 500


class IImapStore(IMailboxStore):
    """A mailbox store that IMAP can be served from.

    Names are Unicode, with "/" between levels, at most 1,000 octets in UTF-8; INBOX is spelled so.  A name whose
    mailbox does not exist may have others below it.
    """

    def status(account: Account, names: Collection[str] | None = None) -> Awaitable[Sequence[Status]]:
        """These mailboxes, or all of the account, by name; those that do not exist are left out."""

    def create(account: Account, name: str, special_use: str = "") -> Awaitable[Status]:
        """A new, empty mailbox with a UIDVALIDITY that none had before.

        Raises `AlreadyExists`, `OverQuota` when there are too many, and `PermanentFailure` for too long a name.
        """

    def delete(account: Account, name: str) -> Awaitable[None]:
        """A mailbox with all its messages, whole or not at all; what lies below its name stays.

        Raises `NotFound`; INBOX cannot be deleted (`AlreadyExists`).
        """

    def rename(account: Account, old: str, new: str) -> Awaitable[None]:
        """Another name, also for what lies below it (RFC 9051 6.3.6); of INBOX only its messages go there.

        Raises `NotFound`, `AlreadyExists` when a new name is taken, and `PermanentFailure` when one is too long.
        """

    def subscriptions(account: Account) -> Awaitable[Sequence[str]]:
        """The names that the account subscribed to; their mailboxes need not exist."""

    def subscribe(account: Account, name: str, wanted: bool = True) -> Awaitable[None]:
        """Subscribe to a name, or not any more.  Raises `OverQuota` and `PermanentFailure` as `create` does."""

    def append(
        account: Account, name: str, messages: Sequence[Appended], replaces: tuple[Any, int] | None = None
    ) -> Awaitable[Copied]:
        """All of these, or none (RFC 3502); `replaces` is an `IImapMailbox` and a UID there that goes (RFC 8508).

        Raises `NotFound` (the mailbox, or what was to be replaced) and `OverQuota`.
        """

    def quota(account: Account) -> Awaitable[Quota]:
        """What the account has, and may have: with the limit of its domain, where that is nearer."""

    def has_quotas() -> Awaitable[bool]:
        """Whether anybody has a limit: while nobody has, mail that comes in is not asked whether there is room."""

    def watch(mailbox: Any, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, within a second, when something may have changed in an `IImapMailbox`; call the result to end."""


class IMailboxQuotas(Interface):
    """An `IImapStore` in which a single mailbox may have a limit of its own."""

    def mailbox_quota(account: Account, name: str) -> Awaitable[Quota | None]:
        """What a mailbox holds and may hold; None: it has no limit, or is not there."""


class IUndelete(Interface):
    """An `IImapStore` that keeps removed messages for as long as `IServer.keeping` says.

    They are not seen otherwise and count in no quota; an account keeps no more of them than it may have mail.
    """

    def removed(
        account: Account, name: str | None = None, since: float = 0.0, after: Any = None
    ) -> Awaitable[Sequence[Removed]]:
        """Some of what can be brought back: of the mailboxes that are, or were, called `name`; None: of all.

        `since` is when it was removed at the earliest, `after` the key of the last that was seen.  Empty: that is all.
        """

    def restore(account: Account, wanted: Sequence[Removed], into: str) -> Awaitable[Mapping[str, int]]:
        """Bring these back, with new UIDs and not \\Deleted: all, but those that are gone meanwhile, or none.

        Of mailboxes that were deleted they go to `into`, which is made.  Returns how many came into which mailbox.
        Raises `OverQuota`.
        """


class IImapMailbox(IMailbox):
    """One mailbox of an `IImapStore`."""

    id: str = Attribute("Its MAILBOXID.")
    most_keywords: int = Attribute("How many keywords it may have, at most `MOST_KEYWORDS`.")

    def load() -> Awaitable[State]:
        """All its messages.  Raises `NotFound` when it has been deleted."""

    def changes(since: int) -> Awaitable[Changes]:
        """What happened after this mod-sequence.  Raises `NotFound` when it has been deleted."""

    def claim_recent(until: int) -> Awaitable[None]:
        """Messages below this UID are recent for nobody any more (RFC 3501 2.3.2)."""

    def store(
        uids: Ranges, how: str, flags: Flags, unchanged_since: int | None = None
    ) -> Awaitable[Stored]:
        """Add ("+"), remove ("-") or set ("=") flags, in one transaction.

        A message whose flags are so already does not change.  Keywords for which there is no bit left are passed over.
        """

    def expunge(uids: Ranges | None = None) -> Awaitable[tuple[Sequence[int], int]]:
        """Remove those that are \\Deleted, of these or of all; returns them, and the mod-sequence."""

    def copy(uids: Ranges, account: Account, name: str, move: bool = False) -> Awaitable[Copied]:
        """To a mailbox of this store, with flags, dates and all, in one transaction: all of them or none.

        What is gone already is left out.  Raises `NotFound` when that mailbox does not exist, and `OverQuota`.
        """

    def lines(
        numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes]
    ) -> Awaitable[bytes | None]:
        """FETCH lines of messages with these sequence numbers and UIDs, both ascending, as the store can write them.

        `names` are items (RFC 9051 6.4.5), `flags` how flags are spelled.  None: it cannot; ask for `rows`, or `scan`.
        """

    def each_line(
        numbers: Sequence[int], uids: Sequence[int], names: Sequence[str], flags: Mapping[int, bytes], most: int
    ) -> Awaitable[Mapping[int, bytes] | None]:
        """The same by UID, b"" for those that are gone; only the first of them when they have more than `most` octets.

        None: the first cannot be written.
        """

    def rows(uids: Ranges, wanted: Wanted) -> AsyncIterator[Any]:
        """What `wanted.render` makes of the rows of these messages, by UID, so many at a time as is good.

        `render` runs in a thread.  Columns: uid, flags, modseq, size, received, saved, content_id, prefix, and of what
        is understood of a message envelope, body, structure (as IMAP says them), parts (`mailserver.mime`), preview,
        sent, subject, by_from, by_to, by_cc, display_from, display_to, message_id, refs, thread.
        """

    def octets(uid: int, start: int, end: int, most: int) -> AsyncIterator[bytes]:
        """Octets of a message, prefix and content, from `start` to `end`, at most `most` at a time.

        Raises `NotFound` when it is gone.
        """

    def scan(
        uids: Ranges, work: Callable[[int, bytes, Any], Any], most: int
    ) -> AsyncIterator[Sequence[tuple[int, Any]]]:
        """UID and ``work(uid, prefix, content)`` of each message, in a thread; of about `most` octets in one step.

        `content` is bytes, or a buffer of a file, which `work` must not keep.
        """


class IAccountWatcher(Interface):
    """What a store provides from which NOTIFY (RFC 5465) can be served: it tells of all mailboxes of an account."""

    def watch_account(account: Account, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, within a second, when something may be new: in a mailbox, its name, or what is subscribed to.

        Call the result to end that.  A thousand accounts may be watched at once.
        """


@dataclass(frozen=True, slots=True)
class Seek:
    """A text that is looked for, folded (`mailserver.mime.folding`).

    `where`: "body", "text" (header and body), or "header", in the fields of the name `field`.
    """

    where: str
    text: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Clue:
    """UIDs of messages that have a text for certain, and of those that may have it; no other has."""

    sure: Sequence[int]
    maybe: Sequence[int]


@dataclass(frozen=True, slots=True)
class Clues:
    """What is known of some texts in a mailbox; of messages behind the UID `until` nothing is.

    None: of that text nothing is known.
    """

    until: int
    clues: Sequence[Clue | None]


class IIndexed(Interface):
    """What an `IImapMailbox` provides as well that has an index of what its messages say."""

    def clues(seeks: Sequence[Seek]) -> Awaitable[Clues]:
        """Who has these texts, without a look at the messages; what it cannot say for certain is looked at then."""
