"""METADATA (RFC 5464): annotations are told and set, and sessions that want it hear of what others have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mailserver.errors import AlreadyExists, OverQuota, TemporaryFailure
from mailserver.imap import listings
from mailserver.imap.commands import filters
from mailserver.imap.commands.metadata import GetMetadata, SetMetadata
from mailserver.imap.entries import is_below
from mailserver.imap.error import ImapError
from mailserver.imapmetadata import FILTERS, LARGEST_VALUE, SHARED, SPECIAL_USE, IMetadata
from mailserver.imapstore import SPECIAL_USES
from mailserver.session.imap.folders import account
from mailserver.session.imap.reply import Reply

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()


def store_of(session: ImapSession) -> Any:
    """The store, if it keeps annotations; raises `ImapError`."""
    if not IMetadata.providedBy(session.policy.store):
        raise ImapError("there are no annotations here")
    return session.policy.store


def _fixed(session: ImapSession) -> dict[str, bytes]:
    """What the server says of itself, which nobody sets (RFC 5464 6.2)."""
    admin = session.policy.admin or f"mailto:postmaster@{account(session).address.domain}"
    fixed = {f"{SHARED}admin": admin.encode()}
    if session.policy.comment:
        fixed[f"{SHARED}comment"] = session.policy.comment.encode()
    return fixed


async def get_metadata(session: ImapSession, command: GetMetadata) -> Reply:
    """Who has asked for an entry without a value, and for nothing below it, hears NIL: some answer is required."""
    store, asked = store_of(session), {each.lower(): each for each in command.entries}
    found = dict(await store.annotations(
        account(session), command.mailbox or None, None if command.depth != 0 else set(asked)
    ))
    if not command.mailbox:
        found.update(_fixed(session))
    told: dict[str, bytes | None] = {}
    longest = 0
    for top, spelled in asked.items():
        there = {entry: value for entry, value in sorted(found.items()) if is_below(entry, top, command.depth)}
        for entry, value in there.items():
            if command.most is not None and len(value) > command.most:
                longest = max(longest, len(value))
            else:
                told[asked.get(entry, entry)] = value
        if not there:
            told[spelled] = None
    lines = [listings.annotated(command.mailbox, told, session.wire.utf8)] if told else []
    return Reply("that is all", lines, f"METADATA LONGENTRIES {longest}" if longest else "")


async def of_all(session: ImapSession, entries: tuple[str, ...]) -> Mapping[str, Mapping[str, bytes]]:
    """For a LIST that asks for these entries of each mailbox (RFC 9590)."""
    if not entries:
        return {}
    found: Mapping[str, Mapping[str, bytes]]
    found = await store_of(session).annotations_of_all(account(session), {each.lower() for each in entries})
    return found


async def set_metadata(session: ImapSession, command: SetMetadata) -> Reply:
    """All of them, or none."""
    store = store_of(session)
    values = {entry.lower(): value for entry, value in command.values}
    for entry, value in values.items():
        _check(command.mailbox, entry, value)
    use = values.get(SPECIAL_USE) if command.mailbox else None
    if use is not None:
        values[SPECIAL_USE] = _special_use(use)
    try:
        await store.annotate(account(session), command.mailbox or None, values, session.id)
    except OverQuota as error:
        raise ImapError(str(error), "NO", "METADATA TOOMANY") from None
    except AlreadyExists as error:
        raise ImapError(str(error), "NO", "USEATTR") from None
    return Reply("set")


def _check(mailbox: str, entry: str, value: bytes | None) -> None:
    if value is not None and len(value) > LARGEST_VALUE:
        raise ImapError("that value is too long", "NO", f"METADATA MAXSIZE {LARGEST_VALUE}")
    if mailbox:
        return
    if entry.startswith(SHARED):
        raise ImapError("only the operator says what all share of the server", "NO", "NOPERM")
    if value is not None and entry.startswith(FILTERS):
        filters.check(entry.removeprefix(FILTERS[0]), value)


def _special_use(value: bytes) -> bytes:
    """RFC 6154 4: as LIST says it; raises `ImapError` for what no mailbox can be for."""
    wanted = value.decode("latin-1").strip()
    uses = {use.casefold(): use for use in SPECIAL_USES}
    if wanted and wanted.casefold() not in uses:
        raise ImapError("a mailbox here has one use, of those that there are", "NO", "USEATTR")
    return uses.get(wanted.casefold(), "").encode("ascii")


# -- what others have changed


async def listen(session: ImapSession) -> None:
    """Hear of changes from now on (ENABLE METADATA, RFC 5464 4.1)."""
    session.annotated = (await store_of(session).annotated(account(session), None)).number


async def news(session: ImapSession) -> list[bytes]:
    """What others have changed, for who wants to hear of it (RFC 5464 4.4.2)."""
    if session.annotated is None:
        return []
    try:
        found = await store_of(session).annotated(account(session), session.annotated, session.id)
    except TemporaryFailure as error:
        log.warn("a session is told of no annotations for now: {words}", words=str(error))
        return []
    if session.annotated is None:           # logged out meanwhile
        return []
    session.annotated = found.number
    changed: dict[str, list[str]] = {}
    for mailbox, entry in found.changed:
        changed.setdefault(mailbox or "", []).append(entry)
    return [listings.annotations_changed(name, entries, session.wire.utf8) for name, entries in changed.items()]


def watch(session: ImapSession, callback: Callable[[], None]) -> Callable[[], None]:
    """Call back when there may be news; call the result to end."""
    if session.annotated is None:
        return lambda: None
    end: Callable[[], None] = store_of(session).watch_annotations(account(session), callback)
    return end
