"""A command that takes long says that it is still at it (RFC 9585), so that its peer goes on waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from mailserver.imap import responses
from mailserver.imap.commands import mailboxes, messages, search
from mailserver.net.answer import Answer, Over, Then
from mailserver.net.begun import Done, Rest, all_of, begin

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

EVERY = 10.0            # seconds between two such words
# What may take long for its messages, and says nothing of its own meanwhile.
LONG = (
    search.Search, search.Sort, search.Thread, messages.Store, messages.Expunge, messages.Copy, messages.Move,
    messages.Close, mailboxes.Delete, mailboxes.Rename,
)


async def with_progress(session: ImapSession, tag: str, work: Coroutine[Any, Any, Answer]) -> Answer:
    """What the work comes to; when that is not at once, a stream that says so until it does."""
    begun = begin(work)
    if isinstance(begun, Done):
        return begun.value
    session.at_work = working = Working(session, tag, begun)
    return working.answer if await working.ends() and working.answer else Answer(b"", stream=working.stream())


class Working:
    """Work that has begun; `nudge` when nobody waits for it any more."""

    def __init__(self, session: ImapSession, tag: str, rest: Rest[Answer]) -> None:
        self.answer: Answer | None = None
        self._session = session
        self._tag = tag
        self._error: Any = None
        self._is_over = False
        self._waiting: Deferred[None] | None = None
        Deferred.fromCoroutine(all_of(rest)).addCallbacks(self._ended, self._failed)

    def _ended(self, answer: Answer) -> None:
        self.answer = answer
        self._end()

    def _failed(self, failure: Any) -> None:
        self._error = failure
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._session.at_work = None
        self.nudge()

    async def ends(self) -> bool:
        """Whether it ends before it is time for another word.  Raises what it raises."""
        if not self._is_over:
            waiting = self._waiting = Deferred()
            late = self._session.policy.world.clock.callLater(EVERY, self.nudge)
            await waiting
            if late.active():
                late.cancel()
        if self._error is not None:
            self._error.raiseException()
        return self._is_over

    def nudge(self) -> None:
        """Who waits is to say something."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """A word now and then, and at last the answer."""
        while not self._is_over:
            yield responses.status("OK", "still at it", f'INPROGRESS ("{self._tag}" NIL NIL)')
            await self.ends()
        answer = self.answer
        assert answer is not None
        yield answer.data
        if answer.stream is not None:
            async for piece in answer.stream:
                yield piece
        if answer.then is not Then.GO_ON:
            raise Over
