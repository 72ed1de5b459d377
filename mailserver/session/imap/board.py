"""What this process knows of a mailbox that is open: once, however many sessions have chosen it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailserver.errors import NotFound
from mailserver.imapstore import Changes, State

log = Logger()

MOST_KEPT = 4               # answers of one mailbox
MOST_LOGGED = 20_000        # changes of flags that are remembered for sessions that did not hear of them yet


class Memo:
    """What was worked out of all messages of a mailbox, and holds until some come or go: the last of it."""

    __slots__ = ("_known", "generation")

    def __init__(self) -> None:
        self._known: dict[object, Any] = {}
        self.generation = 0         # of the messages: what was worked out of an older one is not kept

    def get(self, question: object) -> Any:
        """What was kept; None: nothing."""
        return self._known.get(question)

    def keep(self, question: object, answer: Any, generation: int) -> None:
        """For whoever asks the same."""
        if generation != self.generation:
            return
        self._known.pop(question, None)
        self._known[question] = answer
        while len(self._known) > MOST_KEPT:
            del self._known[next(iter(self._known))]

    def clear(self) -> None:
        """It holds no more."""
        self.generation += 1
        self._known.clear()


class Board:
    """The UIDs of a mailbox with their flags and mod-sequences, kept up to date while somebody looks at it.

    `uids` grows in place when messages come, so that who has seen its beginning has it still; when some go, there is a
    new array.  `flags` and `modseqs` belong to the newest `uids`.
    """

    __slots__ = (
        "_begun", "_changed", "_end", "_listeners", "_logged_from", "_refreshing", "_shown", "_stale", "flags",
        "is_gone", "keywords", "mailbox", "memo", "modseq", "modseqs", "recent", "uidnext", "uids",
    )

    def __init__(self, mailbox: Any, state: State) -> None:
        self.mailbox = mailbox
        self.uids, self.flags, self.modseqs = state.uids, state.flags, state.modseqs
        self.uidnext, self.modseq, self.keywords = state.uidnext, state.modseq, state.keywords
        self.recent = state.recent
        self.memo = Memo()
        self.is_gone = False                                    # whether the mailbox has been deleted
        self._changed: deque[tuple[int, int]] = deque()         # mod-sequence and UID of changed flags, in that order
        self._logged_from = state.modseq                        # whose changes after this are all there
        self._listeners: dict[int, Callable[[], None]] = {}
        self._end: Callable[[], None] | None = None
        self._stale = False
        self._refreshing: Deferred[None] | None = None
        self._begun = self._shown = 0           # readings, by number, one at a time; and the last that came to its end

    # -- who looks

    def watch(self, end: Callable[[], None]) -> None:
        """`end` is how the store is told that nobody looks any more."""
        self._end = end

    def listen(self, who: object, callback: Callable[[], None]) -> None:
        """Call back once the board shows something new."""
        self._listeners[id(who)] = callback

    def listen_no_more(self, who: object) -> None:
        """Call `who` back no more."""
        self._listeners.pop(id(who), None)

    def close(self) -> None:
        """Nobody looks any more."""
        end, self._end = self._end, None
        if end is not None:
            end()

    # -- what is new

    def heard(self) -> None:
        """The mailbox has changed."""
        self._stale = True
        if self._listeners:
            Deferred.fromCoroutine(self.refresh()).addErrback(_unread)

    async def refresh(self, force: bool = False) -> None:
        """Show what is in the mailbox now.  Raises `NotFound` when it has been deleted."""
        self._stale = self._stale or force
        # Of what is new, the next reading tells; of what is not, the one that somebody else may have begun.
        wanted = self._begun + self._stale
        while self._shown < wanted and not self.is_gone:
            if self._refreshing is not None:
                await _wait(self._refreshing)
                continue
            self._stale = False
            self._begun += 1
            number = self._begun
            self._refreshing = Deferred()
            try:
                changes = await self.mailbox.changes(self.modseq)
                state = await self.mailbox.load() if changes.gone is None else None
                self._show(changes, state)
                self._shown = number
            except LookupError:
                self.is_gone = True
            except BaseException:
                self._stale = True
                raise
            finally:
                done, self._refreshing = self._refreshing, None
                done.callback(None)
                for callback in list(self._listeners.values()):
                    callback()
        if self.is_gone:
            raise NotFound("the mailbox has been deleted")

    def _show(self, changes: Changes, state: State | None) -> None:
        if state is not None:                   # so much was forgotten that all has to be read
            self.uids, self.flags, self.modseqs = state.uids, state.flags, state.modseqs
            self.uidnext, self.modseq, self.keywords = state.uidnext, state.modseq, state.keywords
            self._changed.clear()
            self._logged_from = state.modseq
            self.memo.clear()
            return
        if changes.gone or changes.uidnext != self.uidnext:
            self.memo.clear()
        if changes.gone:
            self._take_out(changes.gone)
        old = []
        for uid, flags, modseq in changes.changed:
            if uid < self.uidnext:
                place = self.place(uid)
                if place >= 0:
                    self.flags[place], self.modseqs[place] = flags, modseq
                    old.append((modseq, uid))
            else:
                self.uids.append(uid)
                self.flags.append(flags)
                self.modseqs.append(modseq)
        old.sort()
        self._changed.extend(old)
        while len(self._changed) > MOST_LOGGED:
            self._logged_from = self._changed.popleft()[0]
        self.uidnext, self.modseq, self.keywords = changes.uidnext, changes.modseq, changes.keywords

    def _take_out(self, gone: Iterable[int]) -> None:
        """Into new arrays, for sessions that have not been told still count by the old one."""
        places = [place for place in map(self.place, gone) if place >= 0]
        if not places:
            return
        columns: list[array[int]] = []
        for column in (self.uids, self.flags, self.modseqs):
            left, start = array(column.typecode), 0
            for place in places:
                left.extend(column[start:place])
                start = place + 1
            left.extend(column[start:])
            columns.append(left)
        self.uids, self.flags, self.modseqs = columns

    # -- what it shows

    def place(self, uid: int) -> int:
        """Where a UID stands; -1: it does not."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else -1

    def modseq_of(self, uid: int) -> int:
        """Its mod-sequence; 0: it is not here."""
        place = self.place(uid)
        return self.modseqs[place] if place >= 0 else 0

    def changed_since(self, modseq: int) -> list[int]:
        """UIDs, in ascending order, whose flags have changed since, or that are new since."""
        if modseq >= self.modseq:
            return []
        if modseq < self._logged_from:
            return [uid for uid, changed in zip(self.uids, self.modseqs, strict=True) if changed > modseq]
        found = set()
        for changed, uid in reversed(self._changed):
            if changed <= modseq:
                break
            found.add(uid)
        return sorted(found)


def _unread(failure: Failure) -> None:
    if not isinstance(failure.value, NotFound):       # whoever listens finds that out himself
        log.warn("a mailbox cannot be read: {words}", words=failure.getErrorMessage())


async def _wait(other: Deferred[None]) -> None:
    """Until somebody else's work is done; however often it is waited for."""
    mine: Deferred[None] = Deferred()

    def pass_on(result: Any) -> Any:
        mine.callback(None)
        return result

    other.addBoth(pass_on)
    await mine
