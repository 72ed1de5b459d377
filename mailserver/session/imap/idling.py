"""IDLE (RFC 2177): what is new is told until the peer says something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailserver.errors import TemporaryFailure
from mailserver.imap import responses
from mailserver.imap.error import ImapError
from mailserver.net.answer import Over
from mailserver.session.imap import annotating
from mailserver.session.imap.selected import Selected
from mailserver.session.imap.telling import Telling, tell

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

log = Logger()

LONGEST = 1860.0            # seconds, after which the peer has to say something; it does so in 29 minutes (RFC 2177 3)
AGAIN = 5.0                 # seconds after which a mailbox that could not be read is read again


class Idling:
    """One IDLE; `end` is called when the peer has said something, or is gone, or the server stops."""

    __slots__ = ("_ended", "_is_late", "_is_woken", "_session", "_woken", "tag")

    def __init__(self, session: ImapSession, tag: str) -> None:
        self.tag = tag
        self._session = session
        self._ended = False
        self._is_late = False
        self._is_woken = False          # since it was asked last whether there is something to be told
        self._woken: Deferred[None] | None = None

    def end(self) -> None:
        """Nothing more is told."""
        self._ended = True
        self.wake()

    def wake(self) -> None:
        """There may be something to be told."""
        woken, self._woken, self._is_woken = self._woken, None, True
        if woken is not None:
            woken.callback(None)

    def _expire(self) -> None:
        self._is_late = True
        self.end()

    async def stream(self) -> AsyncIterator[bytes]:
        """What is to be told, as it comes."""
        session, selected = self._session, self._session.selected
        clock = session.policy.world.clock
        late = again = clock.callLater(LONGEST, self._expire)
        if selected is not None:
            selected.board.listen(self, self.wake)
        watch_no_more = annotating.watch(session, self.wake)
        try:
            while not self._ended:
                lines: list[bytes] = []
                self._is_woken = False
                try:
                    if session.notifying is not None or session.contexts is not None:
                        async for piece in tell(session, Telling(True)):
                            yield piece
                    else:
                        lines = await annotating.news(session)
                        lines += [] if selected is None else await self._news(selected)
                except ImapError as error:
                    yield responses.failure(error)
                    raise Over from None
                except TemporaryFailure as error:
                    log.warn("an idle session is told nothing for now: {words}", words=str(error))
                    again = clock.callLater(AGAIN, self.wake)
                if lines:
                    yield b"".join(lines)
                elif not self._ended and not self._is_woken:
                    self._woken = Deferred()
                    await self._woken
            if self._is_late:
                yield responses.status("BYE", "you have been silent for too long")
                raise Over
        finally:
            for each in (late, again):
                if each.active():
                    each.cancel()
            if selected is not None:
                selected.board.listen_no_more(self)
            watch_no_more()

    async def _news(self, selected: Selected) -> list[bytes]:
        # A change that came while nobody listened has not been looked at yet.
        await selected.refresh()
        return [] if self._ended else self._session.told(may_expunge=True)
