"""Commands about mailboxes as such: choosing, making and removing them, and their quota.

`given` is how a name was spelled, where the mailbox is not called so (RFC 9051 6.3.9.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.imap.error import ImapError
from mailserver.imap.names import SEPARATOR, decode
from mailserver.imap.numbers import SequenceSet
from mailserver.imap.reader import MOST_NUMBER64, Reader

# RFC 9051 6.3.11, RFC 8438 (SIZE), RFC 7162 3.1.7, RFC 8474 4.2, RFC 9208 4.1.4, RFC 7889 3.2
STATUS_ITEMS = (
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "MAILBOXID",
    "DELETED-STORAGE", "APPENDLIMIT",
)


@dataclass(frozen=True, slots=True)
class Qresync:
    """What a client knows of a mailbox from before (RFC 7162 3.2.5).

    `known` are its UIDs, when it says so; `sequence` and `uids` are pairs of numbers that it remembers.
    """

    uidvalidity: int
    modseq: int
    known: SequenceSet | None = None
    sequence: SequenceSet | None = None
    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE when it is `read_only` (RFC 9051 6.3.2)."""

    mailbox: str
    read_only: bool = False
    condstore: bool = False
    qresync: Qresync | None = None
    given: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """RFC 9051 6.3.4; `uses` are special uses such as ``\\Sent`` (RFC 6154 3)."""

    mailbox: str
    uses: tuple[str, ...] = ()
    given: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """RFC 9051 6.3.5."""

    mailbox: str
    given: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """RFC 9051 6.3.6."""

    mailbox: str
    to: str
    given: str = ""         # of the new name


@dataclass(frozen=True, slots=True)
class Subscribe:
    """RFC 9051 6.3.7."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """RFC 9051 6.3.8."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Status:
    """RFC 9051 6.3.11; items as in `STATUS_ITEMS`, each once."""

    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Namespace:
    """RFC 9051 6.3.10."""


@dataclass(frozen=True, slots=True)
class GetQuota:
    """RFC 9208 4.1.1."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """RFC 9208 4.1.2."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """RFC 9208 4.1.3: resources in upper case, and their limits."""

    root: str
    limits: tuple[tuple[str, int], ...]


def status_items(reader: Reader) -> tuple[str, ...]:
    """``(MESSAGES UNSEEN)``; raises `ImapError`."""

    def item() -> str:
        word = reader.word("a status item")
        if word not in STATUS_ITEMS:
            raise ImapError("there is no such status item")
        return word

    return tuple(dict.fromkeys(reader.list_of(item)))


def made_name(reader: Reader) -> str:
    """A mailbox that shall be there; a final separator says that there will be others below it (RFC 9051 6.3.4)."""
    return reader.called(decode(reader.astring(), reader.utf8).removesuffix(SEPARATOR))


def _select(reader: Reader, read_only: bool) -> Select:
    reader.space()
    mailbox, given = reader.mailbox(), reader.given
    condstore = False
    qresync = None
    if reader.took(b" "):

        def parameter() -> None:
            nonlocal condstore, qresync
            word = reader.word("a parameter")
            if word == "CONDSTORE":
                condstore = True
            elif word == "QRESYNC" and qresync is None:
                reader.space()
                qresync = _qresync(reader)
            else:
                raise ImapError("there is no such parameter")

        reader.list_of(parameter)
    return Select(mailbox, read_only, condstore, qresync, given)


def _qresync(reader: Reader) -> Qresync:
    reader.expect(b"(")
    uidvalidity = reader.number(least=1)
    reader.space()
    modseq = reader.number(MOST_NUMBER64, 1)
    known = sequence = uids = None
    if reader.took(b" "):
        if not reader.follows(b"("):
            known = _known(reader)
        if known is None or reader.took(b" "):
            reader.expect(b"(")
            sequence = _known(reader)
            reader.space()
            uids = _known(reader)
            reader.expect(b")")
    reader.expect(b")")
    return Qresync(uidvalidity, modseq, known, sequence, uids)


def _known(reader: Reader) -> SequenceSet:
    """RFC 7162 7: ``*`` is not allowed."""
    if reader.follows(b"$"):
        reader.fail("a set of message numbers is missing")
    numbers = reader.sequence_set()
    if numbers.resolved(1) != list(numbers.ranges):
        raise ImapError("a known set has no *")
    return numbers


def _create(reader: Reader) -> Create:
    reader.space()
    mailbox, given = made_name(reader), reader.given
    if not reader.took(b" "):
        return Create(mailbox, given=given)
    reader.expect(b"(")
    if reader.word("a parameter") != "USE":
        raise ImapError("there is no such parameter")
    reader.space()
    uses = reader.list_of(reader.flag, may_be_empty=True)
    reader.expect(b")")
    return Create(mailbox, uses, given)


def _rename(reader: Reader) -> Rename:
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    to = made_name(reader)
    return Rename(mailbox, to, reader.given)


def _of_one(make: Callable[[str], object]) -> Callable[[Reader], object]:
    def parse(reader: Reader) -> object:
        reader.space()
        return make(reader.mailbox())

    return parse


def _delete(reader: Reader) -> Delete:
    reader.space()
    mailbox = reader.mailbox()
    return Delete(mailbox, reader.given)


def _status(reader: Reader) -> Status:
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    return Status(mailbox, status_items(reader))


def _root(reader: Reader) -> str:
    reader.space()
    try:
        return reader.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise ImapError("that is not UTF-8") from None


def _set_quota(reader: Reader) -> SetQuota:
    root = _root(reader)
    reader.space()

    def limit() -> tuple[str, int]:
        resource = reader.word("a resource")
        reader.space()
        return resource, reader.number(MOST_NUMBER64)

    return SetQuota(root, reader.list_of(limit, may_be_empty=True))


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "SELECT": lambda reader: _select(reader, False), "EXAMINE": lambda reader: _select(reader, True),
    "CREATE": _create, "DELETE": _delete, "RENAME": _rename, "SUBSCRIBE": _of_one(Subscribe),
    "UNSUBSCRIBE": _of_one(Unsubscribe), "STATUS": _status, "NAMESPACE": lambda _: Namespace(),
    "GETQUOTA": lambda reader: GetQuota(_root(reader)), "GETQUOTAROOT": _of_one(GetQuotaRoot),
    "SETQUOTA": _set_quota,
}
