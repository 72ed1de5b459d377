"""Search keys: what is looked for in one message (RFC 9051 6.4.4), as a tree that is neither deep nor large."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from mailserver.imap.numbers import SequenceSet


class When(Enum):
    """On which side of the day."""

    BEFORE = "before"           # earlier than it
    ON = "on"
    SINCE = "since"             # within it, or later


class Moment(Enum):
    """Which date of a message."""

    RECEIVED = "received"       # the internal date
    SENT = "sent"               # its Date field
    SAVED = "saved"             # when it came into this mailbox (RFC 8514)


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not that."""

    key: Key


@dataclass(frozen=True, slots=True)
class HasFlag:
    """One bit of `mailserver.imap.flags.SYSTEM` is set."""

    bit: int


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """As `mailserver.imap.flags.keyword` spells it."""

    keyword: str


@dataclass(frozen=True, slots=True)
class Recent:
    """RFC 3501 6.4.4."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A date, whatever the time and the zone."""

    moment: Moment
    when: When
    day: date


@dataclass(frozen=True, slots=True)
class SaveDateSupported:
    """RFC 8514 4.3."""


@dataclass(frozen=True, slots=True)
class Older:
    """The internal date is at least so many seconds ago (RFC 5032)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Younger:
    """The internal date is at most so many seconds ago."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Addressed:
    """A text in one part of the envelope: `field` is "From", "To", "Cc", "Bcc" or "Subject"."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Header:
    """A text in a header field; an empty one: there is such a field."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class InBody:
    """A text in the body."""

    text: str


@dataclass(frozen=True, slots=True)
class InText:
    """A text in the header or the body."""

    text: str


@dataclass(frozen=True, slots=True)
class Larger:
    """More octets than that."""

    size: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """Fewer octets than that."""

    size: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """These sequence numbers; or those that the last search saved."""

    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class Uids:
    """These UIDs."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Changed at this MODSEQ or later (RFC 7162 3.1.5); whose flags it is about does not matter here."""

    modseq: int


@dataclass(frozen=True, slots=True)
class EmailId:
    """RFC 8474 5.3."""

    id: str


@dataclass(frozen=True, slots=True)
class ThreadId:
    """RFC 8474 5.3."""

    id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What the search with this name, which is kept by the server, is about (RFC 5466 3.1)."""

    name: str


Key = (
    All | And | Or | Not | HasFlag | HasKeyword | Recent | Dated | SaveDateSupported | Older | Younger | Addressed
    | Header | InBody | InText | Larger | Smaller | Numbers | Uids | ModSeq | EmailId | ThreadId
    | Filter
)
