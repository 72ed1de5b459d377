"""NOTIFY (RFC 5465): what a session wants to hear of, and of other mailboxes than its own what there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.imap import listings, responses
from mailserver.imap.commands.notify import ABOUT_METADATA, Group, Notify
from mailserver.imap.commands.sections import Item
from mailserver.imap.error import ImapError
from mailserver.imapmetadata import IMetadata
from mailserver.imapstore import IAccountWatcher
from mailserver.session.imap.board import Board
from mailserver.session.imap.reply import Reply
from mailserver.session.imap.selected import Selected
from mailserver.session.imap.surroundings import Surroundings

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

EVENTS = ("MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange")
OF_METADATA = ("MailboxMetadataChange", "ServerMetadataChange")     # where there is METADATA (RFC 5465 5.6, 5.7)
GAP = 0.1                   # seconds in which what happens is told together
AGAIN = 5.0                 # seconds after which is asked again what could not be read
MOST_MAILBOXES = 2000       # of which one session hears
PIECE = 32 * 1024           # octets of answers that are made at a time


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is told of the selected mailbox: messages that come and go, their flags, and `items` of new ones."""

    messages: bool = False
    flags: bool = False
    is_immediate: bool = False          # messages may lose their numbers between two commands
    items: tuple[Item, ...] = ()

    @classmethod
    def of(cls, groups: Iterable[Group]) -> Wanted:
        """What one of the groups says of it; nothing when none does."""
        for each in groups:
            if each.scope.is_selected:
                return cls(
                    "MESSAGENEW" in each.events, "FLAGCHANGE" in each.events, each.scope.kind == "SELECTED", each.items
                )
        return cls()


def can_notify(store: Any) -> bool:
    """Whether NOTIFY can be served from a store."""
    return bool(IAccountWatcher.providedBy(store))


class Notifying:
    """From one NOTIFY to the next, or to the end of the session.

    What has happened is not kept: it is asked for when it can be told, so that who does not read costs nothing.
    """

    __slots__ = (
        "_annotated", "_board", "_end", "_end_annotations", "_groups", "_is_stale", "_own", "_selected", "_session",
        "_timer", "around", "wanted",
    )

    def __init__(self, session: ImapSession, groups: tuple[Group, ...]) -> None:
        self.wanted = Wanted.of(groups)
        self.around: Surroundings | None = None
        self._session = session
        self._groups = tuple(each for each in groups if not each.scope.is_selected and each.events)
        self._board: Board | None = None
        self._end: Callable[[], None] | None = None
        self._annotated: int | None = None      # the last change of annotations that was told of; None: none is
        self._end_annotations: Callable[[], None] | None = None
        self._is_stale = False
        self._selected = ""                 # MAILBOXID
        self._own: set[int] = set()         # UIDs of messages that this session has put there itself
        self._timer: Any = None

    async def begin(self) -> None:
        """Learn how things are, and listen from then on.  Raises `ImapError` when that is too much."""
        if not self._groups:
            return
        session = self._session
        assert session.account is not None
        store: Any = session.policy.store
        self._end = store.watch_account(session.account, self._heard)
        try:
            around = Surroundings(session, self._groups)
            await around.read()
            if any(each.events & ABOUT_METADATA for each in self._groups):
                self._end_annotations = store.watch_annotations(session.account, self._heard)
                self._annotated = (await store.annotated(session.account, None)).number
            if around.count > MOST_MAILBOXES:
                raise ImapError("that is too much to be told of", "NO", "NOTIFICATIONOVERFLOW")
        except BaseException:
            self.close()
            raise
        self.around = around

    def close(self) -> None:
        """Nothing more is told."""
        self.look_at(None)
        ends = self._end, self._end_annotations
        self._end = self._end_annotations = None
        for end in ends:
            if end is not None:
                end()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # -- what has happened

    def look_at(self, selected: Selected | None) -> None:
        """This mailbox is selected now."""
        id = selected.board.mailbox.id if selected is not None else ""
        if id != self._selected:
            self._is_stale, self._selected = True, id       # the one before is one of the others now
        board = selected.board if selected is not None and self.wanted.messages else None
        if board is self._board:
            return
        if self._board is not None:
            self._board.listen_no_more(self)
        self._board = board
        if board is not None:
            board.listen(self, self._ring)

    def brought(self, uids: Iterable[int]) -> None:
        """The session has put messages into its mailbox: it need not be told what they are (RFC 5465 5.2)."""
        if self.wanted.items:
            self._own.update(uids)

    def take_own(self) -> set[int]:
        """Those messages, which are told now."""
        own, self._own = self._own, set()
        return own

    def try_again(self) -> None:
        """After a while."""
        self._is_stale = True
        self._ring(AGAIN)

    def _heard(self) -> None:
        self._is_stale = True
        self._ring()

    def _ring(self, after: float = GAP) -> None:
        if self._timer is None and self._session.notifying is self:
            self._timer = self._session.policy.world.clock.callLater(after, self._rung)

    def _rung(self) -> None:
        self._timer = None
        self._session.wake()

    # -- what is told of other mailboxes

    async def others(self) -> AsyncIterator[bytes]:
        """Lines about those that are not selected."""
        around = self.around
        if around is None or not self._is_stale:
            return
        self._is_stale = False
        try:
            lines = await around.news() + await self._of_metadata(around)
        except TemporaryFailure as error:
            log.warn("a session is told of other mailboxes later: {words}", words=str(error))
            self.try_again()
            return
        if around.count > MOST_MAILBOXES or len(lines) > MOST_MAILBOXES:
            self._session.notify(None)
            yield responses.status("OK", "that is too much: you are told of nothing more", "NOTIFICATIONOVERFLOW")
            return
        async for piece in in_pieces(lines):
            yield piece


    async def _of_metadata(self, around: Surroundings) -> list[bytes]:
        """Which annotations others have changed, for who does not hear of all of them in any case (RFC 5464 4.1)."""
        session = self._session
        if self._annotated is None or session.annotated is not None:
            return []
        assert session.account is not None
        store: Any = session.policy.store
        found = await store.annotated(session.account, self._annotated, session.id)
        self._annotated = found.number
        changed: dict[str, list[str]] = {}
        for mailbox, entry in found.changed:
            if around.tells_metadata(mailbox):
                changed.setdefault(mailbox or "", []).append(entry)
        return [listings.annotations_changed(name, entries, session.wire.utf8) for name, entries in changed.items()]


async def in_pieces(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Lines, some at a time."""
    some: list[bytes] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if size > PIECE:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)


async def notify(session: ImapSession, command: Notify) -> Reply:
    """What was wanted before is wanted no more, unless this one fails (RFC 5465 3.1)."""
    if not can_notify(session.policy.store):
        raise ImapError("this mailbox store cannot tell of other mailboxes")
    events = (*EVENTS, *OF_METADATA) if IMetadata.providedBy(session.policy.store) else EVENTS
    known = {each.upper() for each in events}
    if any(each.events - known for each in command.groups):
        raise ImapError("there is no such event", "NO", f"BADEVENT ({' '.join(events)})")
    notifying = Notifying(session, command.groups)
    await notifying.begin()
    if session.is_lost:
        notifying.close()
    session.notify(notifying)
    lines = []
    if command.status and notifying.around is not None:
        lines = notifying.around.statuses()
    text = "you will hear" if command.groups else "you will hear nothing"
    return Reply(text, stream=in_pieces(lines) if lines else None, is_news=bool(command.groups))

